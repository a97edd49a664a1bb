"""Groups of strangers as rows: the same however they came about, and what a person has decided stays."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from sqlalchemy import text

from annotator.errors import ConfigError, GroupingTakenError, StrangerError
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.calibration import Calibration, SizePoint
from annotator.store import Store
from annotator.store.identities import ids_of
from annotator.store.locks import only_one
from annotator.store.strangers import running
from annotator.store.strangers.decisions import (
    find_group,
    members_of,
    merge_groups,
    name_group,
    network_of_strangers,
    split_group,
)
from annotator.store.strangers.faces import best_tracks
from annotator.store.strangers.listing import list_strangers, tracks_of_stranger
from annotator.store.strangers.running import Grouped, group_strangers, read_points
from annotator.types import FaceTrack, Identity, TrackEvidence, TrackLabel
from tests.store_values import ADA, SPEC, annotation, digest, known, ref, track, unknown

SIZE = 64
_RANDOM = np.random.default_rng(5)
DIRECTIONS = _RANDOM.normal(size=(20, SIZE))
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
KEY = "SELECT content_id, track_no, group_no FROM grouped_tracks ORDER BY 1, 2"
GROUPS = (
    "SELECT group_no, tracks, total, merged_into, is_kept FROM track_groups ORDER BY 1",
    KEY,
    "SELECT content_id FROM grouped_contents ORDER BY 1",
)


def bundle(*, mean: float = 0.0) -> ModelBundle:
    """Return a model whose people do not matter here, with a centre."""
    return ModelBundle(
        name="small",
        version=1,
        embedder="test",
        identities=(ADA,),
        prototypes=DIRECTIONS[-1:].astype(np.float32),
        photo_counts=np.ones(1, np.int32),
        mean=np.full(SIZE, mean, np.float32),
        calibration=Calibration((SizePoint(64.0, (0.7,), 10.0, -3.0),), (0.01,), 0.01, 0.1, 32.0, 48.0, 0.5, 1),
    )


def track_of(
    person: int,
    number: int,
    *,
    seed: int = 0,
    first_frame: int | None = None,
    px: float = 80,
    quality: float = 0.9,
) -> FaceTrack:
    """Return a track of a person: no two of one content share a frame, unless told so."""
    random = np.random.default_rng((person, number, seed))
    near = DIRECTIONS[person] + random.normal(0, 0.3 / np.sqrt(SIZE), (2, SIZE))
    made = track(number, start_ms=100 * number)
    frames = np.arange(3, dtype=np.int64) + (10 * number if first_frame is None else first_frame)
    evidence = TrackEvidence(
        (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float16),
        np.full(2, px, np.float16),
        np.full(2, quality, np.float16),
    )
    return replace(made, frame_index=frames, evidence=evidence, best_faces=np.zeros((2, 112, 112, 3), np.uint8))


@dataclass(frozen=True)
class Archive:
    """A database with annotations of one network."""

    store: Store
    network_id: int
    labelling_id: int

    def add(self, content: int, tracks: Sequence[FaceTrack], labels: Sequence[TrackLabel] = (), name: str = "") -> None:
        media = ref(name or f"{content}.gif")
        shown = list(labels) or [unknown(ADA)] * len(tracks)
        one = annotation(media, content=content, tracks=tracks, labels=shown)
        self.store.save([one], network_id=self.network_id, labelling_id=self.labelling_id)

    def group(self, **options: object) -> Grouped:
        return group_strangers(self.store.engine, bundle(), self.network_id, **options)  # type: ignore[arg-type]

    def rows(self) -> list[list[tuple[object, ...]]]:
        with self.store.reading() as connection:
            return [
                [tuple(bytes(one) if isinstance(one, memoryview) else one for one in row) for row in found]
                for found in (connection.execute(text(query)) for query in GROUPS)
            ]

    def groups(self) -> dict[tuple[int, int], int]:
        """Return the group that each track is in now."""
        query = (
            "SELECT b.content_id, b.track_no, g.survivor_no FROM grouped_tracks b JOIN track_groups g"
            " ON g.network_id = b.network_id AND g.group_no = b.group_no"
        )
        with self.store.reading() as connection:
            return {(content, number): group for content, number, group in connection.execute(text(query))}


@pytest.fixture
def archive(store: Store, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An archive without tracks; windows hold 4 contents and batches 2."""
    monkeypatch.setattr(running, "WINDOW", 4)
    monkeypatch.setattr(running, "BATCH", 2)
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(network_id, model="small@1", digest="1", photographs={ADA: 1})
    return Archive(store, network_id, labelling_id)


