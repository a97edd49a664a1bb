"""docs/performance-gpu.md is what ``benchmarks.speed.gpu`` makes of benchmarks/results-gpu.json, and nothing else."""

from typing import Any

from benchmarks.speed.gpu_page import WORK, load, page
from benchmarks.speed.places import GPU_PAGE


def results(**changes: Any) -> dict[str, Any]:
    """Return results as they stand in the file."""
    line = {"per_s": 1234.5, "count": 200, "turns": 3, "seconds": 1.0, "cores": 2.5, "gpu_busy": 0.34, "gpu_mib": 3400}
    machine = {"processor": "P", "cores": 16, "memory_gb": 8.0, "system": "Linux", "python": "3.11"}
    told = {"date": "2026-01-02", "commit": "abc", "quick": False, "device": "gpu", "gpu": "NVIDIA H100 (driver 1)"}
    lines = {name: dict(line) for name in WORK}
    where = {"machine": machine, "versions": {"tensorflow": "2.21.0"}, "ready_s": 30.5}
    return {**told, **where, "lines": lines, "decode_cores": 4.1, **changes}


def test_the_page_is_what_is_made_of_the_results() -> None:
    measured = load()
    assert GPU_PAGE.read_text(encoding="utf-8") == page(measured), "make it anew: python -m benchmarks.speed.gpu_page"
    assert measured is None or (measured["device"], measured["quick"]) == ("gpu", False), "a trial is not kept"


def test_without_results_the_page_says_so_and_what_measures_them() -> None:
    told = page(None)
    assert "**It was not measured on a GPU yet.**" in told
    assert "`make bench-gpu` makes an\nenvironment" in told
    assert "| work |" not in told
    assert "{{" not in told


def test_the_page_shows_each_line_the_processors_that_must_decode_and_the_machine() -> None:
    told = page(results())
    assert "{{" not in told
    assert "in float32, as those of photographs are | 1,234 faces | 2.5 | 34 % | 3,400 MiB |" in told
    assert "No more than 4.1 could be of use to it: searching alone, with use of time, it does 1,234 frames" in told
    assert "NVIDIA H100 (driver 1), beside 16 processors (P)" in told
    assert "trial" not in told.split("## How it is measured")[0]


def test_so_many_must_decode_as_clips_go_the_whole_way_at_the_measured_rate() -> None:
    given = results()
    given["lines"]["clips"] |= {"per_s": 30.0, "count": 50, "cores": 4.5, "gpu_busy": 0.07}
    given["lines"]["decode"] |= {"per_s": 160.0, "count": 750}
    told = page(given)
    assert (
        "**2.8 processors must decode for one worker on such a GPU, as clips go the whole way**: 30.0 clips a second"
        in told
    )
    assert "are 450 sampled frames, and a processor decodes 160." in told
    assert "4.5 processors are busy, and of the GPU 7 %." in told


def test_several_processes_are_rows_with_their_machine_and_held_against_the_fewest() -> None:
    line = {"per_s": 20.0, "count": 69, "turns": 3, "seconds": 7.0, "cores": 3.0, "gpu_busy": 0.06, "gpu_mib": 5000}
    lines = [{"processes": 1, "decoders": 16, **line}, {"processes": 4, "decoders": 4, **line, "per_s": 57.0}]
    given = results()
    told = page({**given, "side_by_side": {**given, "date": "2026-01-03", "commit": "def", "lines": lines}})
    assert "| 4, 4 decoders in each | 57.0 clips | 3.0 | 6 % | 5,000 MiB |" in told
    assert "4 processes together do 2.9 times as many clips as 1." in told
    assert "Measured on 2026-01-03, commit `def`" in told
    assert "{{" not in told


def test_where_several_processes_were_not_measured_the_page_says_so() -> None:
    for one in (results(), None):
        assert "How much several of them do together was not measured." in page(one)


def test_a_trial_on_processors_says_that_it_is_one_and_has_no_figures_of_a_gpu() -> None:
    given = results(device="cpu", gpu=None)
    for line in given["lines"].values():
        del line["gpu_busy"], line["gpu_mib"]
    told = page(given)
    assert "A trial on processors" in told
    assert "| embedding 200 faces in float16, as those of clips are | 1,234 faces | 2.5 |  |  |" in told
