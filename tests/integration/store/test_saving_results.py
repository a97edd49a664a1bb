"""Outcomes become rows, once."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text, update

from annotator.results import MediaResult, to_json_line
from annotator.store import Store, writes
from annotator.store.partitions import make_on
from annotator.store.queue.counts import recount
from annotator.store.registry import register_media
from annotator.store.tables import contents, metadata, tracks
from annotator.types import Identity, KnownMedia, MediaOutcome, MediaRef, TrackLabel
from tests.store_values import ADA, BEN, CAT, PEOPLE, SPEC, annotation, digest, failure, known, ref, track, unknown


class Saved:
    """A store with a network and a labelling."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.network_id = store.register_network(SPEC)
        self.labelling_id = self.labelling("one")

    def labelling(self, name: str) -> int:
        return self.store.register_labelling(
            self.network_id, model=f"test@{name}", digest=name, photographs=dict.fromkeys(PEOPLE, 3)
        )

    def save(self, *outcomes: writes.Outcome, refresh: bool = False) -> writes.SaveReport:
        return self.store.save(outcomes, network_id=self.network_id, labelling_id=self.labelling_id, refresh=refresh)

    def label_as(self, person: Identity, labelling_id: int, *content_ids: int) -> frozenset[int]:
        """Label all tracks of contents alike, from their embeddings."""
        return self.store.label_contents(lambda tracks: [known(person) for _ in tracks], labelling_id, content_ids)

    def rows(self, *names: str) -> dict[str, list[Any]]:
        """All rows of all tables, or of some."""
        with self.store.reading() as connection:
            return {
                table.name: sorted(map(repr, connection.execute(table.select()).all()))
                for table in metadata.sorted_tables
                if not names or table.name in names
            }

    def query(self, sql: str, **params: object) -> list[tuple[Any, ...]]:
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.execute(text(sql), params)]


@pytest.fixture
def saved(store: Store) -> Saved:
    return Saved(store)


def two_people() -> MediaOutcome:
    return annotation(
        ref(),
        tracks=[track(0), track(1, start_ms=200), track(2, start_ms=1000)],
        labels=[known(ADA, BEN, CAT), known(ADA, confidence=0.8), unknown(CAT, BEN)],
    )


def test_the_view_says_who_is_in_a_media_when_and_how_sure(saved: Saved) -> None:
    saved.save(two_people())
    assert saved.query(
        "SELECT media_uri, identity, kg_mid, confidence, first_seen_ms, last_seen_ms, screen_time_ms, model"
        " FROM content_labels"
    ) == [("s3://gifs/a.gif", "Ada Lovelace", "/m/0ada", 0.97, 0, 500, 500, "test@one")]


def test_a_stored_media_is_told_as_a_fresh_one(saved: Saved) -> None:
    outcome = two_people()
    saved.save(outcome)
    stored = saved.store.load_annotations(
        saved.labelling_id, [outcome.media], identify=lambda tracks: [unknown(CAT, BEN) for _ in tracks]
    )[outcome.media.uri]
    fresh = MediaResult.of(outcome)
    # The model is told as the labelling calls it.
    assert to_json_line(stored.result) == to_json_line(fresh) | {"model": "test@one"}
    assert stored.result.tracks == fresh.tracks


def test_tracks_on_pictures_are_told_and_can_be_left_out(saved: Saved) -> None:
    """Nobody is left out whose faces were not measured, and a name is on a picture only where all its tracks are."""
    pictures = (True, True, None, True, False, None)
    names = (known(ADA), known(BEN), known(CAT), known(CAT), TrackLabel("unknown", ()), TrackLabel("unknown", ()))
    found = [replace(track(number), is_picture=one) for number, one in enumerate((*pictures, True))]
    outcome = annotation(ref(), tracks=found, labels=[*names, known(BEN)])
    saved.save(outcome)
    stored = saved.store.load_annotations(saved.labelling_id, [outcome.media])[outcome.media.uri]
    assert [one.is_picture for one in stored.tracks] == [*pictures, True]
    assert to_json_line(stored.result)["labels"] == to_json_line(outcome)["labels"]
    alive = saved.query("SELECT identity FROM content_labels WHERE NOT is_picture ORDER BY identity")
    assert alive == [("Catherine Clark",)]
    on_pictures = saved.query("SELECT identity FROM content_labels WHERE is_picture ORDER BY identity")
    assert on_pictures == [("Ada Lovelace",), ("Bén Brown",)]
    assert saved.query("SELECT track FROM unknown_tracks WHERE NOT is_picture ORDER BY track") == [(4,), (5,)]


