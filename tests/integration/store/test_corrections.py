"""What people say of tracks stands above what models say: at once, and under whatever labels or finds them later."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pytest
from sqlalchemy import Engine, event, text

from annotator.errors import ChangedMeanwhileError, CorrectionError, IdentityError
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.store import Store
from annotator.store.connection import open_engine
from annotator.store.corrections.fresh import CorrectedTrack, correct_fresh
from annotator.store.corrections.listing import Correction, list_corrections
from annotator.store.corrections.saying import Corrected, Speaker, correct_track, withdraw_corrections
from annotator.store.corrections.words import CorrectionVerdict
from annotator.store.relabelling.batches import label_contents
from annotator.store.relabelling.running import relabel_archive
from annotator.types import FaceTrack, Identity, MediaAnnotation, TrackEvidence
from tests.made_up_gallery import PROTOTYPES, gallery
from tests.store_values import SPEC, annotation, ref, track

ROWS = (
    (
        "SELECT labelling_id, content_id, track_no, identity_id, confidence, score, runner_up_id, runner_up_score,"
        " runner_up_confidence, CAST(candidates AS text) FROM track_labels ORDER BY 1, 2, 3"
    ),
    "SELECT * FROM content_labels_by ORDER BY 1, 2, 3",
    "SELECT labelling_id, content_id, track_no, CAST(candidates AS text) FROM overruled_labels ORDER BY 1, 2, 3",
)
CALIBRATED = gallery().bundle.calibration


def seen(number: int, mix: Sequence[tuple[int, float]], *, start_ms: int = 0, x: float = 0.0) -> FaceTrack:
    """Return a track of three samples whose face is a mixture of people, 100 pixels wide and beside the others."""
    vector = sum(weight * PROTOTYPES[person].astype(np.float64) for person, weight in mix)
    unit = np.asarray(vector / np.linalg.norm(vector))
    left = x + 200.0 * number
    evidence = TrackEvidence(unit[None].astype(np.float16), np.full(1, 64, np.float16), np.full(1, 0.9, np.float16))
    boxes = np.array([[left, 20, left + 100, 140]] * 3, np.float32)
    none = np.zeros((0, 112, 112, 3), np.uint8)
    return replace(track(number, start_ms=start_ms), boxes_xyxy=boxes, evidence=evidence, best_faces=none)


MIXED = [(0, 1.0), (1, 0.9)]
"""A face that is person 0 to the model, with person 1 next."""


def annotated(content: int, tracks: Sequence[FaceTrack], identifier: Identifier) -> MediaAnnotation:
    labels = identifier.identify([one.evidence for one in tracks])
    return annotation(ref(f"{content}.gif"), content=content, tracks=tracks, labels=labels)


def scores_of(face: FaceTrack) -> list[tuple[Identity, float]]:
    (label,) = Identifier(gallery(min_score=-1.0)).identify([face.evidence])
    return [(one.identity, one.score) for one in label.candidates]


@dataclass(frozen=True)
class Archive:
    """A database with three contents: one of two tracks, one of one, one without."""

    store: Store
    network_id: int
    labelling_id: int
    identifier: Identifier

    @property
    def engine(self) -> Engine:
        return self.store.engine

    def register(self, people: Gallery, name: str, *, network_id: int | None = None) -> tuple[Identifier, int]:
        identifier = Identifier(people)
        labelling_id = self.store.register_labelling(
            network_id or self.network_id,
            model=f"small@{name}",
            digest=name,
            photographs=identifier.photographs,
            calibration=identifier.calibration.to_json(),
        )
        return identifier, labelling_id

    def say(self, verdict: CorrectionVerdict, name: str, *, content: int = 1, track_no: int = 0) -> Corrected:
        return correct_track(self.engine, ref(f"{content}.gif"), track_no, verdict=verdict, name=name)

    def rows(self) -> list[list[tuple[object, ...]]]:
        with self.store.reading() as connection:
            return [[tuple(row) for row in connection.execute(text(query))] for query in ROWS]

    def names(self, labelling_id: int | None = None) -> dict[tuple[int, int], tuple[str, float]]:
        """Return name and confidence of each known track, by content and number."""
        query = (
            "SELECT l.content_id, l.track_no, i.name, l.confidence FROM track_labels l"
            " JOIN identities i ON i.id = l.identity_id WHERE l.labelling_id = :l"
        )
        with self.store.reading() as connection:
            rows = connection.execute(text(query), {"l": labelling_id or self.labelling_id})
            return {(content, number): (name, confidence) for content, number, name, confidence in rows}

    def sums(self) -> list[tuple[object, ...]]:
        query = (
            "SELECT l.content_id, i.name, l.confidence, l.first_ms, l.last_ms, l.screen_ms FROM content_labels_by l"
            " JOIN identities i ON i.id = l.identity_id WHERE l.labelling_id = :l ORDER BY 1, 2"
        )
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.execute(text(query), {"l": self.labelling_id})]

    def listed(self) -> list[Correction]:
        with self.store.reading() as connection:
            return list(list_corrections(connection))


@pytest.fixture
def make_archive(store: Store) -> Callable[..., Archive]:
    def make(min_score: float = 0.17) -> Archive:
        identifier = Identifier(gallery(min_score=min_score))
        network_id = store.register_network(SPEC)
        bare = Archive(store, network_id, 0, identifier)
        _, labelling_id = bare.register(gallery(min_score=min_score), "first")
        outcomes = [
            annotated(1, [seen(0, MIXED), seen(1, [(3, 1.0)], start_ms=100)], identifier),
            annotated(2, [seen(0, [(5, 1.0)])], identifier),
            annotated(3, [], identifier),
        ]
        store.save(outcomes, network_id=network_id, labelling_id=labelling_id)
        return Archive(store, network_id, labelling_id, identifier)

    return make


@pytest.fixture
def archive(make_archive: Callable[..., Archive]) -> Archive:
    return make_archive()


def test_who_somebody_says_it_is_it_is_at_once_and_sure(archive: Archive) -> None:
    assert archive.names()[1, 0][0] == "Person 0"
    done = archive.say("is", "person 7")
    assert (done.before, done.now) == (Identity("Person 0", "/m/0"), Identity("Person 7", "/m/7"))
    assert archive.names()[1, 0] == ("Person 7", 1.0)
    assert (1, "Person 7", 1.0, 0, 300, 300) in archive.sums()
    assert [one[1] for one in archive.sums()] == ["Person 3", "Person 7", "Person 5"], "the others stay"
    assert [one.media_uri for one in archive.store.search("Person 7").found] == ["s3://gifs/1.gif"]
    assert archive.store.search("Person 0").found == ()


def test_one_who_is_in_the_media_already_is_summed_up_over_both_tracks(archive: Archive) -> None:
    archive.say("is", "Person 3")
    assert archive.sums()[0] == (1, "Person 3", 1.0, 0, 400, 400)
    assert len(archive.sums()) == 2


def test_an_unknown_track_gets_a_name_and_becomes_unknown_again(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(min_score=5.0)
    assert archive.names() == {}
    archive.say("is", "Person 4", content=2)
    assert archive.names() == {(2, 0): ("Person 4", 1.0)}
    assert archive.say("is not", "Person 4", content=2).now is None
    assert archive.names() == {}
    assert archive.sums() == []


def test_who_it_is_not_makes_way_for_the_next_who_reaches_the_threshold(make_archive: Callable[..., Archive]) -> None:
    (first, _), (second, score), *_ = scores_of(seen(0, MIXED))
    archive = make_archive(min_score=score - 0.01)
    assert archive.names()[1, 0][0] == first.name
    archive.say("is not", first.name)
    name, confidence = archive.names()[1, 0]
    assert name == second.name
    assert confidence == pytest.approx(CALIBRATED.confidences(np.array([score]), np.array([64.0]))[0], abs=1e-6)
    (row,) = [row for row in archive.rows()[0] if row[1:3] == (1, 0)]
    with archive.store.reading() as connection:
        query = text("SELECT id FROM identities WHERE name = :name")
        ruled_out = connection.execute(query, {"name": first.name}).scalar_one()
    assert ruled_out not in {row[3], row[6]}
    assert f"[{ruled_out}," not in str(row[9])


def test_who_does_not_reach_the_threshold_is_not_put_in_the_place(make_archive: Callable[..., Archive]) -> None:
    (first, best), (_, score), *_ = scores_of(seen(0, MIXED))
    assert best > score
    archive = make_archive(min_score=(best + score) / 2)
    assert archive.say("is not", first.name).now is None
    assert (1, 0) not in archive.names()
    assert [one[:2] for one in archive.sums() if one[0] == 1] == [(1, "Person 3")]


def fresh(archive: Archive, annotation: MediaAnnotation) -> dict[int, CorrectedTrack]:
    with archive.store.reading() as connection:
        return correct_fresh(connection, annotation, calibration=archive.identifier.calibration)


@pytest.mark.parametrize("between", [-0.01, 0.5], ids=["the next one reaches the threshold", "it does not"])
@pytest.mark.parametrize(
    "words",
    [
        [("is not", "Person 0")],
        [("is not", "Person 1")],
        [("is", "Person 7")],
        [("is", "Person 0"), ("is not", "Person 0")],
        [("is not", "Person 0"), ("is not", "Person 1"), ("is", "Person 1")],
    ],
)
def test_what_is_annotated_without_saving_is_called_what_its_rows_are(
    make_archive: Callable[..., Archive], words: Sequence[tuple[CorrectionVerdict, str]], between: float
) -> None:
    (_, best), (_, score), *_ = scores_of(seen(0, MIXED))
    archive = make_archive(min_score=score + between * (best - score))
    found = annotated(1, [seen(0, MIXED), seen(1, [(3, 1.0)], start_ms=100)], archive.identifier)
    assert fresh(archive, found) == {}
    for verdict, name in words:
        archive.say(verdict, name)
    corrected = fresh(archive, found)
    assert corrected.keys() == {0}
    label = corrected[0].label
    shown = None if label.identity is None else (label.identity.name, label.confidence)
    assert shown == archive.names().get((1, 0))
    assert [(one.verdict, one.identity.name) for one in corrected[0].words] == words
    withdraw_corrections(archive.engine, ref("1.gif"), 0)
    assert fresh(archive, found) == {}


def test_a_track_that_is_somewhere_else_has_nothing_of_what_was_said(archive: Archive) -> None:
    archive.say("is", "Person 7")
    assert fresh(archive, annotated(1, [seen(0, MIXED, x=900.0)], archive.identifier)) == {}
    assert fresh(archive, annotated(4, [seen(0, MIXED)], archive.identifier)) == {}


def test_several_may_be_ruled_out_and_one_who_was_not_named_leaves_the_name_as_it_is(archive: Archive) -> None:
    before = archive.names()
    archive.say("is not", "Person 1")
    assert archive.names() == before
    archive.say("is not", "Person 0")
    assert archive.names().get((1, 0), ("", 0))[0] not in {"Person 0", "Person 1"}


def test_what_is_withdrawn_leaves_all_rows_as_they_were(archive: Archive) -> None:
    _, second = archive.register(gallery(min_score=0.5), "second")
    relabel_archive(archive.engine, Identifier(gallery(min_score=0.5)), second)
    before = archive.rows()
    for verdict, name in (("is", "Person 7"), ("is not", "Person 7"), ("is not", "Person 0"), ("is", "Person 2")):
        archive.say(verdict, name)  # type: ignore[arg-type]
    assert archive.rows() != before
    done = withdraw_corrections(archive.engine, ref("1.gif"), 0)
    assert done.words == 4
    after = archive.rows()
    assert after[0] == before[0]
    without_time = [[tuple(row[:-1]) for row in rows[1]] for rows in (before, after)]
    assert without_time[0] == without_time[1]
    assert after[2] == []
    with pytest.raises(CorrectionError, match="nothing was said of track 0"):
        withdraw_corrections(archive.engine, ref("1.gif"), 0)


def test_another_model_changes_nothing_about_it_and_counts_no_change(archive: Archive) -> None:
    archive.say("is", "Person 7")
    archive.say("is not", "Person 5", content=2)
    other, labelling_id = archive.register(gallery(range(7), min_score=0.3), "other")
    run = relabel_archive(archive.engine, other, labelling_id)
    assert archive.names(labelling_id)[1, 0] == ("Person 7", 1.0), "whom it does not even know"
    assert archive.names(labelling_id).get((2, 0), ("", 0))[0] != "Person 5"
    assert run is not None
    assert (run.sums.tracks_added, run.sums.tracks_dropped, run.sums.tracks_flipped) == (0, 0, 0)


def test_tracks_that_are_found_anew_under_other_numbers_are_found_again(archive: Archive) -> None:
    archive.say("is", "Person 7")
    anew = [replace(seen(1, [(3, 1.0)], start_ms=100), track_no=0), replace(seen(0, MIXED), track_no=1)]
    again = [annotated(1, anew, archive.identifier)]
    archive.store.save(again, network_id=archive.network_id, labelling_id=archive.labelling_id, refresh=True)
    assert archive.names()[1, 1] == ("Person 7", 1.0)
    assert archive.names()[1, 0][0] == "Person 3"
    withdraw_corrections(archive.engine, ref("1.gif"), 1)
    assert archive.names()[1, 1][0] == "Person 0"


def test_who_it_is_not_is_on_no_piece_of_a_track_that_is_found_anew_in_pieces(archive: Archive) -> None:
    archive.say("is not", "Person 0")
    begin, end = seen(0, MIXED), replace(seen(1, MIXED, start_ms=200, x=-200), track_no=1)
    found = annotated(1, [_until(begin, 2), _until(end, 1)], archive.identifier)
    assert {one.identity and one.identity.name for one in found.labels} == {"Person 0"}
    archive.store.save([found], network_id=archive.network_id, labelling_id=archive.labelling_id, refresh=True)
    assert {archive.names().get((1, one), ("", 0))[0] for one in (0, 1)} <= {"", "Person 1"}
    assert {number: [one.verdict for one in track.words] for number, track in fresh(archive, found).items()} == {
        0: ["is not"],
        1: ["is not"],
    }
    assert withdraw_corrections(archive.engine, ref("1.gif"), 1).words == 1, "the word is on both"
    assert {archive.names()[1, one][0] for one in (0, 1)} == {"Person 0"}


def test_a_word_that_was_taken_back_by_another_on_the_whole_track_is_told_as_overtaken(archive: Archive) -> None:
    def find(*tracks: FaceTrack) -> None:
        found = annotated(1, list(tracks), archive.identifier)
        archive.store.save([found], network_id=archive.network_id, labelling_id=archive.labelling_id, refresh=True)

    begin, end = seen(0, MIXED), replace(seen(1, MIXED, start_ms=200, x=-200), track_no=1)
    find(_until(begin, 2), _until(end, 1))
    archive.say("is not", "Person 7", track_no=1)
    find(begin)
    archive.say("is", "Person 7", track_no=0)
    find(_until(begin, 2), _until(end, 1))
    assert [(one.verdict, one.is_overtaken) for one in archive.listed()] == [("is not", True), ("is", False)]


def _until(face: FaceTrack, times: int) -> FaceTrack:
    """Return a track of its first samples."""
    names = ("frame_index", "pts_ms", "from_ms", "shown_ms", "boxes_xyxy", "scores", "quality")
    return replace(face, **{name: getattr(face, name)[:times] for name in names})


def test_another_network_finds_it_by_time_and_place(archive: Archive) -> None:
    archive.say("is", "Person 7")
    network_id = archive.store.register_network(SPEC | {"sampling": 2})
    identifier, labelling_id = archive.register(gallery(min_score=0.3), "first", network_id=network_id)
    shifted = [seen(0, MIXED, start_ms=40, x=20), seen(1, [(3, 1.0)], start_ms=100)]
    outcome = annotated(1, [replace(one, track_no=1 - one.track_no) for one in reversed(shifted)], identifier)
    archive.store.save([outcome], network_id=network_id, labelling_id=labelling_id)
    assert archive.names(labelling_id)[1, 1] == ("Person 7", 1.0)
    assert archive.names(labelling_id)[1, 0][0] == "Person 3"


def test_what_finds_no_track_is_kept_and_listed(archive: Archive) -> None:
    archive.say("is", "Person 7")
    elsewhere = [annotated(1, [seen(0, MIXED, x=900)], archive.identifier)]
    archive.store.save(elsewhere, network_id=archive.network_id, labelling_id=archive.labelling_id, refresh=True)
    assert archive.names()[1, 0][0] == "Person 0"
    (one,) = archive.listed()
    assert (one.track_no, one.why_unmatched) == (None, "no track is there any more")
    back = [annotated(1, [seen(0, MIXED)], archive.identifier)]
    archive.store.save(back, network_id=archive.network_id, labelling_id=archive.labelling_id, refresh=True)
    assert archive.names()[1, 0] == ("Person 7", 1.0)
    assert archive.listed()[0].why_unmatched is None


def test_the_list_says_which_words_hold(archive: Archive) -> None:
    for verdict, name in (("is", "Person 7"), ("is", "Person 8"), ("is not", "Person 0")):
        archive.say(verdict, name)  # type: ignore[arg-type]
    told = [(one.verdict, one.identity.name, one.track_no, one.is_overtaken) for one in archive.listed()]
    assert told == [("is", "Person 7", 0, True), ("is", "Person 8", 0, False), ("is not", "Person 0", 0, False)]
    assert {one.media_uri for one in archive.listed()} == {"s3://gifs/1.gif"}
    assert all("@" in one.said_by for one in archive.listed())
    withdraw_corrections(archive.engine, ref("1.gif"), 0)
    assert all(one.withdrawn_at is not None and not one.is_overtaken for one in archive.listed())


def test_sql_users_see_what_was_said_and_of_whom_it_holds_now(archive: Archive) -> None:
    archive.say("is", "Person 7")
    archive.say("is not", "Person 5", content=2)
    withdraw_corrections(archive.engine, ref("2.gif"), 0)
    archive.store.merge("Person 7", "Person 8")
    again = annotated(1, [seen(0, MIXED)], archive.identifier)
    archive.store.save(
        [replace(again, media=ref("copy.gif"))], network_id=archive.network_id, labelling_id=archive.labelling_id
    )
    query = (
        "SELECT media_uri, track, verdict, identity, withdrawn_at IS NULL, withdrawn_by = said_by"
        " FROM track_corrections ORDER BY correction, media_id"
    )
    with archive.store.reading() as connection:
        rows = [tuple(row) for row in connection.execute(text(query))]
    assert rows == [
        ("s3://gifs/1.gif", 0, "is", "Person 8", True, None),
        ("s3://gifs/copy.gif", 0, "is", "Person 8", True, None),
        ("s3://gifs/2.gif", 0, "is not", "Person 5", False, True),
    ]
    other = archive.store.register_network({**SPEC, "detector": "another"})
    archive.store.activate(archive.store.register_labelling(other, model="other@1", digest="o", photographs={}))
    with archive.store.reading() as connection:
        assert {row[1] for row in connection.execute(text(query))} == {None}


def test_what_was_said_of_one_who_is_merged_holds_of_who_took_over(archive: Archive) -> None:
    archive.say("is", "Person 7")
    archive.say("is not", "Person 5", content=2)
    assert (2, 0) not in archive.names()
    archive.store.merge("Person 7", "Person 8")
    archive.store.merge("Person 5", "Person 6")
    assert archive.names()[1, 0] == ("Person 8", 1.0)
    assert archive.store.search("Person 8").found != ()
    again, labelling_id = archive.register(gallery(min_score=0.3), "again")
    relabel_archive(archive.engine, again, labelling_id)
    assert archive.names(labelling_id).get((2, 0), ("", 0))[0] not in {"Person 5", "Person 6"}
    assert archive.names(labelling_id)[1, 0] == ("Person 8", 1.0)


def test_a_merge_with_one_who_was_ruled_out_takes_the_name_away(archive: Archive) -> None:
    archive.say("is not", "Person 9")
    assert archive.names()[1, 0][0] == "Person 0"
    archive.store.merge("Person 9", "Person 0")
    assert archive.names().get((1, 0), ("", 0))[0] not in {"Person 0", "Person 9"}


def test_who_was_ruled_out_is_no_candidate_of_what_is_told(make_archive: Callable[..., Archive]) -> None:
    archive = make_archive(min_score=5.0)
    told = archive.store.load_annotations(archive.labelling_id, [ref("1.gif")], identify=archive.identifier.identify)
    assert told["s3://gifs/1.gif"].tracks[0].label.candidates[0].identity.name == "Person 0"
    archive.say("is not", "Person 0")
    told = archive.store.load_annotations(archive.labelling_id, [ref("1.gif")], identify=archive.identifier.identify)
    label = told["s3://gifs/1.gif"].tracks[0].label
    assert label.verdict == "unknown"
    assert label.candidates
    assert "Person 0" not in {one.identity.name for one in label.candidates}


def test_names_and_tracks_that_are_not_there_are_refused(archive: Archive) -> None:
    with pytest.raises(CorrectionError, match="its tracks are 0, 1"):
        archive.say("is", "Person 7", track_no=2)
    with pytest.raises(CorrectionError, match="annotate it first"):
        archive.say("is", "Person 7", content=99)
    with pytest.raises(IdentityError, match=r"nobody is called 'Nemo'.*--new"):
        archive.say("is", "Nemo")
    assert archive.listed() == []
    done = correct_track(archive.engine, ref("1.gif"), 0, verdict="is", name=" Captain  Nemo", is_new=True)
    assert done.now == Identity("Captain Nemo")
    assert archive.names()[1, 0] == ("Captain Nemo", 1.0)


@pytest.fixture
def second_engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def wait_until_it_waits(engine: Engine, said: Future[Corrected]) -> None:
    """Return once somebody waits for an advisory lock; SQLite cannot tell, and there nothing depends on it."""
    wanted = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    while engine.dialect.name == "postgresql" and not said.done():
        with engine.connect() as connection:
            if connection.execute(wanted).scalar_one():
                return


def test_what_is_said_while_labels_are_written_and_not_committed_changes_them(
    archive: Archive, second_engine: Engine
) -> None:
    other, labelling_id = archive.register(gallery(min_score=0.3), "other")
    with ThreadPoolExecutor(1) as pool:
        with archive.store.writing() as connection:
            done = label_contents(
                connection, other, [1, 2, 3], network_id=archive.network_id, labelling_id=labelling_id
            )
            assert done.contents == 3
            said = pool.submit(correct_track, second_engine, ref("1.gif"), 0, verdict="is", name="Person 7")
            wait_until_it_waits(archive.engine, said)
            assert not said.done()
        assert said.result(timeout=60).now == Identity("Person 7", "/m/7")
    assert archive.names(labelling_id)[1, 0] == ("Person 7", 1.0)


def test_what_many_say_at_once_while_labels_are_made_is_all_kept(archive: Archive) -> None:
    other, labelling_id = archive.register(gallery(min_score=0.3), "other")
    begin = threading.Barrier(5)

    def say(number: int) -> None:
        begin.wait()
        archive.say("is not", f"Person {number}", content=1 + number % 2)

    with ThreadPoolExecutor(5) as pool:
        said = [pool.submit(say, number) for number in range(4)]
        begin.wait()
        relabel_archive(archive.engine, other, labelling_id)
        for one in said:
            one.result(timeout=60)
    assert sorted(one.identity.name for one in archive.listed()) == [f"Person {number}" for number in range(4)]
    for labelling in (archive.labelling_id, labelling_id):
        assert archive.names(labelling).get((1, 0), ("", 0))[0] not in {"Person 0", "Person 2"}


def test_who_dies_in_the_middle_has_said_nothing_and_may_say_it_again(archive: Archive) -> None:
    before = archive.rows()

    def die(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO content_labels_by"):
            raise InterruptedError

    event.listen(archive.engine, "before_cursor_execute", die)
    with pytest.raises(InterruptedError):
        archive.say("is", "Person 7")
    event.remove(archive.engine, "before_cursor_execute", die)
    assert archive.rows() == before
    assert archive.listed() == []
    archive.say("is", "Person 7")
    assert archive.names()[1, 0] == ("Person 7", 1.0)


def test_a_labelling_that_says_nothing_of_its_thresholds_names_nobody_in_the_place(archive: Archive) -> None:
    with archive.store.writing() as connection:
        connection.execute(text("UPDATE labellings SET calibration = NULL"))
    assert archive.say("is not", "Person 0").now is None


def test_who_has_said_it_is_kept_and_what_goes_with_it_is_in_its_transaction(archive: Archive) -> None:
    noted: list[Corrected] = []
    eve = Speaker("eve", note=lambda _, done: noted.append(done))
    correct_track(archive.engine, ref("1.gif"), 0, verdict="is", name="Person 7", speaker=eve)
    assert [one.said_by for one in archive.listed()] == ["eve"]
    assert [one.now for one in noted] == [Identity("Person 7", "/m/7")]

    def fails(*_: object) -> None:
        raise RuntimeError

    before = archive.rows()
    with pytest.raises(RuntimeError):
        withdraw_corrections(archive.engine, ref("1.gif"), 0, speaker=Speaker("eve", note=fails))
    assert archive.rows() == before


def test_nothing_is_said_of_tracks_that_nobody_has_looked_at(archive: Archive) -> None:
    content_id = archive.say("is", "Person 7").content_id
    before = archive.rows()
    for looked_at in ((archive.network_id + 1, content_id), (archive.network_id, content_id + 1)):
        speaker = Speaker(seen=looked_at)
        with pytest.raises(ChangedMeanwhileError, match="look at it again"):
            correct_track(archive.engine, ref("1.gif"), 0, verdict="is", name="Person 3", speaker=speaker)
        with pytest.raises(ChangedMeanwhileError):
            withdraw_corrections(archive.engine, ref("1.gif"), 0, speaker=speaker)
    assert archive.rows() == before
    now = Speaker(seen=(archive.network_id, content_id))
    assert withdraw_corrections(archive.engine, ref("1.gif"), 0, speaker=now).words == 1
