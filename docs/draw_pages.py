"""Draw the pictures of docs/web.md: of clips of ``annotator demo``, whose portraits are in the public domain.

    python docs/draw_pages.py        # into docs/images/web; needs a Chromium, as the tests in a browser do

It makes the demo in a temporary folder, starts ``annotator web`` on it, and opens each page as a person would.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
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


def main() -> None:
    """Draw all."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([ANNOTATOR, "demo", folder], check=True)
        environment = os.environ | {
            "ANNOTATOR_DATABASE_URL": f"sqlite:///{folder / 'annotations.db'}",
            "ANNOTATOR_DATA_DIR": str(folder / "data"),
        }
        draw_small(folder / "clips" / "astronaut.gif", folder / "small" / "from afar.gif")
        subprocess.run([ANNOTATOR, "annotate", folder / "small"], check=True, env=environment)
        subprocess.run([ANNOTATOR, "space", "build"], check=True, env=environment)
        address_file = folder / "address"
        command = [ANNOTATOR, "web", "--port", "0", "--address-file", address_file]
        process = subprocess.Popen(command, env=environment)
        try:
            while not address_file.is_file():
                if process.poll() is not None:
                    raise SystemExit("annotator web has ended")
            draw(address_file.read_text().strip(), folder)
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
    target.parent.mkdir()
    cv2.imwriteanimation(str(target), small)


def draw(address: str, folder: Path) -> None:
    """Open each page and keep its picture."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--use-gl=swiftshader"])
        width, height = SIZE_WH
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(address)
        site = address.partition("/enter")[0]
        for name, steps in pages(folder).items():
            steps(page, site)
            keep(page, name)
        browser.close()


def pages(folder: Path) -> dict[str, Callable[[Any, str], None]]:
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

    def review(page: Any, site: str) -> None:  # noqa: ANN401
        page.goto(f"{site}/review", wait_until="networkidle")

    def space(page: Any, site: str) -> None:  # noqa: ANN401
        page.goto(f"{site}/space")
        page.wait_for_selector("#space[data-state=drawn]")
        page.wait_for_timeout(1000)

    return {
        "try": try_page,
        "search": search,
        "media": media,
        "person": person,
        "review": review,
        "space": space,
    }


def keep(page: Any, name: str) -> None:  # noqa: ANN401 - Playwright's page
    """Write a picture of the window."""
    picture = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    path = PICTURES / f"{name}.jpg"
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
