"""Each route, asked by each role: the table of routes says who may, and nothing else does."""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from starlette.routing import compile_path

from annotator.store import Store
from annotator.store.web.accounts import Account, Role, add_account
from annotator.store.web.audit import list_deeds
from annotator.web.routes import PAGES
from annotator.web.visit import Page
from tests import web_looks
from tests.web_client import PASSWORD, QUICK_HASHER, Browser, WebForTests

Accounts = Mapping[Role, Account]
# What these change is found by others: passwords that were wrong are counted, and sessions end.
OF_THEIR_OWN = {"log_in", "log_out", "change_password"}


def add_one_of_each(store: Store) -> Accounts:
    """Add an account of each role."""
    password_hash = QUICK_HASHER.hash(PASSWORD)
    with store.writing() as connection:
        return {
            role: add_account(connection, f"{role.word}-person", password_hash=password_hash, role=role)
            for role in Role
        }


@pytest.fixture(scope="module")
def shared(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Accounts]]:
    """A store in which nothing is, for all requests that change nothing there, and its accounts."""
    path = tmp_path_factory.mktemp("routes") / "annotations.db"
    shutil.copy(sqlite_template, path)
    with Store.open(path) as opened:
        yield opened, add_one_of_each(opened)
        with opened.reading() as connection:
            assert list_deeds(connection) == [], "whoever changes something needs a store of his own"


def path_of(page: Page) -> str:
    """Return an address of the route: numbers for numbers, a word for words. Nothing of the sort may be there."""
    return re.sub(r"\{\w+\}", "x", re.sub(r"\{\w+:int\}", "999999", page.path))


def ask(browser: Browser, page: Page, token: str) -> int:
    return browser.client.request(page.method, path_of(page), headers={"x-csrf-token": token}, **body(page)).status_code


def body(page: Page) -> dict[str, dict[str, str]]:
    return {"data": {"nothing": ""}} if page.method == "POST" else {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.method} {page.path}")
def test_each_route_answers_whom_the_table_names_and_nobody_below(
    request: pytest.FixtureRequest, shared: tuple[Store, Accounts], page: Page
) -> None:
    store, accounts = shared
    if page.name in OF_THEIR_OWN:
        store = request.getfixturevalue("sqlite_store")
        accounts = add_one_of_each(store)
    web = WebForTests(store)
    nobody = web.browser()
    token = nobody.csrf()
    if page.role is None:
        assert ask(nobody, page, token) not in {403, 405, 500}
    elif page.method == "GET" and not page.is_api:
        refused = nobody.get(path_of(page))
        assert (refused.status_code, refused.headers["location"].partition("?")[0]) == (303, "/login")
    else:
        assert ask(nobody, page, token) == 401
    for role in Role:
        browser = web.browser()
        browser.log_in_as(accounts[role])
        status = ask(browser, page, browser.csrf())
        assert status not in ({405, 500} if page.name == "log_in" else {401, 405, 500})
        if page.role is not None and page.name != "change_password":
            assert (status == 403) == (role < page.role)


@pytest.mark.parametrize("page", [page for page in PAGES if page.method != "GET"], ids=lambda page: page.path)
def test_nothing_changes_without_the_token_of_a_form(shared: tuple[Store, Accounts], page: Page) -> None:
    store, accounts = shared
    browser = WebForTests(store).browser()
    browser.log_in_as(accounts[Role.ADMIN])
    assert ask(browser, page, "0" * 64) == 403


def test_there_is_no_page_that_is_not_in_the_table(sqlite_store: Store) -> None:
    browser = WebForTests(sqlite_store).browser(Role.ADMIN)
    missing = browser.get("/no/such/page")
    assert missing.status_code == 404
    assert "There is no such page." in missing.text
    assert browser.client.put("/").status_code == 405
    problem = browser.get("/api/v1/no-such-thing")
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["status"] == 404


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/no/such/page", 404), ("PUT", "/", 405)])
def test_what_is_not_there_has_the_menu_of_who_is_logged_in_and_tells_others_nothing(
    sqlite_store: Store, method: str, path: str, status: int
) -> None:
    web = WebForTests(sqlite_store)
    told = web.browser(Role.REVIEWER).client.request(method, path)
    assert told.status_code == status
    menu = re.findall(r'<a href="(/[a-z]*)"[^>]*>[A-Z]', told.text)
    assert menu[:5] == ["/", "/try", "/search", "/review", "/people"]
    assert "reviewer-person" in told.text
    assert "/record" not in told.text
    for cookies in ({}, {web.site.cookie: "of nobody"}):
        browser = web.browser()
        browser.client.cookies.update(cookies)
        told = browser.client.request(method, path)
        assert told.status_code == status
        assert "<nav" not in told.text
        assert "reviewer-person" not in told.text
        assert 'href="/login"' in told.text


@pytest.mark.parametrize("path", ["/", "/login", "/no/such/page", "/healthz", "/static/nothing.css", "/api/v1/none"])
def test_every_answer_carries_the_headers_that_guard_it(sqlite_store: Store, path: str) -> None:
    answer = WebForTests(sqlite_store).browser(Role.READER).get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "same-origin"


def test_style_sheets_are_kept_for_ever_under_the_name_of_their_content(sqlite_store: Store) -> None:
    browser = WebForTests(sqlite_store).browser()
    found = re.search(r'href="(/static/site\.[0-9a-f]{12}\.css)"', browser.get("/login").text)
    assert found is not None
    sheet = browser.get(found[1])
    assert sheet.headers["content-type"].startswith("text/css")
    assert "immutable" in sheet.headers["cache-control"]
    assert browser.get("/static/site.css").status_code == 404


def test_no_page_holds_script_or_style_of_its_own(sqlite_store: Store) -> None:
    browser = WebForTests(sqlite_store).browser(Role.ADMIN)
    for page in PAGES:
        if page.method == "GET" and "{" not in page.path and not page.is_api:
            html = browser.get(page.path).text
            assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", html), page.path
            assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", html), page.path


def test_each_page_that_people_read_is_looked_at_in_a_browser() -> None:
    paths = [address.partition("?")[0].format(media=1, person=1, picture="") for address in web_looks.ALL]
    read = [page for page in PAGES if page.method == "GET" and not page.is_api and page.name not in web_looks.NO_PAGES]
    missing = [page.path for page in read if not any(compile_path(page.path)[0].match(path) for path in paths)]
    assert missing == [], "give it an address in tests/web_looks.py"
    assert {page.name for page in PAGES} >= web_looks.NO_PAGES


def test_each_row_of_the_table_has_a_name_of_its_own() -> None:
    assert len({page.name for page in PAGES}) == len(PAGES)
