"""``annotator correct`` and ``annotator corrections`` on both databases, and their page."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from annotator.cli import run_command
from annotator.cli.session import Saving, annotate_media
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.store import Store
from annotator.types import FaceTrack, MediaAnnotation, MediaRef
from tests.deploy.command_lines import complaints_of_line
from tests.made_up_bundles import EMBEDDER, track_of, write_made_up_bundle
from tests.store_values import annotation, track

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "corrections.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^    (annotator .*?)(?:  .*)?$", PAGE, re.MULTILINE)
CLIP, OTHER = "s3://gifs/clip.gif", "s3://gifs/other.gif"


def face_of(person: int, number: int, *, seed: int, x: float = 0.0) -> FaceTrack:
    """Return a track of a person, beside the others of its clip."""
    left = x + 100.0 * number
    return replace(
        track(number),
        boxes_xyxy=np.array([[left, 10, left + 60, 90]] * 3, np.float32),
        evidence=track_of(person, seed=seed),
        best_faces=np.zeros((3, 112, 112, 3), np.uint8),
    )


def annotated(uri: str, content: int, tracks: Sequence[FaceTrack], identifier: Identifier) -> MediaAnnotation:
    labels = identifier.identify([one.evidence for one in tracks])
    return annotation(MediaRef(uri, uri), content=content, tracks=tracks, labels=labels)


@pytest.fixture
def identifier(tmp_path: Path) -> Identifier:
    return Identifier(Gallery.from_bundle(write_made_up_bundle(tmp_path / "model")))


@pytest.fixture
def saving(database_url: str, identifier: Identifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saving:
    """Where two clips are annotated: one of a known person and a stranger, one of the same stranger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", database_url)
    monkeypatch.setenv("ANNOTATOR_MODEL", str(tmp_path / "model"))
    store = Store.open(database_url)
    network_id = store.register_network({"embedder": EMBEDDER, "sampling": "even"})
    labelling_id = store.register_labelling(
        network_id,
        model=identifier.model,
        digest=identifier.digest,
        photographs=identifier.photographs,
        calibration=identifier.calibration.to_json(),
    )
    outcomes = [
        annotated(CLIP, 1, [face_of(3, 0, seed=1), face_of(50, 1, seed=2)], identifier),
        annotated(OTHER, 2, [face_of(50, 0, seed=3)], identifier),
    ]
    store.save(outcomes, network_id=network_id, labelling_id=labelling_id)
    return Saving(store, network_id, labelling_id)


class Said:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        self._capsys.readouterr()
        assert run_command(list(arguments)) == code
        said = self._capsys.readouterr()
        return said.out, said.err

    def lines(self, *arguments: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self(*arguments, "--json")[0].splitlines()]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return Said(capsys)


def known(identifier: Identifier) -> str:
    (label,) = identifier.identify([track_of(3, seed=1)])
    assert label.identity is not None
    return label.identity.name


@pytest.mark.usefixtures("saving")
def test_a_name_is_given_taken_away_and_found_again(said: Said, identifier: Identifier) -> None:
    name = known(identifier)
    assert said("correct", CLIP, "--track", "0", "--not", name)[0] == (
        f"track 0 of {CLIP} (0.0-0.3 s) is unknown now, and was {name}\n"
    )
    assert said.lines("search", name) == []
    assert said.lines("correct", CLIP, "--track", "1", "--is", "Eileen Collins", "--new") == [
        {"media": CLIP, "track": 1, "before": None, "now": "Eileen Collins", "withdrawn": 0}
    ]
    assert [(one["media_uri"], one["confidence"]) for one in said.lines("search", "eileen collins")] == [(CLIP, 1.0)]
    out, err = said("correct", CLIP, "--track", "0", "--withdraw")
    assert out == f"track 0 of {CLIP} (0.0-0.3 s) is {name} now, and was unknown\n"
    assert "1 word was withdrawn" in err
    assert [one["media_uri"] for one in said.lines("search", name)] == [CLIP]


@pytest.mark.usefixtures("saving")
def test_counts_follow_at_the_end_of_the_command(said: Said, saving: Saving) -> None:
    said("correct", CLIP, "--track", "1", "--is", "Eileen Collins", "--new")
    with saving.store.reading() as connection:
        counted = connection.execute(text("SELECT identity, media, screen_time_ms FROM identity_counts")).all()
    assert ("Eileen Collins", 1, 300) in counted


@pytest.mark.usefixtures("saving")
def test_the_query_of_the_page_finds_what_was_said(said: Said, saving: Saving) -> None:
    (query,) = re.findall(r"^    (SELECT .*)$", PAGE, re.MULTILINE)
    said("correct", CLIP, "--track", "1", "--is", "Eileen Collins", "--new")
    with saving.store.reading() as connection:
        rows = [tuple(row)[:4] for row in connection.execute(text(query))]
    assert rows == [(CLIP, 1, "is", "Eileen Collins")]