def test_a_new_labelling_leaves_what_was_seen_of_pictures(saved: Saved) -> None:
    saved.save(annotation(ref(), tracks=[replace(track(0), is_picture=True)], labels=[known(ADA)]))
    other = saved.labelling("two")
    (content_id,) = saved.query("SELECT id FROM contents")[0]
    saved.label_as(BEN, other, content_id)
    saved.store.activate(other)
    assert saved.query("SELECT identity FROM content_labels WHERE is_picture") == [("Bén Brown",)]


def test_without_an_identifier_unknown_tracks_are_told_without_candidates(saved: Saved) -> None:
    saved.save(two_people())
    stored = saved.store.load_annotations(saved.labelling_id, [ref()])[ref().uri]
    assert [one.label.verdict for one in stored.tracks] == ["known", "known", "unknown"]
    assert stored.tracks[2].label.candidates == ()
    assert stored.tracks[0].label == known(ADA, BEN, CAT)


def test_evidence_comes_back_bit_for_bit(saved: Saved) -> None:
    outcome = two_people()
    content_id = min(saved.save(outcome).annotated)
    stored = saved.store.load_evidence(saved.network_id, [content_id])[content_id]
    for fresh, again in zip((one.evidence for one in outcome.tracks), stored, strict=True):
        for name in ("embeddings", "face_px", "quality"):
            assert getattr(fresh, name).tobytes() == getattr(again, name).tobytes()


def test_saving_again_changes_no_row(saved: Saved) -> None:
    outcomes = [two_people(), failure(ref("b.gif")), annotation(ref("c.gif"), content=2)]
    saved.save(*outcomes)
    before = saved.rows()
    report = saved.save(*outcomes)
    assert saved.rows() == before
    assert (report.annotated, report.labelled, report.to_relabel) == (frozenset(), frozenset(), frozenset())


def test_refresh_replaces_tracks_and_labels(saved: Saved) -> None:
    saved.save(two_people())
    saved.save(annotation(ref(), tracks=[track(0, seed=9)], labels=[known(CAT)]), refresh=True)
    assert saved.query("SELECT identity FROM content_labels") == [("Catherine Clark",)]
    assert len(saved.rows("tracks")["tracks"]) == 1


def test_refresh_takes_the_labels_of_other_labellings_along_with_their_tracks(saved: Saved) -> None:
    (content,) = saved.save(two_people()).annotated
    other = saved.labelling("two")
    assert saved.label_as(BEN, other, content) == {content}
    saved.save(annotation(ref(), tracks=[track(0, seed=9)], labels=[known(CAT)]), refresh=True)
    assert saved.label_as(BEN, other, content) == {content}


def test_media_with_the_same_bytes_are_annotated_once_and_all_have_its_labels(saved: Saved) -> None:
    first = annotation(ref("a.gif"), tracks=[track(0)], labels=[known(ADA)])
    again = annotation(ref("b.gif"), tracks=[track(0)], labels=[known(ADA)])
    report = saved.save(first, again)
    assert len(report.annotated) == 1
    linked = saved.save(KnownMedia(ref("c.gif"), digest(1)))
    assert (linked.annotated, linked.to_relabel) == (frozenset(), frozenset())
    assert saved.query("SELECT media_uri FROM content_labels ORDER BY media_uri") == [
        ("s3://gifs/a.gif",),
        ("s3://gifs/b.gif",),
        ("s3://gifs/c.gif",),
    ]