def fill(archive: Archive, contents: Iterable[int]) -> None:
    """Add contents of two tracks each, of five people in turn."""
    for content in contents:
        people = (content % 5, (content * 2 + 1) % 5)
        archive.add(content, [track_of(one, number, seed=content) for number, one in enumerate(people)])


def test_tracks_of_a_person_come_into_one_group(archive: Archive) -> None:
    fill(archive, range(1, 12))
    done = archive.group()
    assert (done.contents, done.tracks, done.too_poor, done.founded, done.united) == (11, 22, 0, 5, 0)
    groups = archive.groups()
    by_person: dict[int, set[int]] = {}
    for (content, number), group in groups.items():
        by_person.setdefault((content % 5, (content * 2 + 1) % 5)[number], set()).add(group)
    assert sorted(by_person.values(), key=min) == [{1}, {2}, {3}, {4}, {5}]


def test_it_makes_no_difference_whether_all_come_at_once(
    archive: Archive, dialect: str, make_database: Callable[..., str]
) -> None:
    fill(archive, range(1, 12))
    archive.group()
    with Store.open(make_database(dialect)) as other:
        network_id = other.register_network(SPEC)
        labelling_id = other.register_labelling(network_id, model="small@1", digest="1", photographs={ADA: 1})
        again = Archive(other, network_id, labelling_id)
        for content in range(1, 12):
            fill(again, [content])
            again.group()
        assert again.rows() == archive.rows()


def test_a_second_run_changes_nothing_and_takes_only_what_is_new(archive: Archive) -> None:
    fill(archive, range(1, 6))
    archive.group()
    before = archive.rows()
    assert archive.group() == Grouped()
    assert archive.rows() == before
    fill(archive, range(6, 8))
    assert archive.group().contents == 2


