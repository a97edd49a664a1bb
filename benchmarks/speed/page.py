"""``docs/performance.md``, made from the results and a template: no number in it is typed by hand.

python -m benchmarks.speed.page
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.speed import bound, curves, time_effect
from benchmarks.speed.places import OTHER_RESULTS, PAGE, PICTURES, RESULTS
from benchmarks.speed.results import load
from benchmarks.speed.rows import TIMES

HERE: Final = Path(__file__).parent
TEMPLATE: Final = HERE / "performance.md.in"
TEXTS: Final = HERE / "text"
OTHER_MACHINE: Final = """## On a machine of another kind

The same lines on another processor ([results-other.json](../benchmarks/results-other.json): a copy of `results.json` as
that machine has left it). What a processor computes in bfloat16 differs most."""
HEAD: Final = (
    "| line | work | ours | beside | ratio (from, to) | runs | reach | reached? |",
    "|---|---|---|---|---|---|---|---|",
)
MIN_SPREAD_RUNS: Final = 3
"""Least and greatest of fewer runs say nothing of how much they vary."""


def page(lines: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return the page for some lines of results, and for those of a machine of another kind."""
    text = TEMPLATE.read_text(encoding="utf-8")
    parts = {
        "TABLE": table(lines),
        "MACHINES": machines(lines),
        "OTHER MACHINE": other_machine(other),
        "CURVES": curve_sections(lines),
        "TIME": where_the_time_goes(lines),
        "MAX SLOPE": f"{curves.MAX_SLOPE:g}",
        "BOUND": bound.table(lines),
        "TIME EFFECT": time_effect.table(lines["time-effect"]) if "time-effect" in lines else "Not measured yet.",
        **{f"TEXT {path.stem}": path.read_text(encoding="utf-8").strip("\n") for path in sorted(TEXTS.glob("*.md"))},
    }
    for name, part in parts.items():
        text = text.replace("{{" + name + "}}", part)
    return text


def table(lines: Mapping[str, Any]) -> str:
    """Return the table of all rows, as Markdown; without lines, a sentence."""
    told = [
        "| "
        + " | ".join([_name(name, line), *cells(row, runs=int(line["runs"]), why_not=_why_not(lines, name, n))])
        + " |"
        for name, line in lines.items()
        for n, row in enumerate(rows_of(line))
    ]
    return "\n".join([*HEAD, *told]) if told else "Nothing was measured yet: run `make bench`."


def _why_not(lines: Mapping[str, Any], name: str, number: int) -> str:
    row = rows_of(lines[name])[number]
    return bound.why_not(lines, name, number) if row["reached"] is False else ""


