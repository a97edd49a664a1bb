"""``annotator space`` on both databases: a sample of tracks with their names, the map of the page, the export."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from annotator.cli import run_command
from annotator.errors import ConfigError
from annotator.recognition.bundle import CREDITS, LICENSE, MODEL_CARD, load_bundle, write_bundle
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.recognition.revocation import RevocationList
from annotator.space.files import FOLDER, map_path, read_map
from annotator.space.people import identity_ids, labelling_of
from annotator.space.placing import SpaceMap
from annotator.space.sample import SampledFaces, sample_faces
from annotator.store import Store
from annotator.store.labellings import load_active
from annotator.types import Identity
from tests.made_up_gallery import annotations, gallery

CONTENTS = 60


@pytest.fixture
def identifier(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Identifier:
    """Name sixty clips by a model of twelve people in the folder ``model``, and return what names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", database_url)
    for name in ("DATA_DIR", "CACHE_DIR"):
        monkeypatch.setenv(f"ANNOTATOR_{name}", str(tmp_path / name.lower()))
    bundle = replace(gallery().bundle, embedder="sface-2021dec")
    texts = dict.fromkeys((MODEL_CARD, LICENSE, CREDITS), "made up\n")
    write_bundle(tmp_path / "model", bundle, texts=texts, revoked=RevocationList("00" * 16))
    made = Identifier(Gallery.from_bundle(load_bundle(tmp_path / "model")))
    with Store.open(database_url) as store:
        network_id = store.register_network({"embedder": "sface-2021dec"})
        labelling_id = store.register_labelling(
            network_id, model=made.model, digest=made.digest, photographs=made.photographs
        )
        store.save(annotations(CONTENTS, made), network_id=network_id, labelling_id=labelling_id)
    return made


def sampled(database_url: str, identifier: Identifier, most: int) -> SampledFaces:
    with Store.open(database_url) as store:
        with store.reading() as connection:
            labelling = load_active(connection)
        assert labelling is not None
        return sample_faces(store.engine, identifier.gallery, labelling, most=most)


def keys_of(faces: SampledFaces) -> list[tuple[int, int]]:
    return list(zip(faces.content_id.tolist(), faces.track_no.tolist(), strict=True))


def kept_map(database_url: str) -> SpaceMap | None:
    with Store.open(database_url) as store, store.reading() as connection:
        labelling = load_active(connection)
        assert labelling is not None
        return read_map(map_path(Path("cache_dir").resolve(), connection, labelling.labelling_id))


def test_all_tracks_with_a_face_are_there_with_the_names_of_their_labels(
    database_url: str, identifier: Identifier
) -> None:
    faces = sampled(database_url, identifier, 1_000)
    with Store.open(database_url) as store, store.reading() as connection:
        stored = connection.execute(
            text("SELECT content_id, track_no, embeddings FROM track_embeddings ORDER BY content_id, track_no")
        ).all()
        names = dict(connection.execute(text("SELECT id, name FROM identities")).all())
        labels = {
            (content, track): who
            for content, track, who in connection.execute(
                text("SELECT content_id, track_no, identity_id FROM track_labels")
            )
        }
    assert keys_of(faces) == [(content, track) for content, track, embeddings in stored if len(embeddings)]
    assert list(faces.identity_id) == [labels.get(key) for key in keys_of(faces)]
    assert 10 < sum(one is not None for one in faces.identity_id) < len(faces)
    np.testing.assert_allclose(np.linalg.norm(faces.directions, axis=1), 1.0, atol=1e-9)
    # Who has a name lies nearer to that person than to any other, but for the few that a norm by level decides.
    prototypes = identifier.gallery.prototypes - identifier.gallery.bundle.mean
    nearest = np.argmax(faces.directions @ prototypes.T, axis=1)
    people = [identifier.identities[place].name for place in nearest]
    right = [names[who] == person for who, person in zip(faces.identity_id, people, strict=True) if who is not None]
    assert np.mean(right) > 0.9


def test_a_smaller_sample_is_part_of_a_larger_one_and_the_same_each_time(
    database_url: str, identifier: Identifier
) -> None:
    samples = [sampled(database_url, identifier, most) for most in (1_000, 30, 30, 0)]
    everything, some, again, none = (set(keys_of(one)) for one in samples)
    assert (len(some), some, none) == (30, again, set())
    assert some < everything
    assert np.array_equal(samples[1].directions, samples[2].directions)


