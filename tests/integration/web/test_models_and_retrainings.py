"""Models and retrainings in the pages of Operation, on both databases."""

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import Table, insert, text

from annotator.store import Store
from annotator.store.columns import utc_now
from annotator.store.retrainings import begin_retraining, end_retraining
from annotator.store.tables import annotations, labelled_contents, takedowns
from annotator.store.web import models as store_models
from annotator.store.web.accounts import Role
from annotator.store.web.models import count_of
from tests.web_archive import Archive
from tests.web_client import Browser, WebForTests
from tests.web_models import add_models

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
def archive(filled: Archive) -> Store:
    assert add_models(filled.store) == 2
    return filled.store


@pytest.fixture
def operator(archive: Store) -> Browser:
    return WebForTests(archive).browser(Role.OPERATOR)


def cells(page: str, begins: str) -> list[str]:
    """Return the texts of the cells of that row of a table whose head begins with a word."""
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    (row,) = (one for one in rows if re.search(rf"<th[^>]*>(<a[^>]*>)?{begins}", one))
    return [
        " ".join(re.sub(r"<[^>]+>", " ", cell).split())
        for cell in re.findall(r"<t[dh](?: [^>]*)?>(.*?)</t[dh]>", row, re.DOTALL)
    ]


def test_each_model_says_how_sure_it_is_where_its_manifest_does(operator: Browser) -> None:
    page = operator.get("/operation/models").text
    assert "finds 95.0 %" in " ".join(cells(page, "mine@2"))
    assert "not known" in " ".join(cells(page, "test@1"))
    details = operator.get("/operation/models/2").text
    assert cells(details, "32 px")[1:] == ["70.0 %", "62.0 %"]


def test_the_starter_model_says_so_by_the_manifest_that_comes_along(sqlite_store: Store) -> None:
    network_id = sqlite_store.register_network({"embedder": "x"})
    for digest, model in (("a", "starter@1"), ("b", "starter@1+1a2b3c4d"), ("c", "starter@99")):
        sqlite_store.register_labelling(network_id, model=model, digest=digest, photographs={})
    page = WebForTests(sqlite_store).browser(Role.OPERATOR).get("/operation/models").text
    assert page.count("at 0.1 % of strangers named, faces of 112 px") == 2
    assert "nothing is annotated" in page


def test_what_a_model_changes_is_told_by_figures_examples_and_people(operator: Browser) -> None:
    page = operator.get("/operation/models/2").text
    assert "Compared with test@1, over 3 clips, copies counted once." in page
    assert "<dt>track gets a name</dt><dd>1</dd>" in page
    assert cells(page, "Catherine Clark")[1:] == ["0", "1", "0", "0", "0", "1"]
    flips = re.findall(r'<a href="/media/\d+">([^<]+)</a></td>', page.replace("\n", ""))
    gained, lost = re.findall(r'<a href="/media/\d+">([^<]+)</a> <span class="quiet">([^<]+)<', page.replace("\n", " "))
    assert (flips, gained, lost) == (["apart.gif"], ("ada.mp4", "Bén Brown"), ("ada.mp4", "Ada Lovelace"))
    assert len(re.findall(r'<img class="face" src="/media/\d+/tracks/\d/faces/0"', page)) == 3


def test_of_another_network_it_is_said_that_tracks_cannot_be_compared(archive: Store, operator: Browser) -> None:
    network_id = archive.register_network({"embedder": "another"})
    labelling_id = archive.register_labelling(network_id, model="new@1", digest="n", photographs={})
    page = operator.get(f"/operation/models/{labelling_id}")
    assert (page.status_code, "label the tracks of different networks" in page.text) == (200, True)
    assert f'href="/operation/models/{labelling_id}/promote"' not in page.text


def test_a_comparison_is_kept_for_a_while_and_then_made_anew(archive: Store) -> None:
    web = WebForTests(archive)
    operator = web.browser(Role.OPERATOR)
    assert "Catherine Clark" in operator.get("/operation/models/2").text
    archive.rename("Catherine Clark", "Kate Clark")
    assert "Kate Clark" not in operator.get("/operation/models/2").text
    web.site.comparisons.forget()
    assert "Kate Clark" in operator.get("/operation/models/2").text


