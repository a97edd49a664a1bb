"""Groups of strangers are counted as of a time; what a person decides about one is counted at once."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, text, update

from annotator.recognition.bundle import ModelBundle
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.store import Store
from annotator.store.identities import ids_of
from annotator.store.rollups import RollUpInTurn, roll_up
from annotator.store.strangers import counting
from annotator.store.strangers.counting import count_strangers
from annotator.store.strangers.decisions import merge_groups, name_group, split_group
from annotator.store.strangers.running import group_strangers
from annotator.store.tables import active, media, stranger_counts_by, stranger_roll_ups
from annotator.store.takedowns.labels import forget_labels
from annotator.store.web.strangers import count_tracks, faces_of_stranger, most_seen_strangers
from tests.made_up_bundles import write_made_up_bundle
from tests.store_values import annotation, ref
from tests.strangers_archive import KNOWN, face_of, fill

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
# As the archive is grouped: stranger 1 in three clips, 2 is known, 3 in two clips, 4 in one.
COLUMNS = "contents, media, tracks, named_tracks, {screen}, face_px, first_annotated_at, last_annotated_at"
LIVE = f"SELECT stranger, {COLUMNS.format(screen='screen_time_ms')} FROM stranger_groups ORDER BY 1"
KEPT = (
    f"SELECT c.group_no, {COLUMNS.format(screen='c.screen_ms')} FROM stranger_counts_by c"
    " WHERE c.labelling_id = (SELECT labelling_id FROM active) ORDER BY 1"
)


@dataclass
class Archive:
    store: Store
    model: ModelBundle

    @property
    def engine(self) -> Engine:
        return self.store.engine

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def listed(self) -> list[tuple[int, int, tuple[int, int] | None]]:
        """Return number, media and face of each group of the list."""
        with self.store.reading() as connection:
            found = most_seen_strangers(connection, limit=10)
        return [(one.stranger.number, one.stranger.media, one.face) for one in found]

    def numbers(self) -> list[tuple[int, int]]:
        return [(number, in_media) for number, in_media, _ in self.listed()]

    def add(self, content: int, person: int) -> None:
        """Annotate one more clip, and let its track find its group."""
        self.annotate(f"{content}.gif", content, person)
        group_strangers(self.engine, self.model, 1)

    def annotate(self, name: str, content: int, person: int) -> None:
        seen = face_of(person, 0, seed=content)
        labels = Identifier(Gallery.from_bundle(self.model)).identify([seen.evidence])
        one = annotation(ref(name), content=content, tracks=[seen], labels=labels)
        self.store.save([one], network_id=1, labelling_id=1)


@pytest.fixture
def archive(database_url: str, tmp_path: Path) -> Iterator[Archive]:
    fill(database_url, tmp_path, tmp_path / "model")
    model = write_made_up_bundle(tmp_path / "again")
    with Store.open(database_url) as store:
        group_strangers(store.engine, model, 1)
        assert count_strangers(store.engine)
        yield Archive(store, model)


def test_counts_are_those_of_the_view_and_stay_until_they_are_made_anew(archive: Archive) -> None:
    assert archive.rows(KEPT) == archive.rows(LIVE) != []
    assert archive.numbers() == [(1, 3), (3, 2), (4, 1)]
    for content, person in ((11, 51), (12, 51), (13, 60), (14, KNOWN)):
        archive.add(content, person)
    archive.annotate("copy.gif", 11, 51)
    assert archive.numbers() == [(1, 3), (3, 2), (4, 1)]
    roll_up(archive.engine)
    assert archive.rows(KEPT) == archive.rows(LIVE)
    assert archive.numbers()[0] == (3, 5)


def test_a_group_of_which_all_have_gone_is_counted_no_more(archive: Archive) -> None:
    with archive.store.writing() as connection:
        connection.execute(update(media).where(media.c.key == "party.gif").values(deleted_at=NOON))
    count_strangers(archive.engine)
    assert archive.rows(KEPT) == archive.rows(LIVE)
    assert archive.numbers() == [(1, 3), (3, 1)]


def test_a_count_writes_what_has_changed_and_nothing_else(archive: Archive) -> None:
    written: list[int] = []

    @event.listens_for(archive.engine, "after_cursor_execute")
    def _keep(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "stranger_counts_by" in statement:
            written.append(cursor.rowcount)

    count_strangers(archive.engine)
    assert written == [0, 0]
    archive.add(11, 52)
    written.clear()
    count_strangers(archive.engine)
    event.remove(archive.engine, "after_cursor_execute", _keep)
    assert written == [0, 1]


def test_groups_that_were_made_one_are_counted_at_once(archive: Archive) -> None:
    merge_groups(archive.engine, 1, 4, 3)
    assert archive.rows(KEPT) == archive.rows(LIVE)
    assert archive.numbers() == [(1, 3), (3, 2)]
    with archive.store.reading() as connection:
        assert count_tracks(connection, 3) == 3


def test_what_was_split_is_counted_at_once(archive: Archive) -> None:
    with archive.store.reading() as connection:
        faces = faces_of_stranger(connection, 1, most=9)
    split_group(archive.engine, 1, 1, keys=[(one.content_id, one.track_no) for one in faces[:2]], bundle=archive.model)
    assert archive.rows(KEPT) == archive.rows(LIVE)
    assert archive.numbers() == [(3, 2), (5, 2), (1, 1), (4, 1)]


def test_who_is_named_is_in_the_list_no_more(archive: Archive) -> None:
    with archive.store.reading() as connection:
        (known, *_) = connection.execute(text("SELECT id FROM identities ORDER BY id")).scalars()
    name_group(archive.engine, 1, 1, known)
    assert archive.numbers() == [(3, 2), (4, 1)]


def test_a_count_that_began_before_a_decision_leaves_it_alone(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = counting.several

    @contextlib.contextmanager
    def overtaken(opened: Engine) -> Iterator[Any]:
        """Let somebody decide between reading and writing."""
        with several(opened) as transaction:

            def opening(**how: Any) -> Any:
                if not how:
                    merge_groups(archive.engine, 1, 4, 3)
                return transaction(**how)

            yield opening

    monkeypatch.setattr(counting, "several", overtaken)
    assert count_strangers(archive.engine)
    assert archive.numbers() == [(1, 3), (3, 2)]
    monkeypatch.undo()
    assert count_strangers(archive.engine)
    assert archive.rows(KEPT) == archive.rows(LIVE)


def test_the_older_of_two_counts_at_once_gives_way(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    several = counting.several

    @contextlib.contextmanager
    def overtaken(opened: Engine) -> Iterator[Any]:
        with several(opened) as transaction:

            def opening(**how: Any) -> Any:
                if not how:
                    monkeypatch.undo()
                    archive.add(11, 51)
                    count_strangers(archive.engine)
                return transaction(**how)

            yield opening

    monkeypatch.setattr(counting, "several", overtaken)
    assert not count_strangers(archive.engine)
    assert archive.numbers()[1] == (3, 3)


def test_a_face_that_is_gone_is_told_by_the_next_sharpest(archive: Archive) -> None:
    first, _, (media_id, track_no) = archive.listed()[0]  # type: ignore[misc]
    with archive.store.writing() as connection:
        connection.execute(update(media).where(media.c.id == media_id).values(deleted_at=NOON))
    number, _, face = archive.listed()[0]
    assert number == first
    assert face is not None
    assert face[0] != media_id
    with archive.store.reading() as connection:
        (best, *_) = faces_of_stranger(connection, first, most=1)
    assert face == (best.media_id, best.track_no)
    assert track_no >= 0


def test_under_names_that_are_not_counted_yet_groups_are_told_as_counted_last(archive: Archive) -> None:
    other = archive.store.register_labelling(1, model="other@1", digest="other", photographs={})
    with archive.store.writing() as connection:
        connection.execute(update(active).values(labelling_id=other))
    assert archive.numbers() == [(1, 3), (3, 2), (4, 1)]
    with archive.store.writing() as connection:
        connection.execute(stranger_roll_ups.delete())
    assert [number for number, _ in archive.numbers()] == [1, 3, 2, 4]  # of the view: nobody has a name


def test_a_roll_up_in_turn_counts_groups_too_which_rests_for_itself(archive: Archive) -> None:
    with archive.store.writing() as connection:
        connection.execute(stranger_roll_ups.delete())
        connection.execute(stranger_counts_by.delete())
    in_turn = RollUpInTurn(archive.engine)
    in_turn.run()
    assert archive.rows(KEPT) == archive.rows(LIVE)
    archive.add(11, 51)
    with archive.store.writing() as connection:
        connection.execute(update(stranger_roll_ups).values(took_ms=60_000))
    in_turn.run()
    assert archive.numbers()[1] == (3, 2)
    with archive.store.writing() as connection:
        connection.execute(update(stranger_roll_ups).values(took_ms=0))
    in_turn.run()
    assert archive.numbers()[1] == (3, 3)


def test_whom_a_group_resembles_is_told_by_the_name_and_goes_with_the_person(archive: Archive) -> None:
    merge_groups(archive.engine, 1, 2, 3)
    with archive.store.reading() as connection:
        (one,) = [one for one in most_seen_strangers(connection, limit=9) if one.stranger.number == 3]
        assert one.stranger.resembles is not None
        ids = ids_of(connection, {one.stranger.resembles})
    with archive.store.writing() as connection:
        forget_labels(connection, list(ids.values()))
        assert set(connection.execute(select(stranger_counts_by.c.resembles_id)).scalars()) == {None}


def test_of_a_large_group_the_sharpest_of_some_thousand_are_shown(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annotator.store.web.strangers.MOST_LOOKED_AT", 2)
    with archive.store.reading() as connection:
        assert len(faces_of_stranger(connection, 1, most=9)) == 2
        assert count_tracks(connection, 1) == 3
