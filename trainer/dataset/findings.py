"""What was found on each photograph, kept in a SQLite file: each is looked at once, also over a kill.

Findings belong to contents, known by their sha256: a photograph that is renamed or copied is not looked at again.
They hold for one detector and embedder; with others, everything is looked at anew.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from annotator.types import F32
from trainer.dataset.hashing import SKETCH_SIDE_PX, Appearance

_LAYOUT: Final = 1
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS photographs (
  path TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS contents (
  sha256 TEXT PRIMARY KEY, width_px INTEGER NOT NULL, height_px INTEGER NOT NULL,
  hash64 BLOB NOT NULL, mirrored64 BLOB NOT NULL, sketch BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS faces (
  sha256 TEXT NOT NULL REFERENCES contents, number INTEGER NOT NULL, score REAL NOT NULL, face_px REAL NOT NULL,
  box_xyxy BLOB NOT NULL, landmarks_xy BLOB NOT NULL, embedding BLOB NOT NULL, PRIMARY KEY (sha256, number));
CREATE TABLE IF NOT EXISTS crops (path TEXT PRIMARY KEY, recipe TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True, eq=False)
class FoundFace:
    """A clear face on a photograph.

    Attributes:
        number: of the face on its photograph, 0 is the largest.
        score: the detector's, in [0, 1].
        face_px: side in pixels of the photograph of the square that is aligned.
        box_xyxy: f32 (4,), pixels of the photograph, half-open; may reach beyond its border.
        landmarks_xy: f32 (5, 2), pixels of the photograph.
        embedding: f32 (D,), unit norm.

    """

    number: int
    score: float
    face_px: float
    box_xyxy: F32
    landmarks_xy: F32
    embedding: F32


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """What was found on a photograph, whatever its name.

    Attributes:
        sha256: of its bytes.
        size_wh: pixels.
        appearance: what it looks like.
        faces: the clear ones, largest first.

    """

    sha256: str
    size_wh: tuple[int, int]
    appearance: Appearance
    faces: tuple[FoundFace, ...]


@dataclass(frozen=True, slots=True)
class FileStamp:
    """A file as it was when it was read; one that has the same size and time counts as unchanged.

    Attributes:
        path: folder and name within the raw dataset, with ``/`` between.
        size_bytes: of the file.
        mtime_ns: when it was changed.
        sha256: of its bytes.

    """

    path: str
    size_bytes: int
    mtime_ns: int
    sha256: str


class Findings:
    """The file of findings. Used by one process at a time.

    Args:
        path: the file; made where it is not there.
        spec: what decides findings, plain JSON values; of another spec, findings are dropped.

    """

    def __init__(self, path: Path, *, spec: Mapping[str, object] | None = None) -> None:
        """Open it."""
        self._connection = sqlite3.connect(path)
        self._connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + _TABLES)
        if spec is not None:
            self._keep_if(json.dumps({"layout": _LAYOUT, **spec}, sort_keys=True))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._connection.close()

    def stamps(self) -> dict[str, FileStamp]:
        """Return all files that have been read, by path."""
        rows = self._connection.execute("SELECT path, size_bytes, mtime_ns, sha256 FROM photographs")
        return {row[0]: FileStamp(*row) for row in rows}

    def known(self) -> set[str]:
        """Return the sha256 of all contents that have been looked at."""
        return {row[0] for row in self._connection.execute("SELECT sha256 FROM contents")}

    def add(self, stamps: Iterable[FileStamp], contents: Iterable[Content]) -> None:
        """Keep what was found, in one transaction."""
        with self._connection as connection:
            for content in contents:
                connection.execute("INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?, ?, ?)", _content_row(content))
                connection.executemany(
                    "INSERT OR REPLACE INTO faces VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [_face_row(content.sha256, face) for face in content.faces],
                )
            connection.executemany(
                "INSERT OR REPLACE INTO photographs VALUES (?, ?, ?, ?)",
                [(stamp.path, stamp.size_bytes, stamp.mtime_ns, stamp.sha256) for stamp in stamps],
            )

    def forget_files(self, paths: Iterable[str]) -> None:
        """Drop the stamps of files that are gone; what was found on their contents stays."""
        with self._connection as connection:
            connection.executemany("DELETE FROM photographs WHERE path = ?", [(path,) for path in paths])

    def contents(self) -> dict[str, Content]:
        """Return everything that was found, by sha256."""
        faces: dict[str, list[FoundFace]] = {}
        for sha256, *row in self._connection.execute("SELECT * FROM faces ORDER BY sha256, number"):
            faces.setdefault(sha256, []).append(_face(row))
        rows = self._connection.execute("SELECT * FROM contents")
        return {row[0]: _content(row, tuple(faces.get(row[0], ()))) for row in rows}

    def crops(self) -> dict[str, str]:
        """Return how each crop is made, by path within the experiment's folder."""
        return dict(self._connection.execute("SELECT path, recipe FROM crops"))

    def announce_crops(self, recipes: Mapping[str, str]) -> None:
        """Say which crops will be written, before the first is: what a kill leaves behind is known by its name."""
        with self._connection as connection:
            connection.executemany("INSERT OR REPLACE INTO crops VALUES (?, ?)", [(path, "") for path in recipes])

    def confirm_crops(self, recipes: Mapping[str, str]) -> None:
        """Say which crops have been written."""
        with self._connection as connection:
            connection.executemany("INSERT OR REPLACE INTO crops VALUES (?, ?)", list(recipes.items()))

    def forget_crops(self, paths: Sequence[str]) -> None:
        """Say which crops have been removed."""
        with self._connection as connection:
            connection.executemany("DELETE FROM crops WHERE path = ?", [(path,) for path in paths])

    def _keep_if(self, spec: str) -> None:
        with self._connection as connection:
            row = connection.execute("SELECT value FROM facts WHERE name = 'spec'").fetchone()
            if row is not None and row[0] != spec:
                for table in ("photographs", "contents", "faces"):
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of this list
            connection.execute("INSERT OR REPLACE INTO facts VALUES ('spec', ?)", (spec,))


