"""``python -m benchmarks.aliveness``: measure and print."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import benchmarks.aliveness
from annotator.aliveness import is_picture
from annotator.recognition.photographs import people_folders, picture_files, read_aligned
from annotator.types import MediaRef
from benchmarks.aliveness.figures import (
    CHANGES,
    COSINES,
    FLAT,
    FRAME_CHANGES,
    draw_sheets,
    show,
    show_choice,
    show_marked,
)
from benchmarks.aliveness.pictures import compression, pasted, still
from benchmarks.aliveness.tracks import Bench, Track, filtered, made_small, own_tracks

DATA: Final = Path(__file__).parents[2].parent / "shared" / "data"
PHOTOGRAPHS: Final = 6  # of each person of glint24, for posters


def collect(bench: Bench, data: Path) -> list[Track]:
    """Make all tracks."""
    people = people_folders(data / "people" / "glint24")
    files = [path for folder in people for path in picture_files(folder)[:PHOTOGRAPHS]]
    photographs = read_aligned(files)
    media = [MediaRef(path.name, path.as_uri()) for path in sorted((data / "clips").iterdir())]
    began_s = time.process_time()
    annotated = list(bench.annotated(media, every_frame=False))
    own = [track for annotation, frames in annotated for track in own_tracks("live", annotation, frames)]
    spent_s = time.process_time() - began_s
    tracks = sum(len(annotation.tracks) for annotation, _ in annotated)
    print(f"annotating takes {1000 * spent_s / tracks:.0f} ms of processor time for each of {tracks} tracks")
    closely = bench.annotated(media, every_frame=True)
    every = [track for annotation, frames in closely for track in own_tracks("every", annotation, frames)]
    live = [one for one in own if one.kind == "live"]
    small = [made_small(bench, one) for one in live]
    drawings = [filtered(bench, one, compression) for one in live]
    stills = [track for annotation, _ in annotated for track in still(bench, annotation)]
    pictures = [track for one in media for track in pasted(bench, one, photographs)]
    return [*own, *every, *small, *pictures, *stills, *drawings]


def report(tracks: Sequence[Track]) -> None:
    """Print what was measured."""
    for kind in ("live", "poster"):
        mine = [one for one in tracks if one.kind == kind]
        began_s = time.process_time()
        for one in mine:
            is_picture(one.faces, one.frames)
        print(f"is_picture takes {1000 * (time.process_time() - began_s) / len(mine):.1f} ms for each track of {kind}")
    show(tracks, "change inside (annotator.aliveness.inner_change)", Track.change, CHANGES, is_below=True)
    show(tracks, "change of the frame (annotator.aliveness.frame_change)", Track.change_around, FRAME_CHANGES)
    show(tracks, "cosine between the two embeddings that differ most", Track.least_cosine, COSINES)
    show(tracks, "part of the faces that is flat", Track.flatness, FLAT)
    show_choice(tracks)
    show_marked(tracks)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.aliveness",
        description=benchmarks.aliveness.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", nargs="?", type=Path, default=DATA)
    parser.add_argument("--sheets", type=Path, help="folder for pictures of all tracks")
    chosen = parser.parse_args()
    tracks = collect(Bench(), chosen.data.resolve())
    report(tracks)
    if chosen.sheets:
        draw_sheets(tracks, chosen.sheets)


if __name__ == "__main__":
    main()
