"""Operation: how far the backlog is, what failed and why, and that failures are queued again, on both databases."""

import html
import re
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import func, select, update

from annotator.store import Store
from annotator.store.tables import chunks, media, work
from annotator.store.web.accounts import Role
from annotator.store.web.audit import Deed, list_deeds
from annotator.store.web.tokens import add_token
from annotator.types import MediaRef
from annotator.web import failures as web_failures
from tests.store_values import failure
from tests.web_archive import Archive, copied
from tests.web_backlog import BEGAN, add_backlog
from tests.web_client import Browser, WebForTests


@pytest.fixture
def archive(dialect: str, make_filled: Callable[..., tuple[str, dict[str, int]]]) -> Iterator[Store]:
    """Three clips that went well, and seven that failed."""
    with copied(make_filled, dialect, with_failures=True) as archive:
        yield archive.store


@pytest.fixture
def web(archive: Store) -> WebForTests:
    return WebForTests(archive)


@pytest.fixture
def operator(web: WebForTests) -> Browser:
    return web.browser(Role.OPERATOR)


def deeds(store: Store) -> list[Deed]:
    with store.reading() as connection:
        return [one for one in list_deeds(connection) if one.action == "queued failures again"]


def test_it_says_how_many_wait_are_done_and_have_failed_and_that_no_queue_is_configured(operator: Browser) -> None:
    page = operator.get("/operation")
    assert page.status_code == 200
    assert "No queue is configured" in page.text
    assert "nothing to do" in page.text
    assert "<dt>failed</dt><dd>7</dd>" in page.text
    assert "<dt>done</dt><dd>3</dd>" in page.text


def test_an_empty_database_is_said_to_be_empty(sqlite_store: Store) -> None:
    page = WebForTests(sqlite_store).browser(Role.OPERATOR).get("/operation")
    assert (page.status_code, "Nothing has failed." in page.text) == (200, True)
    failures = WebForTests(sqlite_store).browser(Role.ADMIN).get("/operation/failures?reason=too_large")
    assert "No media has failed for" in failures.text


def test_it_shows_backlogs_workers_and_the_rate_as_bars(archive: Store, operator: Browser) -> None:
    add_backlog(archive)
    page = operator.get("/operation").text
    for shown in ("s3://gifs/2026/", "gpu-7:4711", "1.7 media/s", 'aria-label="Rate over the last hour, at most'):
        assert shown in page
    assert "No queue is configured" not in page
    assert 7 <= page.count('class="filled" x=') <= 9
    assert operator.get("/operation?window=fortnight").text.count('class="filled" x=') == 1
    assert operator.get("/operation?window=century").status_code == 400


def test_the_part_that_goes_on_is_the_same_alone(archive: Store, operator: Browser) -> None:
    add_backlog(archive)
    part = operator.get("/operation/now?window=hour")
    assert "<html" not in part.text
    assert "gpu-7:4711" in part.text


def test_failures_are_told_by_reason_with_the_last_one_of_each(operator: Browser) -> None:
    page = operator.get("/operation").text
    assert page.index(">undecodable</a>") < page.index(">too_large</a>")  # most first
    assert "broken-4.gif" in page
    assert "broken-3.gif" not in page
    assert "No frame 4 &lt;b&gt;at all&lt;/b&gt;." in page


