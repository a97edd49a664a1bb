"""The command line: ``annotator``."""

import sys
from collections.abc import Sequence


def main() -> None:
    """Run the command line and leave with its exit code."""
    from annotator.cli.entry import run  # noqa: PLC0415 - importing the package has no effect

    sys.exit(run())


def run_command(arguments: Sequence[str]) -> int:
    """Run one command in this process, as ``annotator ARGUMENTS…`` would, and return its exit code."""
    from annotator.cli.entry import run  # noqa: PLC0415 - as above

    return run(arguments)