@pytest.mark.parametrize("lives", [0, 1, 3])
def test_a_run_that_dies_goes_on_and_comes_to_the_same(archive: Archive, lives: int) -> None:
    fill(archive, range(1, 12))
    left = lives

    def die(_last: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        archive.group(on_batch=die)
    archive.group()
    broken_off = archive.rows()
    archive.group(is_anew=True)
    anew = archive.groups()
    assert len(broken_off[1]) == 22
    assert len({frozenset(key for key in anew if anew[key] == group) for group in set(anew.values())}) == 5


def test_a_batch_that_fails_leaves_nothing_of_it(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(archive, range(1, 4))

    def fail(*_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as broken:
        broken.setattr(running, "write_united", fail)
        with pytest.raises(InterruptedError):
            archive.group()
    assert archive.rows() == [[], [], []]
    assert archive.group().contents == 3


def test_tracks_in_one_frame_are_two_people(archive: Archive) -> None:
    archive.add(1, [track_of(0, 0, first_frame=0), track_of(0, 1, first_frame=2)])
    archive.add(2, [track_of(3, 0, first_frame=0), track_of(3, 1, first_frame=3)])
    archive.group()
    groups = archive.groups()
    assert groups[1, 0] != groups[1, 1]
    assert groups[2, 0] == groups[2, 1]


def test_a_later_run_knows_who_was_seen_with_whom(archive: Archive) -> None:
    archive.add(1, [track_of(0, 0, first_frame=0), track_of(0, 1, first_frame=2)])
    archive.group()
    archive.add(2, [track_of(0, 0)])
    archive.group()
    groups = archive.groups()
    assert groups[1, 0] != groups[1, 1]


def track_at(degrees: float) -> FaceTrack:
    """Return a track whose point lies in a plane, at an angle."""
    across = DIRECTIONS[1] - (DIRECTIONS[1] @ DIRECTIONS[0]) * DIRECTIONS[0]
    across /= np.linalg.norm(across)
    direction = np.cos(np.deg2rad(degrees)) * DIRECTIONS[0] + np.sin(np.deg2rad(degrees)) * across
    made = track_of(0, 0)
    return replace(
        made, evidence=replace(made.evidence, embeddings=np.repeat(direction[None], 2, 0).astype(np.float16))
    )


def test_groups_that_become_one_keep_the_older_number_and_the_other_one_goes_on_to_find_it(archive: Archive) -> None:
    for content, degrees in enumerate((0, 75), start=1):
        archive.add(content, [track_at(degrees)])
    archive.group()
    assert archive.groups() == {(1, 0): 1, (2, 0): 2}
    for content, degrees in enumerate((30, 45, 35, 40, 38), start=3):
        archive.add(content, [track_at(degrees)])
    assert archive.group().united == 1
    assert set(archive.groups().values()) == {1}
    with archive.store.reading() as connection:
        group = find_group(connection, archive.network_id, 2)
        _, vectors, _ = read_points(connection, archive.network_id, range(1, 8), bundle=bundle())
    assert (group.number, group.tracks) == (1, 7)
    assert (np.frombuffer(group.total, "<i4") == vectors.sum(axis=0)).all()


def test_the_centre_of_a_kept_group_is_made_anew_where_the_model_has_another_one(archive: Archive) -> None:
    _, kept = merged(archive)
    group_strangers(archive.store.engine, bundle(mean=0.02), archive.network_id)
    with archive.store.reading() as connection:
        members = set(members_of(connection, archive.network_id, kept))
        keys, vectors, _ = read_points(connection, archive.network_id, range(1, 11), bundle=bundle(mean=0.02))
        group = find_group(connection, archive.network_id, kept)
    mine = [place for place, key in enumerate(keys) if key in members]
    assert group.tracks == len(mine)
    assert (np.frombuffer(group.total, "<i4") == vectors[mine].sum(axis=0)).all()


def test_faces_that_are_too_poor_are_in_no_group(archive: Archive) -> None:
    archive.add(1, [track_of(0, 0), track_of(0, 1, px=20)])
    done = archive.group()
    assert (done.tracks, done.too_poor) == (2, 1)
    assert list(archive.groups()) == [(1, 0)]


def test_what_is_annotated_anew_is_grouped_anew(archive: Archive) -> None:
    fill(archive, range(1, 4))
    archive.group()
    one = annotation(ref("1.gif"), content=1, tracks=[track_of(7, 0)], labels=[unknown(ADA)])
    archive.store.save([one], network_id=archive.network_id, labelling_id=archive.labelling_id, refresh=True)
    assert {key for key in archive.groups() if key[0] == 1} == set()
    assert archive.group().contents == 1
    assert {key for key in archive.groups() if key[0] == 1} == {(1, 0)}


def test_another_centre_makes_all_groups_anew_under_new_numbers(archive: Archive) -> None:
    fill(archive, range(1, 8))
    archive.group()
    done = group_strangers(archive.store.engine, bundle(mean=0.01), archive.network_id)
    assert done.is_anew
    assert done.contents == 7
    assert min(archive.groups().values()) > 5
    assert not group_strangers(archive.store.engine, bundle(mean=0.01), archive.network_id).is_anew


def merged(archive: Archive) -> tuple[int, int]:
    """Group ten contents and let the groups of people 0 and 1 be one; return the numbers given up and kept."""
    fill(archive, range(1, 11))
    archive.group()
    groups = archive.groups()
    first, second = groups[5, 0], groups[1, 0]
    merge_groups(archive.store.engine, archive.network_id, second, first)
    return second, first


@pytest.mark.parametrize("is_anew", [False, True])
def test_what_a_person_has_made_one_stays_one(archive: Archive, *, is_anew: bool) -> None:
    lost, kept = merged(archive)
    fill(archive, range(11, 16))
    archive.group(is_anew=is_anew)
    groups = archive.groups()
    assert {groups[content, 0] for content in (1, 5, 6, 10)} == {kept}
    assert {groups[content, 0] for content in (11, 15)} <= {kept}
    if not is_anew:
        with archive.store.reading() as connection:
            assert find_group(connection, archive.network_id, lost).number == kept


def test_a_number_finds_its_group_however_often_that_was_given_up(archive: Archive) -> None:
    lost, kept = merged(archive)
    third = archive.groups()[2, 0]
    merge_groups(archive.store.engine, archive.network_id, kept, third)
    with archive.store.reading() as connection:
        assert {find_group(connection, archive.network_id, one).number for one in (lost, kept, third)} == {third}


def test_the_total_of_a_merged_group_is_that_of_both(archive: Archive) -> None:
    _, kept = merged(archive)
    with archive.store.reading() as connection:
        group = find_group(connection, archive.network_id, kept)
        members = members_of(connection, archive.network_id, kept)
    assert group.tracks == len(members)
    total = np.frombuffer(group.total, "<i4")
    archive.group(is_anew=True)
    with archive.store.reading() as connection:
        assert (np.frombuffer(find_group(connection, archive.network_id, kept).total, "<i4") == total).all()


@pytest.mark.parametrize("is_anew", [False, True])
def test_what_a_person_has_split_stays_split(archive: Archive, *, is_anew: bool) -> None:
    fill(archive, range(1, 11))
    archive.group()
    before = archive.groups()
    group = before[5, 0]
    some = sorted(key for key in before if before[key] == group)
    new = split_group(archive.store.engine, archive.network_id, group, keys=some[:2], bundle=bundle())
    assert new.tracks == 2
    fill(archive, range(11, 16))
    archive.group(is_anew=is_anew)
    groups = archive.groups()
    assert {groups[key] for key in some[:2]} == {new.number}
    assert {groups[key] for key in some[2:]} == {group}


def test_a_split_takes_what_it_takes_from_the_total(archive: Archive) -> None:
    fill(archive, range(1, 11))
    archive.group()
    before = archive.groups()
    group = before[5, 0]
    some = sorted(key for key in before if before[key] == group)[:2]
    with archive.store.reading() as connection:
        whole = find_group(connection, archive.network_id, group)
    new = split_group(archive.store.engine, archive.network_id, group, keys=some, bundle=bundle())
    with archive.store.reading() as connection:
        left, apart = (find_group(connection, archive.network_id, one) for one in (group, new.number))
    totals = [np.frombuffer(one.total, "<i4") for one in (whole, left, apart)]
    assert (totals[0] == totals[1] + totals[2]).all()
    assert whole.tracks == left.tracks + apart.tracks
    assert (new.tracks, new.unnamed) == (2, None)


def test_a_name_stays_when_groups_are_made_anew(archive: Archive) -> None:
    fill(archive, range(1, 11))
    archive.group()
    group = archive.groups()[5, 0]
    with archive.store.writing() as connection:
        ada = ids_of(connection, {ADA.name})[ADA.name]
    name_group(archive.store.engine, archive.network_id, group, ada)
    archive.group(is_anew=True)
    with archive.store.reading() as connection:
        assert find_group(connection, archive.network_id, group).identity_id == ada
        listed = list_strangers(connection, limit=10, has_known=True)
        assert {one.number: one.identity for one in listed}[group] == ADA.name
        assert group not in {one.number for one in list_strangers(connection, limit=10)}


def test_decisions_that_cannot_be_are_refused(archive: Archive) -> None:
    engine, network_id = archive.store.engine, archive.network_id
    with pytest.raises(StrangerError, match="run `annotator strangers group`"):
        network_of_strangers(engine)
    lost, kept = merged(archive)
    assert network_of_strangers(engine) == network_id
    with pytest.raises(StrangerError, match="one already"):
        merge_groups(engine, network_id, lost, kept)
    with pytest.raises(StrangerError, match="no stranger 999"):
        merge_groups(engine, network_id, 999, kept)
    with pytest.raises(StrangerError, match="not all of these"):
        split_group(engine, network_id, kept, keys=[(999, 0)], bundle=bundle())
    with archive.store.reading() as connection:
        everything = members_of(connection, network_id, kept)
    with pytest.raises(StrangerError, match="leave some"):
        split_group(engine, network_id, kept, keys=everything, bundle=bundle())
    with pytest.raises(ConfigError, match="another model"):
        split_group(engine, network_id, kept, keys=everything[:1], bundle=bundle(mean=0.1))


def test_groups_named_as_two_people_are_not_made_one(archive: Archive) -> None:
    fill(archive, range(1, 11))
    archive.group()
    groups = archive.groups()
    ben = Identity("Ben")
    archive.store.add_enrolled(ben, embedder="test", embeddings=np.zeros((0, SIZE), np.float32), photo_sha256=[])
    with archive.store.writing() as connection:
        ids = ids_of(connection, {ADA.name, ben.name})
    name_group(archive.store.engine, archive.network_id, groups[5, 0], ids[ADA.name])
    name_group(archive.store.engine, archive.network_id, groups[1, 0], ids[ben.name])
    with pytest.raises(StrangerError, match="two people"):
        merge_groups(archive.store.engine, archive.network_id, groups[5, 0], groups[1, 0])
    archive.store.merge(ben.name, ADA.name)  # as the error says
    assert merge_groups(archive.store.engine, archive.network_id, groups[5, 0], groups[1, 0]).number == groups[1, 0]


def test_a_run_is_refused_while_another_process_has_the_groups(archive: Archive, dialect: str) -> None:
    fill(archive, range(1, 6))
    if dialect == "postgres":
        with (
            only_one(archive.store.engine, f"strangers {archive.network_id}"),
            pytest.raises(GroupingTakenError, match="wait for it"),
        ):
            archive.group()
        assert archive.rows()[1] == []

    def interfere(_last: int) -> None:  # as a process that was frozen, or one on SQLite
        with archive.store.writing() as connection:
            connection.execute(text("UPDATE groupings SET changes = changes + 1"))

    with pytest.raises(GroupingTakenError, match="call this again"):
        archive.group(on_batch=interfere)
    assert archive.group().contents == 3
    assert len(archive.rows()[1]) == 10


def test_strangers_are_listed_by_media_then_by_time_on_screen(archive: Archive) -> None:
    archive.add(1, [track_of(0, 0)])
    archive.add(2, [track_of(0, 0, seed=1), track_of(1, 1)])
    archive.add(3, [track_of(2, 0), track_of(2, 1, seed=1)])
    archive.add(3, [track_of(2, 0), track_of(2, 1, seed=1)], name="copy.gif")
    archive.group()
    with archive.store.reading() as connection:
        listed = list_strangers(connection, limit=10)
        assert [(one.number, one.contents, one.media, one.tracks, one.screen_time_ms) for one in listed] == [
            (3, 1, 2, 2, 1200),
            (1, 2, 2, 2, 600),
            (2, 1, 1, 1, 300),
        ]
        assert [one.number for one in list_strangers(connection, limit=1)] == [3]
        assert [one.number for one in list_strangers(connection, limit=10, min_media=2)] == [3, 1]
        assert listed[0].face_px == 80
        assert listed[0].first_annotated_at <= listed[0].last_annotated_at


def test_views_decide_where_they_are_given(archive: Archive) -> None:
    archive.add(1, [track_of(0, 0)])
    archive.add(2, [track_of(0, 0, seed=1)])
    archive.add(3, [track_of(1, 0)])
    archive.group()
    with archive.store.reading() as connection:
        listed = list_strangers(connection, limit=10, views=[("s3://gifs/3.gif", 50.0), ("1.gif", 20.0), ("x", 9.0)])
    assert [(one.number, one.views) for one in listed] == [(2, 50.0), (1, 20.0)]


def test_groups_that_mostly_have_a_name_are_no_strangers_and_others_say_whom_they_resemble(archive: Archive) -> None:
    archive.add(1, [track_of(0, 0)], [known(ADA)])
    archive.add(2, [track_of(0, 0, seed=1)], [unknown(ADA)])
    archive.add(3, [track_of(1, 0)], [known(ADA)])
    archive.add(4, [track_of(1, 0, seed=1)], [unknown(ADA)])
    archive.add(5, [track_of(1, 0, seed=2)], [unknown(ADA)])
    archive.add(6, [track_of(2, 0)], [unknown(ADA)])
    archive.group()
    with archive.store.reading() as connection:
        listed = list_strangers(connection, limit=10)
        everybody = list_strangers(connection, limit=10, has_known=True)
    assert [(one.number, one.resembles, one.tracks, one.named_tracks) for one in listed] == [
        (2, ADA.name, 2, 1),
        (3, None, 1, 0),
    ]
    assert {one.number for one in everybody} == {1, 2, 3}


def test_the_tracks_of_a_stranger_are_told_with_every_media(archive: Archive) -> None:
    archive.add(1, [track_of(0, 0), track_of(1, 1)], [known(ADA), unknown(ADA)])
    archive.add(1, [track_of(0, 0), track_of(1, 1)], name="copy.gif")
    archive.add(2, [track_of(0, 0, seed=1)])
    archive.group()
    with archive.store.reading() as connection:
        found = tracks_of_stranger(connection, 1)
    assert [(one.media_uri, one.track_no, one.identity) for one in found] == [
        ("s3://gifs/1.gif", 0, ADA.name),
        ("s3://gifs/copy.gif", 0, ADA.name),
        ("s3://gifs/2.gif", 0, None),
    ]
    assert (found[0].first_seen_ms, found[0].screen_time_ms, found[0].face_px, found[0].etag) == (0, 300, 80.0, "1")


def enrolled_of(archive: Archive, number: int) -> list[tuple[int, int]]:
    """Return content and number of the tracks that would be enrolled, best first; digests are of content ids."""
    with archive.store.reading() as connection:
        best = best_tracks(connection, archive.network_id, number, bundle=bundle())
        members = members_of(connection, archive.network_id, number)
    assert np.abs(np.linalg.norm(best.embeddings, axis=1) - 1).max() < 1e-6
    named = {
        hashlib.sha256(bytes.fromhex(digest(content)) + f":track {track_no}".encode()).hexdigest(): (content, track_no)
        for content, track_no in members
    }
    return [named[one] for one in best.digests]


def test_the_sharpest_track_of_each_clip_stands_for_a_person_then_second_ones(archive: Archive) -> None:
    archive.add(1, [track_of(0, 0, quality=0.95), track_of(0, 1, seed=1, quality=0.93)])
    archive.add(2, [track_of(0, 0, seed=2, quality=0.8)])
    archive.add(3, [track_of(0, 0, seed=3, quality=0.85)])
    archive.group()
    assert enrolled_of(archive, 1) == [(1, 0), (3, 0), (2, 0), (1, 1)]


def test_ten_tracks_stand_for_a_person_at_most(archive: Archive) -> None:
    for content in range(1, 13):
        archive.add(content, [track_of(0, 0, seed=content, quality=1 - 0.02 * content)])
    archive.group()
    assert enrolled_of(archive, 1) == [(content, 0) for content in range(1, 11)]


def test_a_track_that_is_unlike_the_others_stands_for_nobody(archive: Archive) -> None:
    for content in range(1, 5):
        archive.add(content, [track_of(0, 0, seed=content)])
    archive.add(5, [track_of(7, 0, quality=0.99)])
    archive.group()
    merge_groups(archive.store.engine, archive.network_id, 2, 1)
    assert sorted(enrolled_of(archive, 1)) == [(content, 0) for content in range(1, 5)]


def test_small_faces_stand_for_nobody(archive: Archive) -> None:
    archive.add(1, [track_of(0, 0, px=60, quality=0.99)])
    archive.add(2, [track_of(0, 0, seed=1, px=64, quality=0.8)])
    archive.add(3, [track_of(5, 0, px=50)])
    archive.group()
    assert enrolled_of(archive, 1) == [(2, 0)]
    with archive.store.reading() as connection, pytest.raises(StrangerError, match="50 pixels large at most, and 64"):
        best_tracks(connection, archive.network_id, 2, bundle=bundle())


def test_a_group_without_tracks_stands_for_nobody(archive: Archive) -> None:
    archive.add(1, [track_of(0, 0)])
    archive.group()
    one = annotation(ref("1.gif"), content=1)
    archive.store.save([one], network_id=archive.network_id, labelling_id=archive.labelling_id, refresh=True)
    with archive.store.reading() as connection, pytest.raises(StrangerError, match="no faces any more"):
        best_tracks(connection, archive.network_id, 1, bundle=bundle())