def test_the_labels_that_are_shown_go_before_newer_ones_and_removed_ones_are_none(
    database_url: str, identifier: Identifier
) -> None:
    with Store.open(database_url) as store:
        other = store.register_network({"embedder": "another"})
        store.register_labelling(other, model="older@1", digest=identifier.digest, photographs={})
        newest = store.register_network({"embedder": "a third"})
        store.register_labelling(newest, model="newest@1", digest=identifier.digest, photographs={})
        found = []
        for gone in (None, "small@1", "newest@1"):
            with store.writing() as connection:
                connection.execute(
                    text("UPDATE labellings SET retired_at = :now WHERE model = :gone"),
                    {"now": "2026-11-27 00:00:00+00:00", "gone": gone},
                )
                found.append(labelling_of(connection, identifier.gallery, identifier.digest).model)
    assert found == ["small@1", "newest@1", "older@1"]


def test_names_are_those_of_the_labelling_and_of_who_has_taken_over(database_url: str, identifier: Identifier) -> None:
    before = sampled(database_url, identifier, 1_000)
    first, second = sorted({one for one in before.identity_id if one is not None})[:2]
    with Store.open(database_url) as store:
        other = store.register_network({"embedder": "another"})
        labelling_id = store.register_labelling(other, model="other@1", digest="other", photographs={})
        with store.writing() as connection:
            names = dict(connection.execute(text("SELECT id, name FROM identities")).all())
            content, track = next(
                key for key, who in zip(keys_of(before), before.identity_id, strict=True) if who is None
            )
            connection.execute(
                text(
                    "INSERT INTO track_labels (labelling_id, content_id, track_no, identity_id, confidence, score)"
                    " VALUES (:labelling, :content, :track, :first, 0.9, 0.6)"
                ),
                {"labelling": labelling_id, "content": content, "track": track, "first": first},
            )
        store.merge(names[second], names[first])
    after = sampled(database_url, identifier, 1_000)
    assert list(after.identity_id) == [first if who == second else who for who in before.identity_id]


@pytest.mark.usefixtures("identifier")
def test_people_who_are_not_in_the_database_are_refused_with_the_remedy(database_url: str) -> None:
    people = (*gallery().identities[:10], Identity("Nobody Yet"), Identity("Nobody Else"))
    refused = pytest.raises(ConfigError, match="2 people of small@1 are not in the database: `annotator relabel`")
    with Store.open(database_url) as store, store.reading() as connection, refused:
        identity_ids(connection, replace(gallery(), identities=people))


def test_the_map_is_kept_for_the_page_and_told_in_numbers(
    database_url: str, identifier: Identifier, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kept_map(database_url) is None
    assert run_command(["space", "build", "--model", "model", "--faces", "40"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("12 people of small@1 and 40 faces have their places; three dimensions hold ")
    space = kept_map(database_url)
    assert space is not None
    assert len(space.named_id) + len(space.unnamed_xyz) == 40
    with Store.open(database_url) as store, store.reading() as connection:
        names = dict(connection.execute(text("SELECT id, name FROM identities")).all())
    assert [names[one] for one in space.identity_id.tolist()] == [one.name for one in identifier.identities]
    assert run_command(["space", "build", "--model", "model", "--faces", "40"]) == 0
    again = kept_map(database_url)
    assert again is not None
    assert np.array_equal(again.named_xyz, space.named_xyz)
    assert len(list((Path("cache_dir") / FOLDER).iterdir())) == 1


@pytest.mark.usefixtures("identifier")
def test_a_model_that_has_labelled_nothing_is_refused_with_the_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = replace(gallery(range(5)).bundle, embedder="sface-2021dec", version=2)
    texts = dict.fromkeys((MODEL_CARD, LICENSE, CREDITS), "made up\n")
    write_bundle(Path("other"), other, texts=texts, revoked=RevocationList("00" * 16))
    assert run_command(["space", "build", "--model", "other"]) == 2
    assert "nothing is labelled by small@2 yet" in capsys.readouterr().err


@pytest.mark.usefixtures("identifier")
def test_the_export_has_all_people_and_the_sampled_faces(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["space", "export", "points", "--model", "model", "--faces", "20"]) == 0
    told = capsys.readouterr()
    assert told.out == "32 points are in points\n"
    assert "tensorboard --logdir points" in told.err
    assert Path("points/tensors.bytes").stat().st_size == 32 * 8 * 4
    assert len(Path("points/metadata.tsv").read_text(encoding="utf-8").splitlines()) == 33
    assert run_command(["space", "export", "points", "--model", "model"]) == 2
    assert "new or empty" in capsys.readouterr().err


@pytest.mark.usefixtures("identifier")
def test_a_takedown_deletes_the_map(database_url: str) -> None:
    assert run_command(["space", "build", "--model", "model"]) == 0
    assert kept_map(database_url) is not None
    assert run_command(["takedown", "Person 3"]) == 0
    assert kept_map(database_url) is not None
    assert run_command(["takedown", "Person 3", "--yes"]) == 0
    assert kept_map(database_url) is None
