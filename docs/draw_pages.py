"""Draw the pictures of docs/web.md: of clips of ``annotator demo``, whose portraits are in the public domain.

    python docs/draw_pages.py                     # into docs/images/web; needs a Chromium, as the tests in a browser do
    python docs/draw_pages.py --only search,people

It makes the demo in a temporary folder, starts ``annotator web`` on it, and opens each page as a person would. The
stranger is the astronaut, in an archive of the same clips in which nobody has enrolled her. Last of all, she is taken
down.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

ROOT: Final = Path(__file__).resolve().parents[1]
PICTURES: Final = ROOT / "docs" / "images" / "web"
ANNOTATOR: Final = Path(sys.executable).with_name("annotator")
SIZE_WH: Final = (1280, 800)
SMALL_PX: Final = 130  # so wide is a clip in which a name is not sure
QUALITY: Final = 80  # of JPEG
ASTRONAUT: Final = "Eileen Collins"
PATIENCE_MS: Final = 120_000
Steps = Mapping[str, Callable[[Any, str], None]]


def main() -> None:
    """Draw all, or those that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of pictures, by commas")
    only = parser.parse_args().only
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archives = (
            (pages(folder), make_archive),
            (pages_of_strangers(), make_archive_of_strangers),
            (pages_of_takedown(), make_archive_of_takedown),
        )
        for steps, make in archives:
            wanted = [one for one in steps if only is None or one in only.split(",")]
            if wanted:
                with running(make(folder), folder) as address:
                    draw(address, steps, wanted)


def make_archive(folder: Path) -> dict[str, str]:
    """Make the demo, with a clip in which a name is not sure and a file that is broken; return its environment."""
    subprocess.run([ANNOTATOR, "demo", folder], check=True)
    environment = environment_of(folder, "annotations.db")
    clips = folder / "clips"
    draw_small(clips / "astronaut.gif", folder / "more" / "from afar.gif")
    (folder / "more" / "download.gif").write_bytes((clips / "pan.gif").read_bytes()[:500])
    # It says that one of them failed.
    subprocess.run([ANNOTATOR, "annotate", folder / "more"], check=False, env=environment)
    subprocess.run([ANNOTATOR, "space", "build"], check=True, env=environment)
    return environment


def make_archive_of_strangers(folder: Path) -> dict[str, str]:
    """Annotate the clips in which nobody knows the astronaut, and group who is not known; return the environment."""
    if not (folder / "clips").is_dir():
        make_archive(folder)
    environment = environment_of(folder, "strangers.db")
    subprocess.run([ANNOTATOR, "annotate", folder / "clips"], check=True, env=environment)
    subprocess.run([ANNOTATOR, "strangers", "group"], check=True, env=environment)
    return environment


def make_archive_of_takedown(folder: Path) -> dict[str, str]:
    """Make the demo where it is not made yet; return the environment, whose cache is its own: a takedown empties it."""
    if not (folder / "annotations.db").is_file():
        make_archive(folder)
    return environment_of(folder, "annotations.db") | {"ANNOTATOR_CACHE_DIR": str(folder / "cache")}


def environment_of(folder: Path, database: str) -> dict[str, str]:
    """Return the environment of programs that use a database in the folder."""
    return os.environ | {
        "ANNOTATOR_DATABASE_URL": f"sqlite:///{folder / database}",
        "ANNOTATOR_DATA_DIR": str(folder / "data"),
    }


@contextmanager
def running(environment: dict[str, str], folder: Path) -> Iterator[str]:
    """Run the web application; give the address that opens it."""
    address_file = folder / "address"
    address_file.unlink(missing_ok=True)
    process = subprocess.Popen([ANNOTATOR, "web", "--port", "0", "--address-file", address_file], env=environment)
    try:
        while not address_file.is_file():
            if process.poll() is not None:
                raise SystemExit("annotator web has ended")
            time.sleep(0.1)
        yield address_file.read_text().strip()
    finally:
        process.terminate()
        process.wait()


