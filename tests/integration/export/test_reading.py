"""What is exported, and in which order: on both databases."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, select, update

from annotator.errors import ChangedMeanwhileError, ConfigError, IdentityError, SourceNotFoundError
from annotator.export import reading as pages
from annotator.export.reading import read_media
from annotator.export.records import ExportedMedia
from annotator.export.selection import Selection, resolve
from annotator.results import MediaResult, to_json_line
from annotator.store import Store
from annotator.store.columns import utc_now
from annotator.store.tables import WorkState, labellings, media, work
from annotator.types import Identity, MediaRef
from tests.integration.export.conftest import HOSTILE, MODEL, Archive, seen
from tests.store_values import annotation, known, ref

JENNIFER = Identity("Jennifer Aniston", "/m/03pvt")


def read(archive: Archive, **selection: object) -> list[ExportedMedia]:
    return list(read_media(archive.store.engine, Selection(**selection)))  # type: ignore[arg-type]


def names(found: list[ExportedMedia]) -> list[str]:
    return [one.uri.rpartition("/")[2].partition("?")[0] for one in found]


def test_media_come_in_order_of_their_addresses_with_failures(archive: Archive) -> None:
    found = read(archive)
    assert names(found) == ["film.mp4", "=1+1.gif", "broken.gif", "nobody.gif", "pair.gif", "still.png"]
    assert [one.uri for one in found] == sorted(one.uri for one in found)
    assert [one.status for one in found] == ["damaged", "annotated", "failed", "annotated", "annotated", "annotated"]
    assert (found[2].reason, found[2].message, found[2].tracks) == ("undecodable", "It is no media.", ())


def test_it_is_told_as_the_command_line_tells_it(archive: Archive) -> None:
    refs = [ref(one) for one in ("pair.gif", "=1+1.gif", "broken.gif", "nobody.gif")]
    stored = archive.store.load_annotations(archive.labelling_id, refs)
    by_uri = {one.uri: one for one in read(archive)}
    for uri, known_rows in stored.items():
        expected, told = to_json_line(known_rows.result), by_uri[uri]
        people = [
            {
                "identity": one.identity.name,
                "confidence": one.confidence,
                "start_ms": one.start_ms,
                "end_ms": one.end_ms,
                "screen_time_ms": one.screen_time_ms,
                "is_picture": one.is_picture,
            }
            for one in told.people()
        ]
        assert people == expected["labels"]
        assert [one.track_no for one in told.tracks] == [one["track"] for one in expected["tracks"]]
        assert isinstance(known_rows.result, MediaResult)


def test_spans_of_a_person_are_joined_where_they_touch(archive: Archive) -> None:
    (pair,) = read(archive, media=("s3://gifs/pair.gif",))
    assert {one.identity.name: one.spans for one in pair.people()} == {
        "Jennifer Aniston": ((0, 1000), (1200, 1500)),
        "Brad Pitt": ((500, 1500),),
    }


def test_only_people_who_are_wanted_are_told(archive: Archive) -> None:
    found = read(archive, people=("jennifer aniston",))
    assert names(found) == ["pair.gif", "still.png"]
    assert {track.name.identity for one in found for track in one.tracks if track.name} == {JENNIFER}
    assert [len(one.tracks) for one in found] == [2, 1]
    assert {one.identity for each in found for track in each.tracks for one in track.candidates} == {JENNIFER}
    assert names(read(archive, people=("Brad Pitt", HOSTILE.name))) == ["film.mp4", "=1+1.gif", "pair.gif"]


def test_names_that_are_less_sure_are_not_told(archive: Archive) -> None:
    (pair,) = read(archive, media=("s3://gifs/pair.gif",), min_confidence=0.9)
    assert [track.name and track.name.identity.name for track in pair.tracks] == ["Jennifer Aniston", "Brad Pitt", None]
    assert [len(track.candidates) for track in pair.tracks] == [2, 1, 0]
    assert names(read(archive, people=(HOSTILE.name,), min_confidence=0.9)) == []


def test_people_who_became_one_are_told_as_one(archive: Archive) -> None:
    archive.store.merge("Brad Pitt", "Jennifer Aniston")
    (pair,) = read(archive, media=("s3://gifs/pair.gif",))
    assert [one.identity for one in pair.people()] == [JENNIFER]
    assert names(read(archive, people=("Brad Pitt",))) == ["film.mp4", "pair.gif", "still.png"]


def test_media_are_given_by_number_address_or_path(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    local = MediaRef("x.gif", (tmp_path / "x.gif").as_uri())
    archive.store.save([annotation(local, content=9)], network_id=archive.network_id, labelling_id=archive.labelling_id)
    (number,) = [one.media_id for one in read(archive, media=("s3://gifs/still.png",))]
    assert names(read(archive, media=("x.gif", str(number)))) == ["x.gif", "still.png"]
    with pytest.raises(SourceNotFoundError, match=r"no media y\.gif"):
        read(archive, media=("y.gif",))
    with pytest.raises(SourceNotFoundError, match="no media 4711"):
        read(archive, media=("4711",))


def test_only_what_was_labelled_since_then(archive: Archive) -> None:
    assert len(read(archive, since=datetime.now(UTC) - timedelta(hours=1))) == 6
    assert read(archive, since=datetime.now(UTC) + timedelta(hours=1)) == []


def test_labels_of_another_model_can_be_told(archive: Archive) -> None:
    store = archive.store
    other = store.register_labelling(archive.network_id, model="mine@2", digest="2", photographs={JENNIFER: 3})
    store.save(
        [annotation(ref("pair.gif"), content=1, tracks=[seen(0, (0, 500))], labels=[known(JENNIFER)])],
        network_id=archive.network_id,
        labelling_id=other,
        refresh=True,
    )
    found = [one for one in read(archive, model="mine") if one.status != "failed"]
    assert [(one.model, [who.identity for who in one.people()]) for one in found] == [("mine@2", [JENNIFER])]
    assert MODEL in {one.model for one in read(archive)}
    with pytest.raises(ConfigError, match="yours has labelled nothing"):
        read(archive, model="yours")


def test_a_name_that_nobody_has_is_refused(archive: Archive) -> None:
    with pytest.raises(IdentityError, match="did you mean Jennifer Aniston"):
        read(archive, people=("Jennifer Anniston",))


def test_nothing_is_exported_of_an_empty_database(store: Store) -> None:
    with pytest.raises(ConfigError, match="nothing is annotated yet"):
        list(read_media(store.engine, Selection()))


def test_what_is_deleted_is_not_told(archive: Archive) -> None:
    with archive.store.writing() as connection:
        connection.execute(update(media).where(media.c.key == "pair.gif").values(deleted_at=utc_now()))
    assert "pair.gif" not in names(read(archive))


def test_what_is_tried_again_has_not_failed(archive: Archive) -> None:
    with archive.store.writing() as connection:
        failed = work.c.state == int(WorkState.FAILED)
        connection.execute(update(work).where(failed).values(state=int(WorkState.PENDING)))
    assert "broken.gif" not in names(read(archive))


@pytest.mark.parametrize(("page", "faces"), [(1, 20_000), (2, 20_000), (500, 1), (4, 2)])
def test_pages_of_any_size_tell_the_same(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, page: int, faces: int
) -> None:
    expected = [(one.uri, len(one.tracks)) for one in read(archive)]
    monkeypatch.setattr(pages, "_PAGE", page)
    monkeypatch.setattr(pages, "_FACES_AT_ONCE", faces)
    assert [(one.uri, len(one.tracks)) for one in read(archive)] == expected


def test_labels_that_are_removed_meanwhile_end_it(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_PAGE", 1)
    reading = read_media(archive.store.engine, Selection())
    next(reading)
    with archive.store.writing() as connection:
        connection.execute(update(labellings).values(retired_at=utc_now()))
    with pytest.raises(ChangedMeanwhileError, match="removed meanwhile"):
        next(reading)


def test_somebody_who_is_added_meanwhile_has_a_name(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_PAGE", 1)
    reading = read_media(archive.store.engine, Selection())
    next(reading)
    cher = Identity("Cher")
    archive.store.register_labelling(archive.network_id, model=MODEL, digest="1", photographs={cher: 1})
    archive.store.save(
        [annotation(ref("zoo.gif"), content=77, tracks=[seen(0, (0, 100))], labels=[known(cher)])],
        network_id=archive.network_id,
        labelling_id=archive.labelling_id,
    )
    *_, last = reading
    assert [one.identity for one in last.people()] == [cher]


def test_an_export_writes_nothing(archive: Archive) -> None:
    with archive.store.reading() as connection:
        before = connection.execute(select(labellings)).all()
    read(archive)
    with archive.store.reading() as connection:
        assert connection.execute(select(labellings)).all() == before


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("people", [(), ("Brad Pitt",)])
def test_the_next_page_is_found_and_sorted_by_an_index(archive: Archive, people: tuple[str, ...]) -> None:
    asked: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        asked.append((statement, values))

    event.listen(archive.store.engine, "before_cursor_execute", note)
    with archive.store.reading() as connection:
        pages._page(connection, resolve(connection, Selection(people=people)), 1, "a")
        statement, values = asked[-1]
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()]  # type: ignore[arg-type]
    assert plan[0].startswith("SEARCH media USING INDEX")
    assert [step for step in plan if step.startswith(("SCAN", "USE TEMP B-TREE"))] == []
