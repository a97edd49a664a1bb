"""The decoder child: its limits, its end, and what it cannot reach."""

import os
import select
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.errors import DecodeTimeoutError, MediaTooLargeError, UndecodableMediaError
from annotator.media import DecodeLimits, LocalMedia, Sampling, child, sample_frames
from annotator.media.child import Child, ChildUsage, WallClock, ffmpeg_path
from annotator.media.commands import all_frames
from annotator.media.limits import MIB
from annotator.media.sniff import MediaFormat
from annotator.types import MediaRef
from tests.media_factory import BLUE, GifPart, flat, gif_bytes, noise, read_media, write_video


def children() -> set[str]:
    """Return the commands of the child processes that are not dead."""
    found: set[str] = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                status = (process / "stat").read_text().rpartition(")")
            except OSError:
                continue
            if int(status[2].split()[1]) == os.getpid():
                found.add(status[0].partition("(")[2])
    return {name for name in found if name.startswith(("ffmpeg", "sh"))}


def local(path: Path) -> LocalMedia:
    return LocalMedia(MediaRef(path.name, ""), path, 0, "")


def run(args: Sequence[str], media: Path, *, limits: DecodeLimits | None = None, wall_s: float = 20.0) -> Child:
    """Start ffmpeg on a media with arguments of the test's own; the media is descriptor ``{media}``."""
    return Child(
        lambda fd, records: [arg.format(media=fd, records=records) for arg in args],
        media_path=str(media),
        name=media.name,
        limits=limits or DecodeLimits(),
        clock=WallClock(wall_s),
        on_record=lambda _data: None,
    )


def stand_in(folder: Path, script: str) -> str:
    """Write a program that says a version as ffmpeg does, and else does what a script says; return its path."""
    program = folder / "stand-in"
    program.write_text(f'#!/bin/sh\n[ "$1" = -version ] && echo "ffmpeg version of a test" && exit\n{script}\n')
    program.chmod(0o755)
    return str(program)


ENDLESS = ("-v", "error", "-f", "lavfi", "-i", "testsrc=size=1280x720:rate=500", "-f", "null", "-")


def test_leaving_the_block_early_leaves_no_process(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise(60))
    with sample_frames(local(path), sampling=Sampling.all(), limits=DecodeLimits(batch_bytes=1)) as frames:
        next(iter(frames))
        assert children()
    assert not children()


def test_an_error_of_the_consumer_leaves_no_process_and_is_passed_on(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise(60))

    def consume() -> None:
        with sample_frames(local(path), sampling=Sampling.all(), limits=DecodeLimits(batch_bytes=1)) as frames:
            for _ in frames:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume()
    assert not children()


def test_the_report_is_not_known_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(gif_bytes([GifPart(flat(BLUE)), GifPart(flat(1))]))
    with sample_frames(local(path), sampling=Sampling.all(), limits=DecodeLimits()) as frames:
        with pytest.raises(RuntimeError, match="when all of its batches"):
            _ = frames.report
        assert len(list(frames)) == 1
        assert frames.report.frames_decoded == 2


def test_a_child_over_its_wall_time_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "any"
    path.write_bytes(b"")
    with run(ENDLESS, path, wall_s=0.2) as started, pytest.raises(DecodeTimeoutError, match="wall time"):
        started.finish()
    assert not children()


def test_wall_time_is_for_all_children_of_a_media(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise(30))
    with pytest.raises(DecodeTimeoutError):
        read_media(path, Sampling.even(5), DecodeLimits(wall_s=0.0))


@pytest.mark.slow
def test_a_child_over_its_cpu_time_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "any"
    path.write_bytes(b"")
    with run(ENDLESS, path, limits=DecodeLimits(cpu_s=1), wall_s=120.0) as started:
        with pytest.raises(DecodeTimeoutError, match="1 s of CPU time"):
            started.finish()
        assert started.usage is not None
        assert started.usage.cpu_s < 4


@pytest.mark.parametrize(("used_s", "error"), [(0.92, DecodeTimeoutError), (0.1, UndecodableMediaError)])
def test_a_child_that_is_asked_to_stop_is_over_its_cpu_time_if_it_has_used_most_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used_s: float, error: type[Exception]
) -> None:
    monkeypatch.setattr(child, "ffmpeg_path", lambda: stand_in(tmp_path, "exit 255"))
    path = tmp_path / "any"
    path.write_bytes(b"")
    with run((), path, limits=DecodeLimits(cpu_s=1)) as started:
        started._reap()
        started.usage = ChildUsage(used_s, 0)
        with pytest.raises(error):
            started.finish()


def test_a_child_cannot_take_more_memory_than_allowed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise(10, size_wh=(1920, 1088)))
    with pytest.raises(MediaTooLargeError, match="more than 60 MiB"):
        read_media(path, Sampling.even(5), DecodeLimits(memory_bytes=60 * MIB))
    assert len(read_media(path, Sampling.even(5), DecodeLimits(memory_bytes=400 * MIB))[0]) == 5


