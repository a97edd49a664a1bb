"""Programs of ours that are given a line of JSON and write lines of JSON until they have done what they were asked."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any


def lines_told(
    command: Sequence[str],
    environment: Mapping[str, str],
    asked: Mapping[str, object],
    *,
    started: Callable[[Callable[[], None]], None] = lambda _: None,
) -> Iterator[Mapping[str, Any]]:
    """Start a program and yield what it tells, line by line. It ends with this generator, and with this process.

    The other end of it is ``annotator.cli.web_asked``.

    Args:
        command: the program.
        environment: of the program.
        asked: its line.
        started: is given what ends the program, as soon as it runs, for another thread to call.

    Raises:
        OSError: it cannot be started, or has ended before it was asked.
        ValueError: what it writes is no JSON.

    """
    process = subprocess.Popen(
        [*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(environment)
    )
    started(process.kill)
    with process:
        if process.stdin is None or process.stdout is None:
            return
        try:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            # Its standard input stays open as long as this process lives: the program ends when it is closed.
            for line in process.stdout:
                yield json.loads(line)
        finally:
            process.kill()
