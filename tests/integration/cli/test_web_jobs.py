"""The process that annotates for visitors: what is away is no fault of what they gave."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from annotator.cli import web_jobs
from annotator.errors import LocalDiskError
from annotator.settings import load_settings
from annotator.stack.child import free_port
from annotator.store import Store
from annotator.store.connection import sqlite_path
from annotator.store.web.jobs import MOST_TRIES, Job, Room, Wanted, add_jobs, find_job, job_in_hand, take_job
from annotator.web.giving import words_of
from tests.web_process import environment


def add(store: Store, uri: str = "https://example.org/a.gif") -> int:
    with store.writing() as connection:
        (job_id,) = add_jobs(connection, "eve", [Wanted(uri, "a.gif")], room=Room(9, 9), now=datetime.now(UTC))
    return job_id


def find(store: Store, job_id: int) -> Job:
    with store.reading() as connection:
        job = find_job(connection, job_id)
    assert job is not None
    return job


def run_process(folder: Path, database: str, **settings: Any) -> int:
    """Run the process until it ends by itself, and return its exit code."""
    first = {"settings": {"database_url": database, "env_file": None} | settings, "session": "s"}
    with subprocess.Popen(
        [sys.executable, "-m", "annotator.cli.web_jobs"], stdin=subprocess.PIPE, text=True, env=environment(folder)
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(first) + "\n")
        process.stdin.flush()
        return process.wait(timeout=120)


def test_a_database_that_is_away_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    assert run_process(tmp_path, f"postgresql://eve@127.0.0.1:{free_port()}/gifs") == os.EX_TEMPFAIL


def test_a_model_that_cannot_be_loaded_lets_what_waits_wait_and_says_so(
    make_database: Callable[..., str], tmp_path: Path
) -> None:
    url = make_database("sqlite")
    with Store.open(url) as store:
        job_id = add(store)
        assert run_process(tmp_path, url, model="nobody@1") == os.EX_TEMPFAIL
        job = find(store, job_id)
        assert (job.state, job.tries) == ("waiting", 0)
        assert words_of(job).startswith("Waiting: the model of this server cannot be loaded")


def test_a_database_that_goes_away_while_it_works_ends_it_with_the_same_code(
    make_database: Callable[..., str],
) -> None:
    url = make_database("sqlite")
    with Store.open(url) as store:
        add(store)
        store.engine.dispose()
        path = sqlite_path(url)
        assert path is not None
        path.unlink()
        path.mkdir()  # neither taking nor giving back can be done then
        settings = load_settings(env_file=None, database_url=url)
        desk = web_jobs.Desk(store, "s")
        assert web_jobs.run(desk, store, settings, threading.Event()) == os.EX_TEMPFAIL


def test_a_media_that_the_disk_has_no_room_for_waits_once_and_fails_with_these_words(
    make_database: Callable[..., str],
) -> None:
    with Store.open(make_database("sqlite")) as store:
        job_id = add(store)
        desk = web_jobs.Desk(store, "s")
        for _ in range(MOST_TRIES - 1):
            with store.writing() as connection:
                job = take_job(connection, "s", now=datetime.now(UTC))
            assert job is not None
            with pytest.raises(web_jobs.PutOffError):
                web_jobs.put_off_without_room(desk, job, LocalDiskError.reason)
            assert "the disk of this server has no room" in words_of(find(store, job_id))
        with store.writing() as connection:
            last = take_job(connection, "s", now=datetime.now(UTC))
        assert last is not None
        web_jobs.put_off_without_room(desk, last, LocalDiskError.reason)
        web_jobs.put_off_without_room(desk, last, "undecodable")
        with store.reading() as connection:
            assert job_in_hand(connection, "s") == job_id


def test_a_visitors_address_does_not_reach_what_the_archive_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOTATOR_FETCH__ALLOW_PRIVATE_ADDRESSES", "true")
    archive = load_settings(env_file=None)
    assert archive.fetch.allow_private_addresses
    assert not archive.for_visitors().fetch.allow_private_addresses
    monkeypatch.setenv("ANNOTATOR_WEB__ALLOW_PRIVATE_ADDRESSES", "true")
    assert load_settings(env_file=None).for_visitors().fetch.allow_private_addresses
