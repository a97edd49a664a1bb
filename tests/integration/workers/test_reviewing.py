"""Beat queues what is worth a reviewer's look, tracks without a name, too, a little at a time."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, event, select

from annotator.store.review import scanning
from annotator.store.review.scanning import scan_all
from annotator.store.tables import review_items
from tests.integration.workers.test_catching_up import Archive, settings_of
from workers.beat.reviewing import ReviewFiller
from workers.beat.shown_names import ShownNames


@pytest.fixture
def archive(engine: Engine, tmp_path: Path) -> Archive:
    """A fresh archive, on each database; the model is shown that leaves many tracks without a name."""
    made = Archive(engine, tmp_path)
    made.store.activate(made.former_id)
    return made


def filler(archive: Archive, tmp_path: Path, model: str = "former") -> ReviewFiller:
    engine = archive.store.engine
    return ReviewFiller(engine, ShownNames(engine, settings_of(tmp_path, model)))


def queued(archive: Archive) -> list[tuple[int, int, bool]]:
    """Return which tracks are queued, and whether each has a name."""
    items = review_items.c
    rows = select(items.content_id, items.track_no, items.candidates).order_by(items.content_id, items.track_no)
    with archive.store.reading() as connection:
        return [(content, track, candidates is None) for content, track, candidates in connection.execute(rows)]


def test_it_queues_what_the_command_queues_tracks_without_a_name_too(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan_all(archive.store.engine, identify=archive.former.identify)
    wanted = queued(archive)
    assert {is_named for *_, is_named in wanted} == {True, False}
    for number in (1, 2):  # nothing is left to do after the command; another one begins where it was
        if number == 2:
            with archive.store.writing() as connection:
                connection.execute(delete(review_items))
                connection.execute(delete(scanning.review_scans))
                at = scanning.store_settings.c.name == scanning._NAMELESS_PLACE
                connection.execute(delete(scanning.store_settings).where(at))
        monkeypatch.setattr(scanning, "CONTENTS_AT_ONCE", 7)
        assert filler(archive, tmp_path).run() == (0 if number == 1 else 60)
        assert queued(archive) == wanted


def test_a_turn_that_is_over_goes_on_in_the_next_one(archive: Archive, tmp_path: Path) -> None:
    filler_of = filler(archive, tmp_path)
    filler_of.run()
    wanted = queued(archive)
    archive.annotate(34)
    assert filler_of.run() == 8  # for their names, and for tracks that have none
    assert {content for content, *_ in queued(archive)} > {content for content, *_ in wanted}
    writes: list[str] = []

    @event.listens_for(archive.store.engine, "before_cursor_execute")
    def _keep(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.lstrip().startswith(("SELECT", "SET", "BEGIN", "PRAGMA")):
            writes.append(statement)

    assert filler_of.run() == 0
    event.remove(archive.store.engine, "before_cursor_execute", _keep)
    assert writes == []


def test_another_model_that_is_shown_is_looked_at_from_the_beginning(archive: Archive, tmp_path: Path) -> None:
    filler(archive, tmp_path).run()
    archive.store.activate(archive.shown_id)
    assert filler(archive, tmp_path, "shown").run() == 60


def test_without_the_model_that_is_shown_names_are_queued_and_nothing_else(
    archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert filler(archive, tmp_path, "shown").run() == 30
    assert {is_named for *_, is_named in queued(archive)} == {True}
    assert "looked at for Review" in caplog.text
