"""Programs wait for a job by the API: answered when it is in another state, in no thread, and not too many."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy import Engine, event

from annotator.store import Store
from annotator.store.web.accounts import Role
from annotator.store.web.jobs import Room, Wanted, add_jobs, stop_job, take_job
from annotator.store.web.tokens import add_token
from annotator.web.waiting import JobChanges
from tests.web_client import WebForTests

ROOM = Room(99, 99)


@pytest.fixture
def web(sqlite_store: Store, tmp_path: Path) -> WebForTests:
    made = WebForTests(sqlite_store, uploads=tmp_path / "uploads")
    made.replace(job_changes=JobChanges(of_one=3, of_all=4, look_every_s=0.02))
    return made


def token(web: WebForTests, name: str = "eve") -> str:
    web.account(Role.REVIEWER, name)
    with web.site.store.writing() as connection:
        return add_token(connection, name, role=Role.REVIEWER, purpose="", now=web.clock(), lasts=None)


def add(web: WebForTests, count: int = 1, owner: str = "eve") -> list[int]:
    wanted = [Wanted(f"https://example.org/{number}.gif", "a.gif") for number in range(count)]
    with web.site.store.writing() as connection:
        return list(add_jobs(connection, owner, wanted, room=ROOM, now=web.clock()))


def change(web: WebForTests, job_id: int) -> None:
    with web.site.store.writing() as connection:
        assert stop_job(connection, job_id, now=web.clock())


def asking(web: WebForTests, secret: str, scene: Callable[[AsyncClient], Awaitable[Any]]) -> Any:
    """Play a scene with a client that can ask several things at once."""

    async def play() -> Any:
        transport = ASGITransport(web.application)
        headers = {"Authorization": f"Bearer {secret}"}
        async with AsyncClient(transport=transport, base_url="http://127.0.0.1:8765", headers=headers) as client:
            async with asyncio.timeout(20):
                return await scene(client)

    return asyncio.run(play())


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - what is looked at tells nobody
        await asyncio.sleep(0.005)


def test_it_is_answered_when_the_job_is_in_another_state(web: WebForTests) -> None:
    (job_id,) = add(web)

    async def scene(client: AsyncClient) -> tuple[Response, Response]:
        waiting = asyncio.create_task(client.get(f"/api/v1/jobs/{job_id}?wait=30"))
        await until(lambda: web.site.job_changes.waiting == 1)
        with web.site.store.writing() as connection:
            take_job(connection, "session", now=web.clock())
        taken = await waiting
        return taken, await client.get(f"/api/v1/jobs/{job_id}?wait=1")

    taken, still = asking(web, token(web), scene)
    assert (taken.json()["state"], taken.headers["retry-after"]) == ("running", "1")
    assert still.json()["state"] == "running", "the time is over"
    assert web.site.job_changes.waiting == 0


def test_what_is_over_or_not_there_or_somebody_elses_is_answered_at_once(web: WebForTests) -> None:
    over, foreign = add(web)[0], add(web, owner="adam")[0]
    change(web, over)

    async def scene(client: AsyncClient) -> list[Response]:
        paths = [f"{over}?wait=30", "99?wait=30", f"{foreign}?wait=30", f"{over}?wait=31", f"{over}?wait=x"]
        return [await client.get(f"/api/v1/jobs/{path}") for path in paths]

    assert [one.status_code for one in asking(web, token(web), scene)] == [200, 404, 404, 400, 400]


def test_all_who_wait_are_one_look_at_the_database_and_no_thread(web: WebForTests) -> None:
    jobs = add(web, 3)
    engine: Engine = web.site.store.engine
    looks: list[str] = []

    def note(_1: object, _2: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT id, state FROM web_jobs"):
            looks.append(statement)

    async def scene(client: AsyncClient) -> tuple[float, int, list[Response]]:
        waiting = [asyncio.create_task(client.get(f"/api/v1/jobs/{one}?wait=30")) for one in jobs]
        await until(lambda: web.site.job_changes.waiting == 3)
        began_s = time.monotonic()
        await until(lambda: len(looks) >= 5)
        took_s, seen = time.monotonic() - began_s, len(looks)
        for one in jobs:
            change(web, one)
        return took_s, seen, await asyncio.gather(*waiting)

    secret = token(web)
    event.listen(engine, "before_cursor_execute", note)
    took_s, seen, answers = asking(web, secret, scene)
    assert took_s > (seen - 2) * 0.02, "one look for all three"
    assert {one.json()["state"] for one in answers} == {"failed"}


def test_who_comes_when_as_many_wait_as_may_does_not_wait(web: WebForTests) -> None:
    jobs = add(web, 5)

    async def scene(client: AsyncClient) -> list[Response]:
        waiting = [asyncio.create_task(client.get(f"/api/v1/jobs/{one}?wait=30")) for one in jobs[:3]]
        await until(lambda: web.site.job_changes.waiting == 3)
        at_once = [await client.get(f"/api/v1/jobs/{jobs[3]}?wait=30")]
        for one in jobs[:3]:
            change(web, one)
        await asyncio.gather(*waiting)
        return at_once

    (answer,) = asking(web, token(web), scene)
    assert (answer.json()["state"], answer.headers["retry-after"]) == ("waiting", "1")


def test_who_has_gone_waits_no_more(web: WebForTests) -> None:
    (job_id,) = add(web)
    secret = token(web)
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": f"/api/v1/jobs/{job_id}",
        "query_string": b"wait=30",
        "headers": [(b"host", b"127.0.0.1:8765"), (b"authorization", f"Bearer {secret}".encode())],
    }

    async def play() -> None:
        messages: asyncio.Queue[Any] = asyncio.Queue()
        await messages.put({"type": "http.request", "body": b"", "more_body": False})

        async def send(_: Any) -> None:
            await asyncio.sleep(0)

        async with asyncio.timeout(20):
            request = asyncio.create_task(web.application(scope, messages.get, send))
            await until(lambda: web.site.job_changes.waiting == 1)
            await messages.put({"type": "http.disconnect"})
            await request

    asyncio.run(play())
    assert web.site.job_changes.waiting == 0


def test_nobody_waits_when_the_program_is_to_end(web: WebForTests) -> None:
    (job_id,) = add(web)
    changes = web.site.job_changes

    async def scene(client: AsyncClient) -> Response:
        waiting = asyncio.create_task(client.get(f"/api/v1/jobs/{job_id}?wait=30"))
        await until(lambda: changes.waiting == 1)
        changes.end_when(lambda: True)
        return await waiting

    assert asking(web, token(web), scene).json()["state"] == "waiting"
