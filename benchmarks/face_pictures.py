"""What the faces of one page cost: of a media with many tracks, and what moves on cards; real clips and a long video.

    python benchmarks/face_pictures.py                     # clips of ../shared/data
    python benchmarks/face_pictures.py --clips FOLDER --minutes 2

It keeps made-up tracks for the clips in a database, runs ``annotator web`` on it as a process of its own, and asks as a
browser does that shows the page: six pictures at once, in the order of the page. Printed are the wall time until all
are there, the processor time of the application with its decoders, the bytes, and how many were grey shapes, because
the media could not be read in time. Linux only.
"""

import argparse
import hashlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # made-up results are those of the tests

from annotator.media.child import ffmpeg_path
from annotator.media.reader import file_etag
from annotator.store import Store
from annotator.store.web.media import list_media
from annotator.types import FaceTrack, MediaRef
from benchmarks.web_load import running
from tests.store_values import ADA, SPEC, annotation, known, track

AT_ONCE: Final = 6
PAGE: Final = 60  # tracks of a page of a media


def main() -> None:
    """Fill a database, and ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data" / "clips")
    parser.add_argument("--minutes", type=float, default=10, help="of the long video")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        short, long = chosen.clips / "short_hamilton_clip.mp4", folder / "long.mp4"
        repeats = round(chosen.minutes * 6) - 1
        command = [ffmpeg_path(), "-v", "error", "-stream_loop", str(repeats), "-i", short, "-an", "-c", "copy", long]
        subprocess.run(command, check=True)
        a_page = tracks_of(PAGE, every_ms=round(1000 * chosen.minutes), length_ms=5000)
        gif = chosen.clips / "rachel-waiting.gif"
        kinds = {
            "a GIF, 6 tracks": (gif, tracks_of(6, every_ms=0, length_ms=1400)),
            "10 s of 640 x 360, 12 tracks": (short, tracks_of(12, every_ms=800, length_ms=1500)),
            "4 s of 1920 x 1080, 12 tracks": (chosen.clips / "crowd_dinner.mp4", tracks_of(12, 0, length_ms=3500)),
            f"{chosen.minutes:g} min of 640 x 360, a page": (long, a_page),
        }
        url = f"sqlite:///{folder / 'faces.db'}"
        numbers = fill(url, [clip for clip, _ in kinds.values()], [tracks for _, tracks in kinds.values()])
        print(f"{'':42} wall s  processor s    bytes  grey")
        for what, (clip, tracks) in kinds.items():
            media = numbers[clip.as_uri()]
            faces = [f"/media/{media}/tracks/{one.track_no}/faces/0" for one in tracks]
            report(f"{what}: best faces", faces, url, folder)
        report("a track of the long video: five faces", [f"{faces[30][:-1]}{k}" for k in range(5)], url, folder)
        for picture in ("still", "moving"):
            for what, (clip, _) in kinds.items():
                path = f"/media/{numbers[clip.as_uri()]}/tracks/3/{picture}"
                report(f"{what.partition(',')[0]}: {picture}", [path], url, folder)


def tracks_of(count: int, every_ms: int, *, length_ms: int) -> list[FaceTrack]:
    """Return tracks of ten samples each, that begin one after the other."""
    step_ms = length_ms // 10
    tracks = [track(number, start_ms=number * every_ms, times=10, step_ms=step_ms) for number in range(count)]
    for one in tracks:
        object.__setattr__(one, "boxes_xyxy", np.tile(np.array([100, 60, 160, 140], np.float32), (10, 1)))
    return tracks


def fill(url: str, clips: Sequence[Path], tracks: Sequence[list[FaceTrack]]) -> dict[str, int]:
    """Save the tracks; return the numbers of the media by their addresses."""
    with Store.open(url) as store:
        network_id = store.register_network(SPEC)
        labelling_id = store.register_labelling(network_id, model="bench@1", digest="d", photographs={ADA: 3})
        for clip, its_own in zip(clips, tracks, strict=True):
            media = MediaRef(clip.name, clip.as_uri(), file_etag(clip.stat()))
            one = annotation(media, tracks=its_own, labels=[known(ADA)] * len(its_own))
            object.__setattr__(one, "content_sha256", hashlib.sha256(clip.read_bytes()).hexdigest())
            store.save([one], network_id=network_id, labelling_id=labelling_id)
        with store.reading() as connection:
            return {row.ref.uri: row.media_id for row in list_media(connection, limit=10)}


def report(what: str, paths: Sequence[str], url: str, folder: Path) -> None:
    """Ask an application that has kept nothing yet, and print what that took."""
    with running(url, folder) as (process, host, cookie):
        ask(["/healthz"], host, cookie)
        before, began = processor_s(process), time.perf_counter()
        sizes, kinds = ask(paths, host, cookie)
        wall_s, used_s = time.perf_counter() - began, processor_s(process) - before
    grey = kinds.count("image/svg+xml")
    print(f"{what:42} {wall_s:6.2f} {used_s:12.2f} {sum(sizes):8,} {grey:5}", flush=True)


def ask(paths: Sequence[str], host: str, cookie: str) -> tuple[list[int], list[str]]:
    """Ask for all, ``AT_ONCE`` at a time; return how many bytes came, and of which media types."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for path in paths:
        waiting.put(path)
    sizes: list[int] = []
    kinds: list[str] = []

    def one_by_one() -> None:
        connection = HTTPConnection(host)
        while not waiting.empty():
            try:
                path = waiting.get_nowait()
            except queue.Empty:
                return
            connection.request("GET", path, headers={"Cookie": cookie})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 200:
                sizes.append(len(body))
                kinds.append(answer.headers["Content-Type"])

    threads = [threading.Thread(target=one_by_one) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(sizes) < len(paths):
        raise SystemExit("not all pictures came")
    return sizes, kinds


def processor_s(process: int) -> float:
    """Return the processor time of a process and of its children that have ended, in seconds."""
    told = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, told[11:15])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
