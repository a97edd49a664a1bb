"""What the pages show, as HTML."""

import json
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import delete

from annotator.build import build_reader
from annotator.store import Store
from annotator.store.tables import track_embeddings
from annotator.store.web.accounts import Role
from annotator.types import MediaRef
from annotator.web.application import make_application
from tests import web_archive
from tests.media_factory import GifPart, flat, gif_bytes
from tests.web_archive import Archive
from tests.web_client import Browser, WebForTests


@pytest.fixture
def browser(sqlite_filled: Archive) -> Browser:
    return WebForTests(sqlite_filled.store).browser(Role.READER)


def test_a_search_shows_media_and_its_address_can_be_sent(browser: Browser) -> None:
    page = browser.get("/search?person=ada+lovelace&person=ben+brown")
    assert page.status_code == 200
    assert page.text.index("both.gif") < page.text.index("apart.gif")
    assert "ada.mp4" not in page.text
    assert 'value="ben brown"' in page.text
    assert "apart.gif" not in browser.get("/search?person=ada+lovelace&person=ben+brown&in_one_shot=1").text


def test_the_first_page_shows_what_came_last_and_who_is_seen_most(sqlite_filled: Archive, browser: Browser) -> None:
    page = browser.get("/").text
    assert page.index("ada.mp4") < page.index("apart.gif") < page.index("both.gif")
    sqlite_filled.store.merge("Bén Brown", "Ada Lovelace")
    page = browser.get("/").text
    newest, _, most_seen = page.partition("Most seen")
    assert newest.count(">Ada Lovelace</a>") == 3, "two names of one person are one"
    assert "99 %" in newest
    assert "Bén Brown" not in page
    assert "Ada Lovelace" in most_seen


@pytest.mark.parametrize(("role", "leads"), [(Role.READER, False), (Role.REVIEWER, True)])
def test_an_empty_overview_leads_whoever_may_to_try_a_clip(sqlite_store: Store, role: Role, *, leads: bool) -> None:
    page = WebForTests(sqlite_store).browser(role).get("/").text.partition("<h1>Overview</h1>")[2]
    assert "Nothing is annotated yet" in page
    assert ('<a href="/try">try a clip</a>' in page) == leads


def test_an_unknown_name_suggests_near_ones(browser: Browser) -> None:
    page = browser.get("/search?person=Ada+Lovelase")
    assert page.status_code == 404
    assert '<a class="chip" href="?person=Ada%20Lovelace">' in page.text or "?person=Ada+Lovelace" in page.text


def test_the_list_of_people_suggests_near_names_where_none_begins_so(browser: Browser) -> None:
    assert '<a class="chip" href="?q=Ada%20Lovelace">' in browser.get("/people?q=lovelacce").text.replace("+", "%20")
    assert "Is one of these meant?" not in browser.get("/people?q=zzyzx").text


def test_a_media_is_shown_without_its_embeddings(sqlite_filled: Archive) -> None:
    ids = sqlite_filled.media
    with sqlite_filled.store.writing() as connection:
        connection.execute(delete(track_embeddings))
    page = WebForTests(sqlite_filled.store).browser(Role.READER).get(f"/media/{ids['ada']}")
    assert (page.status_code, "Ada Lovelace" in page.text) == (200, True)


@pytest.mark.parametrize(
    "query", ["min_confidence=high", "min_confidence=nan", "since=yesterday", "until=9999-12-31", "cursor=x"]
)
def test_what_cannot_be_asked_is_told(browser: Browser, query: str) -> None:
    page = browser.get(f"/search?person=ada+lovelace&{query}")
    assert page.status_code == 400
    assert "That cannot be" in page.text


def test_names_are_text_and_never_markup(sqlite_filled: Archive, browser: Browser) -> None:
    sqlite_filled.store.rename("Ada Lovelace", '<script src="x">Ada</script>')
    for path in ("/people", "/people/1", "/search?person=ada+lovelace"):
        assert "<script src=" not in browser.get(path).text.replace('<script src="/static/', "")
        assert "&lt;script" in browser.get(path).text


