"""What use of time changes: time, names and faces, for each choice of how many frames are searched in full."""

import statistics
from typing import Any, Final

from benchmarks.speed.rows import Reach, Value, row
from benchmarks.speed.sides import OURS, SideSpec, in_turn, say, started

SEARCH_EVERY: Final = (1, 2, 3, 5, 8)
DEFAULT: Final = 5
SURE_SCORE: Final = 0.95
MIN_IOU: Final = 0.5
MIN_SURE_FOUND: Final = 99.0
HEAD: Final = (
    "| one in | searched | time | names | lost | new | tracks | sure faces found | all found | faces that are new |"
)


def measure(clips: list[str], runs: int) -> dict[str, Any]:
    """Annotate some clips with each choice in turn, and compare its faces with those of a search of every frame."""
    specs = {_side(every): _naming(clips, every) for every in (DEFAULT, *SEARCH_EVERY)}  # ours first
    sides = in_turn(specs, runs)
    searching = {"clips": clips, "search_every": list(SEARCH_EVERY)}
    with started(SideSpec("annotator, all choices of search_every", "our_time", "faces", searching)) as side:
        say("    faces of all frames")
        faces = side.run()["found"]
    effect = effects(sides, faces["every"])
    (default,) = (one for one in effect if one["search_every"] == DEFAULT)
    kept = len(default["names"]) - len(default["names_new"])
    rows = [
        row(
            f"sure faces of a search of every frame that are found where one in {DEFAULT} is searched",
            Value(round(100 * default["sure_found"], 1), "%", f"of {default['sure_faces']:,}"),
            reach=Reach("ours", "at least", MIN_SURE_FOUND),
        ),
        row(
            "names in clips that a search of every frame gives and that stay",
            Value(kept, "", f"of {kept + len(default['names_lost'])}, and {len(default['names_new'])} new"),
        ),
    ]
    return {"rows": rows, "sides": sides, "frames": faces["frames"], "clips": len(clips), "effect": effect}


def _side(every: int) -> str:
    return OURS if every == DEFAULT else f"one in {every}"


def _naming(clips: list[str], every: int) -> SideSpec:
    given = {"clips": clips, "options": {"detection": {"search_every": every}}}
    return SideSpec(f"annotator, search_every {every}", "our_time", "names", given)


def effects(sides: dict[str, Any], faces: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all that is told of each choice.

    Args:
        sides: what ``in_turn`` returned.
        faces: by choice, how its faces compare with those of a search of every frame.

    """
    return [_effect(int(every), sides, found) for every, found in faces.items()]


def _effect(every: int, sides: dict[str, Any], faces: dict[str, Any]) -> dict[str, Any]:
    names, all_names = ({*sides[_side(n)]["found"]["names"]} for n in (every, 1))
    return {
        "search_every": every,
        "seconds": statistics.median(sides[_side(every)]["seconds"]),
        "tracks": sides[_side(every)]["found"]["tracks"],
        "names": sorted(names),
        "names_lost": sorted(all_names - names),
        "names_new": sorted(names - all_names),
        **faces,
    }


def table(line: dict[str, Any]) -> str:
    """Return the line as a text with a table, in Markdown."""
    rows = [
        f"| {_bold(one['search_every'])} | {one['searched']:.0%} | {one['seconds']:.1f} s | {len(one['names'])} | "
        f"{len(one['names_lost'])} | {len(one['names_new'])} | {one['tracks']} | {one['sure_found']:.1%} | "
        f"{one['found']:.1%} | {one['new']:.1%} |"
        for one in line["effect"]
    ]
    first = line["effect"][0]
    said = (
        f"`time-effect`: {line['clips']} clips, {line['frames']:,} frames; on them a search of every frame finds "
        f"{first['faces']:,} faces, {first['sure_faces']:,} of them surely (score ≥ {SURE_SCORE}). A face counts as "
        f"found at IoU ≥ {MIN_IOU}, a name once a clip. The time is that of annotating the clips, without writing rows."
    )
    return "\n".join([said, "", HEAD, "|---" * HEAD.count(" |") + "|", *rows])


def _bold(every: int) -> str:
    return f"**{every}**" if every == DEFAULT else str(every)
