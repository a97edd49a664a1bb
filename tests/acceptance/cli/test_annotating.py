"""The command line on drawn and real media, in this process, with the starter model."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from annotator.cli import run_command
from annotator.demo.portraits import load_portrait

pytestmark = [pytest.mark.shared, pytest.mark.slow]

Annotate = Callable[..., tuple[int, dict[str, dict[str, object]], str]]


@pytest.fixture
def annotate(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Annotate:
    """Run `annotator annotate --json` with a database of its own; gives exit code, lines by media, and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    def run(*arguments: object) -> tuple[int, dict[str, dict[str, object]], str]:
        code = run_command(["annotate", *map(str, arguments), "--json"])
        said = capsys.readouterr()
        lines = [json.loads(line) for line in said.out.splitlines()]
        return code, {line["media"]: line for line in lines}, said.err

    return run


def names(line: dict[str, object]) -> list[str]:
    labels = line["labels"]
    assert isinstance(labels, list)
    return sorted(label["identity"] for label in labels)


def confidence(line: dict[str, object]) -> float:
    labels = line["labels"]
    assert isinstance(labels, list)
    return float(labels[0]["confidence"])


def test_the_second_run_says_the_same_without_decoding(annotate: Annotate, clips: Path) -> None:
    code, first, _ = annotate(clips)
    assert code == 0
    assert {media: names(line) for media, line in first.items()} == {
        "astronaut.gif": [],
        "pan.gif": ["Barack Obama"],
        "three_shots.mp4": ["Barack Obama", "Joe Biden"],
        "two_people.gif": ["Barack Obama", "Joe Biden"],
    }
    assert annotate(clips)[:2] == (0, first)


def test_names_are_given_under_the_prior_and_from_the_confidence_that_are_asked_for(
    annotate: Annotate, clips: Path
) -> None:
    _, first, _ = annotate(clips / "pan.gif")
    code, surer, said = annotate(clips / "pan.gif", "--prior", "0.001", "--min-precision", "0.9")
    model = "starter@1+prior=0.001+min-precision=0.9"
    (line,), (sure_line,) = first.values(), surer.values()
    assert (code, sure_line["model"], names(sure_line)) == (0, model, ["Barack Obama"])
    assert 0.9 <= confidence(sure_line) < confidence(line)
    assert f"1 names in 1 by {model}" in said
    assert annotate(clips / "pan.gif")[:2] == (0, first)


def test_a_broken_clip_fails_alone(annotate: Annotate, clips: Path, tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "broken.gif").write_bytes(b"GIF89a and no more")
    (tmp_path / "media" / "pan.gif").symlink_to(clips / "pan.gif")
    code, lines, _ = annotate(tmp_path / "media")
    assert code == 1
    assert lines["broken.gif"]["status"] == "failed"
    assert lines["broken.gif"]["reason"]
    assert names(lines["pan.gif"]) == ["Barack Obama"]


def test_a_source_that_is_not_there_is_usage(annotate: Annotate) -> None:
    code, lines, said = annotate("no-such-folder")
    assert (code, lines) == (2, {})
    assert said.startswith("annotator: ")
    assert "no-such-folder" in said
    assert said.count("\n") == 1


def test_a_person_is_enrolled_and_found_without_decoding(
    annotate: Annotate, clips: Path, portraits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotate(clips / "astronaut.gif")
    assert run_command(["enroll", "Eileen Collins", str(portraits / "collins.png")]) == 0
    assert "Eileen Collins is known now, from 1 photograph" in capsys.readouterr().out
    assert run_command(["enroll", "Eileen Collins", str(portraits / "collins.png")]) == 0
    assert "was known already; 1 photograph enrolled here counts, too" in capsys.readouterr().out
    assert run_command(["search", "eileen collins", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["identity"], one["media_uri"]) for one in found] == [
        ("Eileen Collins", (clips / "astronaut.gif").as_uri())
    ]
    _, lines, _ = annotate(clips / "astronaut.gif")
    (line,) = lines.values()
    assert names(line) == ["Eileen Collins"]
    assert str(line["model"]).startswith("starter@1+")


@pytest.mark.parametrize(
    ("photograph", "words"),
    [
        ("nobody", "shows no clear face"),
        ("two", "shows 2 faces"),
        ("obama", "Barack Obama"),
        ("missing", "There is no photograph"),
    ],
)
def test_a_photograph_that_cannot_stand_for_a_person_is_refused(  # noqa: PLR0917 - fixtures
    photograph: str,
    words: str,
    annotate: Annotate,
    portraits: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert annotate is not None
    obama, collins = load_portrait(portraits / "obama.jpg"), load_portrait(portraits / "collins.png")
    both = Image.new("RGB", (1024, 512))
    both.paste(collins, (0, 0))
    both.paste(obama.resize((400, 500)), (512, 0))
    pictures = {"nobody": Image.new("RGB", (300, 300)), "two": both, "obama": obama}
    path = tmp_path / f"{photograph}.png"
    if photograph in pictures:
        pictures[photograph].save(path)
    assert run_command(["enroll", "Somebody New", str(path)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_what_was_found_is_drawn(annotate: Annotate, clips: Path, tmp_path: Path) -> None:
    code, lines, _ = annotate(clips, "--render", tmp_path / "out")
    assert code == 0
    drawn = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert drawn == sorted([*lines, *(f"{media}.faces.png" for media in lines)])
    with Image.open(clips / "pan.gif") as source, Image.open(tmp_path / "out" / "pan.gif") as rendered:
        assert source.size == rendered.size
        assert getattr(source, "n_frames", 1) == getattr(rendered, "n_frames", 1)


def test_redacted_clips_show_no_face_any_more(annotate: Annotate, clips: Path, tmp_path: Path) -> None:
    _, before, _ = annotate(clips / "pan.gif", "--redact", "all", "--render", tmp_path / "out")
    _, after, _ = annotate(tmp_path / "out" / "pan.gif", "--all", "--no-save")
    assert before[str(clips / "pan.gif")]["faces"]
    assert [line["faces"] for line in after.values()] == [0]


def test_only_the_faces_of_the_name_are_hidden(annotate: Annotate, clips: Path, tmp_path: Path) -> None:
    wish = ["--redact", "barack  OBAMA", "--render", tmp_path / "out"]
    _, before, _ = annotate(clips / "two_people.gif", *wish)
    _, after, _ = annotate(tmp_path / "out" / "two_people.gif", "--all", "--no-save")
    (left,) = [names(line) for line in after.values()]
    assert "Barack Obama" in names(before[str(clips / "two_people.gif")])
    assert left == [name for name in names(before[str(clips / "two_people.gif")]) if name != "Barack Obama"]
    assert left


def test_a_name_that_hides_nobody_is_refused_before_anything_is_drawn(
    annotate: Annotate, clips: Path, tmp_path: Path
) -> None:
    for further in ([], ["--no-save"]):
        code, _, said = annotate(clips / "pan.gif", "--redact", "Barak Obamma", "--render", tmp_path / "out", *further)
        assert code == 2
        assert "nobody" in said
    assert not (tmp_path / "out").exists()
    assert annotate(clips / "pan.gif", "--redact", "all")[0] == 2


def test_nothing_is_written_without_saving(annotate: Annotate, clips: Path, tmp_path: Path) -> None:
    annotate(clips / "pan.gif", "--no-save")
    assert not list(tmp_path.rglob("*.db"))
