"""Media that visitors give: who may, what is refused and leaves nothing behind, and what becomes a job."""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import delete, text
from starlette.requests import Request

from annotator.errors import LocalDiskError
from annotator.store import Store
from annotator.store.registry import register_media
from annotator.store.tables import web_jobs
from annotator.store.titles import titles_of
from annotator.store.web.accounts import Role
from annotator.store.web.audit import list_deeds
from annotator.store.web.jobs import Job, finish_job, give_back, list_jobs, note_job, take_job
from annotator.store.web.tokens import add_token
from annotator.types import MediaRef
from annotator.web import giving
from annotator.web.application import make_application
from annotator.web.errors import WebError
from annotator.web.receiving import Uploading, receive_body
from annotator.web.uploads import Uploads
from tests import web_archive
from tests.media_factory import GifPart, flat, gif_bytes
from tests.store_values import ADA, BEN
from tests.web_client import Browser, WebForTests

GIF = gif_bytes([GifPart(flat(1, 20, 20), delay_cs=10)], size_wh=(20, 20))
OTHER = gif_bytes([GifPart(flat(2, 20, 20), delay_cs=10)], size_wh=(20, 20))


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture
def web(sqlite_store: Store, uploads: Path) -> WebForTests:
    return WebForTests(sqlite_store, uploads=uploads, upload_bytes=5000, upload_files=3, max_waiting=4)


def jobs_of(web: WebForTests, name: str = "reviewer-person") -> list[Job]:
    with web.site.store.reading() as connection:
        return list_jobs(connection, name, limit=10)


