"""One media being decoded: its children, its damage, and runs of ffmpeg as Python iterators."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from annotator.errors import MediaTooLargeError, UndecodableMediaError
from annotator.media.child import Child, WallClock
from annotator.media.commands import ArgsBuilder
from annotator.media.gif import GifOutline, check_gif, rewritten, walk_gif
from annotator.media.limits import DecodeLimits
from annotator.media.machine import within_its_limits
from annotator.media.pixels import over_white, turned
from annotator.media.records import RecordStream
from annotator.media.sniff import MediaFormat, sniff
from annotator.types import U8


@dataclass(slots=True)
class Decoding:
    """What the runs over one media share.

    Attributes:
        path: what a child opens: the media, or its copy without a name.
        name: what messages call it.
        form: what it is.
        limits: for every child.
        clock: wall time left.
        outline: blocks of a GIF.
        damage: what was found broken, in words.
        peak_bytes: peak memory of the largest child.

    """

    path: str
    name: str
    form: MediaFormat
    limits: DecodeLimits
    clock: WallClock
    outline: GifOutline | None = None
    damage: list[str] = field(default_factory=list)
    peak_bytes: int = 0

    def records(self) -> RecordStream:
        """Return an empty stream of records."""
        return RecordStream(name=self.name, limits=self.limits)

    @contextlib.contextmanager
    def child(self, build_args: ArgsBuilder, records: RecordStream) -> Iterator[Child]:
        """Run a decoder; it is dead when the block is left."""
        child = Child(
            build_args,
            media_path=self.path,
            name=self.name,
            limits=self.limits,
            clock=self.clock,
            on_record=records.feed,
        )
        try:
            yield child
        finally:
            child.close()
            if child.usage is not None:
                self.peak_bytes = max(self.peak_bytes, child.usage.peak_bytes)

    def frames(self, child: Child, records: RecordStream) -> Iterator[U8]:
        """Yield the raw frames of a run as RGB, u8 (H, W, 3), until the stream ends; then all records are there, too.

        Raises:
            MediaTooLargeError: a frame has too many pixels.

        """
        if not child.pump(lambda: records.size_wh is not None) or records.size_wh is None:
            return
        width, height = records.size_wh
        if width * height > self.limits.max_pixels:
            raise MediaTooLargeError(
                f"{self.name} has {width} x {height} pixels a frame, the limit is {self.limits.max_pixels}; make it "
                "smaller or raise the limit."
            )
        while True:
            raw = np.empty((height, width, 4 if self.form.has_alpha else 3), np.uint8)
            if not child.fill(raw.reshape(-1).data):
                # Records come on a pipe of their own. Where all frames are in their pipe before the first is asked for,
                # nothing was waited for, and no record beyond the header has been read yet.
                child.pump(lambda: False)
                return
            yield self._to_rgb(raw)

    def _to_rgb(self, raw: U8) -> U8:
        image = over_white(raw) if self.form.has_alpha else raw
        return turned(image, self.form.orientation) if self.form.orientation else image

    def finish(self, child: Child, *, frames: int) -> None:
        """Wait for a run's end and note what it complained about.

        Raises:
            UndecodableMediaError: there is no frame at all.
            AnnotatorError: a limit was reached.

        """
        try:
            complaints = child.finish()
        except UndecodableMediaError as exc:
            if frames == 0:
                raise
            complaints = str(exc)
        if frames == 0:
            why = f" ({complaints})" if complaints else ""
            raise UndecodableMediaError(f"Not one frame of {self.name} can be decoded{why}; fetch it anew.")
        if complaints:
            self.note(complaints)

    def note(self, damage: str) -> None:
        """Remember what is broken."""
        if damage not in self.damage:
            self.damage.append(damage)


@contextlib.contextmanager
def open_decoding(path: Path, *, name: str, limits: DecodeLimits) -> Iterator[Decoding]:
    """Look at a media ourselves and make it ready for decoding.

    Args:
        path: a file.
        name: what messages call it.
        limits: checked here as far as the headers tell, and by every child.

    Raises:
        UndecodableMediaError: no media by its content, or a GIF without canvas or frame.
        UnsupportedMediaError: of a format that is not read.
        MediaTooLargeError: a GIF that reaches over too many pixels, or has too many frames.
        LocalDiskError: a GIF must be copied, and the disk has no room.
        MachineLimitError: no file can be opened.

    """
    with contextlib.ExitStack() as cleanup:
        with within_its_limits():
            file = cleanup.enter_context(path.open("rb"))
        form = sniff(file, name=name)
        decoding = Decoding(str(path), name, form, limits, WallClock(limits.wall_s))
        if form.demuxer == "gif":
            outline = walk_gif(file, max_frames=limits.max_frames)
            check_gif(outline, name=name, max_pixels=limits.max_pixels, max_frames=limits.max_frames)
            decoding.outline = outline
            if outline.damage:
                decoding.note(outline.damage)
            if outline.needs_rewriting:
                copy = cleanup.enter_context(rewritten(file, outline, name=name))
                decoding.path = f"/proc/self/fd/{copy.fileno()}"
        yield decoding
