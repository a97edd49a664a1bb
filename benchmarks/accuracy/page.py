"""``docs/accuracy.md`` and its plots, made from the results and a template: no number in it is typed by hand.

python -m benchmarks.accuracy.page
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from annotator.accuracy.evaluation import SIZES_PX
from annotator.accuracy.measures import MIN_EXPECTED
from benchmarks.accuracy.places import PAGE, PICTURES, RESULTS, TEMPLATE
from trainer.evaluation.plots import Axis, Series, plot

RATES: Final = ("1.0%", "0.3%", "0.1%")
_SHOWN_PRIORS: Final = ("0.5", "0.1", "0.02", "0.005")
_MIDDLES_PX: Final = (28, 36, 44, 56, 80, 112)
_FEW: Final = 1e-9


def write_page(results: Mapping[str, Any]) -> None:
    """Write the page and its plots."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, picture in plots(results).items():
        (PICTURES / f"{name}.svg").write_text(picture, encoding="utf-8")
    PAGE.write_text(page(results), encoding="utf-8")


def page(results: Mapping[str, Any]) -> str:
    """Return the page."""
    test, other = results["test"], results["other sources"]
    strangers = results["strangers' tracks"]
    parts = {
        "MODEL": results["model"],
        "DATE": results["date"],
        "COMMIT": results["commit"],
        "CLIPS": f"{results['clips']['test']:,}",
        "CLIPS DEVELOPMENT": f"{results['clips']['development']:,}",
        "CLIPS OTHER": f"{results['clips']['other sources']:,}",
        "STRANGERS": f"{strangers:,}",
        "LEAST RATE": f"{MIN_EXPECTED / strangers:.2%}",
        "PRECISION": precision(test["precision"]),
        "RECOGNITION": recognition(test["recognition"]),
        "RECOGNITION OTHER": recognition(other["recognition"]),
        "DETECTION": shares(test["detection"], ("found",), "faces drawn in"),
        "CLIP ROWS": figures(test["clips"]),
        "CLIP ROWS OTHER": figures(other["clips"]),
        "NOT LIVE": shares(test["not live"], ("named",), ""),
        "GALLERY": gallery(test["gallery"]),
        "REAL": real(results["real"]),
        "THRESHOLDS": ", ".join(f"{float(rate):.1%}: {limit:.3f}" for rate, limit in results["thresholds"].items()),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, part in parts.items():
        text = text.replace("{{" + name + "}}", part)
    return text


def precision(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what names are worth, at each prior."""
    head = ("known people among the tracks, names", "precision", "recall", "wrong names of 1,000 strangers", "names")
    body = []
    for row in rows:
        values = row["values"]
        named = values["strangers named"]
        wrong = _interval([1000 * one for one in named], digits=2) if named else ""
        body.append((row["what"], _share(values["precision"]), _share(values["recall"]), wrong, f"{row['count']:,}"))
    errors = [
        f"{row['what'].split(',')[0]}: {_number(row['values']['calibration error'], digits=4)}" for row in rows[::2]
    ]
    return f"{_table(head, body)}\n\nExpected calibration error, at each prior: {'; '.join(errors)}."


def recognition(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how many are found at rates of strangers."""
    head = (
        *("tracks", "of known people", "nearest is right"),
        *(f"found at {rate} of strangers" for rate in RATES),
        "strangers named at the threshold for 0.1%",
    )
    body = [
        (
            *(row["what"], f"{row['count']:,}", _share(row["values"]["nearest"])),
            *(_share(row["values"][f"found at {rate}"]) for rate in RATES),
            _share(row["values"]["strangers at 0.1%"], digits=2),
        )
        for row in rows
    ]
    return _table(head, body)


def shares(rows: Sequence[Mapping[str, Any]], names: Sequence[str], of: str) -> str:
    """Return a table of shares."""
    body = [
        (f"{of} {row['what']}".strip(), f"{row['count']:,}", *(_share(row["values"][name]) for name in names))
        for row in rows
    ]
    return _table(("", "how many", *names), body)


def figures(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of one value a row: shares in per cent, seconds as they are."""
    body = []
    for row in rows:
        ((name, value),) = row["values"].items()
        shown = _share(value) if name == "share" else _number(value, digits=3)
        body.append((row["what"], f"{row['count']:,}", shown))
    return _table(("", "how many", "value"), body)


def gallery(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what changes with the gallery's size."""
    names = list(rows[0]["values"])
    head = ("gallery", "tracks of known people", *(name.replace(" at ", ", prior ") for name in names))
    body = [
        (row["what"], f"{row['count']:,}", *(_share(row["values"][name], digits=2) for name in names)) for row in rows
    ]
    return _table(head, body)


def real(told: Mapping[str, Any]) -> str:
    """Return what real clips gave, with those that went wrong."""
    lines = [
        f"- {told['clips']} clips, {told['failed']} that could not be read",
        f"- right names: {told['right']}; recall {_share(told['recall'])}",
        f"- wrong names: {told['wrong']}; precision {_share(told['precision'])}",
        f"- people in them whom the model does not know: {told['not_known']}",
        f"- names where nobody is known for certain: {told['unjudged']}",
    ]
    for kind in ("missed", "wrong", "unjudged"):
        found = [f"{name} (`{one['file']}`)" for one in told["outcomes"] for name in one[kind]]
        if found:
            lines.append(f"- {kind}: {', '.join(found)}")
    return "\n".join(lines)


def plots(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the plots by name, as SVG files."""
    share = Axis("right names (%)", 0.0, 1.0, is_share=True)
    curves = [
        Series(f"{float(prior):.1%} known", [(said, found) for said, found, _ in results["curves"][prior]])
        for prior in _SHOWN_PRIORS
    ]
    rows = {row["what"]: row["values"] for row in results["test"]["recognition"]}
    by_size = [name for name in rows if name.endswith("px") and "people" not in name]
    found = [
        Series(
            f"{rate} of strangers",
            [
                (float(middle), rows[name][f"found at {rate}"][0])
                for middle, name in zip(_MIDDLES_PX, _sized(by_size), strict=False)
                if rows[name][f"found at {rate}"]
            ],
        )
        for rate in RATES
    ]
    return {
        "calibration": _alone(plot("calibration", Axis("confidence (%)", 0.0, 1.0, is_share=True), share, curves)),
        "sizes": _alone(
            plot(
                "people found by the size of their faces",
                Axis("side of the face (px)", 24.0, 120.0),
                Axis("found (%)", 0.0, 1.0, is_share=True),
                found,
            )
        ),
    }


def _sized(names: Sequence[str]) -> list[str]:
    return list(names)[: len(SIZES_PX) - 1]


def _alone(svg: str) -> str:
    """Return a picture that is a file of its own, on white."""
    begin = '<svg xmlns="http://www.w3.org/2000/svg" style="background:#fff;color:#222" font-family="sans-serif"'
    return svg.replace("<svg", begin, 1) + "\n"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in body)]
    return "\n".join(lines)


def _share(interval: Sequence[float] | None, *, digits: int = 1) -> str:
    return _interval([100 * one for one in interval], digits=digits) if interval else "too few"


def _interval(interval: Sequence[float], *, digits: int) -> str:
    value, low, high = (f"{one:.{digits}f}" for one in interval)
    return f"{value} ({low} to {high})"


def _number(interval: Sequence[float] | None, *, digits: int) -> str:
    return _interval(interval, digits=digits) if interval else "too few"


if __name__ == "__main__":
    write_page(json.loads(RESULTS.read_text(encoding="utf-8")))
