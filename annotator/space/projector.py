"""People and faces for the projector of TensorBoard, which has UMAP and t-SNE: embeddings, names, and what says so."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from annotator.appearing import appearing_folder
from annotator.recognition.gallery import Gallery
from annotator.space.directions import people_directions
from annotator.space.sample import SampledFaces

TENSORS: Final = "tensors.bytes"
METADATA: Final = "metadata.tsv"
CONFIG: Final = "projector_config.pbtxt"
_UNKNOWN: Final = "unknown"


def write_projector(folder: Path, gallery: Gallery, faces: SampledFaces, names: Mapping[int, str]) -> int:
    """Write a folder that ``tensorboard --logdir`` opens; it appears when it is whole.

    Args:
        folder: must not be there, or be empty.
        gallery: the people.
        faces: sampled tracks.
        names: of the identities of these; who is not in it is unknown.

    Returns:
        How many points it has.

    Raises:
        ConfigError: the folder holds something.
        LocalDiskError: it cannot be written there.

    """
    points = np.concatenate([people_directions(gallery), faces.directions]).astype("<f4")
    with appearing_folder(folder) as part:
        (part / TENSORS).write_bytes(points.tobytes())
        (part / METADATA).write_text(_metadata(gallery, faces, names), encoding="utf-8", newline="")
        (part / CONFIG).write_text(_config(*points.shape), encoding="utf-8")
    return len(points)


def _metadata(gallery: Gallery, faces: SampledFaces, names: Mapping[int, str]) -> str:
    rows = [("name", "kind", "photographs", "content", "track")]
    for identity, photographs in zip(gallery.identities, gallery.photo_counts.tolist(), strict=True):
        rows.append((_cell(identity.name), "person", str(photographs), "", ""))
    keys = zip(faces.content_id.tolist(), faces.track_no.tolist(), faces.identity_id, strict=True)
    for content_id, track_no, who in keys:
        name = _UNKNOWN if who is None else _cell(names.get(who, _UNKNOWN))
        rows.append((name, "face", "", str(content_id), str(track_no)))
    return "".join("\t".join(row) + "\n" for row in rows)


def _cell(name: str) -> str:
    r"""Return a name as one cell: a tab or a line's end would begin another.

    >>> _cell("Ada\tLovelace ")
    'Ada Lovelace'
    """
    return " ".join(name.split())


def _config(points: int, size: int) -> str:
    return f"""embeddings {{
  tensor_name: "people and faces"
  tensor_path: "{TENSORS}"
  tensor_shape: {points}
  tensor_shape: {size}
  metadata_path: "{METADATA}"
}}
"""
