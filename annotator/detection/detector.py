"""The MTCNN cascade over many frames of any sizes, of many media, at once."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from annotator.detection.atlas import CANVAS_HEIGHT_PX, CANVAS_WIDTH_PX, Atlas, Level, pyramid
from annotator.detection.boxes import Overlap, half_open, moved, squares, suppress, within
from annotator.detection.params import DEFAULT_PARAMS, DetectionParams
from annotator.detection.pooling import SumTables, window_edges
from annotator.networks.mtcnn import ONET_SIDE_PX, PNET_STRIDE_PX, PNET_WINDOW_PX, RNET_SIDE_PX, mtcnn_networks
from annotator.runtime.network import Engine, Runner
from annotator.types import F32, I64, U8, FaceDetections

CHUNK_PIXELS: Final = 3 * 1024 * 1024
"""Frames of so many pixels go through the cascade together: 24 frames of 480 x 270, 1 of 1920 x 1080; at least one."""

CANVASES: Final = 1
"""Canvases in a batch of P-Net."""

RNET_BATCH: Final = 128
ONET_BATCH: Final = 64
"""Candidates in a batch; the last one is padded."""

NMS_IN_LEVEL: Final = 0.5
NMS_IN_FRAME: Final = 0.7
"""Highest overlap of two candidates that both go on; of facenet-pytorch."""

_FACE: Final = 1
"""Which of a network's two scores is that of a face."""


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """Boxes on their way through the cascade, counted from 1, the last pixel included."""

    group: I64  # (N,), number of the frame, or of the level
    boxes: F32  # (N, 4)
    offsets: F32  # (N, 4), by which the last network would move the edges
    scores: F32  # (N,)

    def __getitem__(self, which: I64) -> "_Candidates":
        return _Candidates(self.group[which], self.boxes[which], self.offsets[which], self.scores[which])

    def best(self, max_overlap: float, overlap: Overlap = "union") -> I64:
        """Return the numbers of those that stay."""
        return suppress(self.boxes, self.scores, self.group, max_overlap=max_overlap, overlap=overlap)


class MtcnnDetector:
    """Finds faces. Safe to call from several threads.

    Args:
        engine: runs the three networks.
        params: what a user may choose.
        weights_dir: folder with ``det1.npy``, ``det2.npy`` and ``det3.npy``; by default the packaged weights.

    Raises:
        ConfigError: weights are not there.
        ModelError: weights are not the ones that are known, or cannot be read.

    """

    def __init__(
        self, engine: Engine, *, params: DetectionParams = DEFAULT_PARAMS, weights_dir: Path | None = None
    ) -> None:
        """Load the networks."""
        self.params = params
        networks = mtcnn_networks(weights_dir)
        self._digests = {name: network.weights_digest for name, network in networks.items()}
        self._pnet, self._rnet, self._onet = engine.load_all([networks[name] for name in ("pnet", "rnet", "onet")])
        self._pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="detect")

    def spec(self) -> dict[str, object]:
        """Return what identifies this detector: parameters and weights. Plain JSON values."""
        params = {**asdict(self.params), "thresholds": list(self.params.thresholds)}
        return {"detector": "mtcnn", **params, "weights": dict(self._digests)}

    def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
        """Find the faces of some frames.

        Args:
            frames: each u8 (H, W, 3), RGB, at least 1 x 1; sizes may differ, and they may come from many media.

        Returns:
            One per frame, in the same order; empty where a frame shows no face or is smaller than the smallest one.

        Raises:
            TypeError: a frame of another shape or dtype.

        """
        for frame in frames:
            if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
                raise TypeError(f"a frame must be uint8 (H, W, 3), got {frame.dtype.name} {frame.shape}")
        return [faces for chunk in _chunks(frames) for faces in self._detect_chunk(chunk)]

    def _detect_chunk(self, frames: Sequence[U8]) -> list[FaceDetections]:
        tables = SumTables(frames)
        candidates = self._propose(tables)
        candidates = self._refine(tables, candidates)
        return self._finish(tables, candidates)

    def _propose(self, tables: SumTables) -> _Candidates:
        """Run P-Net over the pyramids of all frames."""
        levels: list[Level] = []
        for number, (height, width) in enumerate(tables.shape_hw.tolist()):
            min_face = self.params.min_face_of(height, width)
            levels += pyramid(number, (height, width), min_face, self.params.pyramid_factor)
        atlas = Atlas(levels)
        batches = [range(n, min(n + CANVASES, len(atlas.canvases))) for n in range(0, len(atlas.canvases), CANVASES)]
        found = _joined(list(self._pool.map(lambda batch: self._scan(tables, atlas, batch), batches)))
        found = found[found.best(NMS_IN_LEVEL)]
        found = replace(found, group=np.array([level.frame for level in levels], np.int64)[found.group])
        found = found[found.best(NMS_IN_FRAME)]
        return replace(found, boxes=squares(moved(found.boxes, found.offsets, last_pixel=0)))

    def _scan(self, tables: SumTables, atlas: Atlas, canvases: range) -> _Candidates:
        """Draw some canvases, run P-Net, and return the windows with a face, grouped by level."""
        offsets, scores = self._pnet(_draw(tables, atlas, canvases))
        owners = atlas.owners(canvases)
        face_scores = scores[..., _FACE]
        place, row, column = np.nonzero((face_scores >= self.params.thresholds[0]) & (owners >= 0))
        piece = atlas.piece_table()[owners[place, row, column]]
        level, y, x, canvas_y, canvas_x = (piece[:, n] for n in (0, 1, 2, 6, 7))
        corner = np.stack([column * PNET_STRIDE_PX - canvas_x + x, row * PNET_STRIDE_PX - canvas_y + y], axis=1).astype(
            np.float32
        )
        scale = np.array([entry.scale for entry in atlas.levels], np.float32)[level, None]
        first, last = np.floor((corner + 1) / scale), np.floor((corner + PNET_WINDOW_PX) / scale)
        boxes = np.concatenate([first, last], axis=1)
        return _Candidates(level, boxes, offsets[place, row, column], face_scores[place, row, column])

    def _refine(self, tables: SumTables, candidates: _Candidates) -> _Candidates:
        """Run R-Net over all candidates."""
        candidates, (offsets, scores) = self._look(self._rnet, tables, candidates, side=RNET_SIDE_PX, batch=RNET_BATCH)
        candidates = replace(candidates, offsets=offsets, scores=scores[:, _FACE])
        candidates = candidates[np.flatnonzero(candidates.scores > self.params.thresholds[1])]
        candidates = candidates[candidates.best(NMS_IN_FRAME)]
        return replace(candidates, boxes=squares(moved(candidates.boxes, candidates.offsets, last_pixel=1)))

    def _finish(self, tables: SumTables, candidates: _Candidates) -> list[FaceDetections]:
        """Run O-Net over all candidates and give each frame its faces."""
        faces, (offsets, marks, scores) = self._look(
            self._onet, tables, candidates, side=ONET_SIDE_PX, batch=ONET_BATCH
        )
        faces = replace(faces, offsets=offsets, scores=scores[:, _FACE])
        passed = np.flatnonzero(faces.scores > self.params.thresholds[2])
        faces, marks = faces[passed], marks[passed]
        landmarks = _landmarks(faces.boxes, marks)
        faces = replace(faces, boxes=moved(faces.boxes, faces.offsets, last_pixel=1))
        kept = faces.best(NMS_IN_FRAME, "smaller")
        faces, landmarks = faces[kept], landmarks[kept]
        boxes = half_open(faces.boxes)
        bounds = np.searchsorted(faces.group, np.arange(len(tables.shape_hw) + 1))
        return [FaceDetections(boxes[a:b], faces.scores[a:b], landmarks[a:b]) for a, b in pairwise(bounds)]

    def _look(
        self, runner: Runner, tables: SumTables, candidates: _Candidates, *, side: int, batch: int
    ) -> tuple[_Candidates, tuple[F32, ...]]:
        """Cut the candidates out and run a network over them, in padded batches; what lies outside its frame goes."""
        pixels = within(candidates.boxes, tables.shape_hw[candidates.group])
        inside = np.flatnonzero((pixels[:, 2:] > pixels[:, :2]).all(axis=1))
        candidates, pixels = candidates[inside], pixels[inside]

        def run(start: int) -> tuple[F32, ...]:
            part = slice(start, start + batch)
            crops = np.zeros((batch, side, side, 3), np.float32)
            count = len(pixels[part])
            tables.crop(candidates.group[part], pixels[part], out=crops[:count])
            return tuple(output[:count] for output in runner(crops))

        # An empty batch too, so that the outputs have their shapes.
        results = list(self._pool.map(run, range(0, max(len(pixels), 1), batch)))
        return candidates, tuple(np.concatenate(output) for output in zip(*results, strict=True))


