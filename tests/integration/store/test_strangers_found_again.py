"""What a person has decided about groups of strangers holds when faces are found anew, also by another network."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import text

from annotator.store import Store
from annotator.store.identities import ids_of
from annotator.store.strangers.decisions import find_group, members_of, merge_groups, name_group, split_group
from annotator.store.strangers.running import read_points
from annotator.store.takedowns.faces import ungroup
from annotator.types import FaceTrack
from tests.integration.store.test_strangers import Archive, bundle, track_of
from tests.store_values import ADA, SPEC, annotation, ref, unknown

BOX = (10, 10, 50, 50)
ELSEWHERE = (200, 200, 260, 260)


def seen(person: int, number: int = 0, *, seed: int, box: Sequence[int] = BOX) -> FaceTrack:
    """Return a track of a person at one place."""
    return replace(track_of(person, number, seed=seed), boxes_xyxy=np.array([box] * 3, np.float32))


@pytest.fixture
def archive(store: Store) -> Archive:
    """Five clips of somebody and three of somebody else, in two groups."""
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(network_id, model="small@1", digest="1", photographs={ADA: 1})
    made = Archive(store, network_id, labelling_id)
    fill(made)
    made.group()
    return made


def fill(archive: Archive) -> None:
    for content in range(1, 9):
        archive.add(content, [seen(0 if content <= 5 else 1, seed=content)])


def another_network(archive: Archive) -> Archive:
    """Annotate the same clips by another network, which numbers tracks otherwise."""
    network_id = archive.store.register_network(SPEC | {"decoder": {"version": 2}})
    labelling_id = archive.store.register_labelling(network_id, model="small@1", digest="1", photographs={ADA: 1})
    other = Archive(archive.store, network_id, labelling_id)
    for content in range(1, 9):
        other.add(content, [seen(7, seed=content, box=ELSEWHERE), seen(0 if content <= 5 else 1, 1, seed=content)])
    return other


def groups_of(archive: Archive) -> dict[tuple[int, int], int]:
    """Return the group that each track of the archive's network is in now."""
    query = text(
        "SELECT b.content_id, b.track_no, g.survivor_no FROM grouped_tracks b JOIN track_groups g"
        " ON g.network_id = b.network_id AND g.group_no = b.group_no WHERE b.network_id = :n"
    )
    with archive.store.reading() as connection:
        rows = connection.execute(query, {"n": archive.network_id})
        return {(content, number): group for content, number, group in rows}


def refresh(archive: Archive, content: int, tracks: Sequence[FaceTrack]) -> None:
    one = annotation(ref(f"{content}.gif"), content=content, tracks=tracks, labels=[unknown(ADA)] * len(tracks))
    archive.store.save([one], network_id=archive.network_id, labelling_id=archive.labelling_id, refresh=True)


def merge(archive: Archive) -> int:
    """Let both groups be one; return its number."""
    groups = groups_of(archive)
    return merge_groups(archive.store.engine, archive.network_id, groups[6, 0], groups[1, 0]).number


def split(archive: Archive, key: tuple[int, int]) -> int:
    """Let a track be another group than the one that it is in; return its number."""
    number = groups_of(archive)[key]
    return split_group(archive.store.engine, archive.network_id, number, keys=[key], bundle=bundle()).number


@pytest.mark.parametrize("is_anew", [False, True])
def test_a_merge_stays_where_all_its_clips_are_annotated_anew(archive: Archive, *, is_anew: bool) -> None:
    kept = merge(archive)
    for content in (6, 7, 8):
        refresh(archive, content, [seen(1, seed=content)])
    archive.group(is_anew=is_anew)
    assert set(groups_of(archive).values()) == {kept}


@pytest.mark.parametrize("is_anew", [False, True])
def test_a_split_stays_where_its_clip_is_annotated_anew_however_often(archive: Archive, *, is_anew: bool) -> None:
    apart = split(archive, (5, 0))
    for _ in range(2):
        refresh(archive, 5, [seen(0, seed=5)])
        archive.group(is_anew=is_anew)
        groups = groups_of(archive)
        assert groups[5, 0] == apart
        assert groups[1, 0] != apart


def test_the_face_is_found_by_its_place_and_not_by_its_number(archive: Archive) -> None:
    apart = split(archive, (5, 0))
    refresh(archive, 5, [seen(3, seed=5, box=ELSEWHERE), replace(seen(0, seed=5), track_no=1)])
    archive.group()
    groups = groups_of(archive)
    assert groups[5, 1] == apart
    assert groups[5, 0] != apart


