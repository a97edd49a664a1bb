"""Cut faces out of photographs, as the network that learns from them will see faces."""

import io
import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Final

from PIL import Image

from annotator.errors import ConfigError
from annotator.recognition.crops import FaceCrop
from annotator.recognition.crops import cut_face as cut
from annotator.types import U8
from trainer.dataset.findings import FoundFace

JPEG_QUALITY: Final = 95
_MAX_TEXT_CHARS: Final = 4096


def cut_face(picture: U8, face: FoundFace, params: FaceCrop) -> U8:
    """Cut a face out.

    Args:
        picture: u8 (H, W, 3), RGB, the whole photograph.
        face: found on it.
        params: how.

    Returns:
        u8 (S, S, 3), RGB, black beyond the photograph's border.

    """
    return cut(picture, face.box_xyxy, face.landmarks_xy, params)


def encode_crop(crop: U8) -> bytes:
    """Return a crop as JPEG, without colour subsampling: the same crop gives the same bytes."""
    stream = io.BytesIO()
    Image.fromarray(crop).save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return stream.getvalue()


def recipe_of(content: str, face: FoundFace, params: FaceCrop) -> str:
    """Return what decides the bytes of a crop: a crop with the same recipe need not be made again."""
    place = face.landmarks_xy.tobytes() + face.box_xyxy.tobytes()
    text = f"{content} {params.kind} {params.side_px} {params.margin:.6f} {JPEG_QUALITY} ".encode()
    return sha256(text + place).hexdigest()


def crop_text(params: FaceCrop) -> str:
    """Return the text of ``crop.json``, which says how the crops of an experiment are cut."""
    return json.dumps(asdict(params)) + "\n"


def read_crop_params(path: Path) -> FaceCrop:
    """Read ``crop.json``.

    Raises:
        ConfigError: it is not there, or not as it was written.

    """
    if not path.is_file():
        raise ConfigError(f"there is no {path}, which says how faces are cut: run `trainer prepare` again")
    try:
        with path.open(encoding="utf-8") as file:
            return FaceCrop(**json.loads(file.read(_MAX_TEXT_CHARS)))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path} is not as it was written ({error}): run `trainer prepare` again") from error
