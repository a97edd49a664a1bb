"""``annotator takedown``, on both databases: afterwards every store is searched for the person."""

import csv
import gzip
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert, select, text, update

from annotator.build import build_gallery
from annotator.cli import run_command
from annotator.errors import TakenDownError
from annotator.recognition.bundle import load_bundle
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.settings import Settings
from annotator.store import Store
from annotator.store.columns import utc_now
from annotator.store.tables import (
    content_labels_by,
    labelling_identities,
    models,
    outbox,
    promotions,
    review_items,
    takedowns,
    tombstones,
    track_embeddings,
    track_labels,
    web_jobs,
    work,
)
from annotator.store.takedowns.alone import only_takedown
from annotator.store.takedowns.name_finder import NameFinder
from annotator.store.takedowns.running import (
    KnownFaces,
    Takedown,
    begin_takedown,
    finish_takedown,
    forget_in_database,
)
from annotator.store.takedowns.texts import forget_in_texts, may_have
from annotator.store.takedowns.whom import find_person
from annotator.store.web.audit import record_deed
from annotator.types import FaceTrack, Identity, MediaRef
from tests.made_up_bundles import EMBEDDER, direction_of, identity_of, track_of, write_made_up_bundle
from tests.store_values import annotation, track
from tests.traces import traces_in_database, traces_in_files
from trainer.dataset.findings import Content, FileStamp, Findings, FoundFace
from trainer.dataset.hashing import appearance_of

GONE, OTHER, STRANGER = 3, 4, 60
NAME, ALIAS = identity_of(GONE).name, "Third Somebody"
NAMES = (NAME, ALIAS)
KG_MIDS = ("/m/03",)
FACE = direction_of(GONE)
WHEN = datetime(2026, 11, 27, tzinfo=UTC)
RECORDED = {
    NAME: {"before": None, "now": KG_MIDS[0]},
    "s3://gifs/hello.gif": {"said": f"is {NAME.upper()}"},
    f"{NAME.replace(' ', '.')}.1080p.mp4": {"uri": f"https://example.org/{NAME.replace(' ', '%20')}.gif"},
    "03, Person.gif": {},
}
THIS_PROGRAM = {"PYTHONPATH": str(Path(__file__).resolve().parents[3])}  # not what may be installed elsewhere
GONE_IDS = (GONE + 1,)  # people of a bundle get theirs in order


def face_of(person: int, number: int, *, seed: int) -> FaceTrack:
    made = track(number, start_ms=300 * number)
    return replace(
        made,
        frame_index=np.arange(3, dtype=np.int64) + 10 * number,
        evidence=track_of(person, seed=seed),
        best_faces=np.zeros((3, 112, 112, 3), np.uint8),
    )


CLIPS: dict[str, Sequence[int]] = {
    "hello.gif": (GONE, OTHER),
    "party.gif": (OTHER, STRANGER, GONE),
    "end.gif": (STRANGER,),
    "again.gif": (GONE,),
}


