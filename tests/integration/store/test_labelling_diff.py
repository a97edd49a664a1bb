"""What one labelling changes against another, counted by both databases."""

import pytest
from sqlalchemy import text

from annotator.errors import ConfigError
from annotator.store import Store
from annotator.store.diff import compare_labellings
from annotator.store.labellings import Labelling, find_labelling, load_active
from annotator.types import Identity, TrackLabel
from tests.store_values import ADA, BEN, CAT, SPEC, annotation, known, ref, track, unknown

DORA = Identity("Dora")
EVERYBODY = dict.fromkeys((ADA, BEN, CAT, DORA), 3)
# Who is who under the former labelling and under the other one, track by track, for each content.
BEFORE: dict[int, list[TrackLabel]] = {
    1: [known(ADA), known(BEN), unknown(CAT)],
    2: [known(ADA), unknown(ADA)],
    3: [known(CAT), known(CAT)],
    4: [known(BEN)],
}
AFTER: dict[int, list[TrackLabel]] = {
    1: [known(ADA), unknown(BEN), known(CAT)],
    2: [known(BEN), unknown(ADA)],
    3: [known(CAT), known(DORA)],
}


@pytest.fixture
def labelled(store: Store) -> tuple[Labelling, Labelling]:
    """Two labellings over four contents, of which the second has labelled three."""
    network_id = store.register_network(SPEC)
    first = store.register_labelling(network_id, model="mine@1", digest="1", photographs=EVERYBODY)
    second = store.register_labelling(network_id, model="mine@2", digest="2", photographs=EVERYBODY)
    store.save(
        [
            annotation(
                ref(f"{number}.gif"),
                content=number,
                tracks=[track(place, times=number + place) for place in range(len(labels))],
                labels=labels,
            )
            for number, labels in BEFORE.items()
        ],
        network_id=network_id,
        labelling_id=first,
    )
    store.save_labels(second, {content_id(store, number): labels for number, labels in AFTER.items()})
    return Labelling(first, network_id, "mine@1"), Labelling(second, network_id, "mine@2")


def content_id(store: Store, number: int) -> int:
    with store.reading() as connection:
        found = connection.execute(text("SELECT content_id FROM media WHERE key = :key"), {"key": f"{number}.gif"})
        return int(found.scalar_one())


def test_what_is_added_dropped_and_flipped_is_counted_over_what_both_have_labelled(
    store: Store, labelled: tuple[Labelling, Labelling]
) -> None:
    diff = compare_labellings(store.engine, *labelled)
    assert (diff.contents, diff.unlabelled, diff.named) == (3, 1, 5)
    assert (diff.added, diff.dropped, diff.flipped) == (1, 1, 2)
    assert [(before.name, after.name, count) for before, after, count in diff.pairs] == [
        (ADA.name, BEN.name, 1),
        (CAT.name, DORA.name, 1),
    ]


def test_the_other_way_round_it_is_the_other_way_round(store: Store, labelled: tuple[Labelling, Labelling]) -> None:
    diff = compare_labellings(store.engine, *reversed(labelled))
    assert (diff.contents, diff.unlabelled, diff.added, diff.dropped, diff.flipped) == (3, 0, 1, 1, 2)


def test_each_person_is_told_with_what_is_lost_and_won(store: Store, labelled: tuple[Labelling, Labelling]) -> None:
    people = {one.identity.name: one for one in compare_labellings(store.engine, *labelled).people}
    told = {
        name: (one.before, one.dropped, one.flipped_away, one.added, one.flipped_to) for name, one in people.items()
    }
    assert told == {
        ADA.name: (2, 0, 1, 0, 0),
        BEN.name: (1, 1, 0, 0, 1),
        CAT.name: (2, 0, 1, 1, 0),
        DORA.name: (0, 0, 0, 0, 1),
    }
    assert [people[name].after for name in (ADA.name, BEN.name, CAT.name, DORA.name)] == [1, 1, 2, 1]


def test_flips_come_by_time_on_screen_or_by_views(store: Store, labelled: tuple[Labelling, Labelling]) -> None:
    flips = compare_labellings(store.engine, *labelled).flips
    assert [(one.media_uri, one.track_no, one.views) for one in flips] == [
        ("s3://gifs/3.gif", 1, None),
        ("s3://gifs/2.gif", 0, None),
    ]
    assert (flips[0].before, flips[0].after, flips[0].screen_ms) == (CAT, DORA, 400)
    viewed = compare_labellings(
        store.engine, *labelled, views=[("2.gif", 70.0), ("s3://gifs/3.gif", 3.0), ("4.gif", 1e9)], most_flips=1
    )
    assert [(one.media_uri, one.views) for one in viewed.flips] == [("s3://gifs/2.gif", 70.0)]


def test_views_of_all_media_that_hold_a_content_add_up(store: Store, labelled: tuple[Labelling, Labelling]) -> None:
    again = annotation(ref("again.gif"), content=2, tracks=[track(0), track(1)], labels=BEFORE[2])
    store.save([again], network_id=labelled[0].network_id, labelling_id=labelled[0].labelling_id)
    diff = compare_labellings(store.engine, *labelled, views=[("2.gif", 5.0), ("again.gif", 7.0), ("3.gif", 11.0)])
    assert [one.views for one in diff.flips] == [12.0, 11.0]


def test_people_who_were_merged_are_one_and_no_flip(store: Store, labelled: tuple[Labelling, Labelling]) -> None:
    store.merge(DORA.name, CAT.name)
    diff = compare_labellings(store.engine, *labelled)
    assert diff.flipped == 1
    assert [before.name for before, _, _ in diff.pairs] == [ADA.name]


def test_a_labelling_does_not_differ_from_itself_and_nothing_is_left_behind(
    store: Store, labelled: tuple[Labelling, Labelling]
) -> None:
    for _ in range(2):
        diff = compare_labellings(store.engine, labelled[0], labelled[0], views=[("1.gif", 1.0)])
        assert (diff.added, diff.dropped, diff.flipped, diff.people, diff.flips) == (0, 0, 0, (), ())


def test_labellings_of_different_networks_are_not_compared(store: Store, labelled: tuple[Labelling, Labelling]) -> None:
    other = store.register_network({"embedder": "another"})
    labelling_id = store.register_labelling(other, model="other@1", digest="1", photographs=EVERYBODY)
    with pytest.raises(ConfigError, match="different networks"):
        compare_labellings(store.engine, labelled[0], Labelling(labelling_id, other, "other@1"))


def test_a_labelling_is_found_by_as_much_of_its_name_as_is_given(
    store: Store, labelled: tuple[Labelling, Labelling]
) -> None:
    first, second = labelled
    marked = store.register_labelling(first.network_id, model="mine@2+1a2b3c4d", digest="3", photographs=EVERYBODY)
    with store.reading() as connection:
        assert load_active(connection) == first
        assert find_labelling(connection, "mine@1") == first
        assert find_labelling(connection, "mine@2") == second
        assert find_labelling(connection, "mine").labelling_id == marked
        for unknown_name in ("min", "mine@%", "mine@3"):
            with pytest.raises(ConfigError, match="mine@1, mine@2, mine@2\\+1a2b3c4d"):
                find_labelling(connection, unknown_name)
