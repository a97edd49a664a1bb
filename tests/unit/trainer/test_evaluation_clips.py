from pathlib import Path

import pytest

from annotator.errors import ConfigError
from trainer.evaluation.clips import judge, tell_clips
from trainer.evaluation.truth import ClipTruth, read_truth
from trainer.problems import ProblemsError

KNOWN = ("Ann", "Bob", "Cid")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.gif", "b.gif"):
        (folder / name).touch()
    return folder


def written(clips: Path, text: str) -> Path:
    path = clips.parent / "truth.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_names_are_right_wrong_or_missed() -> None:
    truth = ClipTruth("a.gif", {"Ann": (), "Bob": (), "Eve": ()})
    outcome = judge(truth, {"Ann": [(0, 100)], "Cid": [(0, 50)]}, KNOWN)
    assert outcome.right == ("Ann",)
    assert outcome.wrong == ("Cid",)
    assert outcome.missed == ("Bob",)
    assert outcome.not_known == ("Eve",)
    assert outcome.unjudged == ()


def test_where_nobody_is_known_for_certain_a_name_is_not_judged() -> None:
    outcome = judge(ClipTruth("a.gif", {}), {"Ann": [(0, 100)]}, KNOWN)
    assert outcome.wrong == ()
    assert outcome.unjudged == ("Ann",)


def test_a_name_at_another_time_is_wrong_and_the_person_missed() -> None:
    truth = ClipTruth("a.mp4", {"Ann": [(1000, 2000)], "Bob": [(0, 1000)]})
    outcome = judge(truth, {"Ann": [(0, 1000)], "Bob": [(500, 1500)]}, KNOWN)
    assert outcome.right == ("Bob",)
    assert outcome.wrong == ("Ann",)
    assert outcome.missed == ("Ann",)
    assert outcome.seen_share == {"Ann": 0.0, "Bob": 0.5}


def test_times_named_twice_count_once() -> None:
    truth = ClipTruth("a.mp4", {"Ann": [(0, 1000), (2000, 3000)]})
    outcome = judge(truth, {"Ann": [(0, 500), (250, 750), (1500, 2500)]}, KNOWN)
    assert outcome.seen_share == {"Ann": 0.625}


def test_counts_are_summed_up_over_clips() -> None:
    ann = ClipTruth("a.gif", {"Ann": ()})
    told = tell_clips([judge(ann, {"Ann": [(0, 1)]}, KNOWN), judge(ann, {"Bob": [(0, 1)]}, KNOWN)])
    assert (told["right"], told["wrong"], told["missed"]) == (1, 1, 1)
    assert told["recall"][0] == told["precision"][0] == 0.5


def test_the_truth_may_have_times_or_not_and_columns_of_others(clips: Path) -> None:
    path = written(
        clips,
        "file,people,start_ms,end_ms,note\na.gif,Ann;Bob,0,100,x\na.gif,Ann,200,300,\nb.gif,,,,nobody sure\n",
    )
    assert read_truth(path, clips) == [
        ClipTruth("a.gif", {"Ann": [(0, 100), (200, 300)], "Bob": [(0, 100)]}),
        ClipTruth("b.gif", {}),
    ]
    assert read_truth(written(clips, "file,people\nb.gif,50_Cent\n"), clips)[0].people == {"50 Cent": []}


def test_all_that_is_wrong_is_told_in_one_go_with_its_line(clips: Path) -> None:
    path = written(
        clips,
        "file,people,start_ms,end_ms\nc.gif,Ann,,\n../truth.csv,Ann,,\na.gif,Ann,300,200\na.gif,Ann,5,\nb.gif,Bob,,\n",
    )
    with pytest.raises(ProblemsError) as caught:
        read_truth(path, clips)
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4, 5]


@pytest.mark.parametrize("text", ["name,people\na.gif,Ann\n", 'file,people\n"a.gif,Ann\n', ""])
def test_what_is_no_truth_is_one_line(clips: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"truth\.csv"):
        read_truth(written(clips, text), clips)


def test_a_truth_that_is_not_there_is_one_line(clips: Path) -> None:
    with pytest.raises(ConfigError, match="who is seen"):
        read_truth(clips / "none.csv", clips)
