"""``annotator annotate``."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotator.build import s3_access
from annotator.cli.entry import FAILED, OK, one_line
from annotator.cli.output import RESULT_HEADER, err, print_json_line, print_table, progress, remark, result_rows
from annotator.cli.session import Told, annotate_media
from annotator.cli.workplace import Workplace, open_workplace
from annotator.errors import AnnotatorError
from annotator.media import expand_sources
from annotator.results import MediaResult, to_json_line
from annotator.settings import load_settings


@dataclass(frozen=True, slots=True)
class AnnotateOptions:
    """The options of ``annotator annotate``.

    Attributes:
        as_json: JSON lines instead of a table.
        render_folder: where the clips go with boxes and names; None writes none.
        is_saved: whether the database is used.
        is_refreshed: annotate again what is saved.
        settings: values for ``load_settings``.

    """

    as_json: bool = False
    render_folder: Path | None = None
    is_saved: bool = True
    is_refreshed: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


def annotate_sources(sources: Sequence[str], options: AnnotateOptions) -> int:
    """Annotate, save, draw and print.

    Returns:
        The exit code: 1 where some media failed or could not be drawn.

    Raises:
        InputError: a source is not there.
        ConfigError: the settings cannot work.

    """
    settings = load_settings(**options.settings)
    with err().status("looking for media"):
        refs = expand_sources(sources, s3=s3_access(settings))
    if not refs:
        remark(f"Nothing to annotate in {', '.join(sources)}.")
        return OK
    started = time.perf_counter()
    with ExitStack() as stack:
        workplace = stack.enter_context(open_workplace(settings, is_saved=options.is_saved))
        told = annotate_media(
            workplace.annotator,
            refs,
            saving=workplace.saving,
            is_refreshed=options.is_refreshed,
            needs_faces=options.render_folder is not None,
        )
        bar = stack.enter_context(progress("annotating", total=len(refs), is_shown=not options.as_json))
        drawing = _Drawing(workplace, options.render_folder)
        results = []
        for one in drawing.draw(told):
            bar()
            results.append(one)
            if options.as_json:
                print_json_line(to_json_line(one))
    if not options.as_json:
        order = {ref.media_id: number for number, ref in enumerate(refs)}
        print_results(sorted(results, key=lambda one: order[one.media]))
    remark(_sum(results, seconds=time.perf_counter() - started, database=workplace.database))
    return FAILED if drawing.failed or any(one.status == "failed" for one in results) else OK


def print_results(results: Iterable[MediaResult]) -> None:
    """Print a table of media and the people in them."""
    rows = [row for result in results for row in result_rows(result)]
    print_table(RESULT_HEADER, rows, right=["confidence", "on screen"])


@dataclass(slots=True)
class _Drawing:
    """Draws media as they come through; one that cannot be drawn is said, and the others go on."""

    workplace: Workplace
    folder: Path | None
    failed: int = 0

    def draw(self, told: Iterable[Told]) -> Iterator[MediaResult]:
        for one in told:
            if self.folder is not None and one.annotation is not None:
                from annotator.render.clip import render_media  # noqa: PLC0415 - only where something is drawn

                try:
                    render_media(one.annotation, source=self.workplace.every_frame, folder=self.folder)
                except AnnotatorError as error:
                    self.failed += 1
                    remark(f"{one.result.media} could not be drawn: {one_line(error)}")
            yield one.result


def _sum(results: Sequence[MediaResult], *, seconds: float, database: str | None) -> str:
    names = sum(len(one.labels) for one in results)
    named = sum(bool(one.labels) for one in results)
    failed = sum(one.status == "failed" for one in results)
    words = [f"{len(results)} media in {seconds:.1f} s ({len(results) / seconds:.1f}/s)", f"{names} names in {named}"]
    if failed:
        words.append(f"{failed} failed")
    words.append(f"saved in {database}" if database else "not saved")
    return ", ".join(words)
