"""The report of a comparison: one HTML file with the faces inside, which can be sent to somebody."""

import base64
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from annotator.promotion.gate import GateReport
from annotator.store.diff import Flip, LabellingDiff, PersonChange

MOST_PEOPLE: Final = 200

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --bad: #c0392b; --good: #1e8449; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; } .lead { font-size: 1.25rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; } td.n { white-space: nowrap; }
td, th { padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line); }
th, td { vertical-align: top; } th { text-align: left; } .n { text-align: right; font-variant-numeric: tabular-nums; }
.bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); }
.flips { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 1.2rem; }
figure { margin: 0; } figure img, figure .none { height: 160px; border-radius: 3px; display: block; }
figure .none { display: grid; place-items: center; width: 120px; border: 1px dashed var(--line); font-size: 12px; }
figcaption { font-size: 13px; overflow-wrap: anywhere; } figcaption small { opacity: .7; }
"""


def diff_html(diff: LabellingDiff, pictures: Sequence[bytes | None]) -> str:
    """Return the report of a comparison.

    Args:
        diff: what a labelling changes.
        pictures: a JPEG for each of its flips, or None.

    """
    title = f"What {diff.after.model} changes"
    return page(title, [*_summary(diff), *_flips(diff.flips, pictures), *_pairs(diff), *_people(diff)])


def gate_html(report: GateReport, pictures: Sequence[bytes | None]) -> str:
    """Return the report of the gate.

    Args:
        report: what the gate has found.
        pictures: a JPEG for each flip of its comparison, or None.

    """
    verdict = "passes the gate" if report.passed else "is refused by the gate"
    place = "To be the first" if report.former is None else f"To take the place of {escape(report.former)}"
    parts = [f'<p class="lead">{place}.</p>', *_checks(report)]
    if report.diff is not None:
        parts += [*_summary(report.diff), *_flips(report.diff.flips, pictures)]
        parts += [*_pairs(report.diff), *_people(report.diff)]
    return page(f"{report.model} {verdict}", parts)


def summary_in_words(diff: LabellingDiff) -> str:
    """Return what is changed as a sentence: «adds 12,304 labels, drops 811, flips 97»."""
    left_out = f" ({diff.unlabelled:,} contents are left out: only {diff.before.model} has labelled them)"
    return (
        f"{diff.after.model} against {diff.before.model}, over {diff.contents:,} contents with {diff.named:,} named"
        f" tracks: adds {diff.added:,} labels, drops {diff.dropped:,}, flips {diff.flipped:,}"
        f"{left_out if diff.unlabelled else ''}"
    )


def numbers_of(person: PersonChange) -> tuple[int, ...]:
    """Return a person's tracks: before, after, added, dropped, to another name, from another name."""
    return (person.before, person.after, person.added, person.dropped, person.flipped_away, person.flipped_to)


def page(title: str, parts: Sequence[str]) -> str:
    """Return a page of HTML that needs nothing beside it.

    Args:
        title: of the page, as text.
        parts: what follows, as HTML.

    """
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1>{''.join(parts)}</body></html>\n"
    )


def _checks(report: GateReport) -> Iterator[str]:
    yield "<table><tr><th>check</th><th></th><th>found</th></tr>"
    for check in report.checks:
        verdict = '<td class="good">passed</td>' if check.passed else '<td class="bad">refused</td>'
        yield f"<tr><th>{escape(check.name)}</th>{verdict}<td>{escape(check.found)}</td></tr>"
    yield "</table>"


def _summary(diff: LabellingDiff) -> Iterator[str]:
    yield f'<p class="lead">{escape(summary_in_words(diff))}.</p>'


def _flips(flips: Sequence[Flip], pictures: Sequence[bytes | None]) -> Iterator[str]:
    if not flips:
        return
    order = "most viewed" if any(flip.views is not None for flip in flips) else "longest on screen"
    yield f'<h2>Names that change to another one, {order} first ({len(flips)})</h2><div class="flips">'
    for flip, picture in zip(flips, pictures, strict=True):
        coded = "" if picture is None else base64.b64encode(picture).decode("ascii")
        shown = (
            '<div class="none">no picture</div>' if picture is None else f'<img src="data:image/jpeg;base64,{coded}">'
        )
        views = "" if flip.views is None else f", {flip.views:,.0f} views"
        where = escape(flip.media_uri or "media deleted")
        yield (
            f"<figure>{shown}<figcaption>{escape(flip.before.name)} → <strong>{escape(flip.after.name)}</strong><br>"
            f"<small>{where}, from {flip.first_ms / 1000:.1f} s, {flip.screen_ms / 1000:.1f} s on screen{views}</small>"
            "</figcaption></figure>"
        )
    yield "</div>"


def _pairs(diff: LabellingDiff) -> Iterator[str]:
    if not diff.pairs:
        return
    yield "<h2>Who becomes whom</h2><table><tr><th>before</th><th>after</th><th class=n>tracks</th></tr>"
    for first, second, count in diff.pairs:
        yield f"<tr><td>{escape(first.name)}</td><td>{escape(second.name)}</td><td class=n>{count:,}</td></tr>"
    yield "</table>"


def _people(diff: LabellingDiff) -> Iterator[str]:
    yield "<h2>People</h2><table><tr><th>who</th><th class=n>tracks before</th><th class=n>after</th>"
    yield "<th class=n>added</th><th class=n>dropped</th><th class=n>to another name</th>"
    yield "<th class=n>from another name</th></tr>"
    for one in diff.people[:MOST_PEOPLE]:
        cells = "".join(f"<td class=n>{number:,}</td>" for number in numbers_of(one))
        yield f"<tr><td>{escape(one.identity.name)}</td>{cells}</tr>"
    yield "</table>"
    if len(diff.people) > MOST_PEOPLE:
        yield f"<p>And {len(diff.people) - MOST_PEOPLE:,} more, who lose less.</p>"