def test_a_child_that_dies_of_a_signal_is_an_error_of_its_media(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "ffmpeg_path", lambda: stand_in(tmp_path, "kill -SEGV $$"))
    path = tmp_path / "any"
    path.write_bytes(b"")
    with (
        run((), path) as started,
        pytest.raises(UndecodableMediaError, match="die of signal 11"),
    ):
        started.finish()


def test_grandchildren_die_with_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "ffmpeg_path", lambda: "/bin/sh")
    path = tmp_path / "any"
    path.write_bytes(b"")
    with run(("-c", "sleep 600 & echo $! >&2; wait"), path, wall_s=0.3) as started:
        with pytest.raises(DecodeTimeoutError):
            started.finish()
        grandchild = int(started.complaints() or "0")
        alive = os.pidfd_open(grandchild)
    try:
        # It is told to die before the block ends, but nobody here may wait for a grandchild: on a busy machine
        # it is still on its way out.
        assert select.select([alive], [], [], 30.0)[0], "the grandchild lives on"
    finally:
        os.close(alive)


def test_a_child_cannot_write_files(tmp_path: Path) -> None:
    target = tmp_path / "written"
    path = tmp_path / "any"
    path.write_bytes(b"")
    args = ("-v", "error", "-f", "lavfi", "-i", "color=size=64x64", "-frames:v", "1", "-f", "rawvideo", str(target))
    with run(args, path) as started, pytest.raises(UndecodableMediaError):
        started.finish()
    assert not target.exists() or target.stat().st_size == 0


@pytest.mark.parametrize(
    ("demuxer", "script"),
    [
        ("concat", "ffconcat version 1.0\nfile {secret}\n"),
        ("hls", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\nfile://{secret}\n#EXT-X-ENDLIST\n"),
    ],
)
def test_no_other_file_is_opened_even_by_a_demuxer_that_would(tmp_path: Path, demuxer: str, script: str) -> None:
    secret = write_video(tmp_path / "secret.ts", noise(5), options=("-c:v", "mpeg2video"))
    media = tmp_path / "list"
    media.write_text(script.format(secret=secret))
    form = MediaFormat("a list", "video", demuxer)
    frames: list[bytes] = []
    with Child(
        all_frames(form, DecodeLimits()),
        media_path=str(media),
        name="list",
        limits=DecodeLimits(),
        clock=WallClock(20),
        on_record=frames.append,
    ) as started:
        started.fill(memoryview(bytearray(1)))
        with pytest.raises(UndecodableMediaError):
            started.finish()
    assert frames == []
    # The same script with the whitelist open does read the secret: the test can fail.
    opened = subprocess.run(
        [
            *(ffmpeg_path(), "-v", "error", "-protocol_whitelist", "file,crypto,data"),
            *(("-safe", "0") if demuxer == "concat" else ()),
            *("-f", demuxer, "-i", str(media), "-f", "rawvideo", "pipe:1"),
        ],
        capture_output=True,
        check=False,
    )
    assert len(opened.stdout) > 1000


def test_many_threads_decode_at_a_time(tmp_path: Path) -> None:
    paths = [write_video(tmp_path / f"{number}.mp4", noise(20, seed=number)) for number in range(4)]
    alone = [read_media(path, Sampling.even(5))[0].images for path in paths]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda path: read_media(path, Sampling.even(5))[0].images, paths))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(gif_bytes([GifPart(flat(BLUE), disposal=2), GifPart(flat(1))]))
    read_media(path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        read_media(path)
        with pytest.raises(DecodeTimeoutError):
            read_media(path, limits=DecodeLimits(wall_s=0.0))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("kept", [1.0, 0.7], ids=["whole", "cut"])
@pytest.mark.parametrize("sampling", [Sampling.even(4), Sampling.every(100), Sampling.all()], ids=lambda of: of.kind)
def test_a_decoder_that_has_ended_before_it_is_read_has_told_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampling: Sampling, kept: float
) -> None:
    path = write_video(tmp_path / "a.mkv", noise(12, size_wh=(16, 16)))  # So small that all of it fits into the pipes.
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    batch, report = read_media(path, sampling)
    assert (report.damage is None) == (kept == 1)
    real = child._spawn

    def spawn_and_wait(*args: Any, **options: Any) -> "subprocess.Popen[bytes]":
        process = real(*args, **options)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        return process

    monkeypatch.setattr(child, "_spawn", spawn_and_wait)
    monkeypatch.setattr(child, "READ_BYTES", 16)  # Of the records only the header has been read when frames come.
    late, late_report = read_media(path, sampling)
    assert np.array_equal(late.images, batch.images)
    assert np.array_equal(late.pts_ms, batch.pts_ms)
    assert late_report == report


def test_a_decoder_that_ends_well_without_a_frame_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", noise(12))
    monkeypatch.setattr(child, "ffmpeg_path", lambda: stand_in(tmp_path, "exit 0"))
    for sampling in (Sampling.even(4), Sampling.all()):
        with pytest.raises(UndecodableMediaError, match=r"Not one frame of a\.mp4"):
            read_media(path, sampling)