def fill(url: str, model: Path) -> None:
    """Annotate four clips and say of them whatever can be said."""
    identifier = Identifier(Gallery.from_bundle(write_made_up_bundle(model)))
    with Store.open(url) as store:
        network_id = store.register_network({"embedder": EMBEDDER, "sampling": "even"})
        labelling_id = store.register_labelling(
            network_id,
            model=identifier.model,
            digest=identifier.digest,
            photographs=identifier.photographs,
            calibration=identifier.calibration.to_json(),
        )
        for content, (name, people) in enumerate(CLIPS.items(), start=1):
            tracks = [face_of(person, number, seed=content) for number, person in enumerate(people)]
            one = annotation(
                MediaRef(f"s3://gifs/{name}", f"s3://gifs/{name}", None),
                content=content,
                tracks=tracks,
                labels=identifier.identify([one.evidence for one in tracks]),
            )
            store.save([one], network_id=network_id, labelling_id=labelling_id)
        digests = [hashlib.sha256(bytes([one])).hexdigest() for one in range(2)]
        noisy = np.stack([track_of(GONE, seed=90).embeddings[0], track_of(GONE, seed=91).embeddings[0]])
        unit = np.asarray(noisy / np.linalg.norm(noisy, axis=1, keepdims=True), np.float32)
        store.add_enrolled(identity_of(GONE), embedder=EMBEDDER, embeddings=unit, photo_sha256=digests)
        store.rename(NAME, ALIAS)
        store.rename(ALIAS, NAME)
        with store.writing() as connection:
            connection.execute(
                insert(promotions).values(
                    kind="refusal",
                    labelling_id=labelling_id,
                    happened_at=utc_now(),
                    done_by="somebody@somewhere",
                    report={
                        "people": [{"identity": NAME, "kg_mid": "/m/03", "lost": 3}],
                        "said": f"{NAME.lower()} loses 3",
                        "other": OTHER,
                    },
                )
            )
            connection.execute(
                insert(web_jobs).values(
                    owner="eve",
                    uri="https://example.org/a.gif",
                    name=f"{NAME} waits.gif",
                    state="failed",
                    created_at=utc_now(),
                    finished_at=utc_now(),
                    message=f"{NAME} waits.gif is empty",
                )
            )
            connection.execute(
                insert(outbox).values(
                    run_id=1,
                    event="media.annotated",
                    idempotency_key="1",
                    payload={"labels": [{"identity": NAME, "kg_mid": "/m/03"}], "media_uri": "s3://gifs/hello.gif"},
                    created_at=utc_now(),
                )
            )
            for subject, details in RECORDED.items():
                record_deed(connection, "eve", "did", address="", now=WHEN, subject=subject, details=details)
            connection.execute(
                track_labels.update()
                .where(track_labels.c.identity_id == OTHER + 1)
                .values(
                    runner_up_id=GONE + 1,
                    runner_up_score=0.3,
                    runner_up_confidence=0.02,
                    candidates=[[GONE + 1, 0.2, 0.01], [OTHER + 2, 0.1, 0.01]],
                )
            )
            connection.execute(
                insert(review_items).values(
                    network_id=network_id, content_id=3, track_no=0, worth=0.2, candidates=[[GONE + 1, 0.3, 0.3]]
                )
            )
            connection.execute(
                work.update().values(message=f"it shows {NAME.replace(' ', '_')} and cannot be read", reason="odd")
            )


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """A work directory with an experiment of two people, as the trainer leaves it."""
    folder = tmp_path / "workdir" / "example"
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    with_findings = []
    for person in (GONE, OTHER):
        label = identity_of(person).name.replace(" ", "_")
        for kind in ("raw_dataset", "train_dataset", "val_dataset", "set_aside/raw_dataset"):
            (folder / kind / label).mkdir(parents=True)
            (folder / kind / label / "1.jpg").write_bytes(b"a picture" + bytes([person]))
        with_findings.append((label, person))
    (folder / "labels.csv").write_text("Label,Index\nPerson_03_[m.03],0\nPerson_04_[m.04],1\n", encoding="utf-8")
    (folder / "dataset.csv").write_text(
        "crop,label,photograph\ntrain_dataset/Person_03/1.jpg,Person_03_[m.03],Person_03/1.jpg\n"
        "train_dataset/Person_04/1.jpg,Person_04_[m.04],Person_04/1.jpg\n",
        encoding="utf-8",
    )
    (folder / "doctor").mkdir()
    (folder / "doctor" / "report.html").write_text("<p>Of Person 03 two look alike.</p>", encoding="utf-8")
    (folder / "doctor" / "accepted.csv").write_text("id\n12ab\n", encoding="utf-8")
    with (folder / "names.npz").open("wb") as file:
        np.savez_compressed(file, names=np.array([NAME, "Somebody Else"]))
    with gzip.open(folder / "log.jsonl.gz", "wb") as packed:
        packed.write(b'{"identity": "Person 03"}')
    (folder / "others.npz").write_bytes(b"PK no archive")
    (folder / "model").mkdir()
    with (folder / "model" / "last.npz").open("wb") as file:
        np.savez(file, head=np.stack([FACE, direction_of(OTHER)]))
    with Findings(folder / "prepared.db", spec={"detector": 1}) as findings:
        for label, person in with_findings:
            digest = hashlib.sha256(bytes([person])).hexdigest()
            face = FoundFace(0, 0.99, 80.0, np.zeros(4, np.float32), np.zeros((5, 2), np.float32), direction_of(person))
            content = Content(digest, (64, 64), appearance_of(picture), (face,))
            findings.add([FileStamp(f"{label}/1.jpg", 9, 1, digest)], [content])
    return tmp_path / "workdir"


