"""What is done again and again, and when it last went well, on both databases."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from annotator.store.columns import utc_now
from annotator.store.connection import reading, writing
from annotator.store.rollups import roll_up
from annotator.store.store import Store
from annotator.store.tables import roll_ups, runs, sources, store_settings
from annotator.store.upkeep import (
    FOLLOWER_SILENT_S,
    RollUpUpkeep,
    Upkeep,
    note_follower,
    note_job,
    read_roll_up,
    read_upkeep,
)


def found(engine: Engine) -> Upkeep:
    with reading(engine) as connection:
        return read_upkeep(connection)


def let_pass(engine: Engine, name: str, seconds: float) -> None:
    """Let what was noted have been noted earlier."""
    with writing(engine) as connection:
        earlier = connection.execute(select(utc_now())).scalar_one() - timedelta(seconds=seconds)
        row = (store_settings.c.name == name) & store_settings.c.value.contains("at")
        value = connection.execute(select(store_settings.c.value).where(row)).scalar_one()
        at = value.split('"')[3]
        connection.execute(update(store_settings).where(row).values(value=value.replace(at, earlier.isoformat())))


def age_of_counts(engine: Engine) -> RollUpUpkeep:
    with reading(engine) as connection:
        roll_up = read_roll_up(connection)
    assert roll_up is not None
    return roll_up


def add_backlog(engine: Engine, run_id: int, **changed: Any) -> None:
    with writing(engine) as connection:
        row = {"id": run_id, "network_id": 1, "source_id": 1, "prefix": f"{run_id}/", "options": {"follow": True}}
        connection.execute(insert(runs).values({**row, "started_at": utc_now(), **changed}))


@pytest.fixture
def backlogs(database: Engine) -> Engine:
    Store(database).register_network({"network": "drawn"})
    with writing(database) as connection:
        connection.execute(insert(sources).values(id=1, uri="s3://gifs/"))
    return database


def test_an_empty_database_owes_nobody_anything(database: Engine) -> None:
    assert found(database) == Upkeep(jobs=(), followed=())
    with reading(database) as connection:
        assert read_roll_up(connection) is None


def test_a_job_that_has_not_gone_well_for_too_long_is_overdue(database: Engine) -> None:
    for name in ("roll-up", "catch-up"):
        with writing(database) as connection:
            note_job(connection, name, overdue_s=450.0)
    let_pass(database, "went well: job roll-up", 460.0)
    catch_up, rolled = found(database).jobs
    assert (catch_up.name, catch_up.is_overdue) == ("catch-up", False)
    assert (rolled.name, rolled.is_overdue) == ("roll-up", True)
    assert rolled.age_s == pytest.approx(460.0, abs=30)
    with writing(database) as connection:
        note_job(connection, "roll-up", overdue_s=450.0)
    assert not any(job.is_overdue for job in found(database).jobs)


def test_a_follower_is_silent_when_it_has_not_got_on_and_forgotten_when_its_backlog_is_stopped(
    backlogs: Engine,
) -> None:
    add_backlog(backlogs, 1)
    add_backlog(backlogs, 2)
    add_backlog(backlogs, 3, options={})  # follows nothing
    add_backlog(backlogs, 4, stopped_at=utc_now())
    with writing(backlogs) as connection:
        note_follower(connection, 2)
    let_pass(backlogs, "went well: follower of backlog 2", FOLLOWER_SILENT_S + 10)
    first, second = found(backlogs).followed
    assert (first.run_id, first.uri, first.is_silent) == (1, "s3://gifs/1/", False)
    assert (second.run_id, second.is_silent) == (2, True)
    assert second.age_s == pytest.approx(FOLLOWER_SILENT_S + 10, abs=30)
    with writing(backlogs) as connection:
        note_follower(connection, 2)
    assert not any(one.is_silent for one in found(backlogs).followed)


def test_of_a_follower_whose_listing_is_refused_it_is_known_how_much_was_missing(backlogs: Engine) -> None:
    add_backlog(backlogs, 1, gone_refused=300)
    add_backlog(backlogs, 2)
    assert [(one.run_id, one.gone_refused) for one in found(backlogs).followed] == [(1, 300), (2, None)]


def test_a_follower_that_has_never_got_on_is_silent_too(backlogs: Engine) -> None:
    with reading(backlogs) as connection:
        begun = connection.execute(select(utc_now())).scalar_one() - timedelta(hours=1)
    add_backlog(backlogs, 1, started_at=begun)
    (followed,) = found(backlogs).followed
    assert followed.is_silent
    assert followed.age_s == pytest.approx(3600.0, abs=30)


def test_the_counts_that_the_views_show_have_an_age_also_before_they_were_ever_rolled_up(database: Engine) -> None:
    store = Store(database)
    network_id = store.register_network({"network": "drawn"})
    store.register_labelling(network_id, model="drawn@1", digest="drawn", photographs={})
    never = age_of_counts(database)
    assert (never.age_s, never.took_s) == (pytest.approx(0.0, abs=30), 0.0)
    assert roll_up(database) is not None
    with writing(database) as connection:
        earlier = connection.execute(select(utc_now())).scalar_one() - timedelta(hours=2)
        connection.execute(update(roll_ups).values(as_of=earlier, took_ms=4_000))
    rolled = age_of_counts(database)
    assert (rolled.age_s, rolled.took_s) == (pytest.approx(7200.0, abs=30), 4.0)
