"""The report as one HTML file with plots and pictures inside, which can be sent to somebody."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np

from trainer.evaluation.measures import RATES, best_score
from trainer.evaluation.page import MORE, figure, page, percent, table
from trainer.evaluation.plots import Axis, Series, plot
from trainer.evaluation.report import Report

MOST_CONFUSIONS: Final = 40
PICTURES_EACH: Final = 3
MOST_PEOPLE: Final = 2000
BINS: Final = 40
LOWEST_SHOWN: Final = (0.0, 0.5, 0.75, 0.9)
"""Where the axis of precision may begin."""

_OPEN_SETS: Final = {"strangers": "strangers", "left_out": "people left out"}


def report_html(report: Report, pictures: Mapping[str, Path]) -> str:
    """Return the page.

    Args:
        report: what is told.
        pictures: of the photographs, by key; those that are not there are left out.

    """
    return page(f"Evaluation of {report.trial.name}", _parts(report, pictures))


def _parts(report: Report, pictures: Mapping[str, Path]) -> Iterator[str]:
    measures = report.measures
    yield (
        f"<p>{measures['photographs']} photographs of {measures['people_shown']} people, "
        f"{report.trial.people} people known, {len(report.trial.unknown)} faces of strangers. Intervals of 95 %, by "
        f"drawing {measures['resampled']} anew or, of single people, after Wilson. All numbers in per cent.</p>"
    )
    yield "".join(f"<p><strong>Mind:</strong> {escape(remark)}</p>" for remark in report.remarks)
    yield from _accuracy(measures)
    yield '<h2>How sure, how many</h2><div class="plots">'
    yield _coverage(measures) + _scores(report) + _sizes(measures) + "</div>"
    yield from _by_size(measures)
    if report.clips is not None:
        yield from _clips(report.clips)
    yield from _confusions(report, pictures)
    yield from _people(measures["people"])


def _accuracy(measures: Mapping[str, Any]) -> Iterator[str]:
    closed = measures["closed_set"]
    yield "<h2>Accuracy</h2>"
    yield table(
        ["Right person, among the people known", "first", "among the first five"],
        [["all photographs", percent(closed["top_1"]), percent(closed["top_5"])]],
    )
    yield "<p></p>" + table(
        [
            "Found, when strangers are about (TPIR)",
            "faces",
            "strangers",
            *(f"at FPIR {100 * rate:g} %" for rate in RATES),
        ],
        [
            [
                words,
                str(measures["open_set"][name]["known"]),
                str(measures["open_set"][name]["strangers"]),
                *(percent(measures["open_set"][name][f"tpir_at_{rate:g}"]) for rate in RATES),
            ]
            for name, words in _OPEN_SETS.items()
        ],
    )
    point = measures["operating_point"]
    yield f"<p></p><p>Names as they would be given, threshold: {escape(str(point['threshold']))}.</p>"
    kinds = ("right", "wrong", "unknown")
    yield table(
        ["Faces of", "how many", *kinds],
        [
            [words, str(point[name]["faces"]), *(percent(point[name][kind]["share"]) for kind in kinds)]
            for name, words in (("known", "people known"), ("strangers", "strangers"))
        ],
    )


def _coverage(measures: Mapping[str, Any]) -> str:
    curve = [(coverage, precision) for coverage, precision, _ in measures["coverage"]]
    lowest = min(precision for _, precision in curve)
    drawing = plot(
        "precision over coverage",
        Axis("faces that get a name, surest first, strangers' included (%)", 0.0, 1.0, is_share=True),
        Axis("names that are right (%)", max(one for one in LOWEST_SHOWN if one <= lowest), 1.0, is_share=True),
        [Series("all faces", curve)],
    )
    return f"<figure>{drawing}<figcaption>Coverage and precision</figcaption></figure>"


def _scores(report: Report) -> str:
    right = [best_score(one.answer) for one in report.trial.known if one.is_right]
    others = [best_score(one.answer) for one in report.trial.unknown]
    if not others:
        others = [best_score(one.as_stranger) for one in report.trial.known if one.as_stranger is not None]
    low, high = _range([*right, *others])
    edges = np.linspace(low, high, BINS + 1)
    series = []
    for name, scores in (("known, named rightly", right), ("strangers", others)):
        counts = np.histogram(np.clip(scores, low, high), edges)[0] / max(len(scores), 1)
        heights = [0.0, *counts.tolist(), 0.0]
        series.append(Series(name, list(zip([low, *edges.tolist()], heights, strict=True))))
    top = max(max(height for _, height in one.points) for one in series)
    drawing = plot(
        "scores of known people and of strangers",
        Axis("score of the nearest person", low, high),
        Axis("faces (%)", 0.0, float(np.ceil((1.1 * top + 0.001) * 20) / 20), is_share=True),
        series,
        is_stepped=True,
    )
    return f"<figure>{drawing}<figcaption>Scores: what lies apart can be told apart</figcaption></figure>"


def _range(scores: Sequence[float]) -> tuple[float, float]:
    finite = [score for score in scores if np.isfinite(score)] or [0.0]
    low, high = (float(value) for value in np.quantile(finite, (0.001, 0.999)))
    low, high = float(np.floor(low * 10) / 10), float(np.ceil(high * 10) / 10)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _sizes(measures: Mapping[str, Any]) -> str:
    made = [one for one in measures["by_size_made"] if one["tpir_at_0.01"] is not None]
    if len(made) < 2:
        return ""
    in_order = sorted(made, key=lambda one: float(one["face_px"]))
    series = [Series("right person first", [(one["face_px"], one["top_1"][0]) for one in in_order])]
    for rate in RATES:
        points = [(one["face_px"], one[f"tpir_at_{rate:g}"]) for one in in_order]
        series.append(
            Series(f"found at FPIR {100 * rate:g} %", [(size, share[0]) for size, share in points if share is not None])
        )
    drawing = plot(
        "found by face size",
        Axis("side of the face (px)", float(in_order[0]["face_px"]), float(in_order[-1]["face_px"])),
        Axis("known faces (%)", 0.0, 1.0, is_share=True),
        series,
    )
    return f"<figure>{drawing}<figcaption>Faces made as small as in clips</figcaption></figure>"


def _by_size(measures: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>By face size</h2>"
    yield table(
        ["On the photograph", "photographs", "right person first", "named rightly"],
        [
            [
                f"{one['from_px']:.0f} px" + (f" to {one['to_px']:.0f} px" if one["to_px"] else " and more"),
                str(one["photographs"]),
                percent(one["top_1"]),
                percent(one["named_right"]),
            ]
            for one in measures["by_size_on_photograph"]
        ],
    )
    if measures["by_size_made"]:
        yield "<p></p>" + table(
            [
                "Made as small, as in clips",
                "right person first",
                *(f"found at FPIR {100 * rate:g} %" for rate in RATES),
            ],
            [
                [f"{one['face_px']} px", percent(one["top_1"]), *(percent(one[f"tpir_at_{rate:g}"]) for rate in RATES)]
                for one in measures["by_size_made"]
            ],
        )


def _clips(clips: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2>Clips ({clips['clips']})</h2>"
    kinds = ("right", "wrong", "missed", "not_known", "unjudged")
    yield f"<p>Recall {percent(clips['recall'])}, precision {percent(clips['precision'])}.</p>"
    rows = [
        [escape(one["file"]), *(escape(", ".join(one[kind])) for kind in kinds), escape(one["failed"] or "")]
        for one in clips["outcomes"]
        if any(one[kind] for kind in kinds) or one["failed"]
    ]
    yield table(["clip", *(kind.replace("_", " ") for kind in kinds), "failed"], rows, words=7)


def _confusions(report: Report, pictures: Mapping[str, Path]) -> Iterator[str]:
    confusions = report.measures["confusions"]
    yield f"<h2>Taken for somebody else ({len(confusions)})</h2>"
    examples = {one.person: pictures.get(one.key) for one in report.trial.known if one.is_right}
    for one in confusions[:MOST_CONFUSIONS]:
        who = one["person"] or "a stranger"
        given = f", {one['given']} times by name" if one["given"] else ", but no name is given"
        yield f"<p>{escape(who)} is taken for <strong>{escape(one['taken_for'])}</strong>{given}.</p>"
        shown = [figure(pictures.get(key), key) for key in one["photographs"][:PICTURES_EACH]]
        like = examples.get(one["taken_for"])
        shown += [figure(like, f"{one['taken_for']}, for comparison")] if like else []
        yield f'<div class="pictures">{"".join(shown)}</div>'
    if len(confusions) > MOST_CONFUSIONS:
        yield f"<p>{MORE} and {len(confusions) - MOST_CONFUSIONS} more, in report.json.</p>"


def _people(people: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "<h2>People, the least found first</h2>"
    in_order = sorted(people, key=lambda one: (one["recall"][0], -one["photographs"], one["name"]))
    yield table(
        ["", "photographs", "found", "recall", "named", "precision"],
        [
            [
                escape(one["name"]),
                str(one["photographs"]),
                str(one["found"]),
                percent(one["recall"], digits=0),
                str(one["named"]),
                percent(one["precision"], digits=0) if one["named"] else "",
            ]
            for one in in_order[:MOST_PEOPLE]
        ],
    )
    if len(people) > MOST_PEOPLE:
        yield f"<p>{MORE} and {len(people) - MOST_PEOPLE} more, in report.json.</p>"
