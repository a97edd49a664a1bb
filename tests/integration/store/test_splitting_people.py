"""One name, two people: some tracks are given to somebody else, and stay so whatever labels the archive next."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from sqlalchemy import text

from annotator.errors import ChangedMeanwhileError, CorrectionError, IdentityError
from annotator.recognition.decision import Identifier
from annotator.store import Store
from annotator.store.corrections.saying import correct_track
from annotator.store.corrections.splitting import Split, split_person
from annotator.store.identities import ids_of
from annotator.store.relabelling.running import relabel_archive
from annotator.store.web.people import ids_of_people
from annotator.store.web.tracks_of_people import TrackOfPerson, by_look, tracks_of_person
from annotator.types import Identity, MediaAnnotation
from tests.made_up_gallery import PROTOTYPES, gallery
from tests.store_values import SPEC, annotation, ref, track

CLIPS = 6
KNOWN = [0, *range(2, 12)]
OTHERS = (1, 3, 5)
"""Contents whose track is somebody else, whom the model takes for person 0, too."""


def clip(content: int, identifier: Identifier) -> MediaAnnotation:
    """Return a clip of one track: of person 0, or of somebody between persons 0 and 1."""
    vector = PROTOTYPES[0].astype(np.float64) + (0.5 * PROTOTYPES[1] if content in OTHERS else 0.0)
    vector += np.random.default_rng(content).normal(0, 0.02, len(vector))
    made = track(0, faces=1)
    face = replace(
        made.evidence,
        embeddings=np.asarray(vector / np.linalg.norm(vector))[None].astype(np.float16),
        face_px=np.full(1, 64, np.float16),
        quality=np.full(1, 0.9, np.float16),
    )
    boxes = np.array([[20, 20, 120, 140]] * 3, np.float32)
    shown = replace(made, evidence=face, boxes_xyxy=boxes)
    return annotation(ref(f"{content}.gif"), content=content, tracks=[shown], labels=identifier.identify([face]))


@dataclass(frozen=True)
class Archive:
    """Six clips that a model says show person 0."""

    store: Store
    network_id: int
    identifier: Identifier

    def register(self, digest: str, *, network_id: int | None = None) -> int:
        return self.store.register_labelling(
            network_id or self.network_id,
            model=f"small@{digest}",
            digest=digest,
            photographs=self.identifier.photographs,
            calibration=self.identifier.calibration.to_json(),
        )

    def id_of(self, name: str) -> int:
        with self.store.reading() as connection:
            return ids_of(connection, [name])[name]

    def tracks(self, name: str = "Person 0") -> list[TrackOfPerson]:
        with self.store.reading() as connection:
            ids = ids_of_people(connection, [self.id_of(name)])
            return list(tracks_of_person(connection, ids, contents=100).tracks)

    def split(self, *contents: int, into: str | None, is_new: bool = False, seen: int | None = None) -> Identity | None:
        split = Split(into, is_new=is_new, said_by="eve", network_id=seen)
        keys = [(content, 0) for content in contents]
        return split_person(self.store.engine, self.id_of("Person 0"), keys, split)

    def names(self) -> dict[str, str]:
        """Return who is in which media, as searches find it."""
        with self.store.reading() as connection:
            rows = connection.execute(text("SELECT media_key, identity FROM content_labels"))
            return {key.removesuffix(".gif"): name for key, name in rows}


@pytest.fixture
def archive(store: Store) -> Archive:
    made = Archive(store, store.register_network(SPEC), Identifier(gallery(KNOWN, min_score=0.1)))
    clips = [clip(content, made.identifier) for content in range(1, CLIPS + 1)]
    store.save(clips, network_id=made.network_id, labelling_id=made.register("first"))
    assert set(made.names().values()) == {"Person 0"}
    return made


def expected(other: str) -> dict[str, str]:
    return {str(one): other if one in OTHERS else "Person 0" for one in range(1, CLIPS + 1)}


def test_tracks_that_are_given_to_somebody_new_are_so_at_once_and_under_every_labelling(archive: Archive) -> None:
    assert archive.split(*OTHERS, into="Somebody Else", is_new=True) == Identity("Somebody Else")
    assert archive.names() == expected("Somebody Else")
    relabelled = archive.register("second")
    relabel_archive(archive.store.engine, Identifier(gallery(KNOWN, min_score=0.1)), relabelled)
    archive.store.activate(relabelled)
    assert archive.names() == expected("Somebody Else"), "a new model"
    other = archive.store.register_network({**SPEC, "detector": "another"})
    labelling_id = archive.register("third", network_id=other)
    clips = [clip(content, archive.identifier) for content in range(1, CLIPS + 1)]
    archive.store.save(clips, network_id=other, labelling_id=labelling_id)
    archive.store.activate(labelling_id)
    assert archive.names() == expected("Somebody Else"), "annotated anew"


def test_nobody_need_know_whose_tracks_they_are(archive: Archive) -> None:
    assert archive.split(*OTHERS, into=None) is None
    left = {str(one) for one in range(1, CLIPS + 1)} - set(map(str, OTHERS))
    assert {key for key, name in archive.names().items() if name == "Person 0"} == left
    with archive.store.reading() as connection:
        said = connection.execute(text("SELECT DISTINCT verdict, identity, said_by FROM track_corrections")).all()
    assert [tuple(one) for one in said] == [("is not", "Person 0", "eve")]


def test_tracks_of_whoever_was_merged_into_the_person_can_be_given_away(archive: Archive) -> None:
    correct_track(archive.store.engine, ref("1.gif"), 0, verdict="is", name="Person 7")
    archive.store.merge("Person 7", "Person 0")
    assert len(archive.tracks()) == CLIPS
    archive.split(1, into="Person 9")
    assert archive.names()["1"] == "Person 9"
    with pytest.raises(IdentityError, match="is the person whose tracks these are"):
        archive.split(2, into="Person 7")


def test_what_cannot_be_changes_nothing(archive: Archive) -> None:
    archive.split(1, into="Person 5")
    before = archive.names()
    for contents, error in (((), CorrectionError), ((1, 2), ChangedMeanwhileError), ((2, 77), ChangedMeanwhileError)):
        with pytest.raises(error):
            archive.split(*contents, into="Person 4")
    with pytest.raises(ChangedMeanwhileError, match="other tracks are shown"):
        archive.split(2, into="Person 4", seen=archive.network_id + 1)
    for name in ("Person 0", "Nobody Atall"):
        with pytest.raises(IdentityError):
            archive.split(2, into=name)
    assert archive.names() == before


def test_pages_have_all_tracks_once_surest_first(archive: Archive) -> None:
    correct_track(archive.store.engine, ref("4.gif"), 0, verdict="is", name="Person 0")
    found, after = [], None
    with archive.store.reading() as connection:
        while True:
            page = tracks_of_person(connection, [archive.id_of("Person 0")], contents=4, after=after)
            found += page.tracks
            after = page.next
            if after is None:
                break
    assert found == archive.tracks()
    assert {one.content_id for one in found} == set(range(1, CLIPS + 1))
    assert (found[0].content_id, found[0].confidence) == (4, 1.0)
    assert [one.confidence for one in found] == sorted((one.confidence for one in found), reverse=True)


def test_looks_part_two_people_who_have_one_name(archive: Archive) -> None:
    with archive.store.reading() as connection:
        looks = by_look(connection, archive.tracks())
    parts = [{one.content_id for one in look} for look in looks]
    assert sorted(parts, key=min) == [set(OTHERS), set(range(1, CLIPS + 1)) - set(OTHERS)]
    with archive.store.reading() as connection:
        alone = archive.tracks()[:1]
        assert by_look(connection, alone) == (alone, [])
        assert by_look(connection, []) == ([], [])
