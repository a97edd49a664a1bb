"""The MTCNN cascade over many frames of any sizes, of many media, at once."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from annotator.detection.boxes import half_open, moved, squares, within
from annotator.detection.candidates import Candidates
from annotator.detection.following import neighbours, searched_frames, squares_around
from annotator.detection.looking import look
from annotator.detection.params import DEFAULT_PARAMS, DetectionParams
from annotator.detection.proposal import NMS_IN_FRAME, Each, propose
from annotator.detection.screening import ScreenedNetwork
from annotator.native import Frames, check_frame
from annotator.networks.mtcnn import ONET_SIDE_PX, RNET_SIDE_PX, mtcnn_networks
from annotator.runtime.batches import Batches
from annotator.runtime.network import Engine
from annotator.types import F32, I64, U8, FaceDetections

_RNET_WIDTHS: Final = (4, 2)
_ONET_WIDTHS: Final = (4, 10, 2)
"""Numbers of the outputs for a candidate: offsets of the edges, landmarks, scores."""

_FACE: Final = 1
"""Which of the two scores of R- and O-Net is that of a face."""


class MtcnnDetector:
    """Finds faces. Safe to call from several threads.

    Chunks of frames go through the cascade side by side, each on a thread of its own.

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
        self._pnet, rnet, self._onet = engine.load_all([networks[name] for name in ("pnet", "rnet", "onet")])
        self._rnet = ScreenedNetwork(engine, networks["rnet"], rnet, screen=params.bf16_screen)
        # OpenCV would spread each small call over all processors, which have work of their own: a sixth of the time.
        cv2.setNumThreads(1)
        self._lanes, self._batches = engine.lanes, engine.batches
        self._pool = ThreadPoolExecutor(engine.lanes, thread_name_prefix="detect")

    def spec(self) -> dict[str, object]:
        """Return what identifies this detector: parameters and weights. Plain JSON values."""
        params = {**asdict(self.params), "thresholds": list(self.params.thresholds)}
        del params["bf16_screen"]  # every number is one of float32
        return {"detector": "mtcnn", **params, "weights": dict(self._digests)}

    def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
        """Find the faces of some frames, each on its own.

        Args:
            frames: each u8 (H, W, 3), RGB, at least 1 x 1; sizes may differ, and they may come from many media.

        Returns:
            One per frame, in the same order; empty where a frame shows no face or is smaller than the smallest one.

        Raises:
            TypeError: a frame of another shape or dtype.

        """
        for frame in frames:
            check_frame(frame)
        chunks = list(_chunks(frames, self._batches, lanes=self._lanes))
        if len(chunks) == 1:  # the canvases are spread over the threads, instead of the chunks
            return self._search(chunks[0], self._pool.map)
        return [faces for found in self._pool.map(self._search, chunks) for faces in found]

    def detect_clips(self, clips: Sequence[Sequence[U8]]) -> list[list[FaceDetections]]:
        """Find the faces of some clips; see :mod:`annotator.detection.following`.

        Args:
            clips: of each the frames, in the order of time; see :meth:`detect`.

        Returns:
            For each clip one per frame. A clip gets the same, whatever else is searched with it; on a GPU up to the
            rounding of float32.

        Raises:
            TypeError: a frame of another shape or dtype.

        """
        for frame in chain(*clips):
            check_frame(frame)
        every, max_change = self.params.search_every, self.params.max_change
        plans = [searched_frames(clip, every=every, max_change=max_change) for clip in clips]
        sizes = [
            sum(clip[n].shape[0] * clip[n].shape[1] for n in plan) for clip, plan in zip(clips, plans, strict=True)
        ]
        tasks = [(clips[part], plans[part]) for part in _runs(sizes, self._batches, lanes=self._lanes)]
        if len(tasks) == 1:
            return self._detect_clips(*tasks[0], self._pool.map)
        return [clip for found in self._pool.map(self._detect_clips, *zip(*tasks, strict=True)) for clip in found]

    def _detect_clips(
        self, clips: Sequence[Sequence[U8]], plans: Sequence[I64], each: Each = map
    ) -> list[list[FaceDetections]]:
        """Search the frames that the plans name, then look at the others where those show faces."""
        found: list[list[FaceDetections]] = [[FaceDetections.empty()] * len(clip) for clip in clips]
        places = [(clip, int(frame)) for clip, plan in enumerate(plans) for frame in plan]
        for frames in _chunks([clips[clip][frame] for clip, frame in places], self._batches, lanes=1):
            for faces in self._search(frames, each):
                clip, frame = places.pop(0)
                found[clip][frame] = faces
        looks = []
        for clip, plan in enumerate(plans):
            for frame, around in enumerate(neighbours(len(clips[clip]), plan)):
                boxes = squares_around([found[clip][searched] for searched in around])
                if len(boxes):
                    looks.append((clip, frame, boxes))
        for start in range(0, len(looks), self._batches.looks):
            part = looks[start : start + self._batches.looks]
            seen = self._look([clips[clip][frame] for clip, frame, _ in part], [boxes for _, _, boxes in part])
            for (clip, frame, _), faces in zip(part, seen, strict=True):
                found[clip][frame] = faces
        return found

    def _search(self, frames: Sequence[U8], each: Each = map) -> list[FaceDetections]:
        """Run the whole cascade over some frames."""
        searched = Frames(frames)
        candidates = propose(searched, self._pnet, self.params, sizes=self._batches.canvases, each=each)
        return self._finish(searched, self._refine(searched, candidates, screen=self._rnet.is_screened))

    def _look(self, frames: Sequence[U8], boxes: Sequence[F32]) -> list[FaceDetections]:
        """Run R- and O-Net over some boxes of some frames."""
        frame = np.repeat(np.arange(len(frames)), [len(some) for some in boxes])
        around = np.concatenate(boxes)
        nothing = np.zeros_like(around)
        looked_at = Frames(frames)
        candidates = Candidates(frame, around, nothing, nothing[:, 0])
        return self._finish(looked_at, self._refine(looked_at, candidates, screen=False))  # half of them are faces

    def _refine(self, frames: Frames, candidates: Candidates, *, screen: bool) -> Candidates:
        """Run R-Net over all candidates, and move those that it takes for faces."""
        candidates, pixels = _inside(frames, candidates)
        min_score = self.params.thresholds[1]
        seen = partial(look, frames=frames, side_px=RNET_SIDE_PX, widths=_RNET_WIDTHS)
        if screen:
            _, scores = seen(self._rnet.rough, frame_of=candidates.group, boxes=pixels, sizes=self._batches.rnet)
            worth = np.flatnonzero(scores[:, _FACE] > self._rnet.floor(min_score))
            candidates, pixels = candidates[worth], pixels[worth]
        sizes = self._batches.rnet_again if self._rnet.is_screened else self._batches.rnet
        offsets, scores = seen(self._rnet.exact, frame_of=candidates.group, boxes=pixels, sizes=sizes)
        passed = candidates.seen(offsets, scores[:, _FACE])
        passed = passed[passed.scores > min_score].best(NMS_IN_FRAME)
        return replace(passed, boxes=squares(moved(passed.boxes, passed.offsets, last_pixel=1)))

    def _finish(self, frames: Frames, candidates: Candidates) -> list[FaceDetections]:
        """Run O-Net over all candidates, and give each frame its faces."""
        faces, pixels = _inside(frames, candidates)
        offsets, marks, scores = look(
            self._onet,
            frames,
            faces.group,
            pixels,
            side_px=ONET_SIDE_PX,
            widths=_ONET_WIDTHS,
            sizes=self._batches.onet,
        )
        faces = faces.seen(offsets, scores[:, _FACE])
        passed = faces.scores > self.params.thresholds[2]
        faces, landmarks = faces[passed], _landmarks(faces.boxes[passed], marks[passed])
        faces = replace(faces, boxes=moved(faces.boxes, faces.offsets, last_pixel=1))
        kept = faces.best_numbers(NMS_IN_FRAME, "smaller")
        faces, landmarks = faces[kept], landmarks[kept]
        boxes = half_open(faces.boxes)
        bounds = np.searchsorted(faces.group, np.arange(len(frames) + 1))
        return [FaceDetections(boxes[a:b], faces.scores[a:b], landmarks[a:b]) for a, b in pairwise(bounds)]