def test_a_failure_is_a_row_and_a_later_success_clears_it(saved: Saved) -> None:
    saved.save(failure(ref()))
    assert saved.query("SELECT media_uri, status, reason, message FROM failures") == [
        ("s3://gifs/a.gif", "failed", "undecodable", "It is no media.")
    ]
    told = saved.store.load_annotations(saved.labelling_id, [ref()])[ref().uri].result
    assert (told.status, told.reason, told.message) == ("failed", "undecodable", "It is no media.")
    saved.save(two_people())
    assert saved.query("SELECT * FROM failures") == []
    assert saved.query("SELECT state, reason, message FROM work") == [(2, None, None)]


def test_a_media_whose_bytes_changed_has_the_labels_of_the_new_ones(saved: Saved) -> None:
    saved.save(annotation(ref(etag="1"), content=1, tracks=[track(0)], labels=[known(ADA)]))
    saved.save(annotation(ref(etag="2"), content=2, tracks=[track(0)], labels=[known(BEN)]))
    assert saved.query("SELECT identity FROM content_labels") == [("Bén Brown",)]


def test_a_media_that_changed_and_fails_loses_the_labels_of_its_old_bytes(saved: Saved) -> None:
    saved.save(annotation(ref(etag="1"), tracks=[track(0)], labels=[known(ADA)]))
    saved.save(failure(ref(etag="2")))
    assert saved.query("SELECT identity FROM content_labels") == []


def test_one_refused_outcome_harms_no_other(saved: Saved) -> None:
    good = [annotation(ref(f"{n}.gif"), content=n, tracks=[track(0)], labels=[known(ADA)]) for n in range(3)]
    # Its times do not fit the column.
    bad = annotation(ref("bad.gif"), content=7, tracks=[track(0, start_ms=2**40)], labels=[known(ADA)])
    report = saved.save(good[0], bad, *good[1:])
    assert len(report.annotated) == 3
    assert report.failed == ("s3://gifs/bad.gif",)
    assert saved.query("SELECT media_uri, reason FROM failures") == [("s3://gifs/bad.gif", "unstorable")]
    assert saved.query("SELECT count(*) FROM content_labels") == [(3,)]


