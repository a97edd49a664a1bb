"""How many frames a second the page Space draws while somebody turns it: a real Chromium, 2,306 people, 50,000 faces.

    python benchmarks/space_frames.py                      # software rendering, 1280 x 800
    python benchmarks/space_frames.py --gpu                # by the GPU of the machine; it says which one drew
    python benchmarks/space_frames.py --people 500 --faces 5000 --ratio 2

It makes a map of made-up people in the format of the page, runs ``annotator web`` over it as a process of its own, and
drags with the mouse. Printed are the bytes of the map, what share of the faces the page draws while it is turned, and
of the frames that were drawn the rate, the median time from one to the next and that of the slowest 5 %, as
``requestAnimationFrame`` tells, with the processor time that a frame took in the page and in the process that draws:
this does not depend on what else the machine does. It needs Chromium, as the tests of pages do.
"""

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from playwright.sync_api import Browser, CDPSession, Page, ViewportSize

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # browser and application are run as by the tests

from annotator.space.files import map_path, write_map
from annotator.space.placing import ALIKE, SpaceMap
from annotator.store import Store
from annotator.store.identities import ids_of
from annotator.types import Identity
from tests.browsers import open_chromium
from tests.store_values import SPEC
from tests.web_process import running

SOFTWARE: Final = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
GPU: Final = ("--use-gl=angle", "--use-angle=gl-egl", "--enable-gpu", "--ignore-gpu-blocklist")
NAMED: Final = 0.6  # of the faces
SPREAD: Final = 0.25  # of people, about the middle: one in ten thousand is beyond 1

# When a frame began in which something was drawn, and of how many points.
WATCH: Final = """
(() => {
  window.drawn = [];
  let points = 0;
  const prototype = WebGL2RenderingContext.prototype;
  const draw = prototype.drawArrays;
  prototype.drawArrays = function (mode, first, count) {
    points += count;
    return draw.call(this, mode, first, count);
  };
  const ask = window.requestAnimationFrame.bind(window);
  const each = (time) => {
    if (points) window.drawn.push([time, points]);
    points = 0;
    ask(each);
  };
  ask(each);
})();
"""


@dataclass(frozen=True, slots=True)
class Turned:
    """What was seen while the page was turned.

    Attributes:
        times_ms: from one drawn frame to the next.
        points: drawn in a frame, at the median.
        page_ms: processor time of a frame in the process of the page.
        drawing_ms: the same in the process that draws for it.

    """

    times_ms: list[float]
    points: int
    page_ms: float
    drawing_ms: float