def _inside(frames: Frames, candidates: Candidates) -> tuple[Candidates, I64]:
    """Return the candidates of which something lies in their frame, and that, i64 (N, 4), as ``within`` does."""
    pixels = within(candidates.boxes, frames.shapes_hw[candidates.group])
    inside = np.flatnonzero((pixels[:, 2:] > pixels[:, :2]).all(axis=1))
    return candidates[inside], pixels[inside]


def _landmarks(boxes: F32, parts: F32) -> F32:
    """Turn landmarks in parts of the box, first five x, then five y, into pixels counted from 0, f32 (N, 5, 2)."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    return sides[:, None] * parts.reshape(-1, 2, 5).transpose(0, 2, 1) + boxes[:, None, :2] - 1


def _chunks(frames: Sequence[U8], batches: Batches, *, lanes: int) -> Iterator[Sequence[U8]]:
    """Cut frames into runs of a bounded number of pixels."""
    for part in _runs([frame.shape[0] * frame.shape[1] for frame in frames], batches, lanes=lanes):
        yield frames[part]


def _runs(sizes: Sequence[int], batches: Batches, *, lanes: int) -> Iterator[slice]:
    """Cut into runs of a bounded number of pixels, at least one entry each, and some for each lane."""
    limit = min(batches.chunk_pixels, max(batches.min_chunk_pixels, -(-sum(sizes) // lanes)))
    start, pixels = 0, 0
    for number, size in enumerate(sizes):
        if number > start and pixels + size > limit:
            yield slice(start, number)
            start, pixels = number, 0
        pixels += size
    if sizes:
        yield slice(start, len(sizes))
