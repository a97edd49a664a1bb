"""A command in a process of its own, which waits at a point of the program until it is killed.

    python -m tests.integration.promotion.halting MODULE:FUNCTION before|after FILE ARGUMENTS…

runs ``annotator ARGUMENTS…``. Where the function is called, or has returned, the file appears, and nothing more
happens.
"""

import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Final, Literal

from annotator.cli import run_command

TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.02

When = Literal["before", "after"]


def kill_at(point: str, when: When, arguments: list[str], *, folder: Path) -> None:
    """Run a command and kill it, without a word, when it comes to a point.

    Args:
        point: ``MODULE:FUNCTION``, by the module that calls it.
        when: before the function does anything, or after it has returned.
        arguments: of ``annotator``.
        folder: gets the log.

    """
    reached = folder / "reached"
    reached.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.integration.promotion.halting", point, when, str(reached), *arguments]
    log = folder / "halting.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        until_s = time.monotonic() + TIMEOUT_S
        while not reached.exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until_s, f"it does not come to {point}"
            time.sleep(_POLL_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL


def main() -> None:
    point, when, reached, *arguments = sys.argv[1:]
    module, _, name = point.partition(":")
    signal.alarm(2 * round(TIMEOUT_S))
    owner = import_module(module)
    real = getattr(owner, name)

    def halting(*given: object, **named: object) -> None:
        if when == "after":
            real(*given, **named)
        Path(reached).touch()
        signal.pause()  # until it is killed; by the alarm, where whoever was to do so has died

    setattr(owner, name, halting)
    sys.exit(run_command(arguments))


if __name__ == "__main__":
    main()