@pytest.mark.usefixtures("saving")
def test_the_list_tells_what_holds_and_what_waits(said: Said, saving: Saving, identifier: Identifier) -> None:
    assert "`annotator correct` says it" in said("corrections")[1]
    said("correct", CLIP, "--track", "1", "--is", "Eileen Collins", "--new")
    said("correct", CLIP, "--track", "1", "--is", known(identifier))
    (one,) = said.lines("corrections")
    assert (one["media_uri"], one["track"], one["verdict"], one["identity"]) == (CLIP, 1, "is", known(identifier))
    assert [one["overtaken"] for one in said.lines("corrections", "--all")] == [True, False]
    assert "overtaken by a newer word" in said("corrections", "--all")[0]
    assert "finds its track" in said("corrections", "--unmatched")[1]
    moved = annotated(CLIP, 1, [face_of(3, 0, seed=1, x=500.0)], identifier)
    saving.store.save([moved], network_id=saving.network_id, labelling_id=saving.labelling_id, refresh=True)
    assert [one["unmatched"] for one in said.lines("corrections", "--unmatched")] == ["no track is there any more"] * 2
    assert "no track is there any more" in said("corrections")[0]


@pytest.mark.usefixtures("saving")
def test_tracks_that_are_somebody_become_evidence_and_find_others(said: Said) -> None:
    said("correct", CLIP, "--track", "1", "--is", "Eileen Collins", "--new")
    assert [one["media_uri"] for one in said.lines("search", "Eileen Collins")] == [CLIP]
    out, err = said("corrections", "--enroll")
    assert out == "1 track counts as evidence of Eileen Collins now\n"
    assert "2 contents have been compared" in err
    assert [one["media_uri"] for one in said.lines("search", "Eileen Collins")] == [CLIP, OTHER]
    assert "Nothing new" in said("corrections", "--enroll")[1]
    (person,) = [one for one in said.lines("identities") if one["identity"] == "Eileen Collins"]
    assert (person["enrolled"], person["media"]) == (1, 2)


def test_small_faces_become_no_evidence_and_it_is_said_what_would(
    said: Said, saving: Saving, identifier: Identifier
) -> None:
    face = face_of(40, 0, seed=0)
    small = replace(face, evidence=replace(face.evidence, face_px=np.full_like(face.evidence.face_px, 63)))
    one = annotated(CLIP, 1, [small], identifier)
    saving.store.save([one], network_id=saving.network_id, labelling_id=saving.labelling_id, refresh=True)
    said("correct", CLIP, "--track", "0", "--is", "Eileen Collins", "--new")
    _, err = said("corrections", "--enroll")
    assert "1 tracks are not enrolled: their faces are under 64 pixels" in err
    assert "`annotator enroll NAME PHOTO…`" in err


def drawn_clip(path: Path) -> str:
    """Draw three frames, red, green and blue, and return the digest of the file."""
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    first, *others = [Image.new("RGB", (320, 240), colour) for colour in colours]
    first.save(path, save_all=True, append_images=others, duration=100)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def corrected_clip(said: Said, saving: Saving, identifier: Identifier, tmp_path: Path) -> tuple[Path, str]:
    """A clip of which somebody has said who its two tracks are: one and the same person; the second is the best."""
    path = tmp_path / "three.gif"
    sha256 = drawn_clip(path)
    faces = [
        replace(face_of(50, number, seed=number), quality=np.array(quality, np.float32))
        for number, quality in enumerate([(0.2, 0.3, 0.4), (0.3, 0.9, 0.1)])
    ]
    outcome = replace(annotated(path.as_uri(), 9, faces, identifier), content_sha256=sha256)
    saving.store.save([outcome], network_id=saving.network_id, labelling_id=saving.labelling_id)
    said("correct", str(path), "--track", "0", "--is", "Eileen Collins", "--new")
    said("correct", str(path), "--track", "1", "--is", "Eileen Collins")
    return path, sha256


def test_a_photograph_of_who_somebody_is_goes_to_the_trainer_and_away_with_the_word(
    said: Said, corrected_clip: tuple[Path, str], tmp_path: Path
) -> None:
    path, sha256 = corrected_clip
    mine = tmp_path / "raw" / "Eileen_Collins_[m.0k9]" / "corrected-mine.png"
    mine.parent.mkdir(parents=True)
    Image.new("RGB", (200, 200)).save(mine)
    export = ("corrections", "--export", str(tmp_path / "raw"), "--whole")
    assert said(*export)[0].startswith("1 photographs of 1 people, from 1 tracks, are in")
    (written,) = [one for one in (tmp_path / "raw").rglob("*.png") if one != mine]
    assert written == mine.with_name(f"corrected-{sha256[:12]}-100ms.png"), "in the folder that the person has"
    with Image.open(written) as picture:
        assert (picture.size, picture.getcolors()) == ((140, 130), [(140 * 130, (0, 255, 0))])
    before = written.stat().st_mtime_ns
    assert said(*export)[0].startswith("1 photographs")
    assert written.stat().st_mtime_ns == before
    said("correct", str(path), "--track", "0", "--withdraw")
    said("correct", str(path), "--track", "1", "--withdraw")
    out, err = said(*export)
    assert out.startswith("0 photographs")
    assert "Nobody has said yet who somebody is" in err
    assert sorted((tmp_path / "raw").rglob("*.png")) == [mine]


