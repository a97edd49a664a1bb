"""``annotator export``: what was found, in forms that other programs read."""

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from annotator.cli.database import open_store
from annotator.cli.output import progress, remark
from annotator.errors import ConfigError
from annotator.export.files import write_file
from annotator.export.rows import RowKind
from annotator.export.selection import Selection
from annotator.export.streaming import FORMS, stream, write_files
from annotator.settings import load_settings

STDOUT: Final = "-"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The options of ``annotator export``.

    Attributes:
        form: a key of ``FORMS``.
        output: a file, a folder (it is one, or ends with a slash), or ``"-"``.
        rows: what a row of a table is.
        selection: what is exported.
        settings: values for ``load_settings``.

    """

    form: str
    output: str
    rows: RowKind
    selection: Selection
    settings: Mapping[str, Any] = field(default_factory=dict)


def export(options: ExportOptions) -> None:
    """Write what was found.

    Raises:
        ConfigError: the form does not go there, nothing is annotated yet, or there is no such model.
        AnnotatorError: as of ``annotator.export.streaming``.

    """
    is_folder = _is_folder(options)
    count = 0
    with (
        open_store(load_settings(**options.settings), must_exist=True) as store,
        progress("exporting", total=None, is_shown=options.output != STDOUT) as advance,
    ):

        def on_media() -> None:
            nonlocal count
            count += 1
            advance()

        if is_folder:
            folder = Path(options.output)
            files = write_files(store.engine, options.form, options.selection, folder, on_media=on_media)
            told = f"{files:,} {'file' if files == 1 else 'files'} of {count:,} media are in {options.output}"
        else:
            pieces = stream(store.engine, options.form, options.selection, rows=options.rows, on_media=on_media)
            if options.output == STDOUT:
                _print(pieces)
                return
            write_file(Path(options.output), pieces)
            told = f"{count:,} media are in {options.output}"
    remark(told)


def _is_folder(options: ExportOptions) -> bool:
    """Say whether a folder is asked for.

    Raises:
        ConfigError: the form does not go there.

    """
    form = FORMS[options.form]
    is_folder = options.output != STDOUT and (options.output.endswith("/") or Path(options.output).is_dir())
    if form.encode is None and options.output == STDOUT:
        raise ConfigError(f"{options.form} has files for each media: give --output a folder")
    if form.files is None and is_folder:
        raise ConfigError(f"{options.form} is one file for all media: give --output a file, or - for stdout")
    return is_folder or form.encode is None


def _print(pieces: Iterable[bytes]) -> None:
    """Write to stdout, until all is written or its reader goes away."""
    sys.stdout.flush()
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # as of `annotator export | head`: nothing is left to be flushed at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
