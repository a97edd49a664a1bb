"""One decoder child: started with limits, read without threads, killed with all that it started.

The limits are set by a shell that then becomes the decoder (``ulimit …; exec ffmpeg …``). A ``preexec_fn`` would run
Python between fork and exec, which can lock up in a process with threads; ``prlimit`` on a child that already runs
would come too late; the shell costs a millisecond.

All pipes of a child are read by the caller, in one loop over ``poll``. There is no reader thread that could die
unseen, nothing waits without a deadline, and the time that the caller spends elsewhere is not counted: meanwhile the
child stands still at a full pipe.
"""

import contextlib
import fcntl
import functools
import os
import re
import resource
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import imageio_ffmpeg

from annotator.errors import (
    AnnotatorError,
    ConfigError,
    DecoderKilledError,
    DecodeTimeoutError,
    MachineLimitError,
    MediaTooLargeError,
    UndecodableMediaError,
    UnsupportedMediaError,
)
from annotator.media.limits import MIB, DecodeLimits
from annotator.media.machine import at_its_limits, has_spare_threads, within_its_limits

# Address space beyond private memory: the program (170 MB), stacks of threads, arenas of the allocator.
ADDRESS_SPACE_EXTRA = 768 * MIB
# Files a child may have open at a time: its media, its pipes, and what the loader opens at its start.
MAX_OPEN_FILES = 32
# The largest pipe that Linux gives to everybody; larger pipes mean fewer wake-ups.
PIPE_BYTES = 1 * MIB
READ_BYTES = 64 * 1024
# Complaints are kept up to this size; the first ones say what is wrong.
STDERR_BYTES = 32 * 1024
# A child whose pipes are closed has nothing left to do.
EXIT_GRACE_S = 5.0

# The soft limit of CPU time comes before the hard one: the first asks, the second kills.
_LIMITED = (
    'ulimit -c 0 && ulimit -f 0 && ulimit -v "$1" && ulimit -d "$2" && ulimit -n "$4" '
    '&& ulimit -S -t "$3" && ulimit -H -t $(($3 + 2)) || exit 125; shift 4; exec "$@"'
)
_LIMIT_FAILED = 125
# Of the shell, where it cannot become the decoder, and of a decoder whose libraries are not there. ffmpeg's own codes
# are others: 1, 69, 123, 255, and the last byte of an error of its libraries.
_CANNOT_RUN = frozenset({126, 127})
# Its first word of its version; other programs have other names.
_VERSION = b"ffmpeg version"
_VERSION_S = 60.0
# A small allocator keeps address space, and with it the limit, small. Nothing else of ours is inherited.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "MALLOC_ARENA_MAX": "2", "AV_LOG_FORCE_NOCOLOR": "1"}
# ffmpeg's exit code when a signal has asked it to stop, as the soft limit of CPU time does.
_ASKED_TO_STOP = 255
# Linux counts the time of that limit in ticks, what a child has used exactly: on a busy machine it asks some percent
# early. A child that was asked to stop when it had used this part of the limit was asked by the limit.
_CPU_PART_USED = 0.5

# Complaints that do not mean that a picture is missing or wrong.
_HARMLESS = ("EXIF", "non monotonically increasing dts", "deprecated pixel format", "bitrate parameter")
# «[gif @ 0x5581…] »: who complains; the address differs from run to run.
_PREFIX = re.compile(r"\[[^\]]*@ 0x[0-9a-f]+\]\s*")
_NO_VIDEO = "matches no streams"
_TOO_MANY_PIXELS = ("exceeds specified max pixel count", "Picture size")
_NO_MEMORY = ("Cannot allocate memory", "Out of memory")
# Said of a thread that cannot be started: its stack has no room in the decoder's memory, or the machine lets none be.
_NO_THREAD = "Resource temporarily unavailable"


@functools.cache
def ffmpeg_path() -> str:
    """Return the path of the ffmpeg program that imageio-ffmpeg carries.

    Raises:
        ConfigError: it carries none for this platform.

    """
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as exc:
        raise ConfigError("There is no ffmpeg for this platform; set IMAGEIO_FFMPEG_EXE to one.") from exc