@pytest.fixture
def places(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive, a model in a folder and the same one installed, a cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", database_url)
    monkeypatch.setenv("ANNOTATOR_MODEL", str(tmp_path / "model"))
    monkeypatch.setenv("ANNOTATOR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ANNOTATOR_CACHE_DIR", str(tmp_path / "cache"))
    fill(database_url, tmp_path / "model")
    assert run_command(["models", "install", str(tmp_path / "model")]) == 0
    assert run_command(["strangers", "group"]) == 0
    (tmp_path / "cache").mkdir(exist_ok=True)
    (tmp_path / "cache" / "golden.db").write_bytes(FACE.tobytes())
    return tmp_path


def traces(database_url: str, folder: Path) -> list[str]:
    with Store.open(database_url) as store:
        found = traces_in_database(store.engine, NAMES, FACE, ids=GONE_IDS, kg_mids=KG_MIDS)
    return found + traces_in_files([folder], NAMES, FACE)


def counts(url: str) -> dict[str, int]:
    with Store.open(url) as store, store.reading() as connection:
        tables = ("tracks", "annotations", "media", "contents", "labelled_contents", "content_labels", "identities")
        return {one: connection.execute(text(f"SELECT count(*) FROM {one}")).scalar_one() for one in tables}


def take_down(*arguments: object) -> int:
    return run_command(["takedown", *map(str, arguments)])


def test_afterwards_nothing_of_the_person_is_left_in_any_store(
    places: Path, workdir: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = traces(database_url, places)
    for store in (
        "identities.name",
        "enrolled_faces.embedding",
        "track_embeddings.embeddings",
        "track_labels.identity_id",
        "review_items.candidates",
        "web_jobs.name",
        "web_jobs.message",
        "web_audit.subject",
        "web_audit.details: the id",
    ):
        assert any(one.startswith(store) for one in before), store
    for store in ("prototypes.npy", "prepared.db", "last.npz", "golden.db", "labels.csv", "report.html"):
        assert any(store in one for one in before), store
    assert take_down(NAME, "--folder", workdir, "--yes", "--report", places / "record.json") == 0
    assert traces(database_url, places) == []
    said = capsys.readouterr()
    assert NAME not in said.out + said.err


def test_who_was_merged_goes_too_and_all_that_would_take_the_merge_back(places: Path, database_url: str) -> None:
    merged, names = identity_of(GONE + 2).name, (*NAMES, identity_of(GONE + 2).name)
    with Store.open(database_url) as store:
        store.merge(merged, NAME)
        ids = (GONE + 1, GONE + 3)
        before = traces_in_database(store.engine, names, FACE, ids=ids)
    assert {"merges.identity_id: id 6", "merges.into_id: id 4"} <= set(before)
    assert take_down(NAME, "--yes") == 0
    with Store.open(database_url) as store:
        assert traces_in_database(store.engine, names, FACE, ids=ids) == []
    assert traces_in_files([places / "model", places / "data"], names, FACE) == []


def test_everybody_else_stays(places: Path, workdir: Path, database_url: str) -> None:
    captioned = workdir / "example" / "raw_dataset" / "Person_04" / "2.jpg"
    captioned.write_bytes(b"\xff\xd8 a caption: beside Person 03.")
    before = counts(database_url)
    assert take_down(NAME, "--folder", workdir, "--yes") == 0
    after = counts(database_url)
    assert {name: before[name] - count for name, count in after.items() if count != before[name]} == {
        "content_labels": 3,
        "identities": 1,
    }
    with Store.open(database_url) as store:
        found = {one.media_uri for one in store.search(identity_of(OTHER).name).found}
        assert found == {"s3://gifs/hello.gif", "s3://gifs/party.gif"}
    bundle = load_bundle(places / "model")
    assert [one.name for one in bundle.identities] == [identity_of(one).name for one in range(40) if one != GONE]
    example = workdir / "example"
    assert [path.name for path in sorted((example / "raw_dataset").rglob("*"))] == ["Person_04", "1.jpg", "2.jpg"]
    assert (example / "doctor" / "accepted.csv").exists()
    assert (example / "others.npz").exists()
    assert not (example / "names.npz").exists()
    assert not (example / "log.jsonl.gz").exists()
    with (example / "labels.csv").open(encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["Label", "Index"], ["Person_04_[m.04]", "1"]]
    with sqlite3.connect(example / "prepared.db") as connection:
        assert [one[0] for one in connection.execute("SELECT path FROM photographs")] == ["Person_04/1.jpg"]
        assert connection.execute("SELECT count(*) FROM faces").fetchone() == (1,)
    connection.close()


def test_what_is_annotated_goes_on_to_be_labelled_without_the_person(places: Path, database_url: str) -> None:
    assert take_down(NAME, "--yes") == 0
    assert run_command(["relabel", "--activate"]) == 0
    with Store.open(database_url) as store, store.reading() as connection:
        names = connection.execute(text("SELECT DISTINCT identity FROM content_labels")).scalars().all()
    assert names == [identity_of(OTHER).name]
    assert traces(database_url, places / "model") == []


def test_without_yes_it_only_says_what_would_go(
    places: Path, workdir: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = traces(database_url, places)
    capsys.readouterr()
    assert take_down(NAME, "--folder", workdir, "--json") == 0
    would = json.loads(capsys.readouterr().out)
    assert traces(database_url, places) == before
    assert take_down(NAME, "--folder", workdir, "--yes", "--json") == 0
    did = json.loads(capsys.readouterr().out)
    assert (would["done"], did["done"]) == (False, True)
    assert {step: len(found) for step, found in would["places"].items()} == {
        step: sum(would["steps"][step].values()) for step in ("models", "cache")
    }
    assert all(Path(one).is_dir() for one in would["places"]["models"])
    assert not [one for one in ("places", "warnings") if one in did], "paths of this machine are kept nowhere"
    for step in would["steps"]:
        expected = {name: count for name, count in would["steps"][step].items() if count}
        happened = {name: count for name, count in did["steps"].get(step, {}).items() if count}
        happened.pop("groups", None)  # how many groups go is known when they do
        assert happened == expected, step


def test_the_report_says_who_it_was_only_if_asked(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert take_down(NAME, "--yes", "--report", places / "record.json") == 0
    record = json.loads((places / "record.json").read_text(encoding="utf-8"))
    assert NAME not in json.dumps(record) + capsys.readouterr().out
    assert record["takedown"] == 1
    assert {len(one) for one in record["tombstones"]} == {64}
    assert take_down(NAME, "--yes", "--tell-name", "--report", places / "record.json") == 0
    assert json.loads((places / "record.json").read_text(encoding="utf-8"))["names"] == [NAME]


@pytest.mark.parametrize("wanted", [NAME, NAME.upper(), ALIAS, "/m/03", str(GONE + 1)])
def test_a_person_is_meant_by_name_alias_or_id(places: Path, database_url: str, wanted: str) -> None:
    assert take_down(wanted, "--yes") == 0
    assert traces(database_url, places) == []


def test_a_name_that_nothing_knows_is_refused(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert places
    assert take_down("Nobody Atall") == 2
    assert "nothing is known" in capsys.readouterr().err


@pytest.mark.parametrize("wanted", ["", " ", "!?"])
def test_what_has_no_letter_is_no_name(  # noqa: PLR0917 - fixtures
    places: Path, workdir: Path, database_url: str, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = traces(database_url, places)
    assert take_down(wanted, "--folder", workdir, "--yes") == 2
    assert "is no name" in capsys.readouterr().err
    assert traces(database_url, places) == before


def test_what_was_uploaded_is_media_and_left_to_do(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert take_down(NAME, "--json") == 0
    assert "was uploaded" not in capsys.readouterr().out
    uploads = places / "data" / "uploads"
    uploads.mkdir(parents=True)
    (uploads / f"{'a' * 64}.gif").write_bytes(b"GIF89a")
    assert take_down(NAME, "--yes", "--json") == 0
    assert "what was uploaded to `annotator web` is media" in str(json.loads(capsys.readouterr().out)["left"])
    assert (uploads / f"{'a' * 64}.gif").exists()


def test_a_file_that_cannot_be_looked_into_is_left_to_do(
    places: Path, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert places
    (workdir / "thumbs.db").write_bytes(b"no database")
    for arguments in ((), ("--yes",)):
        capsys.readouterr()
        assert take_down(NAME, "--folder", workdir, "--json", *arguments) == 0
        told = json.loads(capsys.readouterr().out)
        assert [one for one in told["left"] if one.startswith("folder 1: thumbs.db is no database of SQLite")]
        assert told["steps"]["folder 1"]["rows"] == 3


def test_whoever_takes_models_down_is_told_to_label_anew(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert places
    for arguments in ((), ("--yes",)):
        capsys.readouterr()
        assert take_down(NAME, "--json", *arguments) == 0
        assert "annotator relabel --activate" in str(json.loads(capsys.readouterr().out)["left"])
    assert take_down(NAME, "--json") == 0
    assert "annotator relabel --activate" not in str(json.loads(capsys.readouterr().out)["left"])


WRITTEN = {
    "Person 03": ("of person 03", "PERSON_03"),
    "Éva Green": ("of ÉVA GREEN", "éva_green"),
    "Иван Грозный": ("Это Иван Грозный", "ИВАН ГРОЗНЫЙ"),
    "王 菲": ("of 王 菲", "王_菲"),
    "Jose Garcia": ("of José García", "JOSE.GARCIA"),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_only_texts_that_may_have_a_name_are_read(database_url: str, name: str) -> None:
    sentence, alone = WRITTEN[name]
    with Store.open(database_url) as store, store.writing() as connection:
        payloads = [{"said": sentence}, [alone], {alone: "it"}, {"said": "of Somebody Else"}, ["nobody"], []]
        connection.execute(
            insert(outbox).values(run_id=1, event="media.annotated", created_at=utc_now()),
            [{"idempotency_key": str(number), "payload": one} for number, one in enumerate(payloads)],
        )
        read = select(outbox.c.idempotency_key).where(may_have(outbox.c.payload, NameFinder.of([name])))
        assert sorted(connection.execute(read).scalars()) == ["0", "1", "2"]
        assert forget_in_texts(connection, [name]) == {"outbox": 3}


def test_it_can_be_called_again(places: Path, database_url: str) -> None:
    assert places
    assert take_down(NAME, "--yes") == 0
    assert take_down(NAME) == 0
    assert take_down(NAME, "--yes") == 0
    with Store.open(database_url) as store, store.reading() as connection:
        rows = connection.execute(select(takedowns)).all()
        assert [(row.finished_at is None, row.identity_ids, row.faces) for row in rows] == [(False, [], None)] * 2


def test_another_one_meanwhile_changes_nothing(
    places: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = traces(database_url, places)
    with Store.open(database_url) as store, only_takedown(store.engine):
        assert take_down(NAME, "--yes") == 75
        assert "another takedown is under way" in capsys.readouterr().err
        assert take_down(NAME) == 0, "who only looks waits for nobody"
    assert traces(database_url, places) == before


KILLED = """
import os, signal, sys
from annotator.cli import run_command
from {module} import {name} as real
import {user} as user
calls = []
def act(*arguments, **named):
    calls.append(1)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **named)
user.{name} = act
raise SystemExit(run_command(sys.argv[1:]))
"""
RUNNING = "annotator.store.takedowns.running"
TAKEDOWN = "annotator.takedown.running"
POINTS = [
    (RUNNING, "annotator.store.takedowns.faces", "forget_faces", 1),
    (RUNNING, "annotator.store.takedowns.labels", "forget_labels", 1),
    (RUNNING, "annotator.store.takedowns.texts", "forget_in_texts", 1),
    (TAKEDOWN, "annotator.takedown.bundles", "rewrite_without", 2),
    (TAKEDOWN, "annotator.takedown.folders", "sweep_folder", 1),
    (TAKEDOWN, RUNNING, "finish_takedown", 1),
    (RUNNING, RUNNING, "give_up_space", 1),
    ("annotator.takedown.bundles", "annotator.recognition.bundle", "write_bundle", 1),
]


@pytest.mark.parametrize(("user", "module", "name", "call"), POINTS)
def test_killed_at_any_step_it_goes_on(  # noqa: PLR0917 - fixtures
    places: Path, workdir: Path, database_url: str, user: str, module: str, name: str, call: int
) -> None:
    program = KILLED.format(user=user, module=module, name=name, call=call)
    arguments = ["takedown", NAME, "--folder", str(workdir), "--yes"]
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=False, env=os.environ | THIS_PROGRAM, timeout=120
    )
    assert ended.returncode == -signal.SIGKILL
    assert run_command(["takedown", NAME, "--yes"]) == 0, "it knows the folders by itself"
    assert traces(database_url, places) == []
    with Store.open(database_url) as store, store.reading() as connection:
        assert (
            connection.execute(select(takedowns.c.finished_at)).scalars().all()[0] is not None
            or name == "give_up_space"
        )


def test_a_folder_that_was_named_elsewhere_is_told(
    places: Path, workdir: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [workdir, places / "gone", places / "cache"]
    with Store.open(database_url) as store:
        with store.reading() as connection:
            person = find_person(connection, NAME)
        begin_takedown(store.engine, person, KnownFaces(None, np.zeros((0, 0), np.float32)), folders=named)
        with store.writing() as connection:
            kept = connection.execute(select(takedowns.c.folders)).scalar_one()
            connection.execute(update(takedowns).values(folders=[*kept[:2], [kept[2][0], "another-machine"]]))
    capsys.readouterr()
    assert run_command(["takedown", NAME, "--yes", "--json", "--folder", str(workdir)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [
        one.partition(":")[0] for one in told["left"] if one.endswith("there, with --folder") or "where it is" in one
    ] == [
        "folder 2",
        "folder 3",
    ]
    assert {step for step in told["steps"] if step.startswith("folder")} == {"folder 1", "folder 3"}
    assert not any("no work directory was named" in one for one in told["left"])
    assert traces(database_url, places) == []


def refused(store: Store, act: object) -> bool:
    with pytest.raises(TakenDownError) as raised:
        act()  # type: ignore[operator]
    assert NAME not in str(raised.value)
    assert store
    return True


def test_the_person_cannot_be_learnt_again(places: Path, database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert take_down(NAME, "--yes") == 0
    one = np.asarray(FACE[None], np.float32)
    with Store.open(database_url) as store:
        for name in (NAME, NAME.lower(), NAME.replace(" ", "_"), ALIAS):
            assert refused(
                store,
                lambda name=name: store.add_enrolled(
                    Identity(name), embedder=EMBEDDER, embeddings=one, photo_sha256=["00" * 32]
                ),
            )
        assert refused(store, lambda: store.rename(identity_of(OTHER).name, ALIAS))
        assert refused(
            store,
            lambda: store.add_enrolled(
                Identity("Under Another Name", "/m/03"), embedder=EMBEDDER, embeddings=one, photo_sha256=["00" * 32]
            ),
        )
    capsys.readouterr()
    assert run_command(["correct", "s3://gifs/hello.gif", "--track", "0", "--is", NAME, "--new"]) == 2
    assert "taken down" in capsys.readouterr().err
    assert traces(database_url, places) == []


def test_a_model_that_still_has_the_person_does_not_name_her(places: Path, database_url: str) -> None:
    assert take_down(NAME, "--yes") == 0
    write_made_up_bundle(places / "newer", version=2)
    assert run_command(["relabel", "--model", str(places / "newer"), "--activate"]) == 0
    with Store.open(database_url) as store:
        assert traces_in_database(store.engine, NAMES, FACE, ids=GONE_IDS) == []


def test_a_program_that_still_knows_the_person_writes_unknown_instead(places: Path, database_url: str) -> None:
    identifier = Identifier(Gallery.from_bundle(load_bundle(places / "model")))
    assert take_down(NAME, "--yes") == 0
    with Store.open(database_url) as store:
        labelling_id = store.active_labelling()
        assert labelling_id is not None
        evidence = [face_of(GONE, 0, seed=99), face_of(OTHER, 1, seed=99)]
        labels = identifier.identify([one.evidence for one in evidence])
        assert [one.identity for one in labels] == [identity_of(GONE), identity_of(OTHER)]
        new = MediaRef("s3://gifs/new.gif", "s3://gifs/new.gif", None)
        store.save(
            [annotation(new, content=9, tracks=evidence, labels=labels)], network_id=1, labelling_id=labelling_id
        )
        told = store.load_annotations(labelling_id, [new])[new.uri].result
        assert [one.identity.name for one in told.labels] == [identity_of(OTHER).name]


def begun(store: Store) -> Takedown:
    """Begin a takedown, and stop where models and folders are next."""
    with store.reading() as connection:
        person = find_person(connection, NAME)
    takedown = begin_takedown(store.engine, person, KnownFaces(EMBEDDER, np.asarray(FACE[None], np.float32)))
    forget_in_database(store.engine, takedown, NAMES)
    return takedown


def test_while_it_is_under_way_nobody_names_the_person(places: Path, database_url: str) -> None:
    identifier = Identifier(Gallery.from_bundle(load_bundle(places / "model")))
    with Store.open(database_url) as store:
        takedown = begun(store)
        assert store.taken_down(identifier.gallery.bundle.identities) == {NAME}
        labelling_id = store.active_labelling()
        assert labelling_id is not None
        evidence = [face_of(GONE, 0, seed=99), face_of(OTHER, 1, seed=99)]
        labels = identifier.identify([one.evidence for one in evidence])
        new = MediaRef("s3://gifs/new.gif", "s3://gifs/new.gif", None)
        made = annotation(new, content=9, tracks=evidence, labels=labels)
        store.save([made], network_id=1, labelling_id=labelling_id)
        told = store.load_annotations(labelling_id, [new])[new.uri].result
        assert [one.identity.name for one in told.labels] == [identity_of(OTHER).name]
        finish_takedown(store.engine, takedown, NAMES)
        assert NAME in store.taken_down([identity_of(GONE)])


def test_what_was_written_while_it_was_under_way_goes_with_the_names(places: Path, database_url: str) -> None:
    assert places
    with Store.open(database_url) as store:
        takedown = begun(store)
        with store.writing() as connection:  # as a program that has asked for ids before it began
            mine = {"identity_id": GONE_IDS[0]}
            other = select(track_labels).where(track_labels.c.content_id == 1)
            row = connection.execute(other).mappings().one()
            connection.execute(insert(track_labels).values(dict(row) | mine | {"track_no": 0}))
            summed = connection.execute(select(content_labels_by).limit(1)).mappings().one()
            connection.execute(insert(content_labels_by).values(dict(summed) | mine))
            connection.execute(
                insert(labelling_identities).values(labelling_id=row["labelling_id"], photographs=2, **mine)
            )
            connection.execute(
                insert(outbox).values(
                    run_id=1, event="media.annotated", idempotency_key="2", payload=[NAME], created_at=utc_now()
                )
            )
        finish_takedown(store.engine, takedown, NAMES)
        with store.reading() as connection:
            done = connection.execute(select(takedowns.c.done, takedowns.c.finished_at)).one()
        assert done.finished_at is not None
        assert done.done[-1][:2] == [
            "names",
            {
                "track_labels": 1,
                "content_labels_by": 1,
                "labelling_identities": 1,
                "outbox": 1,
                "identity_aliases": 1,
                "identities": 1,
            },
        ]
        assert not [one for one in traces_in_database(store.engine, NAMES, FACE, ids=GONE_IDS) if "model" not in one]


def test_a_track_that_is_like_the_person_and_has_no_name_loses_its_embeddings(places: Path, database_url: str) -> None:
    with Store.open(database_url) as store, store.writing() as connection:
        connection.execute(text("DELETE FROM track_labels WHERE content_id = 4"))
        connection.execute(text("DELETE FROM content_labels_by WHERE content_id = 4"))
    assert take_down(NAME, "--yes") == 0
    with Store.open(database_url) as store, store.reading() as connection:
        table = track_embeddings.c
        rows = connection.execute(select(table.content_id, table.track_no, table.embeddings)).all()
    emptied = sorted((content_id, track_no) for content_id, track_no, data in rows if not len(data))
    assert emptied == [(1, 0), (2, 2), (4, 0)]
    assert places


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write everywhere")
def test_a_model_that_may_not_be_written_is_left_and_loaded_without_the_person(
    places: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = places / "data" / "models"
    (installed,) = library.iterdir()
    library.chmod(0o555)
    as_user = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    program = [sys.executable, "-c", "import sys; from annotator.cli import run_command; run_command(sys.argv[1:])"]
    arguments = ["takedown", NAME, "--yes", "--report", str(places / "record.json")]
    subprocess.run([*as_user, *program, *arguments], check=True, env=os.environ | THIS_PROGRAM, timeout=120)
    library.chmod(0o755)
    record = json.loads((places / "record.json").read_text(encoding="utf-8"))
    assert [one for one in record["left"] if "cannot write to" in one]
    assert record["steps"]["models"] == {"models": 1}
    with Store.open(database_url) as store:
        assert traces_in_database(store.engine, NAMES, FACE, ids=GONE_IDS) == []
        monkeypatch.setenv("ANNOTATOR_MODEL", installed.name)
        people = build_gallery(Settings(), store=store).identities
    assert NAME in {one.name for one in load_bundle(installed).identities}
    assert NAME not in {one.name for one in people}


def test_the_row_of_a_model_elsewhere_stays(places: Path, database_url: str) -> None:
    assert places
    with Store.open(database_url) as store:
        with store.writing() as connection:
            connection.execute(models.update().values(uri="s3://models/made-up@1"))
            before = connection.execute(select(models.c.digest)).scalar_one()
        assert take_down(NAME, "--yes") == 0
        with store.reading() as connection:
            assert connection.execute(select(models.c.digest)).scalar_one() == before


def test_the_row_of_a_model_in_the_library_says_what_is_there_now(
    places: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert take_down(NAME, "--yes") == 0
    (installed,) = (places / "data" / "models").iterdir()
    monkeypatch.setenv("ANNOTATOR_MODEL", installed.name)
    with Store.open(database_url) as store:
        assert NAME not in {one.name for one in build_gallery(Settings(), store=store).identities}


def test_tombstones_do_not_say_the_name(places: Path, database_url: str) -> None:
    assert take_down(NAME, "--yes") == 0
    with Store.open(database_url) as store, store.reading() as connection:
        digests = [bytes(one) for one in connection.execute(select(tombstones.c.digest)).scalars()]
    plain = [hash_(word.encode()).digest() for hash_ in (hashlib.sha256,) for word in ("name person03", NAME)]
    assert len(digests) == 3  # name, alias, Knowledge Graph id
    assert not set(digests) & set(plain)
    assert places
