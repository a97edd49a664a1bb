"""What the commands print: JSON lines and tables on stdout, progress and remarks on stderr."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from annotator.results import MediaResult, confidence_in_words, span_in_words

PIPED_WIDTH: Final = 140  # columns of a table that goes into a file or a pipe
MOST_MEDIA_CHARS: Final = 60
LEAST_MEDIA_CHARS: Final = 16
MOST_WHO_CHARS: Final = 28


def out() -> Console:
    """Return the console of stdout."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False, soft_wrap=False)


def err() -> Console:
    """Return the console of stderr."""
    return Console(stderr=True, highlight=False)


def remark(text: str) -> None:
    """Say something to the person, not to the program that reads stdout."""
    err().print(Text(text), soft_wrap=True)


def print_json_line(value: dict[str, Any]) -> None:
    """Write one JSON line, valid whatever the encoding of stdout, and hand it over at once."""
    line = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    try:
        line.encode(sys.stdout.encoding or "utf-8", "strict")
    except UnicodeEncodeError:  # a name of a file that is no UTF-8, or a terminal of few letters
        line = json.dumps(value, separators=(", ", ": "))
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write CSV with a header."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)


def make_table(header: Sequence[str], rows: Iterable[Sequence[str | Text]], *, right: Iterable[str] = ()) -> Table:
    """Return a table, to be printed.

    Args:
        header: one title per column.
        rows: cells as plain text (square brackets mean nothing) or styled.
        right: titles of columns that are aligned to the right.

    """
    aligned = set(right)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in header:
        table.add_column(title, justify="right" if title in aligned else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return table


def print_table(header: Sequence[str], rows: Iterable[Sequence[str | Text]], *, right: Iterable[str] = ()) -> None:
    """Print a table; as :func:`make_table`."""
    out().print(make_table(header, rows, right=right))


def result_rows(result: MediaResult) -> Iterator[tuple[str | Text, ...]]:
    """Yield the lines of the table for one media: one per person, or one that says why there is none."""
    media: str | Text = result.media
    unknown = sum(track.label.identity is None for track in result.tracks)
    if result.status == "failed":
        yield media, Text(f"failed: {result.reason}", style="red"), "", "", ""
        return
    for label in result.labels:
        yield (
            media,
            _who(label.identity.name, is_picture=result.is_only_on_pictures(label.identity)),
            confidence_in_words(label.confidence),
            span_in_words(label.start_ms, label.end_ms),
            f"{label.screen_time_ms / 1000:.1f} s",
        )
        media = ""
    if unknown:
        what = "unknown" if unknown == 1 else f"unknown, {unknown} faces followed"
        screen_ms = max(track.screen_time_ms for track in result.tracks if track.label.identity is None)
        start_ms = min(track.start_ms for track in result.tracks if track.label.identity is None)
        end_ms = max(track.end_ms for track in result.tracks if track.label.identity is None)
        yield (
            media,
            Text(what, style="dim"),
            "",
            span_in_words(start_ms, end_ms),
            f"{screen_ms / 1000:.1f} s" if unknown == 1 else "",
        )
        media = ""
    if not result.tracks:
        yield media, Text("no face", style="dim"), "", "", ""
        media = ""
    if result.status == "damaged":
        yield media, Text(f"damaged: {result.reason}", style="yellow"), "", "", ""


def _who(name: str, *, is_picture: bool) -> Text:
    return Text.assemble((name, "bold"), (", on a picture", "dim")) if is_picture else Text(name, style="bold")


class ResultTable:
    """A table of media and the people in them that is printed line by line, while the work goes on."""

    def __init__(self, media: Sequence[str]) -> None:
        """Print the header.

        Args:
            media: the names of all media that will come, for the width of their column.

        """
        self._console = out()
        widths = [min(MOST_MEDIA_CHARS, max([5, *map(len, media)])), MOST_WHO_CHARS, 10, 15, 9]
        rest = self._console.width - sum(widths[1:]) - 2 * (len(widths) - 1)
        self._widths = [max(LEAST_MEDIA_CHARS, min(widths[0], rest)), *widths[1:]]
        self._print([[Text(title, style="bold") for title in ("media", "who", "confidence", "when", "on screen")]])

    def add(self, result: MediaResult) -> None:
        """Print the lines of one media."""
        self._print(list(result_rows(result)))

    def _print(self, rows: Sequence[Sequence[str | Text]]) -> None:
        table = Table.grid(padding=(0, 2, 0, 0))
        for number, width in enumerate(self._widths):
            right = number in {2, 4}
            table.add_column(width=width, justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
        self._console.print(table)


class _RateColumn(ProgressColumn):
    """Media per second so far."""

    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text(f"{rate:.1f}/s" if rate else "", style="dim")


@contextmanager
def progress(title: str, *, total: int | None, is_shown: bool = True) -> Iterator[Callable[..., None]]:
    """Show a bar with count, rate and remaining time on stderr while something runs; nothing where it is no terminal.

    Args:
        title: stands before the bar.
        total: how many items there will be, None where that is unknown.
        is_shown: False shows nothing.

    Yields:
        To be called once per item, or with a number of items.

    """
    console = err()
    shown = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:.0f}/{task.total:.0f}" if total is not None else "{task.completed:.0f}"),
        _RateColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        disable=not (is_shown and console.is_terminal),
        redirect_stdout=sys.stdout.isatty(),  # then lines of the table go above the bar
    )
    with shown:
        task = shown.add_task(title, total=total)
        yield lambda items=1: shown.advance(task, items)