def check_decoder(limits: DecodeLimits) -> None:
    """Start ffmpeg as decoders are started, and let it say its version.

    Args:
        limits: those of decoders.

    Raises:
        ConfigError: it cannot be run, or is something else.
        MachineLimitError: this machine lets nothing be started.
        DecoderKilledError: killed by somebody else.

    """
    path = ffmpeg_path()
    with within_its_limits():
        try:
            done = subprocess.run(
                [*_limited(limits), path, "-version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd="/",
                env=_ENVIRONMENT,
                timeout=_VERSION_S,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise at_its_limits(f"{path} has not started within {_VERSION_S:g} s") from exc
    if done.returncode == 0 and done.stdout.startswith(_VERSION):
        return
    if done.returncode == -signal.SIGKILL:
        raise DecoderKilledError(
            f"The decoder {path} was killed by somebody else; give the machine more memory, or it fewer workers."
        )
    said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
    if done.returncode == _LIMIT_FAILED:
        raise _limits_refused(said)
    raise _cannot_run(said or f"its version is not told, exit code {done.returncode}")


def _cannot_run(why: str | None) -> ConfigError:
    return ConfigError(
        f"The decoder {ffmpeg_path()} cannot be run{_because(why)}; install imageio-ffmpeg anew, or let "
        "IMAGEIO_FFMPEG_EXE name an ffmpeg that runs, and start this program anew."
    )


def _limits_refused(why: str | None) -> ConfigError:
    return ConfigError(f"The limits of the decoder cannot be set{_because(why)}; lower them.")


def _because(why: str | None) -> str:
    return f" ({why})" if why else ""


class WallClock:
    """The time that may still be spent waiting for children of one media."""

    def __init__(self, wall_s: float) -> None:
        """Begin with all of it."""
        self.left_s = wall_s


@dataclass(frozen=True, slots=True)
class ChildUsage:
    """What a child has used.

    Attributes:
        cpu_s: CPU time, user and system.
        peak_bytes: peak resident memory; an upper bound, since Linux counts the parent's before exec, too.

    """

    cpu_s: float
    peak_bytes: int


class Child:
    """A running decoder. Use it as a context manager; leaving it kills what still runs.

    Attributes:
        usage: what it has used, None while it runs.

    """

    usage: ChildUsage | None = None

    def __init__(
        self,
        build_args: Callable[[int, int], Sequence[str]],
        *,
        media_path: str,
        name: str,
        limits: DecodeLimits,
        clock: WallClock,
        on_record: Callable[[bytes], None],
    ) -> None:
        """Start it.

        Args:
            build_args: makes ffmpeg's arguments of two descriptors, that of the media and that of the records.
                Raw frames go to the standard output.
            media_path: the only file that the child is given, opened here.
            name: what messages call the media.
            limits: what it may use.
            clock: the time left to all children of the media.
            on_record: called in the caller's thread with what comes on the pipe of the records.

        Raises:
            MachineLimitError: this machine lets no process be started, or no file opened.

        """
        self._name = name
        self._limits = limits
        self._clock = clock
        self._on_record = on_record
        self._has_told = False
        self._complaints = bytearray()
        self._poll = select.poll()
        self._open: set[int] = set()
        self._handle: int | None = None
        with contextlib.ExitStack() as lent, contextlib.ExitStack() as ours, within_its_limits():
            media = os.open(media_path, os.O_RDONLY | os.O_CLOEXEC)
            lent.callback(os.close, media)
            # Popen makes no pipe: it would leave some open where the next one cannot be had.
            self._frames, frames = _pipe(ours, lent)
            self._stderr, stderr = _pipe(ours, lent)
            self._records, records = _pipe(ours, lent)
            self._process = _spawn(build_args(media, records), (media, records), (frames, stderr), limits=limits)
            ours.callback(self._end)
            self._handle = os.pidfd_open(self._process.pid)
            self._held = ours.pop_all()
        for pipe in (self._frames, self._stderr, self._records):
            os.set_blocking(pipe, False)
            self._poll.register(pipe, select.POLLIN)
            self._open.add(pipe)
        with contextlib.suppress(OSError):  # Refused where the user's pipes are full; small ones work, too.
            fcntl.fcntl(self._frames, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fill(self, target: memoryview) -> bool:
        """Read raw frames until a buffer is full.

        Args:
            target: writeable bytes.

        Returns:
            False if the stream ended before; what had come is dropped.

        Raises:
            DecodeTimeoutError: the time is used up.
            AnnotatorError: whatever ``on_record`` raises.

        """
        done = 0
        while done < len(target):
            if self._frames not in self._open:
                return False
            try:
                got = os.readv(self._frames, [target[done:]])
            except BlockingIOError:
                self._wait()
                continue
            done += got
            if got == 0:
                self._drop(self._frames)
        return True

    def pump(self, until: Callable[[], bool]) -> bool:
        """Read records and complaints until something holds.

        Returns:
            False if the records ended before.

        Raises:
            DecodeTimeoutError: the time is used up.
            AnnotatorError: whatever ``on_record`` raises.

        """
        while not until():
            if self._records not in self._open:
                return False
            self._poll_once(without_frames=True)
        return True

    def _wait(self) -> None:
        self._poll_once(without_frames=False)

    def _poll_once(self, *, without_frames: bool) -> None:
        if without_frames and self._frames in self._open:
            self._poll.modify(self._frames, 0)
        started = time.monotonic()
        ready = self._poll.poll(max(self._clock.left_s, 0) * 1000)
        self._clock.left_s -= time.monotonic() - started
        if without_frames and self._frames in self._open:
            self._poll.modify(self._frames, select.POLLIN)
        if not ready:
            raise self._timed_out("wall")
        for pipe, _ in ready:
            if pipe != self._frames:
                self._drain(pipe)

    def _drain(self, pipe: int) -> None:
        data = os.read(pipe, READ_BYTES)
        if not data:
            self._drop(pipe)
        elif pipe == self._records:
            self._has_told = True
            self._on_record(data)
        elif len(self._complaints) < STDERR_BYTES:
            self._complaints += data

    def _drop(self, pipe: int) -> None:
        self._poll.unregister(pipe)
        self._open.discard(pipe)

    def finish(self) -> str | None:
        """Read to the end, wait for the exit and judge it.

        Returns:
            What the child complained about though it went on, else None.

        Raises:
            UnsupportedMediaError: no picture stream.
            MediaTooLargeError: over the limit of pixels or memory.
            DecodeTimeoutError: over the limit of time.
            DecoderKilledError: killed by somebody else.
            MachineLimitError: this machine lets no thread be started.
            ConfigError: the decoder itself cannot be run.
            UndecodableMediaError: any other failure.

        """
        while self._open - {self._frames}:
            self._poll_once(without_frames=True)
        code = self._reap()
        complaints = self.complaints()
        text = self._said()
        if code != 0 or _tells_of_a_limit(text):
            raise self._failure(code, text, complaints)
        if not self._has_told:
            check_decoder(self._limits)
        return complaints

    def complaints(self) -> str | None:
        """Return the first of the child's complaints that matter, and how many there are; None without any."""
        lines = self._said().splitlines()
        matter = [line for line in lines if line.strip() and not any(word in line for word in _HARMLESS)]
        if not matter:
            return None
        first = _PREFIX.sub("", matter[0]).strip()
        return first if len(matter) == 1 else f"{first} (and {len(matter) - 1} more)"

    def _said(self) -> str:
        return self._complaints.decode(errors="replace")

    def _reap(self) -> int:
        """Wait for the exit and return the code, negative for a signal."""
        if self._process.returncode is None:
            if self._handle is not None:
                ended = select.poll()
                ended.register(self._handle, select.POLLIN)
                ended.poll(EXIT_GRACE_S * 1000)
            self._kill()
            _, status, usage = os.wait4(self._process.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self.usage = ChildUsage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
        return int(self._process.returncode)

    def _kill(self) -> None:
        """Kill the group, and the child itself should it not lead one: the wait that follows must end."""
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError):
                kill(self._process.pid, signal.SIGKILL)

    def _failure(self, code: int, text: str, complaints: str | None) -> AnnotatorError:
        """Say whose fault it is: this machine's, the settings', or, where none of them is to blame, the media's."""
        enough = self._limits.cpu_s * (_CPU_PART_USED if code == _ASKED_TO_STOP else 1)
        if self.usage and self.usage.cpu_s >= enough:
            return self._timed_out("CPU")
        if code in {_LIMIT_FAILED, *_CANNOT_RUN}:  # never by words: a media can have them said
            return _not_started(code, text, complaints)
        if _NO_VIDEO in text:
            return UnsupportedMediaError(f"{self._name} has no picture stream; give a video or a picture.")
        if _tells_of_a_limit(text):
            return self._limit_reached(text)
        if code == -signal.SIGKILL:  # beyond what a media can bring about: its limits are dealt with above
            return DecoderKilledError(
                f"The decoder of {self._name} was killed by somebody else; give the machine more memory, or it fewer "
                "workers."
            )
        if not self._has_told:
            check_decoder(self._limits)
        cause = f"makes the decoder die of signal {-code}" if code < 0 else f"cannot be decoded{_because(complaints)}"
        return UndecodableMediaError(f"{self._name} {cause}; re-encode it or fetch it anew.")

    def _limit_reached(self, text: str) -> MediaTooLargeError | MachineLimitError:
        if any(words in text for words in _TOO_MANY_PIXELS):
            over = f"has more than {self._limits.max_pixels} pixels a frame"
        elif any(words in text for words in _NO_MEMORY) or has_spare_threads():
            over = f"needs more than {self._limits.memory_bytes // MIB} MiB to decode"
        else:
            return at_its_limits(_NO_THREAD)
        return MediaTooLargeError(f"{self._name} {over}; make it smaller or raise the limit.")

    def _timed_out(self, kind: str) -> DecodeTimeoutError:
        limit = self._limits.cpu_s if kind == "CPU" else self._limits.wall_s
        return DecodeTimeoutError(
            f"{self._name} takes more than {limit:g} s of {kind} time to decode; cut it or raise the limit."
        )

    def close(self) -> None:
        """Kill the child with its process group if it still runs, and close all pipes."""
        self._held.close()

    def _end(self) -> None:
        if self._process.returncode is None:
            self._kill()
            self._reap()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _not_started(code: int, text: str, complaints: str | None) -> ConfigError | MachineLimitError:
    if code == _LIMIT_FAILED:
        return _limits_refused(complaints)
    return at_its_limits(complaints or _NO_THREAD) if _tells_of_a_limit(text) else _cannot_run(complaints)


def _tells_of_a_limit(text: str) -> bool:
    return any(words in text for words in (*_TOO_MANY_PIXELS, *_NO_MEMORY, _NO_THREAD))


def _pipe(ours: contextlib.ExitStack, lent: contextlib.ExitStack) -> tuple[int, int]:
    """Make a pipe; return the end that we read and the one that the child writes."""
    reading, writing = os.pipe()
    ours.callback(os.close, reading)
    lent.callback(os.close, writing)
    return reading, writing


def _at_most(kind: int, wanted: int) -> int:
    """A limit can be lowered, never raised."""
    _, hard = resource.getrlimit(kind)
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _limited(limits: DecodeLimits) -> list[str]:
    """Return the beginning of a command line: what follows runs with these limits."""
    address_space = _at_most(resource.RLIMIT_AS, limits.memory_bytes + ADDRESS_SPACE_EXTRA) // 1024
    private = _at_most(resource.RLIMIT_DATA, limits.memory_bytes) // 1024
    cpu_s = _at_most(resource.RLIMIT_CPU, limits.cpu_s)
    return ["/bin/sh", "-c", _LIMITED, "decoder", str(address_space), str(private), str(cpu_s), str(MAX_OPEN_FILES)]


def _spawn(
    args: Sequence[str], pass_fds: tuple[int, ...], outputs: tuple[int, int], *, limits: DecodeLimits
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*_limited(limits), ffmpeg_path(), *args],
        stdin=subprocess.DEVNULL,
        stdout=outputs[0],
        stderr=outputs[1],
        pass_fds=pass_fds,
        cwd="/",
        env=_ENVIRONMENT,
        start_new_session=True,
    )
