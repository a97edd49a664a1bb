"""What TensorBoard shows: curves, and the class centres in its projector under the people's names.

The files are written without TensorBoard, which TensorFlow does not bring along: records of ``Event`` messages, and for
the projector plain tables. `tensorboard --logdir FOLDER` opens them wherever it is installed.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import tensorflow as tf

from annotator.types import F32
from trainer.fitting.places import EVENT_FILES
from trainer.fitting.state import replacing

PROJECTOR_FILE: Final = "projector_config.pbtxt"
CENTRES_FILE: Final = "centres.tsv"
NAMES_FILE: Final = "names.tsv"

_EVENT_VERSION: Final = "brain.Event:2"

_PROJECTOR: Final = f"""embeddings {{
  tensor_name: "class centres"
  tensor_path: "{CENTRES_FILE}"
  metadata_path: "{NAMES_FILE}"
}}
"""


class Board:
    """Writes the curves of one run into a folder; a run that goes on adds a file."""

    def __init__(self, folder: Path, *, step: int) -> None:
        """Begin a file of events.

        Args:
            folder: made if missing.
            step: the last one of the run that counts; TensorBoard forgets what a killed run has told beyond it.

        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._writer = tf.io.TFRecordWriter(str(folder / EVENT_FILES.replace("*", str(time.time_ns()))))
        self._write(file_version=_EVENT_VERSION)
        start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
        self._write(step=step + 1, session_log=start)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to curves, by their names."""
        points = [tf.compat.v1.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(step=step, summary=tf.compat.v1.Summary(value=points))
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()

    def show_centres(self, centres: F32, names: Sequence[str]) -> None:
        """Replace the points of the projector: see :func:`write_projector`."""
        write_projector(self._folder, centres, names)

    def _write(self, **fields: Any) -> None:  # noqa: ANN401 - fields of a protocol buffer
        self._writer.write(tf.compat.v1.Event(wall_time=time.time(), **fields).SerializeToString())


def write_projector(folder: Path, centres: F32, names: Sequence[str]) -> None:
    """Write what the projector shows.

    Args:
        folder: holds the events, too: the projector looks for its files there.
        centres: f32 (N, D).
        names: of the points.

    """
    rows = "".join("\t".join(f"{value:.6g}" for value in centre) + "\n" for centre in centres)
    labels = "".join(" ".join(name.split()) + "\n" for name in names)  # a tab or a line's end would begin another cell
    for file, text in ((CENTRES_FILE, rows), (NAMES_FILE, labels), (PROJECTOR_FILE, _PROJECTOR)):
        with replacing(folder / file) as part:
            part.write_text(text, encoding="utf-8")
