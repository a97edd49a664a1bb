"""The entry of a program: what is known becomes one line with the remedy, and an exit code; never a traceback.

Exit codes: 0 ok, 1 some items failed or a service does not answer, 2 usage: an argument, a setting or data that cannot
be, 3 something was found that a person must decide on, 75 somebody else is at it: try again later.
"""

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from annotator.errors import AnnotatorError, BusyError, ChangedMeanwhileError, ConfigError, InputError

if TYPE_CHECKING:
    import typer

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
HELD: Final = 3
BUSY: Final = 75  # EX_TEMPFAIL of sysexits.h
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it
DEBUG_OPTION: Final = "--debug"


@dataclass(frozen=True, slots=True)
class Program:
    """A program of several commands.

    Attributes:
        name: as it is typed; stands before each of its errors.
        load: imports its commands: an error of importing is an error of the program, too.

    """

    name: str
    load: Callable[[], "typer.Typer"]

    def run(self, arguments: Sequence[str] | None = None) -> int:
        """Run one command in this process, as typed.

        Args:
            arguments: without the program's name; those of the process by default.

        Returns:
            The exit code.

        """
        given = list(sys.argv[1:] if arguments is None else arguments)
        is_debugging = DEBUG_OPTION in given[:1]
        _take_any_letter()
        try:
            return self._run_app(given)
        except KeyboardInterrupt:
            self._say("interrupted")
            return INTERRUPTED
        except AnnotatorError as error:
            if is_debugging:
                raise
            for line in (*error.details, str(error)):
                self._say(line)
            return _code_of(error)
        except Exception as error:
            if is_debugging:
                raise
            self._say(f"unexpected {type(error).__name__}: {error} (`{self.name} {DEBUG_OPTION} …` shows where)")
            return FAILED

    def _run_app(self, arguments: list[str]) -> int:
        try:
            self.load()(args=arguments, prog_name=self.name)
        except SystemExit as left:
            if left.code == INTERRUPTED:  # the parser has taken the KeyboardInterrupt
                raise KeyboardInterrupt from None
            return left.code if isinstance(left.code, int) else OK if left.code is None else USAGE
        return OK

    def _say(self, message: str) -> None:
        sys.stderr.write(f"{self.name}: {' '.join(message.split())}\n")


def _code_of(error: AnnotatorError) -> int:
    if isinstance(error, BusyError):
        return BUSY
    if isinstance(error, ChangedMeanwhileError):
        return HELD
    return USAGE if isinstance(error, InputError | ConfigError) else FAILED


def one_line(error: BaseException) -> str:
    """Return the message of an error as one line."""
    return " ".join(str(error).split())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command of ``annotator``; see :meth:`Program.run`."""
    return Program("annotator", _load_annotator).run(arguments)


def _load_annotator() -> "typer.Typer":
    from annotator.cli.app import app  # noqa: PLC0415 - see Program.load

    return app


def _take_any_letter() -> None:
    """Let what the encoding of the terminal has no letter for be escaped; it must not end a run of hours."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
