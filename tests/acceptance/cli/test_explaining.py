"""``annotator explain`` on drawn and real media, in this process, with the starter model."""

import json
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from annotator.cli import run_command
from annotator.store.store import Store

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "explaining.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"[<>]?\d+(\.\d+)?")

pytestmark = [pytest.mark.shared, pytest.mark.slow]


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        (line,) = self.out.splitlines()
        told: dict[str, Any] = json.loads(line)
        return told


Run = Callable[..., Said]


@pytest.fixture
def run(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in an empty folder, as a user who has no database yet."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def run_it(*arguments: object) -> Said:
        capsys.readouterr()
        code = run_command([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run_it


def without_numbers(said: str) -> list[str]:
    return [" ".join(NUMBER.sub("N", line).split()) for line in said.splitlines()]


def test_the_documented_command_says_what_is_documented(run: Run, clips: Path) -> None:
    ((command, promised),) = re.findall(r"```bash\nannotator (.*)\n```\n\n```text\n(.*?)```", DOCUMENT, re.DOTALL)
    Path("demo").mkdir()
    Path("demo/clips").symlink_to(clips)
    said = run(*shlex.split(command))
    assert said.code == 0
    assert without_numbers(said.out) == without_numbers(promised)
    assert said.err == "The page with the faces is astronaut.gif.explained.html.\n"
    page = Path("astronaut.gif.explained.html").read_text(encoding="utf-8")
    assert page.count("<article") == 1
    assert "Unknown: the nearest person, Jeanne Shaheen" in page
    assert not (Path("..") / "data").exists()  # nothing was saved, no database was made


def test_the_keys_are_those_that_are_documented(run: Run, clips: Path) -> None:
    told = run("explain", clips / "two_people.gif", "--json").json
    documented = set(re.findall(r"`([a-z_0-9]+)`", DOCUMENT))
    assert set(told) <= documented
    (first, _) = told["tracks"]
    assert set(first) <= documented
    assert {*first["faces"][0], *first["candidates"][0], *first["at_rates"][0], *first["at_priors"][0]} <= documented
    assert list(Path().iterdir()) == []  # with --json the page is written only where --html says


@pytest.mark.parametrize("clip", ["giphy_example.gif", "short_hamilton_clip.mp4"])
def test_the_numbers_of_a_real_clip_are_those_of_its_labels(run: Run, shared_data: Path, clip: str) -> None:
    path = shared_data / "clips" / clip
    annotated = run("annotate", path, "--json", "--no-save").json
    explained = run("explain", path, "--json").json
    for name in ("media", "status", "model", "duration_ms", "frames_sampled", "faces"):
        assert explained[name] == annotated[name]
    assert any(track["identity"] for track in annotated["tracks"])
    for line, track in zip(annotated["tracks"], explained["tracks"], strict=True):
        assert (track["track"], track["identity"]) == (line["track"], line["identity"])
        assert (track["start_ms"], track["end_ms"]) == (line["start_ms"], line["end_ms"])
        assert [face["xyxy"] for face in track["faces"]] == [box["xyxy"] for box in line["boxes"]]
        assert (track["verdict"] == "known") == (line["identity"] is not None)
        near = [(one["identity"], round(one["confidence"], 4)) for one in track["candidates"]]
        assert near[:5] == [(one["identity"], one["confidence"]) for one in line["candidates"]]
        assert (track["verdict"] == "known") == (
            track["score"] >= track["min_score"] and any(face["use"] == "used" for face in track["faces"])
        )
        for one in track["candidates"]:
            score = one["cosine"] - 0.5 * (one["track_level"] + one["identity_level"])
            assert score == pytest.approx(one["score"], abs=2e-6)


def test_one_track_has_a_page_of_its_own(run: Run, clips: Path) -> None:
    said = run("explain", clips / "two_people.gif", "--track", 1, "--html", "out/why.html")
    assert said.code == 0
    page = Path("out/why.html").read_text(encoding="utf-8")
    assert 'id="track-1"' in page
    assert 'id="track-0"' not in page
    assert "(1 more in this media)" in page
    missing = run("explain", clips / "two_people.gif", "--track", 2)
    assert (missing.code, missing.out) == (2, "")
    assert missing.err.endswith("two_people.gif has tracks 0 to 1\n")


def test_people_of_the_database_count_and_the_digests_are_those_of_its_rows(
    run: Run, clips: Path, portraits: Path
) -> None:
    url = "sqlite:///own.db"
    assert run("explain", clips / "astronaut.gif", "--database", url).code == 2
    assert not Path("own.db").exists()
    assert run("enroll", "Eileen <Collins>", portraits / "collins.png", "--database", url).code == 0
    assert run("annotate", clips / "astronaut.gif", "--database", url).code == 0
    told = run("explain", clips / "astronaut.gif", "--database", url, "--json", "--html", "page.html").json
    (track,) = told["tracks"]
    assert (track["verdict"], track["identity"]) == ("known", "Eileen <Collins>")
    assert track["candidates"][0]["photographs"] == 1
    assert "Eileen &lt;Collins&gt;" in Path("page.html").read_text(encoding="utf-8")
    with Store.open(url) as store, store.reading() as connection:
        rows = connection.execute(
            text("SELECT l.digest, n.digest FROM labellings l JOIN networks n ON n.id = l.network_id")
        )
        assert (told["labelling_digest"], told["network_digest"]) in {tuple(row) for row in rows}
    alone = run("explain", clips / "astronaut.gif", "--no-database", "--json").json
    assert alone["tracks"][0]["identity"] is None
    assert (alone["database"], alone["people"]) == (None, told["people"] - 1)


def test_what_cannot_be_explained_is_one_line_and_no_page(run: Run, clips: Path) -> None:
    several = run("explain", clips)
    assert several.code == 2
    assert f"there are 4 media in {clips}: give one file or address" in several.err
    Path("empty").mkdir()
    assert "there is no media in empty" in run("explain", "empty").err
    Path("broken.gif").write_bytes(b"GIF89a and no more")
    broken = run("explain", "broken.gif")
    assert (broken.code, broken.out) == (1, "")
    assert broken.err.startswith("broken.gif: ")
    secret = run("explain", "http://ann:hunter2@clips.example/x.gif?token=f00d")
    assert secret.code == 1
    assert secret.err.startswith("http://ann:***@clips.example/x.gif?token=***: ")
    assert "hunter2" not in secret.err
    assert [path.name for path in Path().iterdir() if path.suffix == ".html"] == []


def test_a_media_without_a_face_has_a_page_whatever_it_is_called(run: Run) -> None:
    name = os.fsdecode(b"caf\xe9 <i>.png")
    Image.fromarray(np.full((120, 160, 3), 90, np.uint8)).save("plain.png")
    Path("plain.png").rename(name)
    said = run("explain", name)
    assert (said.code, said.out) == (0, "no face was found\n")
    (page,) = [path for path in Path().iterdir() if path.name.endswith(".explained.html")]
    told = page.read_text(encoding="utf-8")
    assert "No face was found" in told
    assert "&lt;i&gt;.png" in told
    assert run("explain", name, "--track", 0).code == 2
