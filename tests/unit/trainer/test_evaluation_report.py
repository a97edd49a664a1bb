import json
import re
from pathlib import Path

import pytest

from annotator.errors import ConfigError, InputError
from trainer.evaluation.html import report_html
from trainer.evaluation.plots import Axis, Series, plot
from trainer.evaluation.recognisers import Answer
from trainer.evaluation.report import Report, read_report
from trainer.evaluation.trial import Outcome, Trial

ANSWER = Answer(("Ann", "Bob"), (0.5, 0.25), True)


def made_report(name: str = "it") -> Report:
    known = Outcome(
        "a.jpg", "Ann", "f1", 80.0, ANSWER, Answer(("Ann",), (0.5,), None), Answer(("Bob",), (0.125,), None)
    )
    other = Outcome("b.jpg", "Bob", "f2", 120.0, Answer(("Ann",), (0.75,), True))
    stranger = Outcome("stranger:s.jpg", None, "stranger:s.jpg", 112.0, Answer((), (), False))
    return Report.of(Trial(name, "model", 2, (known, other), (stranger,)), remarks=["Mind the gap."])


def test_a_report_comes_back_as_it_was_written(tmp_path: Path) -> None:
    report = made_report()
    (tmp_path / "report.json").write_text(report.text(), encoding="utf-8")
    assert read_report(tmp_path) == report
    assert read_report(tmp_path / "report.json") == report


def test_measures_in_the_file_are_not_taken_on_trust(tmp_path: Path) -> None:
    document = made_report().to_json()
    document["measures"]["closed_set"]["top_1"] = [1.0, 1.0, 1.0]
    (tmp_path / "report.json").write_text(json.dumps(document))
    assert read_report(tmp_path).measures["closed_set"]["top_1"][0] == 0.5


def test_without_a_report_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="trainer evaluate"):
        read_report(tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.update(format=2),
        lambda document: document.pop("outcomes"),
        lambda document: document["outcomes"][0].update(names="Ann"),
        lambda document: document["outcomes"][0].update(names=[1, 2]),
        lambda document: document["outcomes"][0].update(scores=[0.5, "high"]),
        lambda document: document["outcomes"][0].update(scores=[0.5, float("nan")]),
        lambda document: document["outcomes"][0].update(is_named="yes"),
        lambda document: document["outcomes"].append(document["outcomes"][0]),
        lambda document: document.update(outcomes=7),
        lambda document: document.update(recogniser=None),
        lambda document: document.update(clips=[1]),
    ],
)
def test_what_is_no_report_is_one_line(tmp_path: Path, spoil: object) -> None:
    document = made_report().to_json()
    spoil(document)  # type: ignore[operator]
    (tmp_path / "report.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="evaluate anew"):
        read_report(tmp_path)


def test_a_file_that_is_no_json_or_nested_without_end_is_one_line(tmp_path: Path) -> None:
    for content in ("{", "[" * 100_000, '"text"', "null"):
        (tmp_path / "report.json").write_text(content)
        with pytest.raises(InputError, match="evaluate anew"):
            read_report(tmp_path)


def test_a_report_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.evaluation.report.MAX_REPORT_BYTES", 10)
    (tmp_path / "report.json").write_text(made_report().text())
    with pytest.raises(InputError, match="too large"):
        read_report(tmp_path)


def test_names_cannot_become_markup_and_nothing_is_fetched_from_elsewhere() -> None:
    name = '<script>alert("x")</script>'
    wrong = Outcome(name, "Bob", "f", 80.0, Answer((name,), (0.5,), True))
    clips = {"clips": 1, "recall": None, "precision": None, "outcomes": [clip_row(name)]}
    report = Report.of(Trial(name, "model", 2, (wrong,)), clips=clips, remarks=[name])
    page = report_html(report, {})
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)


def clip_row(name: str) -> dict[str, object]:
    kinds = ("right", "wrong", "missed", "not_known", "unjudged")
    return {"file": name, "failed": None, **dict.fromkeys(kinds, (name,))}


def test_the_page_shows_who_is_taken_for_whom_with_pictures(tmp_path: Path) -> None:
    from PIL import Image  # noqa: PLC0415 - here only

    Image.new("RGB", (112, 112), (200, 10, 10)).save(tmp_path / "face.png")
    page = report_html(made_report(), {"a.jpg": tmp_path / "face.png", "b.jpg": tmp_path / "face.png"})
    assert "Bob is taken for <strong>Ann</strong>" in page
    assert page.count("data:image/jpeg;base64,") == 2  # the wrong one, and Ann for comparison


def test_a_plot_puts_the_ends_of_a_line_at_the_ends_of_its_axes() -> None:
    drawing = plot(
        "p", Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0, is_share=True), [Series("s", [(0.0, 0.0), (1.0, 1.0)])]
    )
    assert 'd="M52.0 256.0L444.0 14.0"' in drawing
    assert ">100<" in drawing
    assert "nan" not in drawing


def test_ticks_are_round_and_within_the_axis() -> None:
    assert [text for _, text in Axis("score", 0.1, 1.2).ticks()] == ["0.2", "0.4", "0.6", "0.8", "1.0", "1.2"]
    assert [text for _, text in Axis("share", 0.0, 0.15, is_share=True).ticks()] == ["0", "5", "10", "15"]
    assert [value for value, _ in Axis("share", 0.9, 1.0, is_share=True).ticks()] == pytest.approx(
        [0.9, 0.92, 0.94, 0.96, 0.98, 1.0]
    )
    assert [text for _, text in Axis("score", -0.5, 0.5).ticks()] == ["-0.4", "-0.2", "0.0", "0.2", "0.4"]


def test_a_legend_stands_above_the_plot_and_leaves_out_lines_without_points() -> None:
    line = [(0.0, 0.0), (1.0, 1.0)]
    axis = Axis("x", 0.0, 1.0)
    drawing = plot("p", axis, axis, [Series("first", line), Series("none", []), Series("last", line)])
    assert 'viewBox="0 -32 460 332"' in drawing
    assert ">none<" not in drawing
    heights = [int(height) for height in re.findall(r'y="(-?[0-9]+)">(?:first|last)<', drawing)]
    assert heights == [-19, -3]