def main() -> None:
    """Make a map, open it, turn it, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=2306)
    parser.add_argument("--faces", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=10, help="of the drag")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=800)
    parser.add_argument("--ratio", type=float, default=1, help="pixels of the screen for one of the page")
    parser.add_argument("--gpu", action="store_true", help="draw by the GPU")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keep_made_up_map(folder, people=chosen.people, faces=chosen.faces)
        flags = GPU if chosen.gpu else SOFTWARE
        with open_chromium(flags) as browser, running(folder) as (_, address):
            size = ViewportSize(width=chosen.width, height=chosen.height)
            page = browser.new_page(viewport=size, device_scale_factor=chosen.ratio)
            page.add_init_script(WATCH)
            page.goto(address)
            with page.expect_response("**/space/points") as points:
                page.goto(address.partition("/enter")[0] + "/space")
            print(f"the map: {len(points.value.body()):,} bytes")
            page.wait_for_selector("#space[data-state=drawn]")
            print(f"drawn by {page.evaluate(RENDERER)}; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
            report(turn(browser, page, seconds=chosen.seconds), of=chosen.people + chosen.faces)


RENDERER: Final = """
(() => {
  const gl = document.createElement("canvas").getContext("webgl2");
  return gl.getParameter(gl.getExtension("WEBGL_debug_renderer_info").UNMASKED_RENDERER_WEBGL);
})()
"""


def keep_made_up_map(folder: Path, *, people: int, faces: int) -> None:
    """Let a database name people, and keep a map of them and of faces around them.

    Args:
        folder: keeps data and cache of the application.
        people: how many.
        faces: how many, some of them of nobody.

    """
    random = np.random.default_rng(1)
    names = {Identity(f"Person {number}"): 5 for number in range(people)}
    with Store.open(f"sqlite:///{folder / 'annotations.db'}") as store:
        store.register_labelling(store.register_network(SPEC), model="made-up@1", digest="d", photographs=names)
        with store.reading() as connection:
            known = ids_of(connection, [one.name for one in names])
            ids = np.array([known[one.name] for one in names], np.int64)
            path = map_path(folder / "cache", connection, 1)
    named = round(NAMED * faces)
    places = random.normal(0, SPREAD, (people, 3)).astype(np.float32)
    whose = random.integers(0, people, named)
    around = places[whose] + random.normal(0, 0.06, (named, 3)).astype(np.float32)
    space = SpaceMap(
        model="made-up@1",
        made_at=datetime.now(UTC),
        explained=np.array([0.05, 0.04, 0.03]),
        identity_id=ids,
        photographs=np.full(people, 5, np.int64),
        people_xyz=places,
        alike=random.integers(0, people, (people, ALIKE), np.int32),
        alike_cosine=random.uniform(0.2, 0.6, (people, ALIKE)).astype(np.float32),
        named_xyz=around,
        named_id=ids[whose],
        unnamed_xyz=random.normal(0, 0.2, (faces - named, 3)).astype(np.float32),
    )
    write_map(path, space)


def turn(browser: Browser, page: Page, *, seconds: float) -> Turned:
    """Drag with the mouse, to and fro, and return what was drawn meanwhile.

    Args:
        browser: of Playwright.
        page: that shows the map.
        seconds: how long.

    """
    box = page.locator("#space-points").bounding_box()
    if box is None:
        raise SystemExit("the map is not to be seen")
    left, top = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    system = browser.new_browser_cdp_session()
    page.mouse.move(left, top)
    page.mouse.down()
    page.evaluate("window.drawn.length = 0")
    before, began = processor_s(system), time.monotonic()
    step = 0
    while time.monotonic() - began < seconds:
        step += 1
        page.mouse.move(left + 200 * np.sin(step / 40), top + 60 * np.sin(step / 25))
    drawn = page.evaluate("window.drawn")
    spent = {kind: after - before[kind] for kind, after in processor_s(system).items()}
    page.mouse.up()
    times = [frame[0] for frame in drawn]
    frames = len(drawn)
    return Turned(
        [after - earlier for earlier, after in itertools.pairwise(times)],
        round(statistics.median(frame[1] for frame in drawn)),
        1000 * spent["renderer"] / frames,
        1000 * spent["GPU"] / frames,
    )


def processor_s(system: CDPSession) -> dict[str, float]:
    """Return the processor time of the browser's processes so far, in seconds, by kind."""
    spent = {"renderer": 0.0, "GPU": 0.0}
    for one in system.send("SystemInfo.getProcessInfo")["processInfo"]:
        if one["type"] in spent:
            spent[one["type"]] += one["cpuTime"]
    return spent


def report(turned: Turned, *, of: int) -> None:
    """Print what was seen.

    Args:
        turned: what.
        of: so many points are on the map.

    """
    times = sorted(turned.times_ms)
    slowest = times[-max(1, len(times) // 20) :]
    print(f"points in a frame: {turned.points:,} of {of:,}")
    print(f"frames a second: {1000 * len(times) / sum(times):.1f}")
    print(f"from one frame to the next: {statistics.median(times):.1f} ms at the median")
    print(f"the slowest 5 %: {slowest[0]:.1f} ms and more, {statistics.mean(slowest):.1f} ms at the mean")
    print(
        f"processor time of a frame: {turned.page_ms:.1f} ms in the page, {turned.drawing_ms:.1f} ms where it is drawn"
    )


if __name__ == "__main__":
    main()
