"""A decoder that cannot be run, and a machine that lets nothing be started: no media is blamed for either."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from annotator.errors import (
    ConfigError,
    DecoderKilledError,
    MachineLimitError,
    MediaTooLargeError,
    UndecodableMediaError,
)
from annotator.media import DecodeLimits, FetchLimits, MediaReader, child
from annotator.media import machine as this_machine
from annotator.media.child import check_decoder, ffmpeg_path
from annotator.settings import Settings
from annotator.store import Store
from annotator.types import MediaRef
from tests.media_factory import BLUE, GifPart, flat, gif_bytes, noise, read_media, write_video
from workers import boot

# A program that reads a GIF while its user may have fewer and fewer processes, down to none beside itself.
FEW_PROCESSES = """
import os, resource, sys, tempfile
from pathlib import Path
from annotator.errors import AnnotatorError
from annotator.media.child import ffmpeg_path
from tests.media_factory import BLUE, GifPart, flat, gif_bytes, read_media

program = ffmpeg_path()
if os.getuid() == 0:  # the limit holds for nobody with the rights of root
    os.setuid(20000 + os.getpid() % 40000)  # a user of this program's own
if not os.access(program, os.X_OK):
    sys.exit("this user may not run ffmpeg")
own = sum(1 for process in Path("/proc").iterdir() if process.name.isdigit() and process.stat().st_uid == os.getuid()
          for _ in (process / "task").iterdir())
gif = tempfile.NamedTemporaryFile(suffix=".gif")
gif.write(gif_bytes([GifPart(flat(BLUE)), GifPart(flat(1))]))
gif.flush()
for more in range(14):
    resource.setrlimit(resource.RLIMIT_NPROC, (own + more, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
    try:
        read_media(Path(gif.name))
        print("read")
    except AnnotatorError as error:
        print(error.reason)
"""


@pytest.fixture
def gif(tmp_path: Path) -> Path:
    path = tmp_path / "a.gif"
    # It must be rewritten, for which a file is opened, too.
    path.write_bytes(gif_bytes([GifPart(flat(BLUE), disposal=2), GifPart(flat(1))]))
    return path


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the decoder is looked for; it is the test's to put it there."""
    path = tmp_path / "ffmpeg"
    monkeypatch.setattr(child, "ffmpeg_path", lambda: str(path))
    return path


def not_executable(program: Path) -> None:
    shutil.copy(ffmpeg_path(), program)
    program.chmod(0o644)


def without_library(program: Path) -> None:
    content = Path("/bin/true").read_bytes()
    assert b"libc.so.6" in content
    program.write_bytes(content.replace(b"libc.so.6", b"libX.so.6"))
    program.chmod(0o755)


def empty(program: Path) -> None:
    program.write_bytes(b"")
    program.chmod(0o755)


def half_written(program: Path) -> None:
    with Path(ffmpeg_path()).open("rb") as whole:
        program.write_bytes(whole.read(1 << 20))
    program.chmod(0o755)


def another_program(program: Path) -> None:
    program.symlink_to("/bin/true")


BROKEN = pytest.mark.parametrize(
    "put", [lambda _program: None, not_executable, without_library, empty, half_written, another_program]
)


@BROKEN
def test_a_decoder_that_cannot_be_run_is_no_fault_of_a_media(
    gif: Path, program: Path, put: Callable[[Path], None]
) -> None:
    put(program)
    with pytest.raises(ConfigError, match=r"The decoder .*ffmpeg cannot be run \(.*install imageio-ffmpeg anew"):
        read_media(gif)


@BROKEN
def test_a_worker_does_not_start_where_the_decoder_cannot_be_run(
    program: Path, put: Callable[[Path], None], tmp_path: Path
) -> None:
    put(program)
    with pytest.raises(ConfigError, match="cannot be run"):
        boot.build_parts(Settings(), Store.open(tmp_path / "a.db"))


@pytest.mark.parametrize("code", [126, 127])
def test_a_decoder_that_could_not_be_run_and_can_again_is_no_fault_of_a_media(
    gif: Path, program: Path, code: int
) -> None:
    """As where it is just being replaced; a shell ends so, and ffmpeg never."""
    program.write_text(f'#!/bin/sh\n[ "$1" = -version ] && echo "ffmpeg version of a test" && exit\nexit {code}\n')
    program.chmod(0o755)
    with pytest.raises(ConfigError, match="cannot be run"):
        read_media(gif)


def test_a_decoder_that_is_killed_when_it_is_tried_may_be_able_to_run(gif: Path, program: Path) -> None:
    program.write_text('#!/bin/sh\n[ "$1" = -version ] && kill -KILL $$\nexit 1\n')
    program.chmod(0o755)
    with pytest.raises(DecoderKilledError):
        read_media(gif)


def test_the_decoder_that_is_installed_can_be_run() -> None:
    check_decoder(DecodeLimits())


def test_a_media_that_is_none_is_still_at_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(200))
    with pytest.raises(UndecodableMediaError):
        read_media(path)


@contextmanager
def few_files(beside: int) -> Iterator[None]:
    """Let this process open only so many files more."""
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(one.name) for one in Path("/proc/self/fd").iterdir())
    held: list[int] = []
    while (lowest := os.dup(0)) < highest:
        held.append(lowest)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + beside, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
        for one in held:
            os.close(one)


def opened(gif: Path) -> None:
    with MediaReader(fetch=FetchLimits(), decode=DecodeLimits()).open(MediaRef(gif.name, gif.as_uri())):
        pass


@pytest.mark.parametrize(("use", "most"), [(opened, 1), (read_media, 16)])
def test_however_few_files_may_be_opened_no_media_is_at_fault_and_none_is_left_open(
    gif: Path, use: Callable[[Path], object], most: int
) -> None:
    ffmpeg_path()  # is looked for once in a process, as workers do at their start
    before = len(list(Path("/proc/self/fd").iterdir()))
    outcomes: list[str] = []
    for beside in range(24):
        try:
            with few_files(beside):
                use(gif)
        except MachineLimitError as error:
            outcomes.append(error.reason)
        else:
            outcomes.append("read")
    failed = outcomes.count("machine_limit")
    assert outcomes == ["machine_limit"] * failed + ["read"] * (24 - failed)
    assert (most + 1) // 2 <= failed <= most
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_however_few_processes_may_be_started_no_media_is_at_fault() -> None:
    done = subprocess.run([sys.executable, "-c", FEW_PROCESSES], capture_output=True, text=True, check=False)
    if "this user may not run ffmpeg" in done.stderr:
        pytest.skip("another user than root may not run ffmpeg here")
    outcomes = done.stdout.split()
    assert outcomes
    assert set(outcomes) <= {"machine_limit", "read"}, done.stderr
    if os.getuid() == 0:  # else other programs of this user come and go
        assert "machine_limit" in outcomes
        assert outcomes[-1] == "read"


def test_memory_that_has_no_room_for_a_thread_is_the_medias_fault_where_the_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", noise(4, size_wh=(1920, 1088)))
    limits = DecodeLimits(memory_bytes=64 << 20)  # of which a stack of a thread has no room beside the frames
    with pytest.raises(MediaTooLargeError, match="more than 64 MiB"):
        read_media(path, limits=limits)
    monkeypatch.setattr(this_machine, "_SPARE_THREADS", 1 << 30)
    monkeypatch.setattr(this_machine.threading, "Thread", refused)
    with pytest.raises(MachineLimitError, match="fewer workers"):
        read_media(path, limits=limits)


def refused(**_: object) -> None:
    raise RuntimeError("can't start new thread")