def test_a_clip_that_has_changed_gives_no_photograph(
    said: Said, corrected_clip: tuple[Path, str], tmp_path: Path
) -> None:
    Image.new("RGB", (320, 240), (9, 9, 9)).save(corrected_clip[0])
    assert "has changed since the face was seen" in said("corrections", "--export", "raw", "--whole", code=1)[1]
    assert list((tmp_path / "raw").rglob("*.*")) == []


def test_media_that_cannot_be_read_are_no_failure_where_it_is_said_so(
    said: Said, corrected_clip: tuple[Path, str]
) -> None:
    corrected_clip[0].unlink()
    told = said("corrections", "--export", "raw", "--whole", "--missing-ok")
    assert told[0].startswith("0 photographs")
    assert corrected_clip[0].name in told[1]


def test_who_is_not_somebody_after_all_has_no_photograph_and_leaves_no_empty_folder(
    said: Said, corrected_clip: tuple[Path, str], saving: Saving, identifier: Identifier
) -> None:
    export = ("corrections", "--export", "raw", "--whole")
    assert said(*export)[0].startswith("1 photographs")
    for track_no in ("0", "1"):
        said("correct", str(corrected_clip[0]), "--track", track_no, "--not", "Eileen Collins")
    elsewhere = annotated(corrected_clip[0].as_uri(), 9, [face_of(50, 0, seed=0, x=900.0)], identifier)
    moved = replace(elsewhere, content_sha256=corrected_clip[1])
    saving.store.save([moved], network_id=saving.network_id, labelling_id=saving.labelling_id, refresh=True)
    assert len(said.lines("corrections", "--unmatched")) == 4
    assert said(*export)[0].startswith("0 photographs")
    assert list(Path("raw").iterdir()) == []


class Drawn:
    """Stands for the pipeline: gives what it was given."""

    def __init__(self, identifier: Identifier, outcome: MediaAnnotation) -> None:
        self.identify = identifier.identify
        self._outcome = outcome

    def annotate(self, _refs: object) -> list[MediaAnnotation]:
        return [self._outcome]


def test_what_is_annotated_anew_is_told_and_drawn_as_it_was_corrected(
    said: Said, saving: Saving, identifier: Identifier
) -> None:
    said("correct", CLIP, "--track", "0", "--is", "Eileen Collins", "--new")
    outcome = annotated(CLIP, 1, [face_of(3, 0, seed=1), face_of(50, 1, seed=2)], identifier)
    drawn = Drawn(identifier, outcome)
    (told,) = annotate_media(drawn, [outcome.media], saving=saving, is_refreshed=True)  # type: ignore[arg-type]
    assert [one.identity.name for one in told.result.labels] == ["Eileen Collins"]
    assert told.annotation is not None
    assert [label.identity and label.identity.name for label in told.annotation.labels] == ["Eileen Collins", None]


@pytest.mark.usefixtures("saving")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["correct", CLIP, "--track", "0"], "give one of --is NAME, --not NAME and --withdraw"),
        (["correct", CLIP, "--track", "0", "--not", "X", "--new"], "--new goes with --is"),
        (["correct", CLIP, "--track", "9", "--is", "X", "--new"], "has no track 9: its tracks are 0, 1"),
        (["correct", "no.gif", "--track", "0", "--is", "X", "--new"], "no.gif is not annotated in this database"),
        (["correct", CLIP, "--track", "0", "--is", "Nobody At All"], "--new adds the person"),
        (["correct", CLIP, "--track", "0", "--withdraw"], "nothing was said of track 0"),
        (["corrections", "--enroll", "--export", "x"], "give --export or --enroll, not both"),
        (["corrections", "--enroll", "--all"], "go with the list"),
        (["corrections", "--whole"], "--whole goes with --export DIR"),
        (["corrections", "--missing-ok"], "--missing-ok goes with --export DIR"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(said: Said, arguments: list[str], words: str) -> None:
    assert words in said(*arguments, code=2)[1]


def test_every_command_of_the_page_can_be_typed() -> None:
    assert len(SHOWN) == 9
    assert [complaint for line in SHOWN for complaint in complaints_of_line(line)] == []
