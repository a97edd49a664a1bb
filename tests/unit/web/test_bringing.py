"""Who brings media from slow hosts keeps nobody else from media, and waits no more when its visitor has gone."""

import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import pytest
from anyio.abc import TaskGroup
from anyio.to_thread import run_sync

from annotator.web.bringing import AtOnce, HostThreads, VisitorGoneError

AT_ONCE = AtOnce(of_all=7, of_one_host=4, of_visitor=5, of_visitor_and_host=3)
LONG_S = 30


class Held:
    """Acts that have begun, and do not end before they are let."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self._begins = threading.Semaphore(0)
        self.may_end = threading.Event()

    def act(self, what: str) -> str:
        self.begun[what] += 1
        self._begins.release()
        self.may_end.wait(timeout=LONG_S)
        return what

    async def have_begun(self, number: int) -> None:
        for _ in range(number):
            assert await run_sync(partial(self._begins.acquire, timeout=LONG_S), limiter=anyio.CapacityLimiter(1))


async def stays() -> None:
    await anyio.sleep_forever()


def holding(test: Callable[[HostThreads, Held, TaskGroup], Awaitable[None]]) -> HostThreads:
    """Run a test beside acts that it holds; return the threads when all is over."""
    made: list[HostThreads] = []

    async def run() -> None:
        threads, held = HostThreads(AT_ONCE), Held()
        made.append(threads)
        with anyio.fail_after(LONG_S):
            async with anyio.create_task_group() as group:
                try:
                    await test(threads, held, group)
                finally:
                    held.may_end.set()

    anyio.run(run)
    return made[0]


def ask(group: TaskGroup, threads: HostThreads, held: Held, *, who: str, host: str, times: int) -> None:
    async def one() -> None:
        assert await threads.run(f"{host}/a.gif", lambda: held.act(host), who=who, is_gone=stays) == host

    for _ in range(times):
        group.start_soon(one)


@pytest.mark.parametrize("quick", ["https://c", "s3://c", "file:///c"])
def test_a_visitor_who_asks_slow_hosts_keeps_nobody_from_media(quick: str) -> None:
    async def test(threads: HostThreads, held: Held, group: TaskGroup) -> None:
        ask(group, threads, held, who="eve", host="https://a", times=9)
        await held.have_begun(AT_ONCE.of_visitor_and_host)
        ask(group, threads, held, who="eve", host="https://b", times=9)
        await held.have_begun(AT_ONCE.of_visitor - AT_ONCE.of_visitor_and_host)
        assert await threads.run(f"{quick}/a.gif", lambda: "came", who="bob", is_gone=stays) == "came"
        assert held.begun == {"https://a": 3, "https://b": 2}

    assert holding(test).is_idle


@pytest.mark.parametrize("ours", ["s3://c", "file:///c"])
def test_all_visitors_who_ask_slow_hosts_keep_nobody_from_files_and_buckets(ours: str) -> None:
    async def test(threads: HostThreads, held: Held, group: TaskGroup) -> None:
        for who in ("ada", "bob", "eve"):
            for host in ("https://a", "https://b", "https://c"):
                ask(group, threads, held, who=who, host=host, times=5)
        await held.have_begun(AT_ONCE.of_all)
        assert await threads.run(f"{ours}/a.gif", lambda: "came", who="eve", is_gone=stays) == "came"
        assert held.begun.total() == AT_ONCE.of_all
        assert max(held.begun.values()) <= AT_ONCE.of_one_host

    assert holding(test).is_idle


def test_a_visitor_who_asks_for_slow_files_keeps_others_from_none() -> None:
    async def test(threads: HostThreads, held: Held, group: TaskGroup) -> None:
        ask(group, threads, held, who="eve", host="file:///a", times=9)
        await held.have_begun(AT_ONCE.of_visitor_and_host)
        assert await threads.run("file:///b.gif", lambda: "came", who="bob", is_gone=stays) == "came"
        assert held.begun.total() == AT_ONCE.of_visitor_and_host

    assert holding(test).is_idle


def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    async def test(threads: HostThreads, held: Held, group: TaskGroup) -> None:
        ask(group, threads, held, who="eve", host="https://a", times=AT_ONCE.of_visitor_and_host)
        await held.have_begun(AT_ONCE.of_visitor_and_host)
        with pytest.raises(VisitorGoneError):
            await threads.run(
                "https://a/b.gif", lambda: held.act("never"), who="eve", is_gone=anyio.lowlevel.checkpoint
            )
        assert "never" not in held.begun

    assert holding(test).is_idle


def test_an_error_of_what_brings_a_media_is_told_as_it_is() -> None:
    def fail() -> None:
        raise LookupError("gone")

    async def run() -> None:
        await HostThreads().run("https://a/b.gif", fail, who="eve", is_gone=stays)

    with pytest.raises(LookupError, match="gone"):
        anyio.run(run)
