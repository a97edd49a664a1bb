"""A merge is taken back: whatever was of one of the two is so again, whatever came meanwhile and comes later."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, event, text

from annotator.build import _renames_and_merges
from annotator.errors import BusyError, IdentityError
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import EnrolledPerson, Gallery
from annotator.store import Store
from annotator.store.corrections.saying import correct_track
from annotator.store.enrolled import remove_enrolled
from annotator.store.identities import ids_of
from annotator.store.merging import list_merged
from annotator.store.naming import add_alias, change_kg_mid
from annotator.store.relabelling.running import relabel_archive
from annotator.store.review.references import surest_faces
from annotator.store.rollups import roll_up
from annotator.store.tables import merges
from annotator.store.takedowns.running import NO_FACES, begin_takedown, finish_takedown, forget_in_database
from annotator.store.takedowns.whom import find_person
from annotator.types import F32, FaceTrack, Identity, MediaAnnotation
from tests.made_up_gallery import EMBEDDER, PROTOTYPES, gallery
from tests.store_values import ADA, BEN, CAT, SPEC, annotation, digest, known, ref, track

STATE = (
    "SELECT id, name, kg_mid, merged_into, survivor_id FROM identities ORDER BY id",
    "SELECT name, identity_id FROM identity_aliases ORDER BY name",
    "SELECT identity_id, embedder, photo_sha256 FROM enrolled_faces ORDER BY 1, 2, 3",
    (
        "SELECT labelling_id, content_id, track_no, identity_id, confidence, score, runner_up_id,"
        " CAST(candidates AS text) FROM track_labels ORDER BY 1, 2, 3"
    ),
    (
        "SELECT labelling_id, content_id, identity_id, confidence, first_ms, last_ms, screen_ms"
        " FROM content_labels_by ORDER BY 1, 2, 3"
    ),
    "SELECT labelling_id, content_id, track_no, CAST(candidates AS text) FROM overruled_labels ORDER BY 1, 2, 3",
    "SELECT labelling_id, identity_id, photographs FROM labelling_identities ORDER BY 1, 2",
    "SELECT count(*) FROM merges",
)


def state(store: Store) -> list[list[tuple[object, ...]]]:
    with store.reading() as connection:
        return [[tuple(row) for row in connection.execute(text(query))] for query in STATE]


def media_of(store: Store, name: str) -> list[str]:
    """Return the media that a search finds, without their folder."""
    return sorted(one.media_uri.rpartition("/")[2] for one in store.search(name).found)


def eyes(first: int, second: int) -> F32:
    return np.eye(9, dtype=np.float32)[[first, second]]


def beside_others(place: int) -> FaceTrack:
    boxes = np.array([[200 * place, 20, 200 * place + 100, 140]] * 3, np.float32)
    return replace(track(place, start_ms=200 * place), boxes_xyxy=boxes)


@dataclass(frozen=True)
class Small:
    """A database in which three people are: each in a clip of their own, Ada and Ben in one together."""

    store: Store
    network_id: int
    labelling_id: int

    def save(self, name: str, number: int, *people: Identity) -> None:
        made = annotation(
            ref(name),
            content=number,
            tracks=[beside_others(place) for place in range(len(people))],
            labels=[known(one, confidence=0.9 - 0.1 * place) for place, one in enumerate(people)],
        )
        self.store.save([made], network_id=self.network_id, labelling_id=self.labelling_id)

    def unmerge(self, name: str, *, new_name: str | None = None) -> Identity:
        return self.store.unmerge(name, new_name=new_name)

    def id_of(self, name: str) -> int:
        with self.store.reading() as connection:
            return connection.execute(text("SELECT id FROM identities WHERE name = :n"), {"n": name}).scalar_one()


@pytest.fixture
def small(store: Store) -> Small:
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(
        network_id, model="test@1", digest="1", photographs=dict.fromkeys((ADA, BEN, CAT), 2)
    )
    made = Small(store, network_id, labelling_id)
    made.save("ada.gif", 1, ADA)
    made.save("ben.gif", 2, BEN)
    made.save("both.gif", 3, ADA, BEN, CAT)
    store.add_enrolled(ADA, embedder=EMBEDDER, embeddings=eyes(0, 1), photo_sha256=[digest(1), digest(2)])
    store.add_enrolled(BEN, embedder=EMBEDDER, embeddings=eyes(1, 2), photo_sha256=[digest(2), digest(3)])
    return made


def test_a_merge_that_is_taken_back_has_changed_nothing(small: Small) -> None:
    correct_track(small.store.engine, ref("ada.gif"), 0, verdict="is", name=BEN.name)
    correct_track(small.store.engine, ref("both.gif"), 1, verdict="is not", name=BEN.name)
    before = state(small.store)
    assert media_of(small.store, BEN.name) == ["ada.gif", "ben.gif"]
    small.store.merge(ADA.name, BEN.name)
    assert media_of(small.store, ADA.name) == ["ada.gif", "ben.gif", "both.gif"]
    assert state(small.store) != before
    assert small.unmerge(ADA.name) == ADA
    assert state(small.store) == before


def test_media_that_show_both_show_one_person_and_then_two_again(small: Small) -> None:
    small.store.merge(ADA.name, BEN.name)
    roll_up(small.store.engine)
    with small.store.reading() as connection:
        shown = "SELECT identity, media FROM identity_counts ORDER BY identity"
        assert [tuple(one) for one in connection.execute(text(shown))] == [(BEN.name, 3), (CAT.name, 1)]
    small.unmerge(ADA.name)
    assert [one.name for one in (ADA, BEN) if "both.gif" in media_of(small.store, one.name)] == [ADA.name, BEN.name]
    roll_up(small.store.engine)
    with small.store.reading() as connection:
        assert [tuple(one) for one in connection.execute(text(shown))] == [(ADA.name, 2), (BEN.name, 2), (CAT.name, 1)]


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_only_what_shows_the_two_is_read(store: Store) -> None:
    """Of a big archive that has no statistics yet, else it would lie locked meanwhile."""
    asked: list[tuple[str, Any]] = []
    engine = store.engine

    def note(_1: object, _2: object, statement: str, values: object, *_: object) -> None:
        if statement.startswith("SELECT") and ("content_labels_by" in statement or "track_labels" in statement):
            asked.append((statement, values))

    modelled(store, range(4))
    event.listen(engine, "before_cursor_execute", note)
    store.merge("Person 0", "Person 1")
    store.unmerge("Person 0")
    event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        steps = [
            str(row[3])
            for statement, values in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    assert any("content_labels_by" in step for step in steps)
    assert any("track_labels" in step for step in steps)
    assert [step for step in steps if step.startswith("SCAN") or step.endswith("(labelling_id=?)")] == []


def test_photographs_are_those_of_both_once_and_then_of_each_again(small: Small) -> None:
    small.store.merge(ADA.name, BEN.name)
    (together,) = small.store.list_enrolled(EMBEDDER)
    assert together.photo_sha256 == (digest(1), digest(2), digest(3))
    assert [one.enrolled for one in small.store.list_identities() if one.identity.name == BEN.name] == [3]
    small.unmerge(ADA.name)
    assert {one.identity.name: one.photo_sha256 for one in small.store.list_enrolled(EMBEDDER)} == {
        ADA.name: (digest(1), digest(2)),
        BEN.name: (digest(2), digest(3)),
    }
    small.store.merge(ADA.name, BEN.name)
    with small.store.writing() as connection:
        ben = ids_of(connection, {BEN.name})[BEN.name]
        assert remove_enrolled(connection, ben, photo_sha256=[digest(1), digest(2)]) == 2


def test_what_a_former_program_writes_of_both_meanwhile_is_told_apart_too(small: Small) -> None:
    small.store.merge(ADA.name, BEN.name)
    small.save("late.gif", 4, ADA, BEN)  # a worker that was started before knows both
    assert media_of(small.store, ADA.name) == ["ada.gif", "ben.gif", "both.gif", "late.gif"]
    small.unmerge(ADA.name)
    assert media_of(small.store, ADA.name) == ["ada.gif", "both.gif", "late.gif"]
    assert media_of(small.store, BEN.name) == ["ben.gif", "both.gif", "late.gif"]


def test_all_tracks_of_both_stand_for_the_one_person(small: Small) -> None:
    small.store.merge(ADA.name, BEN.name)
    small.save("late.gif", 4, ADA)
    with small.store.writing() as connection:  # that of Ben in the clip of both is on a poster, Ada's is not
        connection.execute(text("UPDATE tracks SET is_picture = true WHERE content_id = 3 AND track_no = 1"))
    with small.store.reading() as connection:
        pictures = "SELECT media_key, is_picture FROM content_labels WHERE identity = :name ORDER BY media_key"
        told = [(key, bool(is_picture)) for key, is_picture in connection.execute(text(pictures), {"name": BEN.name})]
        faces = surest_faces(connection, small.id_of(BEN.name), but=0, limit=9)
    assert told == [(name, False) for name in ("ada.gif", "ben.gif", "both.gif", "late.gif")]
    assert len(faces) == 4, "who reviews sees Ada's faces, too"


def test_a_word_on_one_track_meanwhile_leaves_the_others_whose_they_were(small: Small) -> None:
    small.save("cat.gif", 4, CAT)
    correct_track(small.store.engine, ref("cat.gif"), 0, verdict="is", name=ADA.name)
    small.store.merge(ADA.name, BEN.name)
    correct_track(small.store.engine, ref("both.gif"), 2, verdict="is not", name=CAT.name)
    small.unmerge(ADA.name)
    assert media_of(small.store, ADA.name) == ["ada.gif", "both.gif", "cat.gif"]
    assert media_of(small.store, BEN.name) == ["ben.gif", "both.gif"]


def test_what_was_said_since_is_of_who_remained(small: Small) -> None:
    correct_track(small.store.engine, ref("both.gif"), 2, verdict="is", name=ADA.name)
    small.store.merge(ADA.name, BEN.name)
    correct_track(small.store.engine, ref("ada.gif"), 0, verdict="is", name=BEN.name)
    small.unmerge(ADA.name)
    assert media_of(small.store, ADA.name) == ["both.gif"]
    assert media_of(small.store, BEN.name) == ["ada.gif", "ben.gif", "both.gif"]


def test_the_knowledge_graph_id_goes_back_unless_it_was_changed(small: Small) -> None:
    small.store.merge(ADA.name, BEN.name)
    assert small.unmerge(ADA.name) == ADA
    assert small.store.search(BEN.name).found[0].identity == BEN
    small.store.merge(ADA.name, BEN.name)
    with small.store.writing() as connection:
        change_kg_mid(connection, BEN.name, "/m/0ben")
    assert small.unmerge(ADA.name) == ADA
    assert small.store.search(BEN.name).found[0].identity == Identity(BEN.name, "/m/0ben")
    with small.store.writing() as connection:
        change_kg_mid(connection, BEN.name, None)
    small.store.add_enrolled(Identity("Dora"), embedder="e", embeddings=eyes(0, 1), photo_sha256=[digest(5), digest(6)])
    small.store.merge(ADA.name, BEN.name)
    small.store.merge(BEN.name, "Dora")
    assert small.unmerge(ADA.name) == ADA
    assert [one.identity for one in small.store.list_identities()] == [ADA, CAT, Identity("Dora")], (
        "from one to the next"
    )
    small.store.merge(CAT.name, ADA.name)
    assert small.unmerge(CAT.name) == CAT
    assert small.store.search(ADA.name).found[0].identity == ADA, "hers was her own"


@pytest.mark.parametrize("first", [ADA.name, BEN.name])
def test_of_several_merges_each_can_be_taken_back_first(small: Small, first: str) -> None:
    before = state(small.store)
    small.store.merge(ADA.name, BEN.name)
    small.store.merge(BEN.name, CAT.name)
    with small.store.reading() as connection:
        listed = list_merged(connection, small.id_of(CAT.name))
    assert [(one.name, one.into.name) for one in listed] == [(BEN.name, CAT.name), (ADA.name, BEN.name)]
    assert all(one.merged_at is not None and one.merged_by for one in listed)
    small.unmerge(first)
    whose = {name: media_of(small.store, name) for name in (ADA.name, BEN.name, CAT.name)}
    if first == BEN.name:  # whoever was merged into Ben goes along
        assert whose[ADA.name] == whose[BEN.name] == ["ada.gif", "ben.gif", "both.gif"]
        assert whose[CAT.name] == ["both.gif"]
    else:
        assert whose[ADA.name] == ["ada.gif", "both.gif"]
        assert whose[BEN.name] == whose[CAT.name] == ["ben.gif", "both.gif"]
    small.unmerge(ADA.name if first == BEN.name else BEN.name)
    assert state(small.store) == before


def test_further_names_go_with_whom_they_were_of(small: Small) -> None:
    with small.store.writing() as connection:
        add_alias(connection, ADA.name, "The Countess")
    small.store.merge(ADA.name, BEN.name)
    with small.store.writing() as connection:
        add_alias(connection, BEN.name, "Benny")
    small.unmerge("the countess")
    assert small.store.search("The Countess").found[0].identity == ADA
    assert small.store.search("Benny").found[0].identity == BEN


def test_where_who_remained_has_the_name_another_one_is_needed(small: Small) -> None:
    small.store.merge(ADA.name, BEN.name)
    small.store.rename(BEN.name, ADA.name)
    with small.store.reading() as connection:
        (one,) = list_merged(connection, small.id_of(ADA.name))
    assert one.name is None
    with pytest.raises(IdentityError, match="say what that one is called"):
        small.unmerge(ADA.name)
    with pytest.raises(IdentityError, match="merge the two"):
        small.unmerge(ADA.name, new_name=CAT.name)
    assert media_of(small.store, ADA.name) == ["ada.gif", "ben.gif", "both.gif"], "nothing was changed"
    assert small.unmerge(ADA.name, new_name="Ada King") == Identity("Ada King", ADA.kg_mid)
    assert media_of(small.store, "Ada King") == ["ada.gif", "both.gif"]
    with pytest.raises(IdentityError):
        small.store.search("Ada Lovelace (merged into 2)")


def test_what_was_never_merged_cannot_be_taken_apart(small: Small) -> None:
    small.store.merge(ADA.name, BEN.name)
    for name in (BEN.name, CAT.name, "Nobody Atall"):
        with pytest.raises(IdentityError, match="nobody who was merged was called"):
            small.unmerge(name)
    small.unmerge(ADA.name)
    with pytest.raises(IdentityError, match="nobody who was merged was called"):
        small.unmerge(ADA.name)


def test_while_one_of_them_is_taken_down_nobody_is_merged_or_told_apart(small: Small) -> None:
    small.store.merge(ADA.name, BEN.name)
    with small.store.reading() as connection:
        person = find_person(connection, ADA.name)
    takedown = begin_takedown(small.store.engine, person, NO_FACES)
    before = state(small.store)
    for act in (
        lambda: small.store.merge(BEN.name, CAT.name),
        lambda: small.store.merge(CAT.name, BEN.name),
        lambda: small.unmerge(ADA.name),
    ):
        with pytest.raises(BusyError, match="a takedown of one of these people is under way"):
            act()
    assert state(small.store) == before
    forget_in_database(small.store.engine, takedown, takedown.names)
    finish_takedown(small.store.engine, takedown, takedown.names)
    assert [one.identity for one in small.store.list_identities()] == [CAT]


@dataclass(frozen=True)
class Modelled:
    """A database that a real model labels: clips of one track each, of persons 0 to 3, and one of 0 and 1 together."""

    store: Store
    network_id: int
    people: Sequence[int]

    def gallery(self) -> Gallery:
        """Return whom the model knows now, as programs put it together when they start."""
        bundle = gallery(self.people, min_score=0.2).bundle
        enrolled = self.store.list_enrolled(EMBEDDER)
        names = {one.name for one in bundle.identities} | {one.identity.name for one in enrolled}
        renames, merged = _renames_and_merges(names, self.store.former_names())
        people = [EnrolledPerson(one.identity, one.embeddings, EMBEDDER) for one in enrolled]
        return Gallery.from_bundle(bundle, enrolled=people, renames=renames, merges=merged)

    def relabel(self) -> int:
        """Label all that has no labels by the model as it is now, and show it."""
        identifier = Identifier(self.gallery())
        labelling_id = self.store.register_labelling(
            self.network_id,
            model=identifier.model,
            digest=identifier.digest,
            photographs=identifier.photographs,
            calibration=identifier.calibration.to_json(),
        )
        relabel_archive(self.store.engine, identifier, labelling_id)
        self.store.activate(labelling_id)
        return labelling_id

    def annotate(self, name: str, content: int, *people: int) -> None:
        identifier = Identifier(self.gallery())
        made = self._clip(name, content, people, identifier)
        self.store.save([made], network_id=self.network_id, labelling_id=self.relabel())

    def _clip(self, name: str, content: int, people: Sequence[int], identifier: Identifier) -> MediaAnnotation:
        none = np.zeros((0, 112, 112, 3), np.uint8)
        tracks = []
        for place, person in enumerate(people):
            made = beside_others(place)
            face = replace(
                made.evidence,
                embeddings=PROTOTYPES[person][None].astype(np.float16),
                face_px=np.full(1, 64, np.float16),
                quality=np.full(1, 0.9, np.float16),
            )
            tracks.append(replace(made, evidence=face, best_faces=none))
        labels = identifier.identify([one.evidence for one in tracks])
        return annotation(ref(name), content=content, tracks=tracks, labels=labels)


def modelled(store: Store, people: Sequence[int]) -> Modelled:
    made = Modelled(store, store.register_network(SPEC), people)
    for number in range(4):
        made.annotate(f"{number}.gif", number + 1, number)
    made.annotate("both.gif", 9, 0, 1)
    return made


def names(store: Store) -> dict[str, list[str]]:
    """Return who is seen in which media, by what searches find."""
    with store.reading() as connection:
        rows = connection.execute(text("SELECT media_key, identity FROM content_labels ORDER BY media_key, identity"))
        found: dict[str, list[str]] = {}
        for key, name in rows:
            found.setdefault(key, []).append(name)
    return found


def test_taken_back_it_holds_when_the_archive_is_labelled_anew(store: Store) -> None:
    made = modelled(store, range(4))
    store.merge("Person 0", "Person 1")
    merged_by = made.relabel()
    made.annotate("since.gif", 10, 0, 1)
    assert names(store)["since.gif"] == names(store)["both.gif"] == names(store)["0.gif"] == ["Person 1"]
    store.unmerge("Person 0")
    assert made.relabel() != merged_by
    assert names(store) == {
        "0.gif": ["Person 0"],
        "1.gif": ["Person 1"],
        "2.gif": ["Person 2"],
        "3.gif": ["Person 3"],
        "both.gif": ["Person 0", "Person 1"],
        "since.gif": ["Person 0", "Person 1"],
    }


def test_a_model_that_knows_only_who_was_given_up_names_that_one_again(store: Store) -> None:
    made = modelled(store, [0, 2, 3])
    store.add_enrolled(Identity("Somebody"), embedder="another", embeddings=eyes(0, 1), photo_sha256=[digest(1)] * 2)
    store.merge("Person 0", "Somebody")
    made.annotate("since.gif", 10, 0)
    assert names(store)["since.gif"] == names(store)["0.gif"] == ["Somebody"]
    store.unmerge("Person 0")
    assert names(store)["since.gif"] == names(store)["0.gif"] == ["Person 0"], "at once: the model has told them apart"
    made.relabel()
    made.annotate("later.gif", 11, 0)
    assert {names(store)[one][0] for one in ("0.gif", "since.gif", "later.gif")} == {"Person 0"}


def test_a_new_model_tells_them_apart_too(store: Store) -> None:
    made = modelled(store, range(4))
    store.merge("Person 0", "Person 1")
    newer = replace(made, people=range(6))
    newer.relabel()
    store.unmerge("Person 0")
    newer.relabel()
    assert (names(store)["0.gif"], names(store)["both.gif"]) == (["Person 0"], ["Person 0", "Person 1"])


def test_whoever_labels_on_by_a_model_that_knows_both_writes_one_sum_and_then_two(store: Store) -> None:
    made = modelled(store, range(4))
    newer = Identifier(replace(made, people=range(6)).gallery())
    labelling_id = store.register_labelling(
        made.network_id,
        model="small@2",
        digest=newer.digest,
        photographs=newer.photographs,
        calibration=newer.calibration.to_json(),
    )
    store.merge("Person 0", "Person 1")
    relabel_archive(store.engine, newer, labelling_id)  # was started before
    store.activate(labelling_id)
    assert (names(store)["0.gif"], names(store)["both.gif"]) == (["Person 1"], ["Person 1"])
    store.unmerge("Person 0")
    assert (names(store)["0.gif"], names(store)["both.gif"]) == (["Person 0"], ["Person 0", "Person 1"])


def test_a_merge_of_before_it_was_kept_is_taken_back_as_far_as_it_can_be(small: Small) -> None:
    small.store.merge(ADA.name, BEN.name)
    with small.store.writing() as connection:  # as the migration leaves it
        connection.execute(delete(merges))
        connection.execute(
            text(
                "INSERT INTO merges (identity_id, into_id, gave_kg_mid)"
                " SELECT id, merged_into, false FROM identities WHERE merged_into IS NOT NULL"
            )
        )
        connection.execute(text("UPDATE identities SET kg_mid = '/m/0ada' WHERE name = :name"), {"name": BEN.name})
    assert small.unmerge(ADA.name) == ADA
    assert media_of(small.store, ADA.name) == ["ada.gif", "both.gif"]
    assert small.store.search(BEN.name).found[0].identity == BEN, "it had got the id by the merge"


def test_what_a_former_program_merges_beside_new_ones_goes_along_too(small: Small) -> None:
    small.store.merge(BEN.name, CAT.name)
    with small.store.writing() as connection:  # as a program of before does it: it keeps nothing of it
        connection.execute(
            text("UPDATE identities SET merged_into = (SELECT id FROM identities WHERE name = :cat) WHERE name = :ada"),
            {"cat": CAT.name, "ada": ADA.name},
        )
    assert small.unmerge(ADA.name) == ADA
    assert media_of(small.store, BEN.name) == ["ben.gif", "both.gif"]


def test_a_knowledge_graph_id_that_is_somebody_elses_by_now_stays_there(small: Small) -> None:
    small.store.merge(ADA.name, BEN.name)
    with small.store.writing() as connection:
        change_kg_mid(connection, BEN.name, None)
        change_kg_mid(connection, CAT.name, ADA.kg_mid)
    said: list[str] = []
    assert small.store.unmerge(ADA.name, say=said.append) == Identity(ADA.name)
    assert said == [f"{CAT.name} has the Knowledge Graph id {ADA.kg_mid} by now, and keeps it."]


def test_two_who_lost_the_same_name_are_told_apart_by_what_is_left_of_it(small: Small) -> None:
    small.store.merge(ADA.name, BEN.name)
    small.store.rename(BEN.name, ADA.name)
    small.store.merge(ADA.name, CAT.name)
    small.store.rename(CAT.name, ADA.name)
    with pytest.raises(
        IdentityError, match=r"write 'Ada Lovelace \(merged into 2\)' or 'Ada Lovelace \(merged into 3\)'"
    ):
        small.unmerge(ADA.name)
    assert small.unmerge("Ada Lovelace (merged into 3)", new_name="Second").name == "Second"