def _content_row(content: Content) -> tuple[object, ...]:
    look = content.appearance
    hashes = (look.hash64.to_bytes(8, "big"), look.mirrored64.to_bytes(8, "big"))
    return (content.sha256, *content.size_wh, *hashes, look.sketch.tobytes())


def _content(row: Sequence[object], faces: tuple[FoundFace, ...]) -> Content:
    sha256, width_px, height_px, hash64, mirrored64, sketch = row
    if not (isinstance(hash64, bytes) and isinstance(mirrored64, bytes) and isinstance(sketch, bytes)):
        raise TypeError("hashes and sketches are stored as bytes")
    small = np.frombuffer(sketch, np.uint8).reshape(SKETCH_SIDE_PX, SKETCH_SIDE_PX)
    look = Appearance(int.from_bytes(hash64, "big"), int.from_bytes(mirrored64, "big"), small)
    return Content(str(sha256), (int(str(width_px)), int(str(height_px))), look, faces)


def _face_row(sha256: str, face: FoundFace) -> tuple[object, ...]:
    arrays = (face.box_xyxy, face.landmarks_xy, face.embedding)
    blobs = [np.ascontiguousarray(array, "<f4").tobytes() for array in arrays]
    return (sha256, face.number, face.score, face.face_px, *blobs)


def _face(row: Sequence[object]) -> FoundFace:
    number, score, face_px, *blobs = row
    box, landmarks, embedding = (np.frombuffer(blob, "<f4") for blob in blobs if isinstance(blob, bytes))
    return FoundFace(int(str(number)), float(str(score)), float(str(face_px)), box, landmarks.reshape(-1, 2), embedding)
