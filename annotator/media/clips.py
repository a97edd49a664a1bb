"""Frames of a media, sampled, in batches: the one function that the pipeline calls.

How a media is run through the decoder depends on what is known beforehand:

- a still picture, or a policy that needs no look ahead: one run, frames are picked as they come, until there is nothing
  more to pick;
- an animation, evenly: one run, distinct frames wait in a bounded buffer until the clip's length is known; if they do
  not fit, a second run delivers the chosen ones;
- a video: its packets are read first (nothing is decoded), which tells the times of all frames. Then one run decodes
  everything and delivers what was chosen; or, where that is far from everything (a film), or times were named, only the
  stretches from the key frame before a chosen frame up to it are decoded.
"""

import contextlib
from collections.abc import Generator, Iterator

import numpy as np

from annotator.media.decoding import Decoding, open_decoding
from annotator.media.films import video_samples
from annotator.media.limits import DecodeLimits
from annotator.media.local import LocalMedia
from annotator.media.passes import Facts, buffered_samples, streamed_samples
from annotator.media.sampling import SampleShare, Sampling
from annotator.types import ClipReport, FrameBatch


class SampledFrames:
    """The sampled frames of one media: iterate once, then ask for the report.

    Each item is a :class:`~annotator.types.FrameBatch` of bounded size.
    """

    def __init__(self, decoding: Decoding, *, sampling: Sampling) -> None:
        """Begin; nothing is decoded before the first batch is asked for."""
        self._decoding = decoding
        self._batches = self._run(sampling)
        self._report: ClipReport | None = None

    def __iter__(self) -> Iterator[FrameBatch]:
        """Return the iterator over the batches: always the same one.

        Raises:
            InputError: from iteration, if the media cannot be decoded within its limits.

        """
        return self._batches

    @property
    def report(self) -> ClipReport:
        """What decoding has shown; known when all batches have been taken.

        Raises:
            RuntimeError: asked for too early.

        """
        if self._report is None:
            raise RuntimeError("The report of a clip is known when all of its batches have been taken.")
        return self._report

    @property
    def peak_bytes(self) -> int:
        """Peak resident memory of the decoder so far, an upper bound."""
        return self._decoding.peak_bytes

    def close(self) -> None:
        """Stop decoding and kill what runs."""
        self._batches.close()

    def _run(self, sampling: Sampling) -> Generator[FrameBatch, None, None]:
        samples = _samples(self._decoding, sampling)
        batch: list[SampleShare] = []
        with contextlib.closing(samples):
            facts: Facts | None = None
            while facts is None:
                try:
                    batch.append(next(samples))
                except StopIteration as stop:
                    facts = stop.value
                if batch and (facts is not None or self._is_full(batch)):
                    yield _to_batch(batch)
                    batch = []
        self._report = _report(self._decoding, facts, is_whole=sampling.kind != "at")

    def _is_full(self, batch: list[SampleShare]) -> bool:
        return (len(batch) + 1) * batch[0].sample.image.nbytes > self._decoding.limits.batch_bytes


def _samples(decoding: Decoding, sampling: Sampling) -> Generator[SampleShare, None, Facts]:
    kind = decoding.form.kind
    if kind == "still" or sampling.kind == "all":
        return streamed_samples(decoding, sampling)
    if kind == "video":
        return video_samples(decoding, sampling)
    return buffered_samples(decoding, sampling) if sampling.kind == "even" else streamed_samples(decoding, sampling)


def _to_batch(batch: list[SampleShare]) -> FrameBatch:
    images = [share.sample.image for share in batch]
    return FrameBatch(
        images=np.stack(images) if len(images) > 1 else images[0][np.newaxis],
        frame_index=np.array([share.sample.frame_index for share in batch], np.int64),
        pts_ms=np.array([share.sample.start_ms for share in batch], np.int64),
        from_ms=np.array([share.from_ms for share in batch], np.int64),
        shown_ms=np.array([share.shown_ms for share in batch], np.int64),
    )


def _report(decoding: Decoding, facts: Facts, *, is_whole: bool) -> ClipReport:
    outline = decoding.outline
    if is_whole and outline is not None and facts.frames_decoded < len(outline.frames) and not decoding.damage:
        decoding.note(f"only {facts.frames_decoded} of {len(outline.frames)} frames could be decoded")
    return ClipReport(
        width_px=facts.size_wh[0],
        height_px=facts.size_wh[1],
        duration_ms=facts.duration_ms,
        frames_decoded=facts.frames_decoded,
        frames_distinct=facts.frames_distinct,
        damage="; ".join(decoding.damage) or None,
    )


@contextlib.contextmanager
def sample_frames(local: LocalMedia, *, sampling: Sampling, limits: DecodeLimits) -> Iterator[SampledFrames]:
    """Decode a media and look at some of its frames.

    Args:
        local: the media.
        sampling: which frames.
        limits: what it may cost.

    Yields:
        Its frames: RGB u8 (N, H, W, 3) in batches; upright; composed over white. No decoder is left running after
        the block.

    Raises:
        UndecodableMediaError: no media, or not one frame of it can be decoded (here or from iteration, as the rest).
        UnsupportedMediaError: a format that is not read, or no picture stream.
        MediaTooLargeError: over a limit of pixels, frames, duration or memory.
        DecodeTimeoutError: over a limit of time.

    """
    with open_decoding(local.path, name=local.ref.media_id, limits=limits) as decoding:
        frames = SampledFrames(decoding, sampling=sampling)
        with contextlib.closing(frames):
            yield frames