def rows_of(line: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a line; those of curves are made of their points, which older results have alone."""
    return curves.rows(line["curves"]) if "curves" in line else list(line["rows"])


def cells(row: Mapping[str, Any], *, runs: int, why_not: str) -> list[str]:
    """Return what stands in a row of the table after the name of its line.

    Args:
        row: of the results.
        runs: that it was made of.
        why_not: told where what was to be reached is not.

    """
    beside, reach = row["beside"], row["reach"]
    return [
        row["work"],
        value(row["ours"]),
        "" if beside is None else f"{beside['name']}: {value(beside)}",
        "" if row["ratio"] is None else _ratio(row["ratio"], runs),
        f"{runs}",
        "" if reach is None else _reach(reach, row),
        {None: "", True: "yes", False: f"no: {why_not}"}[row["reached"]],
    ]


def _ratio(ratio: Mapping[str, float], runs: int) -> str:
    spread = f" ({times(ratio['min'])} to {times(ratio['max'])})" if runs >= MIN_SPREAD_RUNS else ""
    return f"{times(ratio['median'])}{spread}"


def value(one: Mapping[str, Any]) -> str:
    """Return a number with its unit."""
    number, unit = one["value"], one["unit"]
    shown = f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"
    text = f" ({one['text']})" if one.get("text") else ""
    return f"{shown}{' ' if unit else ''}{unit}{text}"


def times(ratio: float) -> str:
    """Return a ratio as it is read."""
    return f"{ratio:.1f}{TIMES}" if ratio >= 1 else f"{ratio:.2f}{TIMES}"


def machines(lines: Mapping[str, Any]) -> str:
    """Return, for each machine and commit, which lines were measured there, with the versions."""
    groups: dict[str, list[str]] = {}
    for name, line in lines.items():
        groups.setdefault(_machine(line), []).append(f"`{name}`")
    return "\n".join(f"- {', '.join(names)}: {told}" for told, names in groups.items())


def other_machine(lines: Mapping[str, Any]) -> str:
    """Return the section of another machine's lines; nothing where there are none."""
    if not lines:
        return ""
    bounded = f"What bounds these lines, [read as below](#what-bounds-it):\n\n{bound.table(lines)}"
    return f"\n\n{OTHER_MACHINE}\n\n{table(lines)}\n\n{machines(lines)}\n\n{bounded}"


def _machine(line: Mapping[str, Any]) -> str:
    machine, versions = line["machine"], line["versions"]
    flags = ", ".join(machine["flags"]) or "none of those that matter"
    listed = {side: ", ".join(f"{name} {one}" for name, one in found.items()) for side, found in versions.items()}
    return (
        f"{line['date']}, commit `{line['commit']}`, {machine['processor']} ({machine['model']}; {flags}), "
        f"{machine['cores']} processors, {machine['memory_gb']} GB, {machine['system']}, Python {machine['python']}, "
        f"runs: {line['runs']}. Ours: {listed['ours']}. Beside: {listed['peers']}."
    )


def curve_sections(lines: Mapping[str, Any]) -> str:
    """Return a picture with its slopes for each curve."""
    sections = []
    for name, curve in lines.get("curves", {}).get("curves", {}).items():
        xs = [point["x"] for point in curve["points"]]
        sections.append(
            f"### {curve['axis'][:1].upper()}{curve['axis'][1:]}\n\n"
            f"![Time and memory against {curve['axis']}](images/performance/{name}.png)\n\n"
            f"From {min(xs):g} to {max(xs):g}: slope of the time {curve['slope']:.2f}, of the memory "
            f"{curve['memory_slope']:.2f} (of the logarithms: 1 is linear, 0 is flat). "
            f"A point is the median of {lines['curves']['runs']} runs."
        )
    if lines.get("film"):
        sections.append(_film_section(lines["film"]))
    return "\n\n".join(sections) or "Not measured yet."


def _film_section(line: Mapping[str, Any]) -> str:
    peaks_mb = line["sides"]["ours"]["series"]["peak_mb"]
    return (
        "### A film\n\n![Memory over time](images/performance/film-memory.png)\n\n"
        f"Memory of all processes while a film is annotated, in the last run; at most {max(peaks_mb):.0f} MB in any. "
        "It goes up and down, as decoders come and go and frames wait in batches."
    )


def where_the_time_goes(lines: Mapping[str, Any]) -> str:
    """Return what the networks compute, beside what the machine could."""
    if "peak" not in lines:
        return "Not measured yet."
    ours = lines["peak"]["sides"]["ours"]
    found = ours["found"]
    peaks = ", ".join(f"{peak:.0f} GFLOP/s in {name}" for name, peak in found["peak_gflop_per_s"].items())
    rows = [
        f"| {name} | {precision} | {gflop:,.1f} |"
        for name, by_precision in found["gflop"].items()
        for precision, gflop in by_precision.items()
    ]
    said = (
        f"The machine's measured peak, a large matrix product: {peaks}. What the networks computed for the frames of "
        f"`peak`, padding included, in {ours['seconds'][-1]:.2f} s:"
    )
    return "\n".join([said, "", "| network | precision | 10⁹ operations |", "|---|---|---|", *rows])


def _name(name: str, line: Mapping[str, Any]) -> str:
    return f"`{name}`" + (" (a trial)" if line["quick"] else "")


def _reach(reach: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    sign = {"at least": "≥", "at most": "≤", "less than": "<"}[reach["how"]]
    if reach["of"] == "ratio":
        return f"{sign} {reach['limit']:g}{TIMES}"
    return f"{sign} {value({'value': reach['limit'], 'unit': row['ours']['unit']})}"


def pictures(lines: Mapping[str, Any]) -> list[Path]:
    """Return the pictures that the page of some lines shows."""
    names = [*lines.get("curves", {}).get("curves", {}), *(["film-memory"] if "film" in lines else [])]
    return [PICTURES / f"{name}.png" for name in names]


if __name__ == "__main__":
    PAGE.write_text(page(load(RESULTS), load(OTHER_RESULTS)), encoding="utf-8")
