"""``annotate-backlog --stop``, and ``--callback`` that is refused before anything is listed."""

import pytest
from sqlalchemy import insert, select

from annotator.store.columns import utc_now
from annotator.store.store import Store
from annotator.store.tables import runs, sources
from workers.backlog import command

RUN = 7


@pytest.fixture
def backlog(store: Store, database_url: str) -> str:
    """A backlog that runs; returns the address of its database."""
    network_id = store.register_network({"name": "fake"})
    with store.writing() as connection:
        connection.execute(insert(sources).values(id=1, uri="s3://clips/"))
        row = {"id": RUN, "network_id": network_id, "source_id": 1, "prefix": "", "options": {}}
        connection.execute(insert(runs).values(started_at=utc_now(), **row))
    return database_url


def test_a_backlog_is_stopped_by_its_number(backlog: str, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--stop", str(RUN), "--database", backlog]) == 0
    assert capsys.readouterr().out.startswith(f"backlog {RUN} is stopped;")
    with store.reading() as connection:
        assert connection.execute(select(runs.c.stop_reason)).scalar_one() == "asked"
    assert command.main(["--stop", str(RUN), "--database", backlog]) == 0
    assert capsys.readouterr().out == f"backlog {RUN} has ended before\n"


def test_a_number_that_no_backlog_has_is_a_mistake(backlog: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--stop", "99", "--database", backlog]) == 2
    assert "There is no backlog 99" in capsys.readouterr().err


def test_an_address_is_needed_for_everything_else(backlog: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--database", backlog]) == 2
    assert "s3://BUCKET/PREFIX" in capsys.readouterr().err


def test_a_receiver_that_is_not_allowed_is_refused_at_once(
    backlog: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["s3://clips/", "--database", backlog, "--callback", "https://hooks.example.com/x"]
    assert command.main(asked) == 2
    assert "ANNOTATOR_CALLBACKS__ALLOWED_HOSTS" in capsys.readouterr().err
    monkeypatch.setenv("ANNOTATOR_CALLBACKS__ALLOWED_HOSTS", "a.example.org, hooks.example.com")
    assert command.main(asked) == 2
    assert "ANNOTATOR_CALLBACKS__SECRET" in capsys.readouterr().err
