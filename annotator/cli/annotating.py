"""``annotator annotate``."""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from annotator.build import s3_access
from annotator.cli.entry import FAILED, OK, one_line
from annotator.cli.output import ResultTable, err, print_json_line, progress, remark
from annotator.cli.redacting import chosen_redaction
from annotator.cli.session import Told, annotate_media
from annotator.cli.workplace import Workplace, open_workplace
from annotator.errors import AnnotatorError
from annotator.media import expand_sources
from annotator.render.names import picture_names
from annotator.render.redaction import Redaction
from annotator.results import MediaResult, to_json_line
from annotator.settings import load_settings
from annotator.types import MediaRef


@dataclass(frozen=True, slots=True)
class AnnotateOptions:
    """The options of ``annotator annotate``.

    Attributes:
        as_json: JSON lines instead of a table.
        render_folder: where the clips go with boxes and names; None writes none.
        redacted: whose faces are hidden on them: names, ``"unknown"``, ``"all"``.
        is_saved: whether the database is used.
        is_refreshed: annotate again what is saved.
        settings: values for ``load_settings``.

    """

    as_json: bool = False
    render_folder: Path | None = None
    redacted: Sequence[str] = ()
    is_saved: bool = True
    is_refreshed: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


def annotate_sources(sources: Sequence[str], options: AnnotateOptions) -> int:
    """Annotate, save, draw and print.

    Returns:
        The exit code: 1 where some media failed or could not be drawn.

    Raises:
        InputError: a source is not there.
        IdentityError: nobody has a name whose faces are to be hidden.
        ConfigError: the settings cannot work.

    """
    settings = load_settings(**options.settings)
    with err().status("looking for media"):
        refs = expand_sources(sources, s3=s3_access(settings))
    if not refs:
        remark(f"Nothing to annotate in {', '.join(sources)}.")
        return OK
    with ExitStack() as stack:
        is_drawn = options.render_folder is not None
        workplace = stack.enter_context(open_workplace(settings, is_saved=options.is_saved, keep_faces=is_drawn))
        redaction = chosen_redaction(
            options.redacted,
            known=workplace.annotator.identifier.photographs,
            store=workplace.saving.store if workplace.saving else None,
        )
        started = time.perf_counter()
        told = annotate_media(
            workplace.annotator,
            refs,
            saving=workplace.saving,
            is_refreshed=options.is_refreshed,
            needs_faces=is_drawn,
        )
        is_on_terminal = options.as_json and sys.stdout.isatty()  # the lines themselves show how far it is
        done = stack.enter_context(progress("annotating", total=len(refs), is_shown=not is_on_terminal))
        drawing = _Drawing(workplace, options.render_folder, picture_names(refs, given=sources), redaction)
        table = None if options.as_json else ResultTable([ref.media_id for ref in refs])
        tally = _Tally()
        ready = _counted(drawing.draw(told), done)
        for one in ready if table is None else in_order(ready, refs):
            tally.add(one)
            if table is None:
                print_json_line(to_json_line(one))
            else:
                table.add(one)
            if one.status == "failed" and one.message:
                remark(f"{one.media}: {one.message}")
    has_wishes = settings.prior is not None or settings.min_precision is not None
    model = workplace.annotator.model if has_wishes else None
    remark(tally.in_words(seconds=time.perf_counter() - started, database=workplace.database, model=model))
    return FAILED if drawing.failed or tally.failed else OK


def in_order(results: Iterable[MediaResult], refs: Sequence[MediaRef]) -> Iterator[MediaResult]:
    """Hold results back until those of the media before them are there: the same order every time."""
    waiting: dict[str, list[MediaResult]] = defaultdict(list)
    expected = iter([ref.media_id for ref in refs])
    following = next(expected, None)
    for result in results:
        waiting[result.media].append(result)
        while following is not None and waiting.get(following):
            yield waiting[following].pop()
            following = next(expected, None)


def _counted(results: Iterable[MediaResult], done: Callable[[], None]) -> Iterator[MediaResult]:
    for one in results:
        done()
        yield one


@dataclass(slots=True)
class _Drawing:
    """Draws media as they come through; one that cannot be drawn is said, and the others go on."""

    workplace: Workplace
    folder: Path | None
    names: Mapping[str, PurePosixPath]
    redaction: Redaction
    failed: int = 0

    def draw(self, told: Iterable[Told]) -> Iterator[MediaResult]:
        for one in told:
            if self.folder is not None and one.annotation is not None:
                from annotator.render.clip import render_media  # noqa: PLC0415 - only where something is drawn

                target = self.folder / self.names[one.annotation.media.uri]
                try:
                    render_media(
                        one.annotation,
                        source=self.workplace.every_frame,
                        target=target,
                        redaction=self.redaction,
                    )
                except AnnotatorError as error:
                    self.failed += 1
                    remark(f"{one.result.media} could not be drawn: {one_line(error)}")
            yield one.result


@dataclass(slots=True)
class _Tally:
    """What is said at the end; the results themselves are not kept."""

    media: int = 0
    names: int = 0
    named: int = 0
    failed: int = 0

    def add(self, result: MediaResult) -> None:
        self.media += 1
        self.names += len(result.labels)
        self.named += bool(result.labels)
        self.failed += result.status == "failed"

    def in_words(self, *, seconds: float, database: str | None, model: str | None) -> str:
        words = [f"{self.media} media in {seconds:.1f} s ({self.media / seconds:.1f}/s)"]
        words.append(f"{self.names} names in {self.named}" + (f" by {model}" if model else ""))
        if self.failed:
            words.append(f"{self.failed} failed")
        words.append(f"saved in {database}" if database else "not saved")
        return ", ".join(words)
