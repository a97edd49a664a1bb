"""Look at photographs: find the faces on each, embed them, and keep what was found."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from annotator.recognition.alignment import FACE_SIDE_PX, align_faces
from annotator.recognition.photographs import MIN_FACE_SCORE, FaceEmbedding, FaceFinder, read_picture
from annotator.types import F32, U8, FaceDetections
from trainer.dataset.findings import Content, FileStamp, Findings, FoundFace
from trainer.dataset.hashing import Appearance, appearance_of

READERS: Final = 2
READ_AHEAD: Final = 8
"""Photographs that are decoded while the networks run."""

BATCH_PIXELS: Final = 8_000_000
BATCH_PHOTOGRAPHS: Final = 16
"""What goes through the detector together, and is kept in one transaction: the most that a kill costs."""

DETECTED_SIDE_PX: Final = 2048
"""Larger photographs are halved before faces are looked for; crops are cut out of the whole all the same."""


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    stamp: FileStamp
    picture: U8 | None  # None where the content has been looked at before
    appearance: Appearance | None


def scan(
    paths: Sequence[Path],
    *,
    root: Path,
    findings: Findings,
    detector: FaceFinder,
    embedder: FaceEmbedding,
    advance: Callable[[], None] = lambda: None,
) -> int:
    """Look at the photographs that are new or have changed.

    Args:
        paths: photographs below ``root``; all must be readable.
        root: the raw dataset.
        findings: what is known already; added to after each batch.
        detector: finds the faces.
        embedder: tells them apart.
        advance: called for each photograph that has been looked at.

    Returns:
        How many contents were looked at.

    Raises:
        UndecodableMediaError: a photograph is none.

    """
    known, looked_at = findings.known(), 0
    with ThreadPoolExecutor(READERS, thread_name_prefix="read") as pool:
        reading = _ahead(pool, lambda path: _read(path, root, known), paths)
        for batch in _batches(reading):
            unseen = {one.stamp.sha256: one for one in batch if one.picture is not None}
            contents = _look(list(unseen.values()), detector=detector, embedder=embedder)
            findings.add([one.stamp for one in batch], contents)
            known |= unseen.keys()
            looked_at += len(contents)
            for _ in batch:
                advance()
    return looked_at


def changed(paths: Sequence[Path], *, root: Path, stamps: dict[str, FileStamp]) -> list[Path]:
    """Return the files that are new, or have another size or time than when they were read."""
    found = []
    for path in paths:
        stamp, stat = stamps.get(relative(path, root)), path.stat()
        if stamp is None or (stamp.size_bytes, stamp.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            found.append(path)
    return found


def relative(path: Path, root: Path) -> str:
    """Return folder and name within the raw dataset."""
    return path.relative_to(root).as_posix()


def _read(path: Path, root: Path, known: set[str]) -> _Read:
    stat = path.stat()
    digest = sha256(path.read_bytes()).hexdigest()
    stamp = FileStamp(relative(path, root), stat.st_size, stat.st_mtime_ns, digest)
    if digest in known:
        return _Read(stamp, None, None)
    picture = read_picture(path)
    return _Read(stamp, picture, appearance_of(picture))


def _ahead(pool: ThreadPoolExecutor, read: Callable[[Path], _Read], paths: Sequence[Path]) -> Iterator[_Read]:
    """Read in threads, in order, a bounded number ahead."""
    waiting: deque[Future[_Read]] = deque()
    for path in paths:
        waiting.append(pool.submit(read, path))
        if len(waiting) > READ_AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _batches(reading: Iterator[_Read]) -> Iterator[list[_Read]]:
    batch: list[_Read] = []
    pixels = 0
    for one in reading:
        batch.append(one)
        pixels += 0 if one.picture is None else one.picture.shape[0] * one.picture.shape[1]
        if len(batch) >= BATCH_PHOTOGRAPHS or pixels >= BATCH_PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch


def _look(unseen: Sequence[_Read], *, detector: FaceFinder, embedder: FaceEmbedding) -> list[Content]:
    """Find and embed the faces of a batch; all faces go through the embedder together."""
    pictures = [one.picture for one in unseen if one.picture is not None]
    reduced = [_reduced(picture) for picture in pictures]
    detections = detector.detect([small for small, _ in reduced])
    faces = [_clear(found, factor) for found, (_, factor) in zip(detections, reduced, strict=True)]
    aligned = [align_faces(picture, found.landmarks_xy) for picture, found in zip(pictures, faces, strict=True)]
    crops = np.concatenate([one for one, _ in aligned] or [np.zeros((0, FACE_SIDE_PX, FACE_SIDE_PX, 3), np.uint8)])
    embeddings = iter(embedder.embed(crops))
    contents = []
    for one, picture, found, (_, sizes_px) in zip(unseen, pictures, faces, aligned, strict=True):
        if one.appearance is None:
            raise TypeError("a photograph that is looked at has an appearance")
        mine = [next(embeddings) for _ in range(len(found))]
        size_wh = (picture.shape[1], picture.shape[0])
        contents.append(Content(one.stamp.sha256, size_wh, one.appearance, _ordered(found, sizes_px, mine)))
    return contents


def _reduced(picture: U8) -> tuple[U8, int]:
    """Return the photograph, halved until it is small enough to be searched, and by how much."""
    factor = 1
    while max(picture.shape[:2]) > DETECTED_SIDE_PX:
        height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
        half = cv2.resize(picture[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        picture, factor = np.asarray(half, np.uint8), factor * 2
    return picture, factor


def _clear(found: FaceDetections, factor: int) -> FaceDetections:
    """Return the clear faces, in pixels of the whole photograph."""
    clear = found.scores >= MIN_FACE_SCORE
    boxes, landmarks = found.boxes_xyxy[clear] * factor, found.landmarks_xy[clear] * factor + (factor - 1) / 2
    return FaceDetections(boxes.astype(np.float32), found.scores[clear], landmarks.astype(np.float32))


def _ordered(found: FaceDetections, sizes_px: F32, embeddings: Sequence[F32]) -> tuple[FoundFace, ...]:
    order = np.argsort(-sizes_px, kind="stable")
    return tuple(
        FoundFace(
            number,
            float(found.scores[index]),
            float(sizes_px[index]),
            found.boxes_xyxy[index],
            found.landmarks_xy[index],
            embeddings[index],
        )
        for number, index in enumerate(order)
    )
