"""Switches of the labelling that is shown: at once, noted, and by one at a time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from annotator.errors import ChangedMeanwhileError, ConfigError
from annotator.store import Store
from annotator.store.promotions import Reasons, former_labelling, is_promoted, note_refusal, switch
from tests.store_values import ADA, BEN, SPEC, annotation, known, ref, track

PEOPLE = {ADA: 3, BEN: 3}


@pytest.fixture
def labellings(store: Store) -> tuple[int, int, int]:
    """Three labellings of one clip, who call it differently; the first is shown."""
    network_id = store.register_network(SPEC)
    ids = [
        store.register_labelling(network_id, model=f"mine@{number}", digest=str(number), photographs=PEOPLE)
        for number in (1, 2, 3)
    ]
    clip = annotation(ref(), tracks=[track(0)], labels=[known(ADA)])
    store.save([clip], network_id=network_id, labelling_id=ids[0])
    for labelling_id, person in zip(ids[1:], (BEN, ADA), strict=True):
        store.save_labels(labelling_id, {1: [known(person)]})
    return ids[0], ids[1], ids[2]


def rows(store: Store, query: str) -> list[tuple[object, ...]]:
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def shown(store: Store) -> list[tuple[object, ...]]:
    return rows(store, "SELECT identity, model FROM content_labels")


def test_a_promotion_and_a_rollback_show_in_sql_before_and_after(
    store: Store, labellings: tuple[int, int, int]
) -> None:
    first, second, _ = labellings
    assert shown(store) == [(ADA.name, "mine@1")]
    reasons = Reasons(report={"passed": True}, forced="in a hurry", added=1, dropped=2, flipped=3)
    with store.writing() as connection:
        assert switch(connection, second, kind="promotion", expected=first, reasons=reasons)
    assert shown(store) == [(BEN.name, "mine@2")]
    history = "SELECT kind, model, former_model, forced_reason, tracks_added, tracks_dropped, tracks_flipped, is_shown"
    promotion = ("promotion", "mine@2", "mine@1", "in a hurry", 1, 2, 3)
    assert rows(store, f"{history} FROM model_history ORDER BY step") == [(*promotion, 1)]
    with store.writing() as connection:
        former = former_labelling(connection)
        assert switch(connection, former.labelling_id, kind="rollback", expected=second)
    assert shown(store) == [(ADA.name, "mine@1")]
    assert rows(store, f"{history} FROM model_history ORDER BY step") == [
        (*promotion, 0),
        ("rollback", "mine@1", "mine@2", None, None, None, None, 1),
    ]
    who = rows(store, "SELECT done_by FROM model_history")
    assert all("@" in str(name) for (name,) in who)


def test_a_rollback_goes_one_step_back_each_time(store: Store, labellings: tuple[int, int, int]) -> None:
    first, second, third = labellings
    for labelling_id, before in ((second, first), (third, second)):
        with store.writing() as connection:
            switch(connection, labelling_id, kind="promotion", expected=before)
    for shown_now, back_to in ((third, second), (second, first)):
        with store.writing() as connection:
            assert former_labelling(connection).labelling_id == back_to
            switch(connection, back_to, kind="rollback", expected=shown_now)
    with store.reading() as connection, pytest.raises(ConfigError, match="nothing to go back to"):
        former_labelling(connection)


def test_what_was_decided_about_another_state_is_not_done(store: Store, labellings: tuple[int, int, int]) -> None:
    first, second, third = labellings
    with store.writing() as connection:
        switch(connection, second, kind="promotion", expected=first)
    with pytest.raises(ChangedMeanwhileError, match="promoted meanwhile"), store.writing() as connection:
        switch(connection, third, kind="promotion", expected=first)
    assert store.active_labelling() == second
    assert len(rows(store, "SELECT step FROM model_history")) == 1


def test_of_two_promotions_at_once_one_wins_and_is_the_one_noted(
    store: Store, labellings: tuple[int, int, int]
) -> None:
    first, *others = labellings
    both = Barrier(2)

    def promote(labelling_id: int) -> bool:
        both.wait(timeout=30)
        try:
            with store.writing() as connection:
                return switch(connection, labelling_id, kind="promotion", expected=first)
        except ChangedMeanwhileError:
            return False

    with ThreadPoolExecutor(2) as pool:
        won = dict(zip(others, pool.map(promote, others), strict=True))
    assert sorted(won.values()) == [False, True]
    (noted,) = rows(store, "SELECT labelling_id, from_labelling_id FROM promotions")
    assert noted == (store.active_labelling(), first)
    assert won[int(str(noted[0]))]


def test_a_switch_that_cannot_be_noted_does_not_happen(store: Store, labellings: tuple[int, int, int]) -> None:
    first, second, _ = labellings
    with pytest.raises(IntegrityError), store.writing() as connection:
        switch(connection, second, kind="no kind", expected=first)  # type: ignore[arg-type]
    assert store.active_labelling() == first
    assert shown(store) == [(ADA.name, "mine@1")]


def test_a_refusal_is_noted_and_switches_nothing(store: Store, labellings: tuple[int, int, int]) -> None:
    first, second, _ = labellings
    with store.writing() as connection:
        note_refusal(connection, second, shown=first, reasons=Reasons(report={"passed": False}))
    assert store.active_labelling() == first
    assert rows(store, "SELECT kind, model, former_model, is_shown FROM model_history") == [
        ("refusal", "mine@2", "mine@1", 0)
    ]
    with store.reading() as connection:
        assert not is_promoted(connection, "mine@2")


def test_what_follows_from_what_is_shown_is_an_update_and_can_be_taken_back(
    store: Store, labellings: tuple[int, int, int]
) -> None:
    first, second, _ = labellings
    store.activate(second)
    store.activate(second)
    assert rows(store, "SELECT kind, labelling_id FROM promotions") == [("update", second)]
    with store.reading() as connection:
        assert former_labelling(connection).labelling_id == first
        assert not is_promoted(connection, "mine@2")


def test_a_promoted_model_is_known_as_one_with_enrolled_people_too(
    store: Store, labellings: tuple[int, int, int]
) -> None:
    first, second, _ = labellings
    with store.writing() as connection:
        switch(connection, second, kind="promotion", expected=first)
        connection.execute(text("UPDATE labellings SET model = 'mine@2+1a2b3c4d' WHERE id = :id"), {"id": second})
        assert is_promoted(connection, "mine@2")
        assert not is_promoted(connection, "mine@1")


def test_what_has_no_labels_any_more_is_not_shown(store: Store, labellings: tuple[int, int, int]) -> None:
    first, second, _ = labellings
    with store.writing() as connection:
        connection.execute(text("UPDATE labellings SET retired_at = created_at WHERE id = :id"), {"id": second})
    for gone, why in ((second, "labels of mine@2 were removed.* relabel --model mine@2"), (99, "no labelling")):
        with pytest.raises(ConfigError, match=why), store.writing() as connection:
            switch(connection, gone, kind="rollback", expected=first)