def draw_small(source: Path, target: Path) -> None:
    """Draw a GIF again, small and a little blurred."""
    _, clip = cv2.imreadanimation(str(source))
    small = cv2.Animation()
    small.durations = clip.durations
    small.frames = [
        cv2.GaussianBlur(
            cv2.resize(frame, (SMALL_PX, SMALL_PX * len(frame) // frame.shape[1]), interpolation=cv2.INTER_AREA),
            (0, 0),
            0.8,
        )
        for frame in clip.frames
    ]
    target.parent.mkdir(exist_ok=True)
    cv2.imwriteanimation(str(target), small)


def draw(address: str, steps: Steps, wanted: Collection[str]) -> None:
    """Open each page and keep its picture."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--use-gl=swiftshader"])
        width, height = SIZE_WH
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(address)
        site = address.partition("/enter")[0]
        for name in wanted:
            steps[name](page, site)
            keep(page, name)
        browser.close()


def pages(folder: Path) -> Steps:
    """Return how somebody comes to each page, by the name of its picture."""

    def try_page(page: Any, site: str) -> None:  # noqa: ANN401 - Playwright's page
        page.goto(f"{site}/try")
        page.set_input_files("input[type=file]", folder / "clips" / "two_people.gif")

    def search(page: Any, site: str) -> None:  # noqa: ANN401
        page.goto(f"{site}/search?person=Barack+Obama&person=Joe+Biden&in_one_shot=1", wait_until="networkidle")

    def media(page: Any, site: str) -> None:  # noqa: ANN401
        page.goto(f"{site}/search?person=Eileen+Collins&person=Joe+Biden", wait_until="networkidle")
        page.click(".clip a >> nth=0")
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(1500)

    def person(page: Any, site: str) -> None:  # noqa: ANN401
        page.goto(f"{site}/search?person=Joe+Biden", wait_until="networkidle")
        page.click("a[href*='/people/'] >> nth=0")
        page.wait_for_load_state("networkidle")

    def tracks(page: Any, site: str) -> None:  # noqa: ANN401
        media(page, site)
        page.click(".track summary >> nth=0")
        page.evaluate(
            "document.querySelector('.tracks').previousElementSibling.previousElementSibling.scrollIntoView()"
        )
        page.wait_for_load_state("networkidle")

    def review(page: Any, site: str) -> None:  # noqa: ANN401
        page.goto(f"{site}/review", wait_until="networkidle")

    def space(page: Any, site: str) -> None:  # noqa: ANN401
        page.goto(f"{site}/space")
        page.wait_for_selector("#space[data-state=drawn]")
        page.wait_for_timeout(1000)

    def what_a_model_changes(page: Any, site: str) -> None:  # noqa: ANN401
        page.goto(f"{site}/operation/models", wait_until="networkidle")
        page.get_by_role("link", name="What would change").click()
        page.wait_for_load_state("networkidle")

    return {
        "overview": visiting("/"),
        "try": try_page,
        "search": search,
        "media": media,
        "tracks": tracks,
        "people": visiting("/people"),
        "person": person,
        "review": review,
        "space": space,
        "operation": visiting("/operation"),
        "model": what_a_model_changes,
    }


def pages_of_strangers() -> Steps:
    """Return how somebody comes to the page of a stranger."""

    def stranger(page: Any, site: str) -> None:  # noqa: ANN401
        page.goto(f"{site}/strangers", wait_until="networkidle")
        page.click("main a[href^='/strangers/'] >> nth=0")
        page.wait_for_load_state("networkidle")

    return {"stranger": stranger}


def pages_of_takedown() -> Steps:
    """Return how an admin comes to what a takedown would take away, and to what became of it."""

    def dry_run(page: Any, site: str) -> None:  # noqa: ANN401
        page.goto(f"{site}/search?person={ASTRONAUT.replace(' ', '+')}", wait_until="networkidle")
        page.get_by_role("link", name=ASTRONAUT, exact=True).first.click()
        page.get_by_role("link", name="Take this person down…").click()
        page.get_by_role("heading", name="What goes").wait_for(timeout=PATIENCE_MS)

    def report(page: Any, site: str) -> None:  # noqa: ANN401
        dry_run(page, site)
        page.get_by_label("Type the name").fill(ASTRONAUT)
        page.get_by_role("button", name="Take down for good").click()
        page.wait_for_url("**/takedowns**")
        if not page.url.endswith("/1"):  # its number did not come within seconds
            page.get_by_role("link", name="Takedown 1").click(timeout=PATIENCE_MS)
        page.get_by_text("Done. The person is not known any more").wait_for(timeout=PATIENCE_MS)

    return {"takedown": dry_run, "takedown_report": report}


def visiting(path: str) -> Callable[[Any, str], None]:
    """Return the steps to a page that is shown as it comes."""
    return lambda page, site: page.goto(site + path, wait_until="networkidle")


def keep(page: Any, name: str) -> None:  # noqa: ANN401 - Playwright's page
    """Write a picture of the window."""
    picture = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    path = PICTURES / f"{name}.jpg"
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