def test_what_the_database_itself_refuses_harms_no_other(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = writes.encode_boxes
    monkeypatch.setattr(writes, "encode_boxes", lambda one: None if len(one.pts_ms) == 5 else encode(one))
    good = annotation(ref("good.gif"), content=1, tracks=[track(0)], labels=[known(ADA)])
    bad = annotation(ref("bad.gif"), content=2, tracks=[track(0, times=5)], labels=[known(ADA)])
    saved.save(bad, good)
    assert saved.query("SELECT media_uri, reason FROM failures") == [("s3://gifs/bad.gif", "unstorable")]
    assert saved.query("SELECT media_uri FROM content_labels") == [("s3://gifs/good.gif",)]


def test_messages_that_a_database_would_refuse_are_cleaned(saved: Saved) -> None:
    saved.save(failure(ref(), message="a\x00b\ud800c" + "d" * 5000))
    ((message,),) = saved.query("SELECT message FROM failures")
    assert message.startswith("ab?cddd")
    assert len(message) == 2000


def test_labels_of_tracks_that_differ_from_the_stored_ones_are_left_to_relabelling(saved: Saved) -> None:
    saved.save(annotation(ref(), tracks=[track(0)], labels=[known(ADA)]))
    saved.labelling_id = saved.labelling("two")
    report = saved.save(annotation(ref(), tracks=[track(0, seed=5)], labels=[known(BEN)]))
    assert len(report.to_relabel) == 1
    assert report.labelled == frozenset()
    same = saved.save(annotation(ref(), tracks=[track(0)], labels=[known(BEN)]))
    assert same.labelled == report.to_relabel
    assert same.to_relabel == frozenset()


def test_known_media_of_a_new_labelling_are_named_for_relabelling(saved: Saved) -> None:
    report = saved.save(two_people())
    saved.labelling_id = saved.labelling("two")
    assert saved.save(KnownMedia(ref("b.gif"), digest(1))).to_relabel == report.annotated


def test_contents_that_have_labels_are_left_alone(saved: Saved) -> None:
    contents_saved = saved.save(two_people(), annotation(ref("none.gif"), content=2)).annotated
    before = saved.rows()
    assert saved.label_as(CAT, saved.labelling_id, *contents_saved) == frozenset()
    assert saved.rows() == before


def test_a_new_labelling_labels_what_it_has_not_labelled_and_shows_when_it_is_activated(saved: Saved) -> None:
    (content,) = saved.save(two_people()).annotated
    new = saved.labelling("two")
    assert saved.label_as(BEN, new, content) == {content}
    assert saved.label_as(CAT, new, content) == frozenset()
    assert saved.query("SELECT DISTINCT identity FROM content_labels") == [("Ada Lovelace",)]
    saved.store.activate(new)
    assert saved.query("SELECT DISTINCT identity, model FROM content_labels") == [("Bén Brown", "test@two")]


def test_a_label_of_somebody_unregistered_is_a_mistake_of_the_program(saved: Saved) -> None:
    stranger = type(ADA)("Nobody Registered")
    with pytest.raises(LookupError, match="Nobody Registered"):
        saved.save(annotation(ref(), tracks=[track(0)], labels=[known(stranger)]))
    assert saved.rows("contents", "media") == {"contents": [], "media": []}


def test_damaged_media_say_what_was_broken(saved: Saved) -> None:
    saved.save(annotation(ref(), damage="truncated after 3 frames"))
    told = saved.store.load_annotations(saved.labelling_id, [ref()])[ref().uri].result
    assert (told.status, told.reason) == ("damaged", "truncated after 3 frames")


def test_media_are_known_by_etag_and_bytes_by_digest(saved: Saved) -> None:
    saved.save(two_people(), failure(ref("b.gif")))
    refs = [ref(), ref("b.gif"), ref("new.gif"), ref("a.gif", etag="2"), ref("a.gif", etag=None)]
    found = [(one.media_id, one.etag, saved.store.known_contents(saved.network_id, [one])) for one in refs]
    assert [bool(known_media) for _, _, known_media in found] == [True, False, False, False, False]
    content = found[0][2][ref().uri]
    assert (content.sha256, content.is_annotated) == (digest(1), True)
    assert saved.store.is_annotated(saved.network_id, digest(1))
    assert not saved.store.is_annotated(saved.network_id, digest(2))
    assert not saved.store.is_annotated(saved.network_id + 1, digest(1))
    other = saved.store.known_contents(saved.network_id + 1, [ref()])
    assert not other[ref().uri].is_annotated, "by this network"


def test_networks_keep_their_tracks_apart(saved: Saved) -> None:
    saved.save(two_people())
    other = Saved.__new__(Saved)
    other.store = saved.store
    other.network_id = saved.store.register_network(SPEC | {"embedder": "another"})
    other.labelling_id = other.labelling("three")
    assert not saved.store.is_annotated(other.network_id, digest(1))
    assert len(other.save(annotation(ref(), tracks=[track(0)], labels=[known(CAT)])).annotated) == 1
    assert len(saved.rows("tracks")["tracks"]) == 4
    assert saved.query("SELECT DISTINCT identity FROM content_labels") == [("Ada Lovelace",)]


def test_a_spec_is_the_same_network_in_any_order(saved: Saved) -> None:
    assert saved.store.register_network(dict(reversed(SPEC.items()))) == saved.network_id


def test_uris_of_any_characters_are_kept(saved: Saved) -> None:
    odd = MediaRef("x", "s3://gifs/a 'b' %20?#/ü\u2028'; DROP TABLE media; --.gif", "1")
    saved.save(annotation(odd, tracks=[track(0)], labels=[known(ADA)]))
    assert saved.query("SELECT media_uri FROM content_labels") == [(odd.uri,)]


def test_deleted_media_leave_the_views_and_come_back(saved: Saved) -> None:
    saved.save(two_people())
    with saved.store.writing() as connection:
        connection.execute(text("UPDATE media SET deleted_at = '2026-01-01 00:00:00.000000+00:00'"))
    assert saved.query("SELECT * FROM content_labels") == []
    saved.save(two_people())
    assert len(saved.query("SELECT * FROM content_labels")) == 1


def test_a_big_batch_is_saved_in_several_transactions(saved: Saved) -> None:
    outcomes = [
        annotation(ref(f"{n}.gif"), content=n, tracks=[track(0, seed=n)], labels=[known(ADA)]) for n in range(100)
    ]
    assert len(saved.save(*outcomes).annotated) == 100
    assert saved.query("SELECT count(*) FROM content_labels") == [(100,)]


def test_contents_beyond_a_partition_get_the_next_one(saved: Saved) -> None:
    saved.save(annotation(ref("a.gif"), content=1, tracks=[track(0)], labels=[known(ADA)]))
    with saved.store.writing() as connection:
        connection.execute(contents.insert(), [{"id": 29_999_999, "sha256": bytes.fromhex(digest(2))}])
        connection.execute(contents.insert(), [{"id": 30_000_000, "sha256": bytes.fromhex(digest(3))}])
    saved.save(
        annotation(ref("b.gif"), content=2, tracks=[track(0)], labels=[known(ADA)]),
        annotation(ref("c.gif"), content=3, tracks=[track(0)], labels=[known(ADA)]),
    )
    assert saved.query("SELECT count(*) FROM content_labels") == [(3,)]
    if saved.store.engine.dialect.name == "postgresql":
        assert saved.query("SELECT tableoid::regclass::text FROM track_labels ORDER BY content_id") == [
            ("track_labels__l1__0",),
            ("track_labels__l1__2",),
            ("track_labels__l1__3",),
        ]


def test_beat_makes_the_next_partition_whenever_contents_reach_a_new_one(saved: Saved) -> None:
    engine = saved.store.engine
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no partitions")
    with engine.connect() as connection:  # one connection for all, as a job of beat has it
        for number, newest in ((1, 1), (10_000_000, 2), (29_999_999, 3), (30_000_000, 4)):
            with saved.store.writing() as other:
                other.execute(contents.insert(), [{"id": number, "sha256": bytes.fromhex(digest(number))}])
            for _ in range(3):
                with connection.begin():
                    make_on(connection)
            for parent in ("annotations__n1", "track_labels__l1"):
                made = text("SELECT to_regclass(:name) IS NOT NULL")
                assert connection.execute(made, {"name": f"{parent}__{newest}"}).scalar_one(), (parent, number)
                connection.rollback()


def test_an_archive_that_another_network_annotates_anew_needs_no_new_numbers(saved: Saved) -> None:
    clips = [annotation(ref(f"{number}.gif"), content=number, tracks=[], labels=[]) for number in range(1, 7)]
    saved.save(*clips)
    other = saved.store.register_network({**SPEC, "name": "other"})
    labelling = saved.store.register_labelling(other, model="other@1", digest="o", photographs={})
    saved.store.save(clips, network_id=other, labelling_id=labelling)
    saved.save(annotation(ref("new.gif"), content=7, tracks=[], labels=[]))
    assert saved.query("SELECT max(id) FROM contents") == [(7,)]


def test_boxes_of_stored_tracks_are_exact(saved: Saved) -> None:
    outcome = two_people()
    saved.save(outcome)
    stored = saved.store.load_annotations(saved.labelling_id, [ref()])[ref().uri]
    for fresh, again in zip(outcome.tracks, stored.tracks, strict=True):
        assert np.array_equal(fresh.boxes_xyxy, again.boxes.boxes_xyxy)
        assert np.array_equal(fresh.from_ms, again.boxes.from_ms)
        assert again.shot_no == fresh.shot_no


def test_bytes_of_a_newer_version_are_refused_not_misread(saved: Saved) -> None:
    saved.save(two_people())
    with saved.store.writing() as connection:
        connection.execute(update(tracks).values(boxes=b"\x02rest"))
    with pytest.raises(ValueError, match="unknown version"):
        saved.store.load_annotations(saved.labelling_id, [ref()])


def test_any_number_of_media_can_be_asked_for_at_once(saved: Saved) -> None:
    saved.save(two_people())
    many = [ref(f"{number}.gif") for number in range(40_000)] + [ref()]
    assert set(saved.store.known_contents(saved.network_id, many)) == {ref().uri}
    assert set(saved.store.load_annotations(saved.labelling_id, many)) == {ref().uri}


def test_what_is_written_without_a_queue_is_counted(saved: Saved) -> None:
    def states() -> list[tuple[Any, ...]]:
        return saved.query("SELECT status, reason, lane, media FROM media_states ORDER BY status, reason")

    saved.save(annotation(ref("a.gif"), content=1), annotation(ref("b.gif"), content=2), failure(ref("c.gif")))
    assert states() == [("done", None, "gif", 2), ("failed", "undecodable", "gif", 1)]
    saved.save(annotation(ref("c.gif"), content=3), failure(ref("a.gif", etag="2"), reason="too_large"))
    assert states() == [("done", None, "gif", 2), ("failed", "too_large", "gif", 1)]
    with saved.store.writing() as connection:
        assert recount(connection) == []


def test_a_failure_of_the_same_reason_with_another_message_moves_nothing(saved: Saved) -> None:
    saved.save(failure(ref("c.gif"), message="one"))
    saved.save(failure(ref("c.gif"), message="two"))
    assert saved.query("SELECT message FROM failures") == [("two",)]
    with saved.store.writing() as connection:
        assert recount(connection) == []


def test_media_that_a_queue_knows_are_linked_by_their_ids(saved: Saved) -> None:
    refs = [ref("a.gif"), ref("b.gif", etag="new"), ref("same.gif")]
    with saved.store.writing() as connection:
        ids = register_media(connection, [ref("a.gif"), ref("b.gif", etag="old"), ref("same.gif")])
    outcomes = [annotation(one, content=content) for one, content in zip(refs, (1, 2, 1), strict=True)]
    for _ in range(2):
        with saved.store.writing() as connection:
            report = writes.write_outcomes(
                connection, outcomes, network_id=saved.network_id, labelling_id=saved.labelling_id, media_ids=ids
            )
    assert report.media_ids == ids
    rows = saved.query(
        "SELECT m.key, m.etag, c.sha256 FROM media m JOIN contents c ON c.id = m.content_id ORDER BY m.key"
    )
    assert [(key, etag, bytes(sha256).hex()) for key, etag, sha256 in rows] == [
        ("a.gif", "1", digest(1)),
        ("b.gif", "new", digest(2)),
        ("same.gif", "1", digest(1)),
    ]
    assert saved.query("SELECT count(*) FROM work") == [(0,)]


def test_odd_texts_and_numbers_come_back_as_they_were(saved: Saved) -> None:
    texts = ['a "quoted" \\ {brace}, NULL', "", "line\nbreak", "ünï %s %(x)s 日本", "null"]
    outcomes = [annotation(ref(f"{number}.gif"), content=number, damage=one) for number, one in enumerate(texts)]
    saved.save(*outcomes)
    stored = saved.query("SELECT a.damage FROM annotations a JOIN contents c ON c.id = a.content_id ORDER BY c.sha256")
    assert [damage for (damage,) in stored] == texts
    saved.save(annotation(ref("f.gif"), content=77, tracks=[track(0)], labels=[known(ADA, confidence=1e-300)]))
    assert saved.query("SELECT confidence FROM content_labels") == [(1e-300,)]