def test_a_media_shows_who_is_in_it_when_and_what_each_model_says(sqlite_filled: Archive) -> None:
    ids = sqlite_filled.media
    page = WebForTests(sqlite_filled.store).browser(Role.READER).get(f"/media/{ids['ada']}")
    assert page.status_code == 200
    for shown in ("Ada Lovelace", "60 %", "unknown", "track 1", "test@1", "<video"):
        assert shown in page.text


def test_a_page_and_its_player_tell_a_confidence_as_the_command_line_does(sqlite_store: Store) -> None:
    media_id = web_archive.fill(sqlite_store, ada_confidence=0.992)["ada"]
    page = WebForTests(sqlite_store).browser(Role.READER).get(f"/media/{media_id}").text
    lane = page.partition('class="lane-name"')[2].partition("</div>")[0]
    assert "&gt;99 %" in lane
    drawn = json.loads(unescape(page.partition('data-tracks="')[2].partition('"')[0]))
    assert [track["confidence"] for track in drawn] == [">99 %", None]


def test_a_person_leads_to_clips_and_to_whom_they_are_seen_with(browser: Browser) -> None:
    listed = browser.get("/people?q=ada").text
    assert "3 media" in listed
    page = browser.get(listed.partition('href="/people/')[2].partition('"')[0].join(["/people/", ""])).text
    assert "both.gif" in page
    assert "person=Ada+Lovelace&amp;person=B%C3%A9n+Brown" in page


def test_who_was_merged_leads_to_who_took_over(sqlite_filled: Archive, browser: Browser) -> None:
    ids = {one["name"]: one["person_id"] for one in browser.get("/api/v1/people").json()["items"]}
    sqlite_filled.store.merge("Bén Brown", "Ada Lovelace")
    answer = browser.get(f"/people/{ids['Bén Brown']}")
    assert answer.headers["location"] == f"/people/{ids['Ada Lovelace']}"


def test_a_media_is_sent_as_what_it_is_in_parts_too_and_only_to_who_is_logged_in(
    sqlite_store: Store, tmp_path: Path
) -> None:
    paths = [tmp_path / name for name in ("both.gif", "apart.gif", "ada.gif")]
    paths[0].write_bytes(gif_bytes([GifPart(flat(1)), GifPart(flat(2))]))
    paths[1].write_bytes(b"<html><script>alert(1)</script>")
    refs = tuple(MediaRef(path.name, path.as_uri(), None) for path in paths)
    ids = web_archive.fill(sqlite_store, media=refs)  # type: ignore[arg-type]
    web = WebForTests(sqlite_store)
    object.__setattr__(web.site, "reader", build_reader(web.site.settings))
    web.application = make_application(web.site)
    browser = web.browser(Role.READER)
    whole = browser.get(f"/media/{ids['both']}/file")
    assert (whole.headers["content-type"], whole.content) == ("image/gif", paths[0].read_bytes())
    assert "sandbox" in whole.headers["content-security-policy"]
    part = browser.get(f"/media/{ids['both']}/file", headers={"range": "bytes=0-5"})
    assert (part.status_code, part.content) == (206, paths[0].read_bytes()[:6])
    assert browser.get(f"/media/{ids['apart']}/file").status_code == 400
    assert browser.get(f"/media/{ids['ada']}/file").status_code == 410
    assert web.browser().get(f"/media/{ids['both']}/file").status_code == 303


@pytest.mark.parametrize("path", ["/login", "/", "/search?person=ada+lovelace", "/people"])
def test_a_page_is_small(browser: Browser, path: str) -> None:
    html = browser.get(path)
    linked = [part.partition('"')[0] for part in html.text.split('"/static/')[1:]]
    size = len(html.content) + sum(len(browser.get(f"/static/{one}").content) for one in set(linked))
    assert size < 60_000