def files_in(folder: Path) -> list[str]:
    """Return what is in the folder of uploads, but for the file that keeps two programs apart."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".keeping") if folder.exists() else []


def send(browser: Browser, *files: tuple[str, bytes], address: str = "", **more: Any) -> Any:
    data = {"csrf": browser.csrf(), "url": address}
    return browser.client.post("/try", data=data, files=[("file", one) for one in files], **more)


def test_a_file_is_kept_under_the_name_of_its_bytes_and_becomes_a_job(web: WebForTests, uploads: Path) -> None:
    browser = web.browser(Role.REVIEWER)
    answer = send(browser, ("../clips/<b>Rachel</b>.gif", GIF))
    assert (answer.status_code, answer.headers["location"]) == (303, "/try/1")
    (job,) = jobs_of(web)
    kept = uploads / f"{hashlib.sha256(GIF).hexdigest()}.gif"
    assert (job.state, job.name, job.uri) == ("waiting", "b>.gif", kept.as_uri())
    assert kept.read_bytes() == GIF
    assert files_in(uploads) == [kept.name]
    with web.site.store.reading() as connection:
        deed = list_deeds(connection, limit=1)[0]
    assert (deed.action, deed.subject, deed.actor) == ("tried a media", "b>.gif", "reviewer-person")
    page = browser.get("/try/1")
    assert "it is the next one" in page.text
    assert '<noscript><meta http-equiv="refresh"' in page.text


def test_the_same_bytes_are_kept_once_and_stay_the_version_that_they_were(web: WebForTests, uploads: Path) -> None:
    browser = web.browser(Role.REVIEWER)
    send(browser, ("a.gif", GIF))
    before = (uploads / files_in(uploads)[0]).stat()
    send(browser, ("b.gif", GIF))
    after = (uploads / files_in(uploads)[0]).stat()
    assert len(files_in(uploads)) == 1
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
    assert {job.name for job in jobs_of(web)} == {"a.gif", "b.gif"}


def test_several_files_and_an_address_are_a_job_each_and_what_is_no_media_is_told(
    web: WebForTests, uploads: Path
) -> None:
    browser = web.browser(Role.REVIEWER)
    answer = send(browser, ("a.gif", GIF), ("notes.txt", b"no media"), address=" https://example.org/b.gif#t=1 ")
    assert (answer.status_code, answer.headers["location"]) == (303, "/try")
    by_name = {job.name: job for job in jobs_of(web)}
    assert by_name["https://example.org/b.gif#t=1"].uri == "https://example.org/b.gif"
    assert by_name["a.gif"].state == "waiting"
    assert (by_name["notes.txt"].state, by_name["notes.txt"].reason) == ("failed", "undecodable")
    assert len(files_in(uploads)) == 1
    page = browser.get("/try").text
    assert "notes.txt is no picture or video by its content" in page
    assert "Waiting: 1 before it." in page


@pytest.mark.parametrize(
    ("files", "refused"),
    [
        ([("a.gif", b"x" * 5001)], (413, "more than 5000 bytes")),
        ([("a.gif", GIF)] * 4, (413, "At most 3 files")),
        ([("a.gif", b"x" * 5000)] * 3 + [("b.gif", b"x" * 300_000)], (413, "All of it may have")),
        ([("a.txt", b"no media"), ("b.html", b"<html>")], (415, "b.html is no picture or video")),
        ([("empty.gif", b"")], (415, "empty.gif is empty")),
        ([("", b"")], (400, "Nothing came")),
    ],
)
def test_what_is_too_much_or_no_media_is_refused_and_leaves_nothing(
    web: WebForTests, uploads: Path, files: list[tuple[str, bytes]], refused: tuple[int, str]
) -> None:
    answer = send(web.browser(Role.REVIEWER), *files)
    assert answer.status_code == refused[0]
    assert refused[1] in answer.text
    assert (jobs_of(web), files_in(uploads)) == ([], [])


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "s3://bucket/a.gif",
        "/etc/passwd",
        "https://eve:secret@example.org/a.gif",
        "https://",
        "https://[::1",
        "https://example.org/a b.gif",
        "https://example.org/\u2028.gif",
        f"https://example.org/{'x' * 2000}",
    ],
)
def test_only_addresses_of_the_internet_are_taken(web: WebForTests, address: str) -> None:
    browser = web.browser(Role.REVIEWER)
    answer = browser.client.post("/api/v1/annotate", json={"url": address}, headers={"x-csrf-token": browser.csrf()})
    assert answer.status_code == 400
    form = send(browser, ("", b""), address=address)
    assert (form.status_code, "Give a whole address" in form.text) == (400, True)
    assert jobs_of(web) == []


def test_there_is_no_room_for_more_than_so_many(web: WebForTests) -> None:
    browser = web.browser(Role.REVIEWER)
    send(browser, ("a.gif", GIF), ("b.gif", GIF), ("c.gif", GIF))
    refused = send(browser, ("d.gif", OTHER), ("e.gif", OTHER))
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
    assert "there is room for 1" in refused.text
    send(browser, ("d.gif", GIF))
    assert len(jobs_of(web)) == 4
    full = send(browser, ("e.gif", OTHER))
    assert full.status_code == 429
    assert "Come again" in browser.get("/try").text
    bob = web.browser()
    bob.log_in_as(web.account(Role.REVIEWER, "bob"))
    assert send(bob, ("f.gif", GIF)).status_code == 303


def test_readers_and_strangers_are_refused_before_anything_is_read(web: WebForTests, uploads: Path) -> None:
    reader = web.browser(Role.READER)
    assert send(reader, ("a.gif", GIF)).status_code == 403
    assert send(web.browser(), ("a.gif", GIF)).status_code in {401, 403}
    assert '<a href="/try"' not in reader.get("/").text
    assert files_in(uploads) == []


@pytest.mark.parametrize("token", ["", "x" * 64])
def test_of_who_has_no_right_nothing_of_what_is_sent_is_read(web: WebForTests, token: str) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("it is read")

    async def take(message: Any) -> None:
        sent.append(message)

    headers = {"host": "127.0.0.1", "content-type": "multipart/form-data; boundary=b", "authorization": "Bearer x"}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/api/v1/annotate",
        "raw_path": b"/api/v1/annotate",
        "query_string": b"",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "headers": [
            (name.encode(), value.encode()) for name, value in headers.items() if name != "authorization" or token
        ],
    }
    asyncio.run(make_application(web.site)(scope, receive, take))
    assert sent[0]["status"] == 401


def test_a_form_that_was_not_sent_by_a_page_of_the_session_leaves_nothing(web: WebForTests, uploads: Path) -> None:
    browser = web.browser(Role.REVIEWER)
    forms: list[Any] = [
        lambda: browser.client.post("/try", files=[("file", ("a.gif", GIF))]),
        lambda: browser.client.post("/try", data={"csrf": "0" * 64}, files=[("file", ("a.gif", GIF))]),
        lambda: browser.client.post("/try", data={"url": "https://example.org/"}),
        lambda: send(browser, ("a.gif", GIF), headers={"origin": "https://elsewhere.example"}),
        lambda: send(browser, ("a.gif", GIF), headers={"sec-fetch-site": "cross-site"}),
        lambda: browser.client.post("/api/v1/annotate", json={"url": "https://example.org/a.gif"}),
    ]
    assert [form().status_code for form in forms] == [403] * len(forms)
    assert (jobs_of(web), files_in(uploads)) == ([], [])


def test_the_token_must_come_before_the_files(web: WebForTests, uploads: Path) -> None:
    browser = web.browser(Role.REVIEWER)
    token = browser.csrf()
    parts = [("file", ("a.gif", GIF)), ("csrf", (None, token))]
    assert browser.client.post("/try", files=parts).status_code == 403  # type: ignore[arg-type]
    assert browser.client.post("/try", files=[*reversed(parts)]).status_code == 303  # type: ignore[arg-type]
    assert len(files_in(uploads)) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b\r\n",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.gif"\r\n\r\nGIF89a',
        b"nothing of the sort",
        b"--b\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b'--b\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n' + b"x" * 20_000 + b"\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 300 + b"--b--\r\n",
    ],
)
def test_a_form_that_is_broken_is_refused_and_leaves_nothing(web: WebForTests, uploads: Path, body: bytes) -> None:
    browser = web.browser(Role.REVIEWER)
    headers = {"content-type": "multipart/form-data; boundary=b", "x-csrf-token": browser.csrf()}
    answer = browser.client.post("/try", content=body, headers=headers)
    assert answer.status_code in {400, 413}
    assert (jobs_of(web), files_in(uploads)) == ([], [])


@pytest.mark.parametrize("media_type", ["multipart/form-data", f"multipart/form-data; boundary={'b' * 300}"])
def test_a_form_without_a_boundary_is_refused(web: WebForTests, media_type: str) -> None:
    browser = web.browser(Role.REVIEWER)
    headers = {"content-type": media_type, "x-csrf-token": browser.csrf()}
    assert browser.client.post("/try", content=b"--\r\n", headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b'{"url": "https://example.org/a.gif"}', "text/plain", 415),
        (b"{", "application/json", 400),
        (b"[" * 10_000, "application/json", 400),
        (b'{"url": 7}', "application/json", 400),
        (b'{"url": "https://example.org/a.gif", "more": 1}', "application/json", 400),
        (b'{"url": "' + b"x" * 20_000 + b'"}', "application/json", 413),
    ],
)
def test_a_body_that_is_nothing_of_ours_is_refused(web: WebForTests, body: bytes, media_type: str, status: int) -> None:
    browser = web.browser(Role.REVIEWER)
    headers = {"content-type": media_type, "x-csrf-token": browser.csrf()}
    assert browser.client.post("/api/v1/annotate", content=body, headers=headers).status_code == status


def test_a_program_gives_media_and_asks_how_far_they_are(web: WebForTests, sqlite_store: Store) -> None:
    web.account(Role.REVIEWER, "eve")
    with sqlite_store.writing() as connection:
        token = add_token(connection, "eve", role=Role.REVIEWER, purpose="", now=web.clock(), lasts=None)
    client = web.browser().client
    client.headers["authorization"] = f"Bearer {token}"
    taken = client.post("/api/v1/annotate", json={"url": "https://example.org/a.gif"})
    assert (taken.status_code, taken.headers["location"]) == (202, "/api/v1/jobs/1")
    assert taken.json()["items"][0]["state"] == "waiting"
    both = client.post("/api/annotate", files=[("file", ("a.gif", GIF)), ("file", ("b.gif", OTHER))])
    assert (both.status_code, [one["name"] for one in both.json()["items"]]) == (202, ["a.gif", "b.gif"])
    with sqlite_store.writing() as connection:
        take_job(connection, "s", now=web.clock())
        note_job(connection, 1, "s", stage="looking", frames=12, now=web.clock())
    told = client.get("/api/v1/jobs/1")
    assert told.headers["retry-after"] == "1"
    assert (told.json()["stage"], told.json()["words"]) == ("looking", "Faces are looked for: 12 frames so far.")
    assert [one["job_id"] for one in client.get("/api/v1/jobs").json()["items"]] == [3, 2, 1]
    assert client.get("/api/v1/jobs?limit=1").json()["items"][0]["job_id"] == 3
    assert client.get("/api/v1/jobs/99").status_code == 404


def test_a_page_says_how_far_a_media_is_and_leads_to_it_when_it_is_done(web: WebForTests, sqlite_store: Store) -> None:
    media_id = web_archive.fill(sqlite_store)["both"]
    browser = web.browser(Role.REVIEWER)
    send(browser, ("a.gif", GIF), ("b.gif", OTHER))
    assert "Waiting: 1 before it." in browser.get("/try/2").text
    with sqlite_store.writing() as connection:
        take_job(connection, "s", now=web.clock())
    assert '<li data-stage="starting" aria-current="step">' in browser.get("/try/1").text
    with sqlite_store.writing() as connection:
        give_back(connection, "s", is_lost=False)
        take_job(connection, "s", now=web.clock())
        finish_job(connection, 1, "s", now=web.clock(), media_id=media_id)
        take_job(connection, "s", now=web.clock())
        finish_job(connection, 2, "s", now=web.clock(), media_id=None, failure=("undecodable", "<It> is cut."))
    done = browser.get("/try/1")
    assert (done.status_code, done.headers["location"]) == (303, f"/media/{media_id}")
    failed = browser.get("/try/2").text
    assert "&lt;It&gt; is cut." in failed
    assert "http-equiv" not in failed
    listed = browser.get("/try").text
    assert f'href="/media/{media_id}"' in listed
    assert f"{ADA.name} 99 %, {BEN.name} 90 %" in listed
    assert browser.get("/try/99").status_code == 404


def test_what_annotates_is_woken(sqlite_store: Store, uploads: Path) -> None:

    woken: list[int] = []
    web = WebForTests(sqlite_store, uploads=uploads)
    web.application = make_application(replace(web.site, wake=lambda: woken.append(1)))
    send(web.browser(Role.REVIEWER), ("a.gif", GIF))
    assert woken == [1]


def test_what_a_killed_program_has_left_half_taken_is_removed_a_day_later(web: WebForTests, uploads: Path) -> None:

    uploads.mkdir()
    for name, age_s in ((".old.part", 90_000), (".new.part", 60), ("kept.gif", 90_000)):
        (uploads / name).touch()
        os.utime(uploads / name, (time.time() - age_s,) * 2)
    web.site.uploads.remove_abandoned()
    assert files_in(uploads) == [".new.part", "kept.gif"]


def test_a_media_is_called_as_whoever_gave_it_calls_it(web: WebForTests, sqlite_store: Store, uploads: Path) -> None:
    browser = web.browser(Role.REVIEWER)
    send(browser, ("Rachel waits.gif", GIF))
    with sqlite_store.writing() as connection:
        job = take_job(connection, "s", now=web.clock())
        assert job is not None
        media_id = register_media(connection, [MediaRef(job.name, job.uri)])[job.uri]
        finish_job(connection, 1, "s", now=web.clock(), media_id=media_id)
    assert "<h1>Rachel waits.gif</h1>" in browser.get(f"/media/{media_id}").text
    with sqlite_store.reading() as connection:
        titles = titles_of(connection, [(media_id, job.uri), (media_id + 1, "s3://gifs/another.gif")])
    assert titles == {media_id: "Rachel waits.gif", media_id + 1: "another.gif"}
    with sqlite_store.writing() as connection:
        connection.execute(delete(web_jobs))
    digest = files_in(uploads)[0]
    assert f"<h1>{digest[:10]}….gif</h1>" in browser.get(f"/media/{media_id}").text


def test_a_job_is_told_to_whoever_has_given_it_and_to_admins(web: WebForTests) -> None:
    send(web.browser(Role.REVIEWER), ("a.gif", GIF))
    other = web.browser()
    other.log_in_as(web.account(Role.REVIEWER, "bob"))
    for path in ("/try/1", "/api/v1/jobs/1"):
        assert other.get(path).status_code == 404
        assert web.browser().get(path).status_code in {303, 401}
    admin = web.browser(Role.ADMIN)
    for path in ("/try/1", "/api/v1/jobs/1"):
        assert admin.get(path).status_code == 200


def test_what_could_not_become_jobs_is_kept_nowhere_and_what_was_there_stays(web: WebForTests, uploads: Path) -> None:
    browser = web.browser(Role.REVIEWER)
    send(browser, ("a.gif", GIF))
    before = files_in(uploads)
    with web.site.store.writing() as connection:
        connection.execute(text("CREATE TRIGGER away BEFORE INSERT ON web_jobs BEGIN SELECT RAISE(ABORT, 'away'); END"))
    assert send(browser, ("a.gif", GIF), ("b.gif", OTHER)).status_code >= 500
    assert files_in(uploads) == before


def test_more_files_than_there_is_room_for_are_not_kept(web: WebForTests, uploads: Path) -> None:
    browser = web.browser(Role.REVIEWER)
    send(browser, ("a.gif", GIF), ("b.gif", GIF), ("c.gif", GIF))
    assert send(browser, ("d.gif", OTHER), ("e.gif", OTHER)).status_code == 429
    assert len(files_in(uploads)) == 1


def test_a_file_that_a_machine_left_broken_when_it_went_down_is_replaced(web: WebForTests, uploads: Path) -> None:
    browser = web.browser(Role.REVIEWER)
    send(browser, ("a.gif", GIF))
    kept = uploads / files_in(uploads)[0]
    for broken in (b"", bytes(len(GIF))):
        kept.write_bytes(broken)
        send(browser, ("a.gif", GIF))
        assert kept.read_bytes() == GIF
    assert len(files_in(uploads)) == 1


def test_a_disk_that_is_almost_full_takes_nothing(uploads: Path) -> None:
    free = Uploads(uploads, max_bytes=1, reserve_bytes=0)
    with free.begin("a.gif"):
        pass
    with pytest.raises(LocalDiskError, match="almost full"):
        Uploads(uploads, max_bytes=1, reserve_bytes=2**60).begin("a.gif")
    assert files_in(uploads) == []


def test_of_who_has_no_room_nothing_of_what_is_sent_is_read(web: WebForTests) -> None:
    browser = web.browser(Role.REVIEWER)
    send(browser, ("a.gif", GIF), ("b.gif", GIF), ("c.gif", GIF))
    send(browser, ("d.gif", GIF))
    assert send(browser, ("x.gif", b"no media")).status_code == 429
    headers = {"x-csrf-token": browser.csrf()}
    assert browser.client.post("/api/v1/annotate", content=b"{", headers=headers).status_code == 429


async def _never() -> Any:
    await anyio.sleep_forever()


def test_a_short_body_that_does_not_come_is_given_up() -> None:
    request = Request({"type": "http", "method": "POST", "headers": []}, receive=_never)
    with pytest.raises(WebError) as refused:
        anyio.run(partial(receive_body, request, timeout_s=0.05))
    assert refused.value.status == 408


def test_uploads_that_hang_keep_nobody_out_for_ever() -> None:
    told: list[tuple[int, str]] = []

    async def send_slowly(uploading: Uploading, who: str, is_in: anyio.Event | None = None) -> None:
        try:
            async with uploading.admitting(who):
                if is_in is not None:
                    is_in.set()
                    await anyio.sleep_forever()
        except WebError as error:
            told.append((error.status, error.headers["Retry-After"]))

    async def ask() -> None:
        uploading = Uploading(at_once=3, waits_s=0.05)
        async with anyio.create_task_group() as group:
            for who in ("eve", "eve", "bob"):
                is_in = anyio.Event()
                group.start_soon(send_slowly, uploading, who, is_in)
                await is_in.wait()
            await send_slowly(uploading, "eve")
            await send_slowly(uploading, "ann")
            group.cancel_scope.cancel()
        await send_slowly(uploading, "eve")

    anyio.run(ask)
    assert told == [(429, "10"), (503, "10")]


def test_two_programs_over_one_folder_keep_files_one_after_the_other(
    web: WebForTests, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one of them could take back a file on which the job of the other one relies by then."""
    is_held: list[bool] = []

    def look() -> None:
        other = "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        ended = subprocess.run([sys.executable, "-c", other, uploads / ".keeping"], capture_output=True, check=False)
        is_held.append(b"BlockingIOError" in ended.stderr)

    add = giving._add

    def add_while_another_one_tries(*asked: Any) -> Any:
        look()
        return add(*asked)

    monkeypatch.setattr(giving, "_add", add_while_another_one_tries)
    assert send(web.browser(Role.REVIEWER), ("a.gif", GIF)).status_code == 303
    look()
    assert is_held == [True, False]


