"""What was found as files: from the page of a media, of a search, and by the API."""

import asyncio
import csv
import io
import json
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from anyio import CapacityLimiter
from sqlalchemy import insert

from annotator.store import Store
from annotator.store.tables import web_jobs
from annotator.store.web.accounts import Role
from annotator.types import MediaRef
from annotator.web import exporting
from annotator.web.exporting import made_in, shapes_offered
from tests import web_archive
from tests.optional import import_optional
from tests.store_values import digest, ref
from tests.web_archive import Archive
from tests.web_client import Browser, WebForTests


@pytest.fixture
def media(sqlite_filled: Archive) -> dict[str, int]:
    return sqlite_filled.media


@pytest.fixture
def browser(sqlite_filled: Archive) -> Browser:
    return WebForTests(sqlite_filled.store).browser(Role.READER)


def test_a_media_is_exported_in_each_shape_that_its_page_links(browser: Browser, media: dict[str, int]) -> None:
    page = browser.get(f"/media/{media['both']}").text
    for shape in shapes_offered():
        assert f"?shape={shape}" in page
        answer = browser.get(f"/media/{media['both']}/export?shape={shape}")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''both.gif.")
        assert answer.headers["x-content-type-options"] == "nosniff"
    told = json.loads(browser.get(f"/media/{media['both']}/export?shape=jsonl").text)
    assert [one["identity"] for one in told["labels"]] == ["Ada Lovelace", "Bén Brown"]
    captions = browser.get(f"/media/{media['both']}/export?shape=webvtt")
    assert captions.headers["content-type"] == "text/vtt; charset=utf-8"
    assert "Ada Lovelace" in captions.text


def test_a_search_is_exported_as_it_is_shown_with_whoever_else_is_in_it(browser: Browser) -> None:
    page = browser.get("/search?person=ada+lovelace&person=ben+brown&in_one_shot=1").text
    query = "?person=ada+lovelace&amp;person=ben+brown&amp;in_one_shot=1&amp;shape=csv"
    assert f'href="/search/export{query}"' in page
    rows = list(csv.DictReader(browser.get("/search/export" + query.replace("&amp;", "&")).text.splitlines()))
    assert {one["media_uri"] for one in rows} == {"s3://gifs/both.gif"}
    assert {one["identity"] for one in rows} == {"Ada Lovelace", "Bén Brown"}
    sure = browser.get("/search/export?person=ada+lovelace&min_confidence=0.9&shape=csv").text
    assert "ada.mp4" not in sure


def test_programs_get_the_same(browser: Browser, media: dict[str, int]) -> None:
    lines = browser.get("/api/v1/export?person=ada+lovelace").text.splitlines()
    assert {json.loads(one)["media_id"] for one in lines} == set(media.values())
    rows = browser.get(f"/api/v1/media/{media['ada']}/export?shape=csv&rows=tracks").text.splitlines()
    assert len(rows) == 3
    chapters = browser.get(f"/api/v1/media/{media['both']}/export?shape=webvtt&person=Ada+Lovelace")
    assert "Bén Brown" not in chapters.text


@pytest.mark.parametrize("path", ["/media/{both}/export?", "/api/v1/media/{both}/export?"])
def test_a_media_is_exported_of_one_person_alone(browser: Browser, media: dict[str, int], path: str) -> None:
    for shape in shapes_offered():
        answer = browser.get(path.format(**media) + f"shape={shape}&person=ben+brown")
        assert answer.status_code == 200
        assert b"Ada Lovelace" not in answer.content
        assert shape == "parquet" or "Bén Brown" in answer.text
    everybody = browser.get(path.format(**media) + "shape=csv&rows=people")
    assert "Ada Lovelace" in everybody.text
    chapters = browser.get(path.format(**media) + "shape=webvtt&person=ben+brown").text
    assert "NOTE Bén Brown in both.gif" in chapters


def test_the_page_of_a_media_lets_choose_whom_an_export_tells(browser: Browser, media: dict[str, int]) -> None:
    page = browser.get(f"/media/{media['both']}").text
    assert "<option>Ada Lovelace</option><option>Bén Brown</option>" in page
    assert "Ada Lovelace" in browser.get(f"/media/{media['both']}/export?person=&shape=csv").text


def test_programs_are_told_what_an_upload_was_called_by_whoever_gave_it(sqlite_store: Store) -> None:
    uri = f"file:///uploads/{digest(7)}.gif"
    ids = web_archive.fill(sqlite_store, media=(MediaRef(uri, uri, None), ref("apart.gif"), ref("ada.mp4")))
    done = {"state": "done", "created_at": datetime.now(UTC), "finished_at": datetime.now(UTC)}
    with sqlite_store.writing() as connection:
        connection.execute(
            insert(web_jobs).values(owner="eve", uri=uri, name="Rachel waits.gif", media_id=ids["both"], **done)
        )
    browser = WebForTests(sqlite_store).browser(Role.READER)
    path = f"/media/{ids['both']}/export?shape="
    captions = browser.get(f"{path}webvtt")
    assert "Who is seen in Rachel waits.gif, by" in captions.text
    assert unquote(captions.headers["content-disposition"]).endswith("''Rachel waits.gif.vtt")
    assert json.loads(browser.get(f"{path}video-indexer").text)["name"] == "Rachel waits.gif"
    assert browser.get(f"/api/v1/media/{ids['both']}").json()["name"] == "Rachel waits.gif"
    for told in (browser.get("/api/v1/media").json(), browser.get("/api/v1/appearances?person=ben+brown").json()):
        assert {"Rachel waits.gif", "apart.gif"} <= {one["name"] for one in told["items"]}


