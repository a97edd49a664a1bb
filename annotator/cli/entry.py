"""The entry: what is known becomes one line with the remedy, and an exit code; never a traceback.

Exit codes: 0 ok, 1 some items failed or a service does not answer, 2 usage: an argument or a setting that cannot be.
"""

import io
import sys
from collections.abc import Sequence
from typing import Final

from annotator.errors import AnnotatorError, ConfigError, InputError

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it
DEBUG_OPTION: Final = "--debug"


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; those of the process by default.

    Returns:
        The exit code.

    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    is_debugging = DEBUG_OPTION in given[:1]
    _take_any_letter()
    try:
        return _run_app(given)
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except AnnotatorError as error:
        if is_debugging:
            raise
        _say(one_line(error))
        return USAGE if isinstance(error, InputError | ConfigError) else FAILED
    except Exception as error:
        if is_debugging:
            raise
        _say(f"unexpected {type(error).__name__}: {one_line(error)} (`annotator --debug …` shows where)")
        return FAILED


def one_line(error: BaseException) -> str:
    """Return the message of an error as one line."""
    return " ".join(str(error).split())


def _run_app(arguments: list[str]) -> int:
    from annotator.cli.app import app  # noqa: PLC0415 - an error of importing is an error of the program, too

    try:
        app(args=arguments, prog_name="annotator")
    except SystemExit as left:
        if left.code == INTERRUPTED:  # the parser has taken the KeyboardInterrupt
            raise KeyboardInterrupt from None
        return left.code if isinstance(left.code, int) else OK if left.code is None else USAGE
    return OK


def _take_any_letter() -> None:
    """Let what the encoding of the terminal has no letter for be escaped; it must not end a run of hours."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(message: str) -> None:
    sys.stderr.write(f"annotator: {message}\n")
