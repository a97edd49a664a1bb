"""What is worth a look goes to one reviewer at a time, and what is decided is kept and can be taken back."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import delete, select, text, update

from annotator.errors import ChangedMeanwhileError
from annotator.store import Store
from annotator.store.connection import open_engine, writing
from annotator.store.corrections.saying import correct_track
from annotator.store.identities import ids_of
from annotator.store.locks import change_corrections
from annotator.store.review import leasing, scanning
from annotator.store.review.deciding import Decision, Reviewer, Verdict, decide, last_decision, undo
from annotator.store.review.leasing import LEASE, ItemKey, ReviewItem, lease_item, progress_of
from annotator.store.review.scanning import scan_all, scan_some
from annotator.store.review.views import keep_views
from annotator.store.tables import corrections, media, review_items, review_scans, track_labels
from annotator.store.takedowns.labels import forget_labels, forget_names
from annotator.types import FaceTrack, TrackEvidence, TrackLabel
from tests.store_values import ADA, BEN, CAT, PEOPLE, SPEC, annotation, known, ref, track, unknown

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
CONFIDENCES = (0.5, 0.9, 0.99, 0.7)
"""Of Ada in clips 1 to 4, each of one track. The third one is too sure to be worth a look."""


def seen(number: int) -> FaceTrack:
    """Return a track whose face stays where it is, beside those of other numbers."""
    left = 100.0 * number
    return replace(track(number), boxes_xyxy=np.array([[left, 20, left + 90, 120]] * 3, np.float32))


@dataclass
class Archive:
    store: Store
    labelling_id: int
    now: datetime = NOON

    def lease(self, reviewer: str = "eve") -> ReviewItem | None:
        with self.store.writing() as connection:
            return lease_item(connection, reviewer, now=self.now)

    def content(self, reviewer: str = "eve") -> int | None:
        """Return the content that a reviewer is given."""
        item = self.lease(reviewer)
        return None if item is None else item.key.content_id

    def decide(self, key: ItemKey, verdict: Verdict, name: str = "", *, reviewer: str = "eve") -> None:
        decide(self.store.engine, key, Decision(verdict, name), Reviewer(reviewer, self.now))

    def undo(self, reviewer: str = "eve") -> None:
        with self.store.reading() as connection:
            last = last_decision(connection, reviewer)
        assert last is not None
        undo(self.store.engine, last, Reviewer(reviewer, self.now))

    def names(self) -> dict[int, tuple[str, float]]:
        query = text(
            "SELECT l.content_id, i.name, l.confidence FROM track_labels l JOIN identities i ON i.id = l.identity_id"
            " WHERE l.labelling_id = :labelling"
        )
        with self.store.reading() as connection:
            rows = connection.execute(query, {"labelling": self.labelling_id})
            return {content: (name, confidence) for content, name, confidence in rows}

    def said(self) -> list[tuple[str, str, bool]]:
        """Return what was said, by whom, and whether it holds."""
        query = select(corrections).order_by(corrections.c.id)
        with self.store.reading() as connection:
            return [(row.verdict, row.said_by, row.withdrawn_at is None) for row in connection.execute(query)]

    def queue(self) -> list[int]:
        """Return the contents that somebody new would be given, one after the other."""
        found = []
        while (item := self.lease("nobody in particular")) is not None:
            found.append(item.key.content_id)
            self.decide(item.key, "skip", reviewer="nobody in particular")
        return found


@pytest.fixture
def archive(store: Store) -> Archive:
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(
        network_id, model="test@1", digest="d", photographs=dict.fromkeys(PEOPLE, 3)
    )
    clips = [
        annotation(
            ref(f"{number}.gif"),
            content=number,
            tracks=[seen(0)],
            labels=[known(ADA, BEN, CAT, confidence=confidence)],
        )
        for number, confidence in enumerate(CONFIDENCES, start=1)
    ]
    store.save(clips, network_id=network_id, labelling_id=labelling_id)
    scan_all(store.engine)
    return Archive(store, labelling_id)


def test_the_most_uncertain_name_comes_first_and_nearly_certain_ones_never(archive: Archive) -> None:
    assert archive.queue() == [1, 4, 2]


def test_what_is_viewed_more_often_comes_first(archive: Archive) -> None:
    assert keep_views(archive.store.engine, [("2.gif", 1000.0), ("s3://gifs/4.gif", 2.0), ("none.gif", 5.0)]) == 2
    scan_all(archive.store.engine)
    assert archive.queue() == [2, 4, 1]
    keep_views(archive.store.engine, [("2.gif", 0.0)])
    scan_all(archive.store.engine)
    archive.now += timedelta(days=1)
    with archive.store.reading() as connection:
        assert connection.execute(select(review_items.c.worth).where(review_items.c.content_id == 2)).scalar_one() == 0


def test_an_item_tells_its_candidates_and_where_it_is_seen(archive: Archive) -> None:
    item = archive.lease()
    assert item is not None
    assert [person.name for person, _ in item.candidates] == [ADA.name, BEN.name, CAT.name]
    assert [confidence for _, confidence in item.candidates] == pytest.approx([0.5, 0.25, 1 / 6])
    assert (item.is_named, item.ref.uri, item.first_ms, item.last_ms) == (True, "s3://gifs/1.gif", 0, 300)


def test_two_reviewers_who_ask_at_once_never_have_the_same_item(archive: Archive) -> None:
    more = [
        annotation(ref(f"{number}.gif"), content=number, tracks=[seen(0)], labels=[known(ADA, confidence=0.5)])
        for number in range(10, 50)
    ]
    archive.store.save(more, network_id=1, labelling_id=archive.labelling_id)
    scan_all(archive.store.engine)
    together = threading.Barrier(4)

    def ask(reviewer: str) -> set[int]:
        engine = open_engine(archive.store.engine.url.render_as_string(hide_password=False))
        taken = set()
        together.wait()
        while True:
            with writing(engine) as connection:
                item = lease_item(connection, reviewer, now=NOON)
            if item is None:
                break
            taken.add(item.key.content_id)
            # What is decided by others is left out: the item is put aside where nobody finds it again.
            with writing(engine) as connection:
                kept = update(review_items).where(item.key.of(review_items), review_items.c.leased_to == reviewer)
                connection.execute(kept.values(decided_at=NOON, leased_to=None))
        engine.dispose()
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(ask, ["eve", "ann", "joe", "tom"]))
    assert sum(map(len, taken)) == len(set.union(*taken)) == 43


def test_who_asks_again_has_the_same_item_and_somebody_else_the_next_one(archive: Archive) -> None:
    assert [archive.content("eve"), archive.content("ann"), archive.content("eve")] == [1, 4, 1]


def test_a_reviewer_who_says_nothing_loses_the_item_and_cannot_decide_any_more(archive: Archive) -> None:
    item = archive.lease("eve")
    assert item is not None
    archive.now += LEASE
    assert archive.content("ann") == 1
    with pytest.raises(ChangedMeanwhileError):
        archive.decide(item.key, "right", ADA.name, reviewer="eve")
    with pytest.raises(ChangedMeanwhileError):
        archive.decide(item.key, "skip", reviewer="eve")
    assert archive.said() == []
    archive.decide(item.key, "right", ADA.name, reviewer="ann")
    with pytest.raises(ChangedMeanwhileError):
        archive.decide(item.key, "wrong", ADA.name, reviewer="ann")
    assert archive.said() == [("is", "ann", True)]


@pytest.mark.parametrize(
    ("verdict", "name", "now"),
    [("right", ADA.name, (ADA.name, 1.0)), ("is", CAT.name, (CAT.name, 1.0)), ("wrong", ADA.name, None)],
)
def test_a_decision_is_a_correction_by_the_reviewer_and_can_be_taken_back(
    archive: Archive, verdict: Verdict, name: str, now: tuple[str, float] | None
) -> None:
    item = archive.lease()
    assert item is not None
    archive.decide(item.key, verdict, name)
    assert archive.names().get(1) == now
    said = "is not" if verdict == "wrong" else "is"
    assert archive.said() == [(said, "eve", True)]
    assert archive.content() == 4
    archive.undo()
    assert archive.names()[1] == (ADA.name, 0.5)
    assert archive.said() == [(said, "eve", False)]
    assert archive.content() == 1
    with archive.store.reading() as connection:
        assert last_decision(connection, "eve") is None


def test_what_was_taken_back_once_is_not_taken_back_twice(archive: Archive) -> None:
    item = archive.lease()
    assert item is not None
    archive.decide(item.key, "right", ADA.name)
    with archive.store.reading() as connection:
        last = last_decision(connection, "eve")
    assert last is not None
    undo(archive.store.engine, last, Reviewer("eve", NOON))
    with pytest.raises(ChangedMeanwhileError):
        undo(archive.store.engine, last, Reviewer("eve", NOON))


def test_what_one_reviewer_skips_another_one_gets(archive: Archive) -> None:
    item = archive.lease()
    assert item is not None
    archive.decide(item.key, "skip")
    assert [archive.content("eve"), archive.content("ann")] == [4, 1]
    archive.undo()
    assert [archive.content("eve"), archive.content("ann")] == [4, 1]
    archive.now += 2 * LEASE
    assert archive.content("eve") == 1


def test_taking_back_a_skip_leaves_what_somebody_else_has_decided_meanwhile(archive: Archive) -> None:
    archive.decide(_key(archive, 1), "skip")
    item = archive.lease("ann")
    assert item is not None
    archive.decide(item.key, "right", ADA.name, reviewer="ann")
    archive.undo("eve")
    with archive.store.reading() as connection:
        decided = select(review_items.c.decided_at).where(review_items.c.content_id == 1)
        assert connection.execute(decided).scalar_one() is not None


def test_an_item_of_which_no_candidate_is_there_any_more_is_not_asked_about(archive: Archive) -> None:
    with archive.store.writing() as connection:
        connection.execute(delete(track_labels).where(track_labels.c.content_id == 1))
        gone = update(review_items).where(review_items.c.content_id == 1)
        connection.execute(gone.values(candidates=[[999, 0.5, 0.5]]))
    assert archive.queue() == [4, 2]


def test_what_somebody_else_has_said_or_removed_meanwhile_is_not_asked_about(archive: Archive) -> None:
    correct_track(archive.store.engine, ref("1.gif"), 0, verdict="is not", name=BEN.name)
    with archive.store.writing() as connection:
        connection.execute(update(media).where(media.c.key == "4.gif").values(deleted_at=NOON))
    assert archive.queue() == [2]
    scan_all(archive.store.engine)
    with archive.store.reading() as connection:
        assert 1 not in connection.execute(select(review_items.c.content_id)).scalars().all()


def test_a_name_that_is_sure_or_gone_by_now_is_not_asked_about(archive: Archive) -> None:
    labels = track_labels.c
    with archive.store.writing() as connection:
        connection.execute(update(track_labels).where(labels.content_id == 1).values(confidence=0.999))
        connection.execute(delete(track_labels).where(labels.content_id == 4))
    assert archive.queue() == [2]


def test_however_many_names_are_sure_by_now_the_next_unsure_one_is_found(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leasing, "_LOOKED_AT", 2)
    with archive.store.reading() as connection:
        by_worth = select(review_items.c.content_id).order_by(review_items.c.worth.desc())
        best = connection.execute(by_worth).scalars().all()
    assert len(best) > 2
    labels = track_labels.c
    with archive.store.writing() as connection:
        connection.execute(update(track_labels).where(labels.content_id.in_(best[:2])).values(confidence=0.999))
    assert archive.content() == best[2]
    with archive.store.reading() as connection:
        assert connection.execute(by_worth).scalars().all() == best[2:]


def test_tracks_just_under_the_threshold_are_asked_about_too(archive: Archive) -> None:
    archive.store.save(
        [
            annotation(ref("5.gif"), content=5, tracks=[seen(0), seen(1)], labels=[unknown(BEN), unknown(BEN)]),
        ],
        network_id=1,
        labelling_id=archive.labelling_id,
    )
    near = replace(unknown(BEN, CAT), candidates=known(BEN, CAT, confidence=0.45).candidates)
    answers = iter([near, unknown(BEN)])

    def identify(evidence: list[TrackEvidence]) -> list[TrackLabel]:
        return [next(answers) for _ in evidence]

    scan_all(archive.store.engine, identify=identify)  # type: ignore[arg-type]
    archive.decide(_key(archive, 1), "skip", reviewer="eve")
    item = archive.lease()
    assert item is not None
    assert (item.key.content_id, item.key.track_no, item.is_named) == (5, 0, False)
    assert [person.name for person, _ in item.candidates] == [BEN.name, CAT.name]
    archive.decide(item.key, "right", BEN.name)
    assert archive.names()[5] == (BEN.name, 1.0)


def _key(archive: Archive, content: int) -> ItemKey:
    item = archive.lease()
    assert item is not None
    assert item.key.content_id == content
    return item.key


def test_another_labelling_is_looked_at_anew_and_what_was_decided_stays_decided(archive: Archive) -> None:
    archive.decide(_key(archive, 1), "right", ADA.name)
    store = archive.store
    second = store.register_labelling(1, model="test@2", digest="e", photographs=dict.fromkeys(PEOPLE, 3))
    clips = [
        annotation(ref(f"{number}.gif"), content=number, tracks=[seen(0)], labels=[known(BEN, confidence=0.6)])
        for number in range(1, 5)
    ]
    store.save(clips, network_id=1, labelling_id=second)
    store.activate(second)
    assert scan_some(store.engine).contents == 4
    assert archive.queue() == [2, 3, 4]


def test_a_scan_after_a_while_looks_again_at_the_newest_contents(archive: Archive) -> None:
    assert scan_some(archive.store.engine).contents == 0
    with archive.store.writing() as connection:
        connection.execute(delete(review_items))
        connection.execute(update(review_scans).values(scanned_at=NOON - timedelta(days=100)))
    assert scan_some(archive.store.engine).contents == 4
    assert archive.queue() == [1, 4, 2]


def test_progress_counts_the_decisions_of_today_that_hold(archive: Archive) -> None:
    for verdict in ("right", "wrong", "skip"):
        item = archive.lease()
        assert item is not None
        archive.decide(item.key, verdict, ADA.name)  # type: ignore[arg-type]
    archive.undo()
    archive.undo()
    with archive.store.reading() as connection:
        mine = progress_of(connection, "eve", now=archive.now)
        others = progress_of(connection, "ann", now=archive.now)
        tomorrow = progress_of(connection, "eve", now=archive.now + timedelta(days=1))
    assert (mine.mine, mine.of_all, mine.waiting) == (1, 1, 2)
    assert (others.mine, others.of_all) == (0, 1)
    assert (tomorrow.mine, tomorrow.of_all) == (0, 0)


def test_nobody_who_is_taken_down_stays_among_the_candidates(archive: Archive) -> None:
    with archive.store.writing() as connection:
        row = {"network_id": 1, "content_id": 9, "track_no": 0, "worth": 1.0, "candidates": [[2, 0.5, 0.5]]}
        connection.execute(review_items.insert(), row)
        assert forget_labels(connection, [2])["review_items"] == 1
        left = connection.execute(select(review_items.c.content_id)).scalars().all()
    assert 9 not in left


def test_a_candidate_who_is_taken_down_while_tracks_are_looked_at_is_not_written(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_name = annotation(
        ref("5.gif"), content=5, tracks=[seen(0), seen(1)], labels=[unknown(BEN, CAT), unknown(BEN)]
    )
    archive.store.save([without_name], network_id=1, labelling_id=archive.labelling_id)
    answers = iter(replace(unknown(one), candidates=known(one, confidence=0.45).candidates) for one in (BEN, CAT))
    with archive.store.reading() as connection:
        (ben,) = ids_of(connection, {BEN.name}).values()
    read_views = scanning._views

    def take_down(*asked: object) -> dict[int, float]:  # when all is read, and nothing is written
        views = read_views(*asked)  # type: ignore[arg-type]
        with archive.store.writing() as connection:
            change_corrections(connection, [1])
            forget_labels(connection, [ben])
            forget_names(connection, [ben])
        return views

    monkeypatch.setattr(scanning, "_views", take_down)
    scan_all(archive.store.engine, identify=lambda evidence: [next(answers) for _ in evidence])
    with archive.store.reading() as connection:
        rows = connection.execute(select(review_items).where(review_items.c.content_id == 5)).all()
    assert [row.track_no for row in rows] == [1]


@pytest.mark.parametrize("verdict", ["skip", "right"])
def test_taking_back_gives_the_item_in_hand_again_also_where_it_is_in_the_queue_no_more(
    archive: Archive, verdict: Verdict
) -> None:
    archive.decide(_key(archive, 1), verdict, ADA.name)
    with archive.store.writing() as connection:
        connection.execute(delete(review_items).where(review_items.c.content_id == 1))
    archive.undo()
    assert archive.content("eve") == 1
    assert archive.content("ann") == 4