def test_parquet_holds_the_rows_of_csv(browser: Browser, media: dict[str, int]) -> None:
    parquet = import_optional("pyarrow.parquet")
    for path in (
        f"/media/{media['both']}/export?",
        "/search/export?person=ada+lovelace&",
        f"/api/v1/media/{media['ada']}/export?rows=tracks&",
        "/api/v1/export?person=ada+lovelace&min_confidence=0.9&",
    ):
        answer = browser.get(f"{path}shape=parquet")
        assert answer.headers["content-type"] == "application/vnd.apache.parquet"
        assert answer.headers["content-disposition"].endswith(".parquet")
        found = parquet.read_table(io.BytesIO(answer.content)).to_pylist()
        expected = list(csv.DictReader(browser.get(f"{path}shape=csv").text.splitlines()))
        assert [(str(one["media_id"]), one["identity"] or "") for one in found] == [
            (one["media_id"], one["identity"]) for one in expected
        ]
        assert found


def test_parquet_is_offered_only_where_it_can_be_written(
    browser: Browser, media: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "shape=parquet" not in browser.get(f"/media/{media['both']}").text
    assert "shape=parquet" not in browser.get("/search?person=ada+lovelace").text
    for path in (f"/media/{media['both']}/export", "/search/export", "/api/v1/export"):
        refused = browser.get(
            f"{path}?shape=parquet" + "&person=ada+lovelace" * path.endswith(("h/export", "1/export"))
        )
        assert (refused.status_code, "celebrity-annotator[parquet]" in refused.text) == (400, True)


def test_a_file_is_called_so_that_its_ending_is_seen_and_its_header_is_short(sqlite_store: Store) -> None:
    names = ("a%E2%80%AEgpj.gif", "x%2F..%2Fy.gif", f"{'%F0%9D%92%9C' * 300}.gif")
    media = web_archive.fill(sqlite_store, media=tuple(map(ref, names)))
    browser = WebForTests(sqlite_store).browser(Role.READER)
    told = [
        browser.get(f"/media/{media_id}/export?shape=csv").headers["content-disposition"].partition("''")[2]
        for media_id in media.values()
    ]
    assert unquote(told[0]) == "a�gpj.gif.csv"
    assert "%2F" not in told[1]
    assert (told[2].endswith("%9C.csv"), len(told[2]) < 1300) == (True, True)
    found = browser.get("/search/export?shape=csv&person=ada%0D%0Alovelace").headers["content-disposition"]
    assert found == "attachment; filename*=UTF-8''ada__lovelace.csv"


def test_pieces_are_made_in_few_threads_however_many_ask() -> None:
    """The first pieces meet two by two; a third one would find them there."""
    meeting, under_way, most = threading.Barrier(2), [0], [0]
    lock = threading.Lock()

    def pieces() -> Iterator[bytes]:
        for number in range(3):
            with lock:
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            if number == 0:
                meeting.wait(60)
            with lock:
                under_way[0] -= 1
            yield b"" if number == 1 else b"x"

    async def take_all() -> list[bytes]:
        threads = CapacityLimiter(2)

        async def take() -> bytes:
            return b"".join([piece async for piece in made_in(threads, pieces())])

        return await asyncio.gather(*(take() for _ in range(8)))

    assert asyncio.run(take_all()) == [b"xx"] * 8
    assert most == [2]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/media/{ada}/export", 400),
        ("/media/{ada}/export?shape=pdf", 400),
        ("/media/{ada}/export?shape=csv&person=Ben+Brown", 404),
        ("/media/{ada}/export?shape=csv&person=Nobody", 404),
        ("/api/v1/media/{ada}/export?shape=webvtt&person=Ben+Brown", 404),
        ("/media/999/export?shape=csv", 404),
        ("/search/export?shape=csv", 400),
        ("/search/export?shape=webvtt&person=ada+lovelace", 400),
        ("/search/export?shape=csv&person=nobody+at+all", 404),
        ("/search/export?shape=csv&person=ada+lovelace&model=none%401", 400),
        ("/api/v1/media/{ada}/export?shape=webvtt&person=Nobody", 404),
        ("/api/v1/export?person=ada+lovelace&shape=webvtt", 400),
    ],
)
def test_what_cannot_be_exported_is_told(browser: Browser, media: dict[str, int], path: str, status: int) -> None:
    assert browser.get(path.format(**media)).status_code == status


def test_more_than_one_statement_can_name_is_refused_and_never_cut_off(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "MOST_MEDIA", 2)
    refused = browser.get("/search/export?person=ada+lovelace&shape=csv")
    assert (refused.status_code, "annotator export" in refused.text) == (400, True)
