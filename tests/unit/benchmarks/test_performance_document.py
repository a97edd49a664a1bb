"""docs/performance.md is what ``benchmarks.speed`` makes of benchmarks/results.json, and nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed import bound
from benchmarks.speed.bound import SINCE
from benchmarks.speed.curves import rows as rows_of_curves
from benchmarks.speed.curves import slope
from benchmarks.speed.lines import LINES
from benchmarks.speed.page import cells, page, pictures, rows_of, table
from benchmarks.speed.results import FIELDS, ROW_FIELDS, load, merge
from benchmarks.speed.rows import Reach, Value, row
from benchmarks.speed.work import onet, pnet, rnet, sface, work_gflop

ROOT = Path(__file__).resolve().parents[3]
MEASURED = load(ROOT / "benchmarks" / "results.json")
OTHER = load(ROOT / "benchmarks" / "results-other.json")
MAX_PICTURE_BYTES = 60_000


def line(**changes: Any) -> dict[str, Any]:
    """Return a line as it stands in the results."""
    machine = {"processor": "P", "model": "m", "cores": 2, "flags": [], "memory_gb": 8.0, "system": "L", "python": "3"}
    told = {"date": "2026-01-02", "commit": "abc", "machine": machine, "versions": {"ours": {}, "peers": {}}}
    return {**told, "runs": 5, "quick": False, "rows": [], **changes}


def test_the_page_is_what_is_made_of_the_results() -> None:
    written = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert written == page(MEASURED, OTHER), "make it anew: python -m benchmarks.speed.page"


@pytest.mark.parametrize("measured", [MEASURED, OTHER])
def test_every_measured_line_has_all_fields_and_is_no_trial(measured: dict[str, Any]) -> None:
    assert measured.keys() <= LINES.keys()
    for name, one in measured.items():
        assert one.keys() >= set(FIELDS), name
        assert not one["quick"], name
        assert all(found.keys() == set(ROW_FIELDS) for found in one["rows"]), name


def test_the_pictures_of_the_page_are_there_and_small() -> None:
    sizes = {path.name: path.stat().st_size if path.exists() else None for path in pictures(MEASURED)}
    assert all(size is not None and size < MAX_PICTURE_BYTES for size in sizes.values()), sizes


def test_no_place_of_the_template_stays_empty() -> None:
    assert "{{" not in page(MEASURED, OTHER)
    assert "{{" not in page({}, {})


def test_a_row_shows_both_sides_the_spread_and_whether_the_reach_is_reached() -> None:
    ratio = {"median": 5.26, "min": 0.5, "max": 6.0}
    reach = Reach("ratio", "at least", 5)
    made = row("faces", Value(1.5, "s"), beside=("another", Value(7.9, "s")), ratio=ratio, reach=reach)
    shown = ["faces", "1.5 s", "another: 7.9 s", "5.3× (0.50× to 6.0×)", "3", "≥ 5×", "yes"]  # noqa: RUF001
    assert cells(made, runs=3, why_not="") == shown


def test_two_runs_are_told_without_a_spread() -> None:
    made = row(
        "faces", Value(1.5, "s"), beside=("another", Value(7.9, "s")), ratio={"median": 5.26, "min": 5, "max": 6}
    )
    assert cells(made, runs=2, why_not="")[3:5] == ["5.3×", "2"]  # noqa: RUF001


def test_a_row_that_is_not_where_it_should_be_says_why() -> None:
    made = row("memory", Value(701, "MB"), reach=Reach("ours", "at most", 700))
    assert cells(made, runs=2, why_not="these results show no reason")[-1] == "no: these results show no reason"
    assert "| 5 | ≤ 700 MB | no: these results show no reason |" in page({"memory": line(rows=[made])}, {})


@pytest.mark.parametrize("measured", [MEASURED, OTHER])
def test_every_row_that_is_not_reached_says_why_and_none_that_is(measured: dict[str, Any]) -> None:
    told = [row.split("|") for row in table(measured).splitlines()[2:]]
    unreached = [cells[-2].strip() for cells in told if "no" in cells[-2]]
    assert len(unreached) == sum(one["reached"] is False for line in measured.values() for one in rows_of(line))
    assert all(said.startswith("no: ") and len(said) > len("no: ") for said in unreached)


def test_what_has_changed_since_is_told_of_lines_that_are_still_of_that_commit() -> None:
    assert {(name, line["commit"]) for lines in (MEASURED, OTHER) for name, line in lines.items()} >= SINCE.keys()


def test_the_other_machine_has_its_bounds_too() -> None:
    section = page(MEASURED, OTHER).split("## On a machine of another kind")[1].split("## How it grows")[0]
    assert bound.table(OTHER) in section


def test_no_curve_that_was_measured_is_worse_than_linear() -> None:
    rows = rows_of(MEASURED["curves"])
    assert len(rows) == len(MEASURED["curves"]["curves"])
    assert all(one["reached"] for one in rows), [one["work"] for one in rows if not one["reached"]]


@pytest.mark.parametrize("what", ["seconds", "memory_mb"])
def test_a_curve_that_is_worse_than_linear_in_time_or_memory_is_not_reached(what: str) -> None:
    points = [{"x": x, "seconds": 1.0 * x, "memory_mb": 10.0, what: 1.0 * x**2} for x in (1, 2, 4)]
    (made,) = rows_of_curves({"frames": {"axis": "frames per clip", "points": points}})
    assert made["ours"]["value"] == 2.0
    assert made["reached"] is False
    curve = {"axis": "frames per clip", "points": points, "slope": 2.0, "memory_slope": 1.0}
    assert "| no: these results show no reason |" in page({"curves": line(curves={"frames": curve})}, {})


def test_a_curve_says_how_many_runs_its_points_had() -> None:
    points = [{"x": x, "seconds": 1.0 * x, "memory_mb": 10.0} for x in (1, 2)]
    curve = {"axis": "clips", "points": points, "slope": 1.0, "memory_slope": 0.0}
    told = page({"curves": line(curves={"clips": curve}, runs=4)}, {})
    assert "A point is the median of 4 runs." in told
    assert "runs: 4." in told
    assert "(of the time 1.00, of the memory 0.00) |  |  | 4 | ≤ 1.1 | yes |" in told


@pytest.mark.parametrize(
    ("reach", "value", "reached"),
    [
        (Reach("ours", "at most", 700), 700.0, True),
        (Reach("ours", "at most", 700), 701.0, False),
        (Reach("ours", "less than", 2), 2.0, False),
        (Reach("ours", "at least", 55), 54.9, False),
    ],
)
def test_a_value_of_ours_is_held_to_its_limit(reach: Reach, value: float, *, reached: bool) -> None:
    assert row("memory", Value(value, "MB"), reach=reach)["reached"] is reached


def test_lines_measured_anew_replace_those_of_their_name_and_the_others_stay(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    merge(file, {"embed": line(date="2026-01-02"), "clips": line()}, ["clips", "embed"])
    merge(file, {"embed": line(date="2026-03-04"), "gone": line()}, ["clips", "embed"])
    kept = load(file)
    assert list(kept) == ["clips", "embed"]
    assert [one["date"] for one in kept.values()] == ["2026-01-02", "2026-03-04"]


def test_lines_of_two_machines_are_told_apart() -> None:
    other = line(machine={**line()["machine"], "processor": "Q"})
    told = page({"clips": line(), "embed": line(), "film": {**other, "sides": film_side()}}, {"start": line(runs=7)})
    assert re.search(r"^- `clips`, `embed`: .* P \(m", told, re.MULTILINE)
    assert re.search(r"^- `film`: .* Q \(m", told, re.MULTILINE)
    assert re.search(r"^- `start`: .* runs: 7\.", told, re.MULTILINE)


def test_slopes_and_work_are_told_where_they_were_measured() -> None:
    points = [{"x": 1, "seconds": 1.0, "memory_mb": 10.0}, {"x": 2, "seconds": 2.0, "memory_mb": 10.0}]
    curve = {"axis": "frames per clip", "points": points, "slope": 1.0, "memory_slope": 0.0}
    found = {"peak_gflop_per_s": {"f32": 100.0}, "gflop": {"rnet": {"f32": 7.0}}}
    told = page(
        {
            "peak": line(sides={"ours": {"seconds": [1.25], "found": found}}),
            "curves": line(curves={"frames": curve}),
        },
        {},
    )
    assert "slope of the time 1.00, of the memory 0.00" in told
    assert "(images/performance/frames.png)" in told
    assert "100 GFLOP/s in f32" in told
    assert "| rnet | f32 | 7.0 |" in told


def film_side() -> dict[str, Any]:
    return {"ours": {"series": {"peak_mb": [300.0]}}}


def test_the_slope_of_a_quadratic_curve_is_two() -> None:
    assert slope([(1, 3.0), (2, 12.0), (4, 48.0)]) == 2.0


def test_the_operations_of_a_network_are_those_of_its_layers() -> None:
    # Two for each weight and place: of P-Net's single window 10*10*27*10 + 3*3*90*16 + 144*32 + 32*5 of them.
    assert pnet(12, 12) == 2 * (27_000 + 12_960 + 4_608 + 160)
    assert [round(one() / 1e6, 1) for one in (rnet, onet)] == [3.1, 25.8]
    assert 0.8e9 < sface() < 1.3e9


def test_work_is_counted_by_network_and_precision() -> None:
    counted = work_gflop({("rnet", "bf16", 24, 24): 3, ("rnet", "f32", 24, 24): 1, ("onet", "f32", 48, 48): 1})
    assert counted["rnet"]["bf16"] == pytest.approx(3 * counted["rnet"]["f32"])
    assert list(counted["onet"]) == ["f32"]
