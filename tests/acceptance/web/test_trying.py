"""Media that people give to the real program: by a browser, with scripts and without, and by the docs' commands."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.browsers import open_chromium, watched
from tests.media_factory import GifPart, flat, gif_bytes
from tests.web_looks import LOOKS, insist_on_whole
from tests.web_process import ANNOTATOR, copy_database, environment, running

pytestmark = [pytest.mark.slow, pytest.mark.shared]
ROOT = Path(__file__).resolve().parents[3]
SECTION = (ROOT / "docs" / "web.md").read_text(encoding="utf-8").partition("## Trying media")[2].partition("\n## ")[0]
COMMANDS = re.findall(r"^    (curl .+)$", SECTION, re.MULTILINE)
RACHEL, FILM = "rachel-waiting.gif", "crowd_dinner.mp4"
LONG_MS = 120_000


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, with_networks: Callable[[Path], Path]) -> dict[str, str]:
    """The variable that lets programs share a cache."""
    return {"ANNOTATOR_CACHE_DIR": str(with_networks(tmp_path_factory.mktemp("cache")))}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, cache: dict[str, str]) -> Iterator[tuple[Any, str, Any]]:
    """A browser, the address of the running application, and what a session that is open keeps."""
    with open_chromium() as browser, running(tmp_path_factory.mktemp("web"), more=cache) as (_, address):
        context = browser.new_context()
        context.new_page().goto(address)
        yield browser, address.partition("/enter")[0], context.storage_state()


@pytest.fixture
def clips(shared_data: Path) -> Path:
    return shared_data / "clips"


class Program:
    """A program with a token that asks the API of a process."""

    def __init__(self, folder: Path, more: Mapping[str, str], *, token: str = "") -> None:
        self.folder = folder
        self.more = more
        self.address = ""
        self.token = token

    def make_account(self) -> None:
        for arguments, typed in (
            (("users", "add", "eve", "--role", "reviewer", "--password-stdin"), "twelve letters\n"),
            (("tokens", "add", "eve", "--role", "reviewer", "--for", "test"), ""),
        ):
            told = subprocess.run(
                [ANNOTATOR, "web", *arguments],
                input=typed,
                capture_output=True,
                text=True,
                check=True,
                env=environment(self.folder) | self.more,
                cwd=self.folder,
            )
            self.token = told.stdout.strip()

    def curl(self, *arguments: str) -> Any:
        """Send what is given, and return the answer."""
        command = ["curl", "-sS", "-H", f"Authorization: Bearer {self.token}", *arguments]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)

    def ask(self, path: str) -> Any:
        """Return what the API answers, without a process for it."""
        headers = {"Authorization": f"Bearer {self.token}"}
        asked = urllib.request.Request(f"{self.address}/api/v1{path}", headers=headers)  # noqa: S310 - ours
        with urllib.request.build_opener().open(asked, timeout=60) as answer:
            return json.load(answer)

    def give(self, path: Path) -> int:
        answer = self.curl("-F", f"file=@{path}", f"{self.address}/api/v1/annotate")
        return int(answer["items"][0]["job_id"])

    def wait(self, job_id: int, until: Callable[[Any], bool]) -> Any:
        until_s = time.monotonic() + LONG_MS / 1000
        while True:
            job = self.ask(f"/jobs/{job_id}")
            if until(job):
                return job
            assert time.monotonic() < until_s, job
            time.sleep(0.2)

    def wait_for_end(self, job_id: int) -> Any:
        return self.wait(job_id, lambda job: job["finished_at"] is not None)


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, cache: dict[str, str]) -> Program:
    """A program whose database has its account and its token, and nothing else."""
    made = Program(tmp_path_factory.mktemp("accounts"), cache)
    copy_database(sqlite_template, made.folder)
    made.make_account()
    return made


@pytest.fixture
def program(tmp_path: Path, accounts: Program) -> Program:
    copy_database(accounts.folder / "annotations.db", tmp_path)
    return Program(tmp_path, accounts.more, token=accounts.token)


def _only_child(pid: int) -> int:
    """Return the process that a process has started, in whichever of its threads."""
    tasks = Path(f"/proc/{pid}/task")
    (child,) = [child for task in tasks.iterdir() for child in (task / "children").read_text().split()]
    return int(child)


@pytest.mark.parametrize(("scheme", "width_px", "height_px"), LOOKS)
def test_the_page_is_whole_and_can_be_used_by_everybody(
    site: tuple[Any, str, Any], scheme: str, width_px: int, height_px: int
) -> None:
    browser, address, state = site
    viewport = {"width": width_px, "height": height_px}
    page = browser.new_context(viewport=viewport, color_scheme=scheme, storage_state=state).new_page()
    wrong = watched(page)
    page.goto(address + "/try")
    page.locator("input[name=url]").fill(f"http://127.0.0.1:9/{'long' * 40}.gif")
    page.keyboard.press("Enter")
    page.wait_for_selector(".warning:visible >> text=not public", timeout=LONG_MS)
    for path in ("/try", page.url.removeprefix(address)):
        page.goto(address + path, wait_until="networkidle")
        insist_on_whole(page, width_px, told=path)
    assert wrong == []


def test_files_are_chosen_and_followed_until_it_is_said_who_is_in_them(
    site: tuple[Any, str, Any], clips: Path, tmp_path: Path
) -> None:
    browser, address, state = site
    (tmp_path / "notes.txt").write_text("no media")
    page = browser.new_context(storage_state=state).new_page()
    wrong = watched(page)
    page.goto(address + "/try")
    page.set_input_files("input[type=file]", [clips / RACHEL, tmp_path / "notes.txt"])
    page.get_by_role("button", name="Who is it?").press("Enter")
    page.wait_for_selector(f".job.done >> text={RACHEL}", timeout=LONG_MS)
    assert "Jennifer Aniston" in page.locator(".job.done").first.inner_text()
    assert "is no picture or video" in page.locator(".job.failed").first.inner_text()
    page.get_by_role("link", name=RACHEL).first.click()
    page.wait_for_selector("[data-play][aria-pressed=true]")
    assert page.locator("h1").inner_text() == RACHEL
    assert page.get_by_role("link", name="Jennifer Aniston").first.is_visible()
    assert wrong == []


def test_without_scripts_a_page_loads_itself_again_until_it_leads_to_the_media(
    site: tuple[Any, str, Any], clips: Path
) -> None:
    browser, address, state = site
    page = browser.new_context(storage_state=state, java_script_enabled=False).new_page()
    page.goto(address + "/try")
    page.set_input_files("input[type=file]", clips / "moss.gif")
    page.get_by_role("button", name="Who is it?").click()
    page.wait_for_url("**/media/*", timeout=LONG_MS)
    assert page.locator("h1").inner_text() == "moss.gif"


def test_one_request_tells_of_all_that_wait_and_the_server_says_when_to_come_again(site: tuple[Any, str, Any]) -> None:
    browser, address, state = site
    page = browser.new_context(storage_state=state).new_page()
    asked: list[str] = []
    page.goto(address + "/try")
    items = [{"job_id": number, "state": "waiting", "words": "Waiting.", "media_id": None} for number in range(20)]

    def answer(route: Any) -> None:
        asked.append(route.request.url.removeprefix(address))
        is_too_often = len(asked) == 3
        headers = {"Retry-After": "60"} if is_too_often else {}
        route.fulfill(status=429 if is_too_often else 200, json={"items": items}, headers=headers)

    page.route("**/api/v1/jobs**", answer)
    page.evaluate(
        """() => {
            const list = document.createElement("ul");
            list.dataset.jobs = "/api/v1/jobs?limit=20";
            for (let number = 0; number < 20; number += 1) {
                const job = document.createElement("li");
                job.dataset.jobId = number;
                const words = document.createElement("span");
                words.dataset.words = "";
                job.append(words);
                list.append(job);
            }
            document.querySelector("main").append(list);
            followingAll(list);
        }"""
    )
    page.wait_for_selector("[data-job-id='19'] >> text=Waiting.")
    page.wait_for_event("response", lambda response: response.status == 429)
    page.wait_for_timeout(2500)
    assert asked == ["/api/v1/jobs?limit=20"] * 3


def test_what_is_too_large_is_refused_before_it_is_sent(site: tuple[Any, str, Any], tmp_path: Path) -> None:
    browser, address, state = site
    with (tmp_path / "film.mp4").open("wb") as file:
        file.truncate(201 * 1024**2)
    page = browser.new_context(storage_state=state).new_page()
    page.goto(address + "/try")
    page.set_input_files("input[type=file]", tmp_path / "film.mp4")
    page.get_by_role("button", name="Who is it?").click()
    assert "film.mp4 is too large" in page.locator("[data-refused]").inner_text()


def test_the_commands_of_the_docs_annotate(
    program: Program, cache: dict[str, str], clips: Path, tmp_path: Path
) -> None:
    served = tmp_path / "served"
    served.mkdir()
    shutil.copy(clips / RACHEL, served / "clip.gif")
    shutil.copy(clips / "moss.gif", tmp_path / "clip.gif")
    shutil.copy(clips / FILM, tmp_path / "film.mp4")
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    more = cache | {"ANNOTATOR_WEB__ALLOW_PRIVATE_ADDRESSES": "true"}
    with running(tmp_path, more=more) as (_, address):
        program.address = address
        answers = []
        for command in COMMANDS:
            asked = command.replace("http://127.0.0.1:8765", address)
            asked = asked.replace("https://example.org", f"http://127.0.0.1:{server.server_port}")
            told = subprocess.run(
                ["/bin/bash", "-c", asked.replace("curl ", "curl -sS ")],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
                cwd=tmp_path,
                env=environment(tmp_path) | {"TOKEN": program.token},
            )
            answers.append(json.loads(told.stdout))
        files, by_address, one = answers
        assert [job["name"] for job in files["items"]] == ["clip.gif", "film.mp4"]
        assert one["job_id"] == 1
        done = [program.wait_for_end(job["job_id"]) for job in files["items"] + by_address["items"]]
        assert [job["state"] for job in done] == ["done"] * 3
        media = program.ask(f"/media/{done[2]['media_id']}")
        assert [person["name"] for person in media["people"]] == ["Jennifer Aniston"]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_begun_when_the_program_ended_is_done_by_the_next_one(
    program: Program, cache: dict[str, str], clips: Path, number: signal.Signals
) -> None:
    with running(program.folder, more=cache) as (process, program.address):
        job_id = program.give(clips / FILM)
        program.wait(job_id, lambda job: job["stage"] == "looking")
        process.send_signal(number)
        process.wait(timeout=30)
    with running(program.folder, more=cache) as (_, program.address):
        assert program.wait_for_end(job_id)["state"] == "done"


def test_what_waits_for_a_model_is_done_by_the_next_program_that_can_load_it(
    program: Program, cache: dict[str, str], clips: Path
) -> None:
    with running(program.folder, more=cache | {"ANNOTATOR_MODEL": "nobody@1"}) as (_, program.address):
        job_id = program.give(clips / RACHEL)
        job = program.wait(job_id, lambda job: job["message"] is not None)
        assert (job["state"], job["reason"]) == ("waiting", None)
        assert "the model of this server cannot be loaded" in job["words"]
    with running(program.folder, more=cache) as (_, program.address):
        assert program.wait_for_end(job_id)["state"] == "done"


def test_a_media_that_takes_too_long_is_told(program: Program, cache: dict[str, str], clips: Path) -> None:
    with running(program.folder, more=cache, job_timeout_s="0.2") as (_, program.address):
        for _ in range(2):  # the next one is tried, too
            job = program.wait_for_end(program.give(clips / FILM))
            assert (job["state"], job["reason"]) == ("failed", "decode_timeout")
            assert "the limit here is 0.2 s" in job["message"]


def test_what_ends_the_process_that_annotates_leaves_pages_and_other_media_alone(
    program: Program, cache: dict[str, str], tmp_path: Path, clips: Path
) -> None:
    (tmp_path / "plain.gif").write_bytes(gif_bytes([GifPart(flat(1, 40, 40), delay_cs=10)], size_wh=(40, 40)))
    with running(program.folder, more=cache) as (process, program.address):
        film, plain = program.give(clips / FILM), program.give(tmp_path / "plain.gif")
        for _ in range(2):
            program.wait(film, lambda job: job["stage"] == "looking")
            os.kill(_only_child(process.pid), signal.SIGKILL)
            program.wait(film, lambda job: job["stage"] != "looking")
        assert program.wait_for_end(film)["reason"] == "crashed"
        assert program.wait_for_end(plain)["state"] == "done"


@pytest.mark.servers
def test_it_is_the_same_on_postgres(
    make_database: Callable[..., str], cache: dict[str, str], tmp_path: Path, clips: Path
) -> None:
    more = cache | {"ANNOTATOR_DATABASE_URL": make_database("postgres")}
    program = Program(tmp_path, more)
    program.make_account()
    with running(tmp_path, more=more) as (_, program.address):
        job = program.wait_for_end(program.give(clips / RACHEL))
        assert job["state"] == "done"
        assert job["words"].startswith("Jennifer Aniston")


def test_whom_people_enroll_counts_from_the_next_media_on(program: Program, clips: Path, shared_data: Path) -> None:
    photograph = next((shared_data / "people" / "known" / "Alex_Lacamoire").iterdir())
    enroll = [ANNOTATOR, "enroll", "Alex Lacamoire", photograph]
    with running(program.folder, more=program.more) as (_, program.address):
        models = []
        for name in ("moss.gif", RACHEL):
            job = program.wait_for_end(program.give(clips / name))
            models.append(program.ask(f"/media/{job['media_id']}")["model"])
            subprocess.run(enroll, check=True, capture_output=True, env=environment(program.folder) | program.more)
    assert models[0] == "starter@1"
    assert models[1].startswith("starter@1+")
