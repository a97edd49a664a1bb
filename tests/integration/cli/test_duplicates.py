"""``annotator duplicates``, on both databases: the family of a media, all families, and their page."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotator.cli import run_command
from annotator.store import Store
from annotator.types import MediaRef
from tests.drawn_scenes import drawn_scene, fingerprint_of
from tests.store_values import ADA, SPEC, annotation, known, track

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "duplicates.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^    annotator (duplicates .*?)(?:   .*)?$", PAGE, re.MULTILINE)


@pytest.fixture
def clips(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose clips are annotated: one with Ada, its mirror image without a name, and another one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", database_url)
    scene = drawn_scene(1)
    scenes = {"x.gif": scene, "mirrored.gif": np.ascontiguousarray(scene[:, ::-1]), "other.gif": drawn_scene(2)}
    folder = tmp_path / "clips"
    with Store.open(database_url) as store:
        network_id = store.register_network(SPEC)
        labelling_id = store.register_labelling(network_id, model="test@1", digest="d", photographs={ADA: 3})
        for content, (name, picture) in enumerate(scenes.items(), start=1):
            media = MediaRef(name, (folder / name).as_uri())
            named = {"tracks": [track(0)], "labels": [known(ADA)]} if name == "x.gif" else {}
            found = replace(annotation(media, content=content, **named), fingerprint=fingerprint_of(picture))
            store.save([found], network_id=network_id, labelling_id=labelling_id)
    return folder


def test_the_family_of_a_media_says_who_is_in_it_and_why(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["duplicates", "clips/mirrored.gif", "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["media"] == "clips/mirrored.gif"
    assert line["contents"] == 2
    first, second = line["members"]
    assert first == {"media": (clips / "x.gif").as_uri(), "like": None, "likeness": None, "changes": []}
    assert (second["media"], second["like"]) == ((clips / "mirrored.gif").as_uri(), first["media"])
    assert second["changes"] == ["mirrored"]
    assert second["likeness"] > 0.95
    assert line["people"] == [{"name": ADA.name, "confidence": 0.97, "contents": 1}]


def test_all_families_are_one_table_or_a_line_each(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clips.name == "clips"
    assert run_command(["duplicates", "--all", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert [member["changes"] for member in json.loads(line)["members"]] == [[], ["mirrored"]]
    assert run_command(["duplicates", "--all"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "first" in told
    assert "Ada Lovelace 97 % (in 1 of 2)" in told


def test_a_clip_of_its_own_has_no_family(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clips.name == "clips"
    assert run_command(["duplicates", "clips/other.gif"]) == 0
    assert "is not another clip made anew" in " ".join(capsys.readouterr().err.split())
    assert run_command(["duplicates", "clips/other.gif", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "media": "clips/other.gif",
        "family": None,
        "members": [],
        "people": [],
    }


def test_what_is_not_in_the_database_and_a_wrong_call_are_told(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clips.name == "clips"
    assert run_command(["duplicates", "clips/unknown.gif"]) != 0
    assert "is not in the database" in " ".join(capsys.readouterr().err.split())
    assert run_command(["duplicates"]) == 2
    assert run_command(["duplicates", "clips/x.gif", "--all"]) == 2


def test_what_the_page_shows_can_be_typed(clips: Path) -> None:
    assert clips.name == "clips"
    assert len(SHOWN) == 2
    assert [run_command(shlex.split(line)) for line in SHOWN] == [0, 0]