def test_a_job_that_waits_is_stopped_by_who_has_given_it(web: WebForTests) -> None:
    browser = web.browser(Role.REVIEWER)
    send(browser, ("a.gif", GIF), ("b.gif", OTHER))
    assert 'action="/try/1/stop"' in browser.get("/try/1").text
    other = web.browser()
    other.log_in_as(web.account(Role.REVIEWER, "another-person"))
    assert other.post("/try/1/stop").status_code == 404
    sent = browser.post("/try/1/stop")
    assert (sent.status_code, sent.headers["location"]) == (303, "/try/1")
    page = browser.get("/try/1").text
    assert "It was stopped before it began." in page
    assert "/stop" not in page
    assert [(job.job_id, job.state, job.reason) for job in jobs_of(web)] == [
        (2, "waiting", None),
        (1, "failed", "stopped"),
    ]
    with web.site.store.reading() as connection:
        deed = list_deeds(connection, limit=1)[0]
    assert (deed.action, deed.subject, deed.actor) == ("stopped a media", "a.gif", "reviewer-person")
    with web.site.store.writing() as connection:
        job = take_job(connection, "session", now=web.clock())
    assert job is not None
    assert job.job_id == 2
    assert "/stop" not in browser.get("/try/2").text
    for number in (1, 2):  # over, and under way
        assert browser.post(f"/try/{number}/stop").status_code == 409
    assert [job.state for job in jobs_of(web)] == ["running", "failed"]


def test_a_job_is_stopped_by_the_api(web: WebForTests) -> None:
    browser = web.browser(Role.REVIEWER)
    send(browser, ("a.gif", GIF))
    headers = {"X-CSRF-Token": browser.csrf()}
    told = browser.client.delete("/api/v1/jobs/1", headers=headers)
    assert told.status_code == 200
    assert (told.json()["state"], told.json()["reason"]) == ("failed", "stopped")
    assert browser.client.delete("/api/v1/jobs/1", headers=headers).status_code == 409
    assert browser.client.delete("/api/v1/jobs/9", headers=headers).status_code == 404
