"""``annotator models diff``, ``promote`` and ``rollback``."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.text import Text

from annotator.build import build_source
from annotator.cli.database import open_store
from annotator.cli.entry import HELD, OK
from annotator.cli.output import err, out, print_json_line, print_table, remark
from annotator.cli.pages import write_page
from annotator.errors import AnnotatorError
from annotator.media import Sampling
from annotator.promotion.evaluation import read_evaluation
from annotator.promotion.gate import GateReport, diff_json
from annotator.promotion.golden import read_golden
from annotator.promotion.pictures import face_pictures
from annotator.promotion.report import diff_html, gate_html, numbers_of, summary_in_words
from annotator.promotion.running import Asked, Golden, promote, roll_back
from annotator.settings import Settings, load_settings
from annotator.store.backlog.view_file import read_views
from annotator.store.diff import Flip, LabellingDiff, compare_labellings
from annotator.store.labellings import Labelling, find_labelling, load_active
from annotator.store.store import Store

MOST_LINES: Final = 20
"""People, and flips, that the table shows; the report and the JSON have them all."""


@dataclass(frozen=True, slots=True)
class ComparisonOptions:
    """What is told of a comparison.

    Attributes:
        flips: how many flips are told one by one.
        views: a file of ``key,views``; None orders flips by time on screen.
        html: where the report with the faces goes; None writes none.
        as_json: a JSON object instead of tables.
        settings: values for ``load_settings``.

    """

    flips: int
    views: Path | None = None
    html: Path | None = None
    as_json: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PromotionOptions:
    """How a model is promoted.

    Attributes:
        golden: a list of clips and who is in them; None tries it on none.
        clips: the folder of these.
        comparison: a file of ``trainer compare``: how it does on photographs.
        forced: why it is promoted even if the gate refuses.
        is_tried_only: say what the gate finds, and switch nothing.

    """

    golden: Path | None = None
    clips: Path | None = None
    comparison: Path | None = None
    forced: str | None = None
    is_tried_only: bool = False


def show_diff(first: str, second: str | None, options: ComparisonOptions) -> None:
    """Say what a labelling changes against another one.

    Args:
        first: what is compared with; where there is no second one, what is compared with the labelling that is shown.
        second: what may take its place.
        options: what is told.

    Raises:
        ConfigError: one of them has labelled nothing here, or their networks differ.

    """
    settings = load_settings(**options.settings)
    views = _views(options.views)
    with open_store(settings, must_exist=True) as store:
        before, after = _both(store, first, second)
        with err().status("comparing the labels"):
            diff = compare_labellings(store.engine, before, after, most_flips=options.flips, views=views)
        if options.html is not None:
            write_page(options.html, diff_html(diff, _pictures(store, settings, diff)))
    if options.as_json:
        print_json_line(diff_json(diff))
    else:
        _print_diff(diff)


def promote_model(model: str, options: PromotionOptions, told: ComparisonOptions) -> int:
    """Try a model, show its names if it passes the gate, and say what was found.

    Returns:
        The exit code: 3 where the gate refuses.

    Raises:
        ConfigError: there is no such model, or nothing to compare it with.
        InputError: the list of golden clips is wrong.
        ModelsBusyError: somebody else installs or promotes a model.
        ChangedMeanwhileError: what is shown has changed meanwhile.

    """
    settings = load_settings(**told.settings, model=model)
    golden = None
    if options.golden is not None:
        folder = options.clips or options.golden.parent
        golden = Golden(read_golden(options.golden, folder), folder)
    asked = Asked(
        golden=golden,
        evaluation=None if options.comparison is None else read_evaluation(options.comparison),
        views=_views(told.views),
        most_flips=told.flips,
        forced=options.forced,
        is_tried_only=options.is_tried_only,
    )
    with open_store(settings, must_exist=True) as store:
        with err().status("loading the model") as status:
            promotion = promote(store, settings, asked, say=status.update)
        if promotion is None:
            remark(f"The names of {model} are shown already.")
            return OK
        report = promotion.report
        if told.html is not None:
            _write_report_or_remark(told.html, report, store, settings)
    if told.as_json:
        facts = {"is_shown": promotion.is_shown, "relabelled": promotion.relabelled, "forced": options.forced}
        print_json_line(report.to_json() | facts)
    else:
        _print_report(report)
    remark(_verdict(report, is_shown=promotion.is_shown, options=options))
    return OK if report.passed or promotion.is_shown else HELD


def roll_back_model(*, as_json: bool, settings: Mapping[str, Any]) -> None:
    """Show what was shown before, and say so.

    Raises:
        ConfigError: there is nothing to go back to.
        ChangedMeanwhileError: what is shown has changed meanwhile.

    """
    with open_store(load_settings(**settings), must_exist=True) as store:
        shown, former = roll_back(store)
    if as_json:
        print_json_line({"shown": shown.model, "former": former.model})
        return
    out().print(f"the names of {shown.model} are shown again, instead of {former.model}'s", markup=False)
    remark(f"What was annotated since may lack its labels: `annotator relabel --model {shown.model}` makes them.")


def _views(path: Path | None) -> Iterator[tuple[str, float]] | None:
    """Return the views of a file; what can be seen to be wrong with it is told before any work."""
    if path is None:
        return None
    next(read_views(path), None)
    return read_views(path)


def _both(store: Store, first: str, second: str | None) -> tuple[Labelling, Labelling]:
    with store.reading() as connection:
        if second is not None:
            return find_labelling(connection, first), find_labelling(connection, second)
        after = find_labelling(connection, first)
        return load_active(connection) or after, after


def _pictures(store: Store, settings: Settings, diff: LabellingDiff | None) -> list[bytes | None]:
    if diff is None:
        return []
    with err().status("cutting out the faces"):
        source = build_source(settings, sampling=Sampling.all())
        return face_pictures(store, diff.after.network_id, diff.flips, source)


def _write_report_or_remark(path: Path, report: GateReport, store: Store, settings: Settings) -> None:
    """Write the report of what was decided; where that fails, it is decided all the same."""
    try:
        write_page(path, gate_html(report, _pictures(store, settings, report.diff)))
    except AnnotatorError as error:
        remark(f"The report is missing: {error}.")


def _print_report(report: GateReport) -> None:
    rows: list[list[str | Text]] = [
        [check.name, Text("passed", "green") if check.passed else Text("refused", "red"), check.found]
        for check in report.checks
    ]
    print_table(["check", "", "found"], rows)
    if report.diff is not None:
        out().print()
        _print_diff(report.diff)


def _print_diff(diff: LabellingDiff) -> None:
    out().print(summary_in_words(diff), markup=False, soft_wrap=True)
    if diff.people:
        numbers = ["before", "after", "added", "dropped", "to another", "from another"]
        people = [[one.identity.name, *map(str, numbers_of(one))] for one in diff.people[:MOST_LINES]]
        out().print()
        print_table(["who", *numbers], people, right=numbers)
    if diff.flips:
        out().print()
        header = ["media", "before", "after", "on screen", "views"]
        print_table(header, [_flip_row(one) for one in diff.flips[:MOST_LINES]], right=["on screen", "views"])
    left = len(diff.people) > MOST_LINES or len(diff.flips) > MOST_LINES
    if left:
        remark("The first ones only: --json and --html tell more.")


def _flip_row(flip: Flip) -> list[str]:
    views = "" if flip.views is None else f"{flip.views:,.0f}"
    return [flip.media_uri or "(deleted)", flip.before.name, flip.after.name, f"{flip.screen_ms / 1000:.1f} s", views]


def _verdict(report: GateReport, *, is_shown: bool, options: PromotionOptions) -> str:
    if is_shown and report.passed:
        return f"The names of {report.model} are shown now. `annotator models rollback` takes that back at once."
    if is_shown:
        return f"The gate refuses {report.model}; its names are shown all the same: {options.forced}."
    if report.passed:
        return f"{report.model} passes the gate; nothing was changed."
    names = ", ".join(check.name for check in report.checks if not check.passed)
    before = "nothing is shown" if report.former is None else f"the names of {report.former} are shown"
    return f"The gate refuses {report.model} ({names}); {before} as before."
