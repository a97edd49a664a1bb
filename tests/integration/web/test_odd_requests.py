"""Requests that no page of ours sends: each gets an answer that says so, and tells strangers nothing."""

import logging
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from annotator.store import Store
from annotator.store.web.accounts import Role
from annotator.web.routes import PAGES
from tests.web_archive import Archive
from tests.web_client import WebForTests


@pytest.mark.parametrize("path", ["/healthz", "/login"])
def test_strangers_are_not_told_where_the_database_is_and_the_log_is(
    sqlite_store: Store, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    web = WebForTests(sqlite_store)
    database = sqlite_store.engine.url.database
    assert database is not None
    sqlite_store.engine.dispose()
    Path(database).unlink()
    Path(database).mkdir()
    with caplog.at_level(logging.WARNING):
        answer = web.browser().get(path)
    assert answer.status_code == 503
    assert "The database does not answer" in answer.text
    assert "sqlite" not in answer.text.lower()
    assert database not in answer.text
    assert database in caplog.text


def test_a_file_that_is_no_database_is_told_to_the_log_alone(
    sqlite_store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    web = WebForTests(sqlite_store)
    database = sqlite_store.engine.url.database
    assert database is not None
    sqlite_store.engine.dispose()
    for name in (f"{database}-wal", f"{database}-shm"):
        Path(name).unlink(missing_ok=True)
    Path(database).write_bytes(b"no database at all " * 100)
    answer = web.browser().get("/healthz")
    assert answer.status_code == 500
    assert database not in answer.text
    assert f"{database} is not an SQLite database" in caplog.text


@pytest.mark.parametrize("token", ["é", "\N{SNOWMAN}"])
def test_a_token_with_other_letters_is_a_wrong_one(sqlite_store: Store, token: str) -> None:
    web = WebForTests(sqlite_store)
    web.account(Role.READER)
    browser = web.browser()
    browser.csrf()
    assert browser.post("/login", {"name": "eve", "password": "no"}, token=token).status_code == 403
    header = browser.client.post("/login", data={"name": "eve"}, headers={"x-csrf-token": "é".encode("latin-1")})
    assert header.status_code == 403


@pytest.mark.parametrize("path", ["/people/", "/media/", "/api/v1/people/", "/static/"])
def test_an_endless_address_is_not_here(sqlite_store: Store, path: str) -> None:
    assert WebForTests(sqlite_store).browser().get(path + "1" * 5000).status_code == 404


NO_FORM = {"content-type": "application/x-www-form-urlencoded", "content-length": "0"}


@pytest.mark.parametrize("number", [2**15, 2**31, 2**63, 10**30])
def test_a_number_that_no_column_holds_is_not_here(filled: Archive, number: int) -> None:
    web = WebForTests(filled.store)
    browser = web.browser(Role.ADMIN)
    token = {"x-csrf-token": browser.csrf()}
    for page in PAGES:
        if ":int}" in page.path and not page.takes_files:
            path = re.sub(r"{\w+:int}", str(number), page.path)
            answer = browser.client.request(page.method, path, headers=token | NO_FORM)
            assert 400 <= answer.status_code < 500, (page.method, path, answer.text)


@pytest.mark.parametrize("path", ["/people?q=%00", "/search?person=a%00b", "/api/v1/people?q=%00", "/enter?key=%00"])
def test_an_address_with_a_character_that_no_text_has_is_refused(store: Store, path: str) -> None:
    assert WebForTests(store).browser(Role.READER).get(path).status_code == 400


@pytest.mark.parametrize("field", ["name", "password", "na\0me"])
def test_a_form_with_a_character_that_no_text_has_is_refused(store: Store, field: str) -> None:
    web = WebForTests(store)
    web.account(Role.READER)
    assert web.browser().post("/login", {"name": "eve", "password": "no"} | {field: "a\0b"}).status_code == 400


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
@pytest.mark.parametrize("name", ["since", "before"])
def test_a_time_out_of_all_calendars_is_refused(sqlite_filled: Archive, name: str, time: str) -> None:
    browser = WebForTests(sqlite_filled.store).browser(Role.READER)
    answer = browser.get(f"/api/v1/appearances?person=ada+lovelace&{name}={quote(time)}")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"{name}: ")


@pytest.mark.parametrize("before", ["1" * 21, "0" * 19 + "1" + "9" * 40, "1" * 5000])
def test_a_number_that_is_too_long_is_refused(sqlite_store: Store, before: str) -> None:
    assert WebForTests(sqlite_store).browser(Role.ADMIN).get(f"/record?before={before}").status_code == 400
