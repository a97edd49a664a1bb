"""The comparison as one HTML file."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from trainer.evaluation.comparison import Comparison, PersonChange
from trainer.evaluation.page import MORE, page, table

MOST_PEOPLE: Final = 500


def comparison_html(comparison: Comparison) -> str:
    """Return the page."""
    return page(f"{comparison.before} and {comparison.after}", _parts(comparison))


def _parts(comparison: Comparison) -> Iterator[str]:
    yield (
        f"<p>{comparison.faces} faces of people whom both know, {comparison.strangers} of strangers to both; "
        f"{comparison.left_aside} others are left aside. Intervals of 95 % by drawing {comparison.resampled} anew, the "
        "same for both.</p>"
    )
    if comparison.is_not_worse:
        yield f'<p class="good"><strong>{escape(comparison.after)} is not worse.</strong></p>'
    else:
        yield f'<p class="bad"><strong>{escape(comparison.after)} is worse:</strong></p><ul>'
        yield "".join(f"<li>{escape(reason)}</li>" for reason in comparison.worse) + "</ul>"
    yield table(
        ["per cent", comparison.before, comparison.after, "change", "from", "to", "gained", "lost", "McNemar's p"],
        [
            [
                escape(one.measure),
                f"{100 * one.before:.1f}",
                f"{100 * one.after:.1f}",
                f"{100 * one.change:+.1f}",
                f"{100 * one.low:+.1f}",
                f"{100 * one.high:+.1f}",
                str(one.gained),
                str(one.lost),
                f"{one.mcnemar_p:.3g}",
            ]
            for one in comparison.differences
        ],
    )
    losing = [one for one in comparison.people if one.after < one.before]
    gaining = [one for one in reversed(comparison.people) if one.after > one.before]
    yield from _people("Found on fewer photographs", losing)
    yield from _people("Found on more photographs", gaining)


def _people(title: str, people: Sequence[PersonChange]) -> Iterator[str]:
    yield f"<h2>{title} ({len(people)})</h2>"
    if people:
        yield table(
            ["", "photographs", "before", "after"],
            [[escape(one.name), str(one.photographs), str(one.before), str(one.after)] for one in people[:MOST_PEOPLE]],
        )
    if len(people) > MOST_PEOPLE:
        yield f"<p>{MORE} and {len(people) - MOST_PEOPLE} more, in comparison.json.</p>"
