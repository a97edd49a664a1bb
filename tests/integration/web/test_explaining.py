"""Why these names, as a page and as JSON: what comes of the process that looks at the media again."""

import os
import sys
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

import pytest

from annotator.explaining.style import POLICY
from annotator.store import Store
from annotator.store.web.accounts import Role
from annotator.web.application import make_application
from annotator.web.errands import Errand
from annotator.web.errors import WebError
from tests import web_modelled
from tests.web_client import Browser
from tests.web_modelled import CLIP

TELLS = """
import json, sys
given = json.loads(sys.stdin.readline())
print(json.dumps({"page": f"<p>{given['media']}</p>", "explanation": {"model": given["settings"]["model"]}}))
"""
FAILS = """
import json
print(json.dumps({"failure": "The media is gone."}))
"""
ENDS = "raise SystemExit('postgres://host is away')"
HANGS = "import time; time.sleep(60)"


@pytest.fixture
def media_id(sqlite_store: Store, tmp_path: Path) -> int:
    return web_modelled.fill(sqlite_store, tmp_path / "model")[CLIP]


def browser_with(store: Store, folder: Path, program: str | None, *, lasts_s: float = 20.0) -> Browser:
    """Return a reader's browser of an application that starts a program to explain."""
    web = web_modelled.web_with(store, folder / "model")
    if program is not None:
        explaining = Errand((sys.executable, "-c", program), {}, os.environ, answers_within_s=lasts_s, waits_s=0.05)
        web.site = replace(web.site, explaining=explaining)
        web.application = make_application(web.site)
    return web.browser(Role.READER)


def test_the_page_is_of_no_origin_and_runs_nothing(sqlite_store: Store, tmp_path: Path, media_id: int) -> None:
    browser = browser_with(sqlite_store, tmp_path, TELLS)
    assert f'href="/media/{media_id}/explanation"' in browser.get(f"/media/{media_id}").text
    answer = browser.get(f"/media/{media_id}/explanation")
    assert (answer.status_code, answer.text) == (200, f"<p>{CLIP}</p>")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith(POLICY)
    assert policy.endswith("sandbox")
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"


def test_programs_get_the_explanation_by_the_model_of_the_names(
    sqlite_store: Store, tmp_path: Path, media_id: int
) -> None:
    told = browser_with(sqlite_store, tmp_path, TELLS).get(f"/api/v1/media/{media_id}/explanation")
    assert told.json() == {"model": str(tmp_path / "model")}


@pytest.mark.parametrize(
    ("program", "status", "words"),
    [(FAILS, 400, "The media is gone."), (ENDS, 500, "the log"), (HANGS, 503, "too long"), (None, 404, "model")],
)
def test_what_goes_wrong_is_told_without_where_the_database_is(  # noqa: PLR0917 - what is varied
    sqlite_store: Store, tmp_path: Path, media_id: int, program: str | None, status: int, words: str
) -> None:
    answer = browser_with(sqlite_store, tmp_path, program, lasts_s=1.0).get(f"/media/{media_id}/explanation")
    assert answer.status_code == status
    assert words in answer.text
    assert "postgres://" not in answer.text


def test_one_media_is_explained_at_a_time(tmp_path: Path) -> None:
    began, may_end = tmp_path / "began", tmp_path / "may end"
    for pipe in (began, may_end):
        os.mkfifo(pipe)
    program = f"open({str(began)!r}, 'w').close(); open({str(may_end)!r}).read()\n{TELLS}"
    explaining = Errand((sys.executable, "-c", program), {}, os.environ, waits_s=0.05)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(explaining.run, model="", media=CLIP)
        began.read_text()  # waits until the program is there
        with pytest.raises(WebError, match="Another one") as refused:
            explaining.run(model="", media=CLIP)
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "30"})
        may_end.write_text("")
        assert CLIP in first.result()["page"]


def test_one_more_waits_for_the_one_under_way_and_others_are_refused_at_once(tmp_path: Path) -> None:
    """Who asks for many explanations holds no more threads than two: the others bring pictures and media."""
    began, may_end = tmp_path / "began", tmp_path / "may end"
    for pipe in (began, may_end):
        os.mkfifo(pipe)
    program = f"open({str(began)!r}, 'w').close(); open({str(may_end)!r}).read()\n{TELLS}"
    explaining = Errand((sys.executable, "-c", program), {}, os.environ, waits_s=600)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(explaining.run, model="", media=CLIP)
        began.read_text()
        others = [pool.submit(explaining.run, model="", media=CLIP) for _ in range(2)]
        refused, waiting = wait(others, timeout=60, return_when=FIRST_COMPLETED)
        with pytest.raises(WebError, match="Another one"):
            refused.pop().result()
        may_end.write_text("")
        assert CLIP in first.result()["page"]
        began.read_text()
        may_end.write_text("")
        assert CLIP in waiting.pop().result()["page"]
