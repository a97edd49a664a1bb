"""Takedowns as the database has them, on both databases: reports that are kept, one at a time, and going on."""

import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import insert, select, text

from annotator.errors import BusyError
from annotator.store import Store
from annotator.store.identities import register_identities
from annotator.store.naming import change_kg_mid, remove_alias
from annotator.store.tables import outbox, web_jobs
from annotator.store.takedowns.alone import is_under_way, only_takedown
from annotator.store.takedowns.listing import find_takedown, is_of, list_takedowns, newest_unfinished
from annotator.store.takedowns.name_finder import GONE
from annotator.store.takedowns.running import (
    NO_FACES,
    KnownFaces,
    begin_takedown,
    face_of,
    finish_takedown,
    forget_in_database,
)
from annotator.store.takedowns.whom import Person, find_person
from annotator.store.web.accounts import Role, add_account
from annotator.store.web.audit import list_deeds, record_deed
from annotator.store.web.jobs import Room, Wanted, add_jobs
from annotator.takedown.report import report_of
from annotator.types import Identity
from tests import web_archive
from tests.store_values import ADA, BEN, CAT, SPEC, annotation, known, ref, track, unknown

FACES = KnownFaces("x", np.eye(2, 4, dtype=np.float32))
HOLDS = """
import sys, time
from annotator.store.connection import open_engine
from annotator.store.takedowns.alone import only_takedown
with only_takedown(open_engine(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def whom(store: Store, name: str) -> Person:
    with store.reading() as connection:
        return find_person(connection, name)


def take_down(store: Store, name: str) -> int:
    person = whom(store, name)
    takedown = begin_takedown(store.engine, person, NO_FACES, done_by="eve")
    forget_in_database(store.engine, takedown, person.names)
    finish_takedown(store.engine, takedown, person.names, left=["backups still have the person"])
    return takedown.takedown_id


def test_the_report_is_kept_and_names_nobody(store: Store) -> None:
    web_archive.fill(store)
    number = take_down(store, ADA.name)
    with store.reading() as connection:
        kept = find_takedown(connection, number)
        assert [one.takedown_id for one in list_takedowns(connection, limit=9)] == [number]
        assert find_takedown(connection, number + 1) is None
    assert kept is not None
    told = report_of(kept).to_json()
    assert (told["done"], told["resumed"], told["left"]) == (True, False, ["backups still have the person"])
    assert told["steps"]["labels"]["track_labels"] == 3
    assert told["finished_at"] >= told["started_at"]
    assert kept.ended == set(kept.steps)
    assert (kept.done_by, ADA.name in str(told)) == ("eve", False)
    with store.reading() as connection:
        assert is_of(connection, kept, Person((), (ADA.name.upper(),), ()))
        assert not is_of(connection, kept, Person((), (BEN.name,), ()))


def test_as_long_as_the_database_knows_whose_it_is_another_one_with_a_name_of_the_same_letters_is_not_meant(
    store: Store,
) -> None:
    web_archive.fill(store)
    person = whom(store, ADA.name)
    number = begin_takedown(store.engine, person, NO_FACES).takedown_id
    with store.reading() as connection:
        kept = find_takedown(connection, number)
        assert kept is not None
        assert is_of(connection, kept, person)
        assert not is_of(connection, kept, Person((900, 901), person.names, person.kg_mids))
        assert newest_unfinished(connection) == number


def test_what_was_killed_goes_on_and_says_so_the_second_time_too(store: Store) -> None:
    web_archive.fill(store)
    first = take_down(store, ADA.name)
    person = whom(store, ADA.name)  # the database knows nobody so any more: a model may
    second = begin_takedown(store.engine, person, NO_FACES)
    again = begin_takedown(store.engine, person, NO_FACES)
    assert (first, second.takedown_id, again.takedown_id) == (1, 2, 2)
    with store.reading() as connection:
        kept = find_takedown(connection, 2)
    assert kept is not None
    assert (kept.is_resumed, kept.finished_at, len(kept.tombstones)) == (True, None, 1)


def test_one_that_a_former_program_has_begun_goes_on(store: Store) -> None:
    web_archive.fill(store)
    begun = begin_takedown(store.engine, whom(store, ADA.name), NO_FACES)
    with store.writing() as connection:
        connection.execute(text("UPDATE takedowns SET tombstones = NULL, is_resumed = NULL"))
    with store.reading() as connection:
        kept = find_takedown(connection, begun.takedown_id)
    assert kept is not None
    assert (len(kept.tombstones), kept.is_resumed, kept.left) == (2, False, ())
    assert begin_takedown(store.engine, whom(store, ADA.name), NO_FACES).takedown_id == begun.takedown_id
    assert begin_takedown(store.engine, whom(store, BEN.name), NO_FACES).takedown_id != begun.takedown_id


@pytest.mark.parametrize("how", ["another one has a name of the same letters", "a former program has merged them"])
def test_killed_and_of_more_people_meanwhile_it_begins_anew(store: Store, how: str) -> None:
    first, second = Identity("José Díaz"), Identity("Jose Diaz" if "letters" in how else "Ann Other")
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(network_id, model="test@1", digest="d", photographs={first: 3, second: 3})
    stranger = track(1)
    made = [
        annotation(ref("first.gif"), content=1, tracks=[track(0)], labels=[known(first)]),
        annotation(ref("second.gif"), content=2, tracks=[track(0), stranger], labels=[known(second), unknown(first)]),
    ]
    store.save(made, network_id=network_id, labelling_id=labelling_id)
    begun = begin_takedown(store.engine, whom(store, first.name), FACES)
    forget_in_database(store.engine, begun, begun.names)  # and was killed
    assert embedded(store) == 2, "those of the other one"
    if "merged" in how:
        with store.writing() as connection:
            connection.execute(text("UPDATE identities SET merged_into = 1 WHERE name = :n"), {"n": second.name})
    mean = stranger.evidence.embeddings.astype(np.float32).mean(axis=0)
    looks = KnownFaces("test", (mean / np.linalg.norm(mean))[None])
    with store.writing() as connection:
        connection.execute(text("UPDATE takedowns SET embedder = 'test', faces = NULL"))
    again = begin_takedown(store.engine, whom(store, second.name), looks)
    assert again.takedown_id == begun.takedown_id
    assert set(again.identity_ids) > set(begun.identity_ids)
    assert set(again.names) == {first.name, second.name}
    forget_in_database(store.engine, again, again.names)
    assert embedded(store) == 0, "the faces of the other one, and the one that is like these"
    with store.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM track_labels WHERE identity_id IS NOT NULL")).scalar() == 0
    finish_takedown(store.engine, again, again.names)
    assert store.list_identities() == []


def embedded(store: Store) -> int:
    """Return how many tracks have embeddings."""
    with store.reading() as connection:
        query = "SELECT count(*) FROM track_embeddings WHERE length(embeddings) > 0"
        return int(connection.execute(text(query)).scalar_one())


def test_a_face_without_a_name_is_found_by_its_row(store: Store) -> None:
    begun = begin_takedown(store.engine, Person((), ()), FACES)
    with store.reading() as connection:
        face = face_of(connection, begun.takedown_id)
    assert (face.embedder, face.faces.tolist()) == (FACES.embedder, FACES.faces.tolist())
    assert begin_takedown(store.engine, Person((), ()), face).takedown_id == begun.takedown_id


def test_one_at_a_time_and_free_again_when_it_ends(store: Store) -> None:
    assert not is_under_way(store.engine)
    with only_takedown(store.engine):
        assert is_under_way(store.engine)
        with pytest.raises(BusyError, match="another takedown"), only_takedown(store.engine):
            pass
    assert not is_under_way(store.engine)
    with only_takedown(store.engine):
        pass


def test_a_program_that_is_killed_holds_it_no_more(store: Store, database_url: str) -> None:
    program = [sys.executable, "-c", HOLDS, database_url]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert is_under_way(store.engine)
        process.kill()
    with only_takedown(store.engine):
        pass


NOW = datetime(2026, 11, 27, tzinfo=UTC)


def put_on_record(store: Store, action: str, subject: str, **details: object) -> None:
    with store.writing() as connection:
        record_deed(connection, "eve", action, address="", now=NOW, subject=subject, details=details)


def deeds_of(store: Store) -> list[tuple[str | None, dict[str, object]]]:
    """Return subject and details of all deeds, oldest first."""
    with store.reading() as connection:
        return [(one.subject, dict(one.details or {})) for one in reversed(list_deeds(connection))]


def test_the_record_names_nobody_by_what_people_typed(store: Store) -> None:
    web_archive.fill(store)
    cat = "CATHERINE  clark"
    put_on_record(store, "said who a track is", "s3://x/1.gif", track=1, said="is", name="ada lovelace", now=ADA.name)
    put_on_record(store, "said who a track is", "s3://x/1.gif", track=1, said="is ada  LOVELACE")  # of a former program
    put_on_record(store, "said who a track is", "s3://x/1.gif", track=1, said=f"is not {cat}", before=cat)
    put_on_record(store, "tried a media", "Lovelace, Ada.gif", job=1)
    put_on_record(store, "tried a media", "https://x.org/Ada.Lovelace.1080p.mp4", job=2)
    take_down(store, ADA.name)
    assert deeds_of(store) == [
        ("s3://x/1.gif", {"track": 1, "said": "is", "name": GONE, "now": GONE}),
        ("s3://x/1.gif", {"track": 1, "said": "is", "name": GONE}),
        ("s3://x/1.gif", {"track": 1, "said": f"is not {cat}", "before": cat}),
        (f"{GONE}.gif", {"job": 1}),
        (f"https://x.org/{GONE}.1080p.mp4", {"job": 2}),
    ]


@pytest.mark.parametrize("typed", ["Zendaya", "zendaya", "ZENDAYÁ"])
@pytest.mark.parametrize("verdict", ["is", "is not"])
def test_a_name_of_one_word_that_was_put_beside_a_verdict_goes(store: Store, typed: str, verdict: str) -> None:
    store.register_network(SPEC)
    with store.writing() as connection:
        register_identities(connection, [Identity("Zendaya")])
    put_on_record(store, "said who a track is", "s3://x/1.gif", said=f"{verdict} {typed}")
    put_on_record(store, "said who a track is", "s3://x/1.gif", said=f"{verdict} {typed} Two")
    take_down(store, "Zendaya")
    assert deeds_of(store) == [
        ("s3://x/1.gif", {"said": verdict, "name": GONE}),
        ("s3://x/1.gif", {"said": f"{verdict} {typed} Two"}),
    ]


def test_what_the_person_was_called_before_goes_too_and_what_others_are_called_stays(store: Store) -> None:
    web_archive.fill(store)  # Ada, Bén and Catherine
    store.rename(ADA.name, "Augusta King")
    put_on_record(store, "renamed a person", "Augusta King", former=ADA.name)
    store.rename("Augusta King", "Ada Byron")
    put_on_record(store, "renamed a person", "Ada Byron", former="Augusta King")
    put_on_record(store, "added a name", "Ada Byron", alias="ben brown")
    with store.writing() as connection:
        for alias in (ADA.name, "Augusta King"):
            remove_alias(connection, "Ada Byron", alias)
        change_kg_mid(connection, "Ada Byron", "/m/0new")
    for alias in ("ben brown", ADA.name, "Augusta King"):
        put_on_record(store, "removed a name", "Ada Byron", alias=alias)
    put_on_record(store, "changed a Knowledge Graph id", "Ada Byron", before=ADA.kg_mid, now="/m/0new")
    put_on_record(store, "changed a Knowledge Graph id", "Ada Byron", before=CAT.kg_mid, now="/m/0new")
    put_on_record(store, "said who a track is", "s3://x/1.gif", said="is", name="ada lovelace")
    put_on_record(store, "said who a track is", "s3://x/1.gif", said="is", name=BEN.name)
    take_down(store, "Ada Byron")
    assert deeds_of(store) == [
        (GONE, {"former": GONE}),
        (GONE, {"former": GONE}),
        (GONE, {"alias": "ben brown"}),
        (GONE, {"alias": "ben brown"}),
        (GONE, {"alias": GONE}),
        (GONE, {"alias": GONE}),
        (GONE, {"before": GONE, "now": GONE}),
        (GONE, {"before": CAT.kg_mid, "now": GONE}),
        ("s3://x/1.gif", {"said": "is", "name": GONE}),
        ("s3://x/1.gif", {"said": "is", "name": BEN.name}),
    ]


def test_a_call_back_that_waits_tells_nothing_of_the_person_also_where_it_was_killed(store: Store) -> None:
    web_archive.fill(store)
    person = whom(store, ADA.name)
    takedown = begin_takedown(store.engine, person, NO_FACES)  # and was killed
    labels = [{"identity": one.name, "kg_mid": one.kg_mid} for one in (ADA, BEN, CAT)]
    other = {"identity": "Somebody Else", "kg_mid": ADA.kg_mid}
    payload = {"labels": [*labels, other], "message": f"of {ADA.kg_mid} and /m/0adam"}
    with store.writing() as connection:
        connection.execute(
            insert(outbox).values(
                run_id=1, event="media.annotated", idempotency_key="1", payload=payload, created_at=NOW
            )
        )
    again = begin_takedown(store.engine, Person(takedown.identity_ids, (ADA.name,)), NO_FACES)
    assert (again.takedown_id, again.kg_mids) == (takedown.takedown_id, (ADA.kg_mid,))
    forget_in_database(store.engine, again, again.names)
    with store.reading() as connection:
        told = connection.execute(select(outbox.c.payload)).scalar_one()
    assert told == {"labels": labels[1:], "message": f"of {GONE} and /m/0adam"}


def test_a_name_of_one_word_goes_also_where_signs_are_between_its_letters(store: Store) -> None:
    with store.writing() as connection:
        register_identities(connection, [Identity("Mia")])
    put_on_record(store, "tried a media", "M.I.A..gif")
    put_on_record(store, "tried a media", "M.I.A. Farrow.gif")
    take_down(store, "Mia")
    assert [subject for subject, _ in deeds_of(store)] == [f"{GONE}.gif", "M.I.A. Farrow.gif"]


def test_an_account_that_is_called_like_the_person_keeps_what_is_its_own(store: Store) -> None:
    web_archive.fill(store)
    wanted = Wanted("https://example.org/ada-lovelace.gif", "Ada Lovelace.gif")
    with store.writing() as connection:
        add_account(connection, "ada.lovelace", password_hash="x", role=Role.REVIEWER)  # noqa: S106 - of a test
        for owner in ("ada.lovelace", "ada_lovelace"):  # the other one was removed by hand
            record_deed(connection, owner, "tried a media", address="", now=NOW, subject="Ada Lovelace.gif")
            add_jobs(connection, owner, [wanted], room=Room(9, 9), now=NOW)
    take_down(store, ADA.name)
    with store.reading() as connection:
        assert sorted((one.actor, one.subject) for one in list_deeds(connection)) == [
            (GONE, f"{GONE}.gif"),
            ("ada.lovelace", f"{GONE}.gif"),
        ]
        jobs = connection.execute(select(web_jobs.c.owner, web_jobs.c.name).order_by(web_jobs.c.id)).all()
    assert [tuple(one) for one in jobs] == [("ada.lovelace", f"{GONE}.gif"), (GONE, f"{GONE}.gif")]
