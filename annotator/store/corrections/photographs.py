"""Photographs of people for the trainer: pieces of frames with a face that is somebody by a person's word.

`trainer prepare` looks for faces itself, and learns from whole photographs. A piece has the face with half of it
around on every side. Of a clip there is one photograph of a person: frames of one clip look alike, and a network that
has learnt from some must not be evaluated on others.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from annotator.appearing import appearing_file
from annotator.decoding import FrameSource, MediaFrames
from annotator.errors import AnnotatorError, ConfigError, CorrectionError, LocalDiskError, ModelError
from annotator.recognition.labels import parse_label
from annotator.store.codec import StoredBoxes
from annotator.store.corrections.export import WrittenCrops, digests_of, folder_of
from annotator.store.corrections.listing import Correction
from annotator.store.store import Store
from annotator.types import F32, U8, Identity, MediaRef

AROUND: Final = 0.5
"""What a photograph has on each side of the face, as a share of the longer side of its box. Much less, and the detector
may miss the face; much more, and there are other people on it."""

_NAME: Final = re.compile(r"corrected-[0-9a-f]{12}-[0-9]+ms\.png")
"""Names of the files: nobody else's are ever removed."""

_DIGITS: Final = 12  # of the digest of a clip's bytes, in names of files


def is_exported(path: Path) -> bool:
    """Say whether a file is a photograph that :func:`write_photographs` has written, going by its name."""
    return _NAME.fullmatch(path.name) is not None


def write_photographs(
    store: Store,
    source: FrameSource,
    standing: Sequence[Correction],
    folder: Path,
    *,
    on_media: Callable[[], None],
) -> WrittenCrops:
    """Write a photograph of each person and clip, and remove those that were written before and do not hold any more.

    Args:
        store: the database.
        source: opens media with every frame.
        standing: words «is» that hold.
        folder: has a folder for each person: one that bears the name or the label, else a new one.
        on_media: called once for each photograph.

    Returns:
        How many there are now, and what could not be written.

    Raises:
        ConfigError: what was written before cannot be removed.
        LocalDiskError: the folder cannot be written.

    """
    digests = digests_of(store, standing)
    wanted: dict[Path, Correction] = {}
    left_out = []
    folders = _folders(folder)
    for one in _best_of_clips(standing):
        try:
            target = folders.get(one.identity.name) or folder / folder_of(one.identity)
        except ModelError as error:
            left_out.append((one.identity.name, str(error)))
        else:
            wanted[target / _name(one, digests[one.content_id])] = one
    _remove_others(folder, set(wanted))
    written = []
    for path, one in sorted(wanted.items()):
        on_media()
        try:
            if not path.exists():
                _write(path, _photograph(one, digests[one.content_id], source))
        except (ConfigError, LocalDiskError):
            raise
        except AnnotatorError as error:
            left_out.append((one.media_uri or one.identity.name, str(error)))
        else:
            written.append(one)
    return WrittenCrops(len(written), len(written), len({one.identity for one in written}), tuple(left_out))


def _best_of_clips(standing: Sequence[Correction]) -> list[Correction]:
    """Return for each person and clip the word on the track with the best face."""
    of_clip: dict[tuple[Identity, int], list[Correction]] = defaultdict(list)
    for one in standing:
        of_clip[one.identity, one.content_id].append(one)
    return [max(some, key=lambda one: float(one.boxes.quality.max())) for some in of_clip.values()]


def _folders(folder: Path) -> Mapping[str, Path]:
    """Return the folders of people that there are, by name."""
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        try:
            found[parse_label(path.name).name] = path
        except ModelError:
            continue
    return found


def _name(one: Correction, sha256: str) -> str:
    return f"corrected-{sha256[:_DIGITS]}-{int(one.boxes.pts_ms[_best(one.boxes)])}ms.png"


def _best(boxes: StoredBoxes) -> int:
    return int(np.argmax(boxes.quality))


def _remove_others(folder: Path, wanted: set[Path]) -> None:
    for path in sorted(folder.glob("*/corrected-*.png")):
        if is_exported(path) and path not in wanted:
            try:
                path.unlink()
                if not any(path.parent.iterdir()):  # a folder of nobody's photographs cannot be prepared
                    path.parent.rmdir()
            except OSError as error:
                raise ConfigError(f"{path} cannot be removed ({error.strerror}): nobody says so any more") from error


def _photograph(one: Correction, sha256: str, source: FrameSource) -> U8:
    if one.media_uri is None:
        raise CorrectionError("the media that showed this face is gone")
    best = _best(one.boxes)
    with source.open(MediaRef(one.media_uri, one.media_uri)) as frames:
        if frames.content_sha256 != sha256:
            raise CorrectionError("it has changed since the face was seen")
        image = _shown_at(frames, int(one.boxes.pts_ms[best]))
    return _around(image, one.boxes.boxes_xyxy[best])


def _shown_at(frames: MediaFrames, pts_ms: int) -> U8:
    """Return the frame that is displayed at a time: the last one that has appeared by then."""
    shown: U8 | None = None
    for batch in frames:
        for at_ms, image in zip(batch.pts_ms.tolist(), batch.images, strict=True):
            if at_ms > pts_ms and shown is not None:
                return shown
            shown = image
    if shown is None:
        raise CorrectionError("no frame of it can be read any more")
    return shown


def _around(image: U8, box_xyxy: F32) -> U8:
    """Return the piece of a frame around a box."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (float(edge) for edge in box_xyxy)
    margin = AROUND * max(x2 - x1, y2 - y1)
    left, top = max(round(x1 - margin), 0), max(round(y1 - margin), 0)
    piece: U8 = image[top : min(round(y2 + margin), height), left : min(round(x2 + margin), width)]
    if not piece.size:
        raise CorrectionError("the face is outside the frame")
    return piece


def _write(path: Path, photograph: U8) -> None:
    with appearing_file(path, remedy="name another folder") as file:  # killed on the way, it is no photograph
        Image.fromarray(np.ascontiguousarray(photograph)).save(file, "PNG")