def test_nothing_is_kept_of_before_a_takedown(archive: Store, operator: Browser) -> None:
    assert "Catherine Clark" in operator.get("/operation/models/2").text
    archive.rename("Catherine Clark", "Kate Clark")
    taken_down = {"started_at": utc_now(), "done_by": "eve", "identity_ids": [], "done": {}}
    with archive.writing() as connection:
        connection.execute(insert(takedowns).values(taken_down))
    assert "Kate Clark" in operator.get("/operation/models/2").text


def test_labels_that_were_removed_are_not_there(archive: Store, operator: Browser) -> None:
    with archive.writing() as connection:
        connection.execute(text("UPDATE labellings SET retired_at = created_at WHERE id = 2"))
    assert operator.get("/operation/models/2").status_code == 404
    page = operator.get("/operation/models").text
    assert "annotator relabel --model mine@2" in page


@pytest.mark.parametrize("table", [labelled_contents, annotations], ids=lambda table: table.name)
def test_of_many_rows_the_number_is_estimated(archive: Store, monkeypatch: pytest.MonkeyPatch, table: Table) -> None:
    with archive.reading() as connection:
        assert count_of(connection, table, 1) == (3, False)
    monkeypatch.setattr(store_models, "MOST_COUNTED", 2)
    with archive.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
        assert count_of(connection, table, 1) == (3, True)


def test_rows_of_which_stretches_are_counted_are_told_almost_right(
    archive: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"labelling_id": 2, "content_id": one, "labelled_at": NOON} for one in range(100, 20_100) if one % 3]
    with archive.writing() as connection:
        connection.execute(labelled_contents.delete().where(labelled_contents.c.labelling_id == 2))
        connection.execute(insert(labelled_contents), rows)
    monkeypatch.setattr(store_models, "MOST_COUNTED", 1_000)
    monkeypatch.setattr(store_models, "_STRETCH", 60)
    with archive.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
        told, is_estimated = count_of(connection, labelled_contents, 2)
    assert is_estimated
    assert told == pytest.approx(len(rows), rel=0.02)


def test_retrainings_tell_what_was_new_what_became_of_them_and_how_good_the_model_is(operator: Browser) -> None:
    page = operator.get("/operation/retraining").text
    model, begun, state, new, accuracy, steps = cells(page, "mine@2")
    assert model == "mine@2 run 1 of example"
    assert begun.endswith("on schedule")
    assert state.startswith("held after")
    assert state.endswith("the gate refuses it")
    assert (new, steps) == ("photographs", "prepare 12 s")
    assert accuracy.startswith("finds 95.0 %")
    assert 'href="/operation/models/2">mine@2</a>' in page
    assert cells(page, "mine@3")[2].startswith("begun, for ")


def test_what_was_new_is_told_against_the_run_before_that_had_a_result(archive: Store, operator: Browser) -> None:
    with archive.writing() as connection:
        connection.execute(text("UPDATE retrainings SET is_open = NULL, finished_at = started_at, outcome = 'failed'"))
        connection.execute(text("UPDATE retrainings SET outcome = 'promoted' WHERE id = 1"))
        news = {"photographs": "ab" * 32, "labels": "cd" * 32}
        begin_retraining(connection, experiment="example", cause="command", news=news, model="mine@4")
    assert cells(operator.get("/operation/retraining").text, "mine@4")[3] == "labels"


def test_retrainings_come_page_by_page(archive: Store, operator: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotator.web.pages.retrainings._ROWS", 1)
    with archive.writing() as connection:
        connection.execute(text("UPDATE retrainings SET is_open = NULL, finished_at = started_at, outcome = 'failed'"))
        run = begin_retraining(connection, experiment="example", cause="command", news={}, model="mine@4")
        end_retraining(connection, run, "nothing new")
    found, path = [], "/operation/retraining"
    while path and len(found) < 9:
        page = operator.get(path).text
        found += re.findall(r"run (\d+) of", page)
        older = re.search(r'rel="next" class="button" href="([^"]+)"', page)
        path = older[1] if older else ""
    assert found == ["3", "2", "1"]


def test_without_retrainings_it_says_how_there_will_be_some(sqlite_store: Store) -> None:
    page = WebForTests(sqlite_store).browser(Role.OPERATOR).get("/operation/retraining").text
    assert "ANNOTATOR_RETRAINING__CRON" in page