def test_single_failures_come_newest_first_page_by_page(operator: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotator.web.pages.operation._ROWS", 2)
    found: list[str] = []
    path: str | None = "/operation/failures?reason=undecodable"
    while path is not None and len(found) < 9:
        page = operator.get(path).text
        found += re.findall(r'<th scope="row"><a href="/media/\d+">([^<]+)</a>', page)
        older = re.search(r'rel="next" class="button" href="([^"]+)"', page)
        path = None if older is None else "/operation/failures" + html.unescape(older[1])
    assert found == [f"broken-{number}.gif" for number in (4, 3, 2, 1, 0)]


def test_a_media_that_is_gone_from_its_source_is_not_shown_as_an_example(archive: Store, operator: Browser) -> None:
    with archive.writing() as connection:
        connection.execute(update(media).where(media.c.key == "broken-4.gif").values(deleted_at=BEGAN))
    page = operator.get("/operation").text
    assert "broken-4.gif" not in page
    assert "broken-3.gif" in page


def test_failures_of_a_reason_are_queued_again_and_it_says_how_many(archive: Store, operator: Browser) -> None:
    answer = operator.post("/operation/retry", {"reason": "too_large"})
    assert answer.headers["location"] == "/operation?retried=2&reason=too_large"
    page = operator.get(answer.headers["location"]).text
    assert "2 media that failed for <code>too_large</code> will be tried again" in page
    assert ">too_large</a>" not in page
    assert "<dt>waiting</dt><dd>2</dd>" in page
    with archive.reading() as connection:
        assert sum(len(row) for row in connection.execute(select(chunks.c.media_ids)).scalars()) == 2
    (deed,) = deeds(archive)
    assert (deed.actor, deed.subject, deed.details) == ("operator-person", "too_large", {"media": 2})


def test_to_try_nothing_again_is_no_deed(archive: Store, operator: Browser) -> None:
    answer = operator.post("/operation/retry", {"reason": "no_such_reason"})
    assert "Nothing to try again" in operator.get(answer.headers["location"]).text
    assert deeds(archive) == []
    assert operator.post("/operation/retry").status_code == 400


def test_what_would_take_long_is_done_in_parts_each_of_which_is_on_record(
    archive: Store, operator: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annotator.store.queue.requeue.AT_ONCE", 2)
    monkeypatch.setattr(web_failures, "MOST_RETRIED", 3)
    monkeypatch.setattr("annotator.web.pages.operation.MOST_RETRIED", 3)
    answer = operator.post("/operation/retry", {"reason": "undecodable"})
    assert "retried=4&" in answer.headers["location"]
    assert "There may be more" in operator.get(answer.headers["location"]).text
    assert [one.details for one in deeds(archive)] == [{"media": 2}, {"media": 2}]


def test_if_the_record_cannot_be_written_nothing_is_queued(
    archive: Store, operator: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no record")

    monkeypatch.setattr("annotator.web.visit.record_deed", refuse)
    assert operator.post("/operation/retry", {"reason": "too_large"}).status_code == 500
    assert archive.status().failures == {"undecodable": 5, "too_large": 2}


@pytest.fixture
def ask(archive: Store, web: WebForTests) -> Callable[..., dict[str, object]]:
    """Ask the API with a token of an operator."""
    web.account(Role.OPERATOR, "eve")
    with archive.writing() as connection:
        token = add_token(connection, "eve", role=Role.OPERATOR, purpose="", now=web.clock(), lasts=None)
    client = web.browser().client

    def ask(path: str, *, method: str = "GET", status: int = 200) -> dict[str, object]:
        answer = client.request(method, f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    return ask


def test_the_api_tells_how_far_it_is(archive: Store, ask: Callable[..., dict[str, object]]) -> None:
    add_backlog(archive)
    told = ask("/operation")
    assert (told["done"], told["failed"], told["failures"]) == (3, 7, {"undecodable": 5, "too_large": 2})
    assert [one["worker"] for one in told["workers"]] == ["gpu-7:4711"]  # type: ignore[attr-defined]
    assert [one["uri"] for one in told["backlogs"]] == ["s3://gifs/2026/"]  # type: ignore[attr-defined]


def test_the_api_tells_failures_page_by_page(ask: Callable[..., dict[str, object]]) -> None:
    first = ask("/operation/failures?reason=undecodable&limit=3")
    rest = ask(f"/operation/failures?reason=undecodable&limit=3&cursor={first['next']}")
    uris = [one["uri"] for page in (first, rest) for one in page["items"]]  # type: ignore[attr-defined]
    assert uris == [f"s3://gifs/broken-{number}.gif" for number in (4, 3, 2, 1, 0)]
    assert rest["next"] is None
    ask("/operation/failures", status=400)
    ask("/operation/failures?reason=undecodable&cursor=x", status=400)


def test_the_api_queues_failures_again(archive: Store, ask: Callable[..., dict[str, object]]) -> None:
    assert ask("/operation/retry?reason=too_large", method="POST") == {"media": 2, "has_more": False}
    assert ask("/operation/retry", method="POST") == {"media": 5, "has_more": False}
    assert [one.subject for one in deeds(archive)] == [None, "too_large"]
    with archive.reading() as connection:
        assert connection.execute(select(func.count()).select_from(work).where(work.c.state >= 3)).scalar_one() == 0


def test_a_token_that_may_only_read_queues_nothing_again(archive: Store, web: WebForTests) -> None:
    web.account(Role.OPERATOR, "eve")
    with archive.writing() as connection:
        token = add_token(connection, "eve", role=Role.READER, purpose="", now=web.clock(), lasts=None)
    headers = {"Authorization": f"Bearer {token}"}
    assert web.browser().client.post("/api/v1/operation/retry", headers=headers).status_code == 403
    assert archive.status().failures["too_large"] == 2


def test_files_of_this_machine_wait_until_they_are_annotated_again(sqlite_filled: Archive) -> None:
    here = MediaRef("a.gif", "file:///srv/a.gif", None)
    sqlite_filled.store.save([failure(here)], network_id=1, labelling_id=1)
    operator = WebForTests(sqlite_filled.store).browser(Role.OPERATOR)
    operator.post("/operation/retry", {"reason": "undecodable"})
    page = operator.get("/operation").text
    assert "<dt>waiting</dt><dd>1</dd>" in page
    assert "nothing queued" in page
