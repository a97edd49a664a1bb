"""The programs under test, as processes that can be killed, frozen and woken, each behind proxies of its own."""

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from annotator.media.child import ffmpeg_path
from annotator.stack.child import ChildProcess
from annotator.types import U8
from tests.faults.doubles import NetworkDeed, digest_of
from tests.faults.servers import TIMEOUT_S, wait_until
from tests.faults.tcp_proxy import FaultyProxy

ROOT: Final = Path(__file__).resolve().parents[2]
_CLOCK: Final = ROOT / "tests" / "faults" / "clock"
CELERY: Final = (sys.executable, "-m", "celery", "-A", "tests.faults.worker_app")
PRODUCER: Final = (sys.executable, "-m", "tests.faults.producer_app")
_LOG_CHARACTERS: Final = 4000
DecoderDeed = Literal["die", "hang", "be-killed"]
# A decoder that waits as long as a file is there, but not longer than its worker lives; and that dies of a media, hangs
# at it, or is killed (once) after it has delivered all frames, where a file has the bytes of the media.
_DECODER: Final = """#!/bin/sh
[ "$1" = -version ] && exec {ffmpeg} -version  # no media: whether it can be run is asked at the start
if [ -e {halts}/decoder ]; then
  : > {halts}/decoder.reached
  while [ -e {halts}/decoder ] && kill -0 $PPID 2>/dev/null; do sleep 0.02; done
fi
for word in "$@"; do
  [ "$before" = -fd ] && media=/proc/self/fd/$word
  before=$word
done
for deed in die hang be-killed; do
  if [ -e {halts}/decoder-$deed ] && cmp -s {halts}/decoder-$deed "$media"; then
    : > {halts}/decoder-$deed.reached
    case $deed in
      die) kill -SEGV $$ ;;
      hang) exec sleep 600 ;;
      be-killed) rm {halts}/decoder-$deed && {ffmpeg} "$@" && kill -KILL $$ ;;
    esac
  fi
done
exec {ffmpeg} "$@"
"""


class Program:
    """A worker, a beat or a producer.

    Attributes:
        postgres: the proxy through which it reaches the database.
        broker: the proxy through which it reaches the broker.

    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        postgres: FaultyProxy,
        broker: FaultyProxy,
    ) -> None:
        self.name = name
        self.postgres = postgres
        self.broker = broker
        self._halts = folder / f"{name}.halts"
        self._halts.mkdir(exist_ok=True)
        self._command = command
        self._log_path = folder / f"{name}.log"
        self._environment = {
            **environment,
            "PYTHONPATH": os.pathsep.join([str(_CLOCK), str(ROOT)]),
            "FAULTS_HALTS": str(self._halts),
            "IMAGEIO_FFMPEG_EXE": str(_write_decoder(folder / f"{name}.ffmpeg", self._halts)),
        }
        self._process: ChildProcess | None = None
        self._may_end = False

    def start(self) -> None:
        self._process = ChildProcess(self.name, self._command, log_path=self._log_path, environment=self._environment)

    # ----------------------------------------------------------------------------------------------------------- halts

    def halt_at(self, point: str) -> None:
        """Let it wait when it comes to a point: ``network``, or ``decoder`` (its child, before it reads a byte)."""
        (self._halts / f"{point}.reached").unlink(missing_ok=True)
        (self._halts / point).touch()

    def wait_for_halt(self, point: str) -> None:
        """Wait until it has come there."""
        self.wait_until((self._halts / f"{point}.reached").exists, what=f"{self.name} halts at {point}")

    def go_on(self, point: str) -> None:
        """Let it pass, now and later."""
        (self._halts / point).unlink(missing_ok=True)

    def spoil_decoder(self, deed: DecoderDeed, body: bytes) -> None:
        """Let its decoder do something at the media of these bytes."""
        (self._halts / f"decoder-{deed}").write_bytes(body)

    def spoil_network(self, deed: NetworkDeed, frames: Iterable[U8]) -> None:
        """Let its network do something at these frames: end the process, raise an error, or never return."""
        (self._halts / f"network-{deed}").write_text("\n".join(digest_of(frame) for frame in frames))

    def wait_for_deed(self, deed: str) -> None:
        """Wait until ``decoder-…`` or ``network-…`` has done its deed."""
        self.wait_until((self._halts / f"{deed}.reached").exists, what=f"{self.name}: {deed}")

    def step_clock_back(self) -> None:
        """Put its wall clock back by an hour, now and from now on."""
        (self._halts / "clock-back").touch()

    # --------------------------------------------------------------------------------------------------------- signals

    @property
    def child(self) -> ChildProcess:
        assert self._process is not None, f"{self.name} is not started"
        return self._process

    def signal(self, number: signal.Signals) -> None:
        if self.child.returncode() is None:
            os.kill(self.child.pid, number)

    def kill(self) -> None:
        """End it without a word, as a machine that loses its power."""
        self._may_end = True
        self.signal(signal.SIGKILL)
        self.wait_for_end()

    def terminate(self) -> None:
        """Ask it to stop; returns at once."""
        self._may_end = True
        self.signal(signal.SIGTERM)

    def freeze(self) -> None:
        """Stop all its threads where they are."""
        self.signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let them go on."""
        self.signal(signal.SIGCONT)

    def wait_for_end(self, timeout_s: float = TIMEOUT_S) -> int:
        """Wait until it has left, and return its exit code."""
        self._may_end = True
        wait_until(lambda: self.child.returncode() is not None, what=f"{self.name} ends", timeout_s=timeout_s)
        return self.child.returncode() or 0

    def wait_until(self, holds: Callable[[], bool], *, what: str, timeout_s: float = TIMEOUT_S) -> None:
        """Wait for something that this program brings about."""
        wait_until(lambda: self.has_failed() or holds(), what=what, timeout_s=timeout_s)
        assert not self.has_failed(), f"{self.name} has ended ({self.child.returncode()}): {self.log_tail()}"

    def has_failed(self) -> bool:
        """Say whether it has ended though nobody wanted it to."""
        return not self._may_end and self._process is not None and self._process.returncode() is not None

    # ------------------------------------------------------------------------------------------------------------- log

    def log(self) -> str:
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def log_tail(self) -> str:
        return self.log()[-_LOG_CHARACTERS:]

    def wait_for_log(self, words: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self.wait_until(lambda: words in self.log(), what=f"{self.name} logs «{words}»", timeout_s=timeout_s)

    def close(self) -> None:
        if self._process is not None:
            self._process.stop(timeout_s=0.0)
        self.postgres.close()
        self.broker.close()


def _write_decoder(path: Path, halts: Path) -> Path:
    path.write_text(_DECODER.format(halts=shlex.quote(str(halts)), ffmpeg=shlex.quote(ffmpeg_path())))
    path.chmod(0o755)
    return path
