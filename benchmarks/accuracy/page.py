"""``docs/accuracy.md`` and its plots, made from the results and a template: no number in it is typed by hand.

python -m benchmarks.accuracy.page
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from annotator.accuracy import tables
from annotator.accuracy.evaluation import SIZES_PX
from annotator.accuracy.measures import MIN_EXPECTED
from benchmarks.accuracy.places import PAGE, PICTURES, RESULTS, TEMPLATE
from trainer.evaluation.plots import Axis, Series, plot

RATES: Final = ("1.0%", "0.3%", "0.1%")
_SHOWN_PRIORS: Final = ("0.5", "0.1", "0.02", "0.005")
_MIDDLES_PX: Final = (28, 36, 44, 56, 80, 112)


def write_page(results: Mapping[str, Any]) -> None:
    """Write the page and its plots."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, picture in plots(results).items():
        (PICTURES / f"{name}.svg").write_text(picture, encoding="utf-8")
    PAGE.write_text(page(results), encoding="utf-8")


def page(results: Mapping[str, Any]) -> str:
    """Return the page."""
    test, other = results["test"], results["other sources"]
    strangers = results["strangers"]
    parts = {
        "MODEL": results["model"],
        "DATE": results["date"],
        "COMMIT": results["commit"],
        "CLIPS": f"{results['clips']['test']:,}",
        "CLIPS DEVELOPMENT": f"{results['clips']['development']:,}",
        "CLIPS OTHER": f"{results['clips']['other sources']:,}",
        "PEOPLE OTHER": str(results["other people"]),
        "NOT COUNTED": not_counted(results["not counted"]),
        "STRANGERS": f"{strangers:,}",
        "LEAST RATE": f"{MIN_EXPECTED / strangers:.2%}",
        "PRECISION": tables.precision(test["precision"]),
        "CALIBRATION": tables.shares(test["calibration"], ("50% known", "10% known"), "tracks,"),
        "RECOGNITION": tables.recognition(test["recognition"]),
        "RECOGNITION OTHER": tables.recognition(other["recognition"]),
        "DETECTION": tables.shares(test["detection"], ("found",), "faces drawn in"),
        "CLIP ROWS": tables.figures(test["names and times"]),
        "CLIP ROWS OTHER": tables.figures(other["names and times"]),
        "CONFUSION": tables.figures(test["confusion"]),
        "CONFUSION OTHER": tables.figures(other["confusion"]),
        "NOT LIVE": tables.shares(test["not live"], ("named",), ""),
        "GALLERY": tables.gallery(test["gallery"]),
        "ENROLLED": tables.figures(results["enrolled"]),
        "PRIOR": tables.prior(test["prior"]),
        "PRIOR OTHER": tables.prior(other["prior"]),
        "REAL": real(results["real"]["0.003"]),
        "REAL RATES": real_rates(results["real"]),
        "THRESHOLDS": ", ".join(f"{float(rate):.1%}: {limit:.3f}" for rate, limit in results["thresholds"].items()),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, part in parts.items():
        text = text.replace("{{" + name + "}}", part)
    return text


def not_counted(people: Sequence[str]) -> str:
    """Return whose faces of another source do not count, in the middle of a sentence."""
    if not people:
        return ""
    return f" ({', '.join(people)} are drawn, too, but not counted: the gallery knows them by that source alone)"


def real(told: Mapping[str, Any]) -> str:
    """Return what real clips gave, with those that went wrong."""
    lines = [
        f"- {told['clips']} clips, {told['failed']} that could not be read",
        f"- right names: {told['right']}; recall {tables.percent(told['recall'])}",
        f"- wrong names: {told['wrong']}; precision {tables.percent(told['precision'])}",
        f"- people in them whom the model does not know: {told['not_known']}",
        f"- names where nobody is known for certain: {told['unjudged']}",
    ]
    for kind in ("missed", "wrong", "unjudged"):
        found = [f"{name} (`{one['file']}`)" for one in told["outcomes"] for name in one[kind]]
        if found:
            lines.append(f"- {kind}: {', '.join(found)}")
    return "\n".join(lines)


def real_rates(told: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what real clips gave at each rate of strangers."""
    body = [
        (
            f"{float(rate):.1%}",
            *(str(one[kind]) for kind in ("right", "wrong", "missed")),
            tables.percent(one["recall"]),
        )
        for rate, one in told.items()
    ]
    return tables.table(("threshold for strangers", "right names", "wrong names", "missed", "recall"), body)


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


if __name__ == "__main__":
    write_page(json.loads(RESULTS.read_text(encoding="utf-8")))