def _joined(parts: Sequence[_Candidates]) -> _Candidates:
    if not parts:
        return _Candidates(np.zeros(0, np.int64), *(np.zeros((0, 4), np.float32),) * 2, np.zeros(0, np.float32))
    return _Candidates(
        np.concatenate([part.group for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.offsets for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def _landmarks(boxes: F32, parts: F32) -> F32:
    """Turn landmarks in parts of the box, first five x, then five y, into pixels counted from 0, f32 (N, 5, 2)."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    return sides[:, None] * parts.reshape(-1, 2, 5).transpose(0, 2, 1) + boxes[:, None, :2] - 1


def _chunks(frames: Sequence[U8]) -> Iterator[Sequence[U8]]:
    """Cut into runs of a bounded number of pixels, at least one frame each."""
    start, pixels = 0, 0
    for number, frame in enumerate(frames):
        size = frame.shape[0] * frame.shape[1]
        if number > start and pixels + size > CHUNK_PIXELS:
            yield frames[start:number]
            start, pixels = number, 0
        pixels += size
    if frames:
        yield frames[start:]


def _draw(tables: SumTables, atlas: Atlas, canvases: range) -> F32:
    """Shrink the frames into the pieces of some canvases; always a full batch."""
    drawn = np.zeros((CANVASES, CANVAS_HEIGHT_PX, CANVAS_WIDTH_PX, 3), np.float32)
    for place, canvas in enumerate(canvases):
        for number in atlas.canvases[canvas]:
            piece = atlas.pieces[number]
            level = atlas.levels[piece.level]
            height, width = tables.shape_hw[level.frame].tolist()
            rows, columns = window_edges(height, level.height), window_edges(width, level.width)
            y, x, bottom, right = piece.y, piece.x, piece.y + piece.height, piece.x + piece.width
            spot = drawn[place, piece.canvas_y :, piece.canvas_x :]
            pixels = spot[: piece.height, : piece.width]
            rows = rows[0][y:bottom], rows[1][y:bottom]
            tables.pool(level.frame, rows, (columns[0][x:right], columns[1][x:right]), out=pixels)
            # P-Net's pooling rounds up: the row or column beyond an odd side must not win it.
            if piece.height % 2:
                spot[piece.height, : piece.width] = pixels[-1]
            if piece.width % 2:
                spot[: piece.height, piece.width] = pixels[:, -1]
    return drawn
