"""What somebody does who has just installed it: one walk through the pages, over the servers of `annotator up`."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browsers import open_chromium, watched
from tests.web_process import ANNOTATOR

pytestmark = [pytest.mark.slow, pytest.mark.shared, pytest.mark.servers]
PATIENCE_MS = 180_000
STRANGER = "Eileen Collins"  # whoever is taken down goes from the packaged model, too: it does not know her


@pytest.fixture
def stack(tmp_path: Path, with_networks: Callable[[Path], Path]) -> Iterator[tuple[dict[str, str], str]]:
    """The environment of `annotator up`, and its address."""
    environment = {
        "PATH": f"{ANNOTATOR.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "ANNOTATOR_WEB__PORT": "0",
        "ANNOTATOR_CACHE_DIR": str(with_networks(tmp_path / "cache")),
    }
    log = tmp_path / "up.log"
    with log.open("w") as said:
        up = subprocess.Popen(
            [ANNOTATOR, "up", "--data-dir", tmp_path / "stack"],
            env=environment,
            cwd=tmp_path,
            stderr=said,
            start_new_session=True,
        )
    try:
        until_s = time.monotonic() + PATIENCE_MS / 1000
        exports = tmp_path / "stack" / "environment"
        while "Ctrl-C stops everything" not in log.read_text():  # the last that it says
            assert up.poll() is None, log.read_text()
            assert time.monotonic() < until_s, log.read_text()
            time.sleep(0.2)
        environment |= dict(re.findall(r"^export (\w+)=(\S+)$", exports.read_text(), re.MULTILINE))
        address = (tmp_path / "stack" / "web.address").read_text().strip()
        assert address in log.read_text()
        yield environment, address
    finally:
        up.send_signal(signal.SIGINT)
        try:
            up.wait(timeout=60)
        except subprocess.TimeoutExpired:
            up.terminate()
            up.wait(timeout=60)
            raise


def annotator(*arguments: str, environment: dict[str, str]) -> str:
    """Run a command in another terminal."""
    done = subprocess.run(
        [ANNOTATOR, *arguments], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_that_is_promised_is_done_in_one_walk(stack: tuple[dict[str, str], str], clips: Path) -> None:
    environment, entrance = stack
    address = entrance.partition("/enter")[0]
    with open_chromium(["--use-gl=angle", "--use-angle=swiftshader"]) as browser:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(PATIENCE_MS)
        wrong = watched(page)
        page.goto(entrance)
        media = give(page, address, [clips / name for name in ("astronaut.gif", "two_people.gif", "three_shots.mp4")])

        name(page, media["astronaut.gif"], "Name", STRANGER, is_new=True)
        page.goto(f"{address}/search?person=Barack+Obama&person=Joe+Biden&in_one_shot=1")
        assert page.locator(".clip .title").all_inner_texts() == ["two_people.gif"], page.locator("main").inner_text()

        page.goto(media["three_shots.mp4"])
        biden = page.locator(".track", has=page.get_by_role("heading", name="Joe Biden", exact=True))
        track = str(biden.get_attribute("id"))
        name(page, media["three_shots.mp4"], "Correct", STRANGER, track=track)
        page.locator(f"#{track} summary").click()
        page.locator(f"#{track}").get_by_role("button", name="Let it count as evidence").click()
        page.get_by_text("counts as").first.wait_for()
        annotator("relabel", "--activate", environment=environment)
        page.goto(media["three_shots.mp4"])
        assert page.locator(f"#{track} h3").inner_text() == STRANGER

        assert STRANGER in played_captions(page)
        with page.expect_download() as download:
            page.get_by_role("link", name="WebVTT").click()
        assert Path(download.value.path()).read_text(encoding="utf-8").startswith("WEBVTT")

        take_down(page, address, STRANGER)
        assert "annotator relabel --activate" in page.locator("main").inner_text()
        annotator("relabel", "--activate", environment=environment)
        page.goto(f"{address}/search?person={STRANGER}")
        assert page.locator(".clip").count() == 0
        page.get_by_text(f"Nobody is called «{STRANGER}»").wait_for()

        page.goto(f"{address}/space")
        page.get_by_role("button", name="Build the map").click()
        assert is_turned_by_the_mouse(page)
        assert [one for one in wrong if "404" not in one] == []


def give(page: Any, address: str, paths: list[Path]) -> dict[str, str]:
    """Drop files on the page; return the address of each media, by its name."""
    page.goto(f"{address}/try")
    page.set_input_files("input[type=file]", paths)
    page.get_by_role("button", name="Who is it?").click()
    found = {}
    for path in paths:
        link = page.locator(".job.done").get_by_role("link", name=path.name).first
        link.wait_for()
        found[path.name] = address + link.get_attribute("href")
    return found


def name(page: Any, media: str, verb: str, who: str, *, track: str = "track-0", is_new: bool = False) -> None:
    """Say of a track who it is, on the page of its media."""
    page.goto(media)
    page.locator(f"#{track}").get_by_text(f"{verb} track").click()
    page.locator(f"#{track} input[name=is]").fill(who)
    page.keyboard.press("Enter")
    if is_new:
        page.get_by_role("button", name=f"It is {who}, who is new here").click()
    page.get_by_text(f"is {who} now.").wait_for()


def played_captions(page: Any) -> str:
    """Play a film, and return what its captions say while it plays."""
    return str(
        page.evaluate(
            """() => new Promise((done, failed) => {
                const video = document.querySelector("video.shown");
                const captions = video.textTracks[0];
                captions.mode = "showing";
                const said = new Set();
                captions.addEventListener("cuechange", () => {
                    for (const cue of captions.activeCues) said.add(cue.text);
                });
                video.loop = false;
                video.addEventListener("ended", () => done([...said].join("; ")));
                video.playbackRate = 4;
                video.play().catch(failed);
            })"""
        )
    )


def take_down(page: Any, address: str, who: str) -> None:
    """Have a person taken down from the person's page."""
    page.goto(f"{address}/people?q={who}")
    page.get_by_role("link", name=who).first.click()
    page.get_by_role("link", name="Take this person down…").click()
    page.get_by_role("heading", name="What goes").wait_for()
    page.get_by_label("Type the name").fill(who)
    page.keyboard.press("Enter")
    page.wait_for_url("**/takedowns**")
    if not page.url.endswith("/1"):
        page.get_by_role("link", name="Takedown 1").click()
    page.get_by_text("Done. The person is not known any more").wait_for()


def is_turned_by_the_mouse(page: Any) -> bool:
    """Say whether the space looks otherwise after it was drawn with the mouse."""
    canvas = page.locator("canvas").first
    canvas.wait_for()
    page.wait_for_load_state("networkidle")
    box = canvas.bounding_box()
    before = canvas.screenshot()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 200, middle[1] + 60, steps=5)
    page.mouse.up()
    page.mouse.move(1, 1)
    return bool(canvas.screenshot() != before)