def test_a_face_that_is_not_found_is_waited_for(archive: Archive) -> None:
    apart = split(archive, (5, 0))
    refresh(archive, 5, [seen(0, seed=5, box=ELSEWHERE)])
    archive.group(is_anew=True)
    assert groups_of(archive)[5, 0] != apart
    refresh(archive, 5, [seen(0, seed=5)])
    archive.group()
    assert groups_of(archive)[5, 0] == apart
    with archive.store.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM awaited_tracks")).scalar_one() == 0


def test_a_merge_while_a_face_is_waited_for_counts_for_it(archive: Archive) -> None:
    apart = split(archive, (5, 0))
    with archive.store.reading() as connection:
        first = find_group(connection, archive.network_id, groups_of(archive)[1, 0]).number
    refresh(archive, 5, [])
    merge_groups(archive.store.engine, archive.network_id, apart, first)
    archive.group(is_anew=True)
    refresh(archive, 5, [seen(3, seed=5)])
    archive.group()
    assert groups_of(archive)[5, 0] == first


def test_a_centre_counts_no_track_twice(archive: Archive) -> None:
    kept = merge(archive)
    with archive.store.reading() as connection:
        before = find_group(connection, archive.network_id, kept)
    refresh(archive, 6, [seen(1, seed=6)])
    archive.group()
    with archive.store.reading() as connection:
        after = find_group(connection, archive.network_id, kept)
    assert (after.tracks, after.total) == (before.tracks, before.total)


@pytest.mark.parametrize("is_anew", [False, True])
def test_another_network_takes_over_what_was_decided(archive: Archive, *, is_anew: bool) -> None:
    merge(archive)
    apart = split(archive, (5, 0))
    with archive.store.writing() as connection:
        ada = ids_of(connection, {ADA.name})[ADA.name]
    name_group(archive.store.engine, archive.network_id, apart, ada)
    other = another_network(archive)
    if is_anew:
        other.group()
    other.group(is_anew=is_anew)
    groups = groups_of(other)
    assert {groups[content, 1] for content in (1, 2, 3, 4, 6, 7, 8)} == {groups[1, 1]}
    assert len({groups[1, 1], groups[5, 1], groups[5, 0]}) == 3
    with other.store.reading() as connection:
        assert find_group(connection, other.network_id, groups[5, 1]).identity_id == ada
        for number in (groups[1, 1], groups[5, 1]):
            group = find_group(connection, other.network_id, number)
            members = members_of(connection, other.network_id, number)
            keys, vectors, _ = read_points(connection, other.network_id, range(1, 9), bundle=bundle())
            mine = [place for place, key in enumerate(keys) if key in members]
            assert group.tracks == len(mine)
            assert (np.frombuffer(group.total, "<i4") == vectors[mine].sum(axis=0)).all()


def test_a_group_that_another_network_has_taken_over_takes_later_clips_of_it(archive: Archive) -> None:
    merge(archive)
    other = another_network(archive)
    other.group()
    taken = groups_of(other)[1, 1]
    archive.add(9, [seen(4, seed=9)])
    archive.group()
    merge_groups(archive.store.engine, archive.network_id, groups_of(archive)[9, 0], groups_of(archive)[1, 0])
    other.add(9, [seen(4, seed=9)])
    other.group()
    assert groups_of(other)[9, 0] == taken
    assert groups_of(other)[1, 1] == taken


def test_a_decision_that_comes_back_finds_the_group_that_it_came_from(archive: Archive) -> None:
    kept = merge(archive)
    other = another_network(archive)
    other.group()
    other.add(9, [seen(4, seed=9)])
    other.group()
    merge_groups(archive.store.engine, other.network_id, groups_of(other)[9, 0], groups_of(other)[1, 1])
    archive.add(9, [seen(4, seed=9)])
    archive.group()
    assert groups_of(archive)[9, 0] == kept


def test_a_takedown_of_a_group_leaves_no_face_to_be_waited_for(archive: Archive) -> None:
    kept = merge(archive)
    with archive.store.writing() as connection:
        ada = ids_of(connection, {ADA.name})[ADA.name]
    name_group(archive.store.engine, archive.network_id, kept, ada)
    refresh(archive, 6, [seen(1, seed=6)])
    with archive.store.writing() as connection:
        assert connection.execute(text("SELECT count(*) FROM awaited_tracks")).scalar_one() == 1
        ungroup(connection, archive.network_id, [], identity_ids=[ada])
        assert connection.execute(text("SELECT count(*) FROM awaited_tracks")).scalar_one() == 0
