"""What it changes that SFace embeds the faces of clips in bfloat16, where the processor has it: names and time."""

from typing import Any, Final

from benchmarks.speed.machine import machine
from benchmarks.speed.rows import Value, row
from benchmarks.speed.sides import OURS, SideSpec, in_turn, ratio, spread

EXACT: Final = "f32"
BF16_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16"})
"""A processor with one of these has bfloat16; on others both sides compute the same."""


def measure(clips: list[str], runs: int) -> dict[str, Any]:
    """Annotate some clips with ``embedding.precision`` ``auto`` and ``f32`` in turn, and compare the names."""
    specs = {OURS: _spec(clips, "auto"), EXACT: _spec(clips, EXACT)}
    return {"rows": rows(sides := in_turn(specs, runs), machine()["flags"]), "sides": sides}


def _spec(clips: list[str], precision: str) -> SideSpec:
    given = {"clips": clips, "options": {"embedding": {"precision": precision}}}
    return SideSpec(f"annotator, precision {precision}", "our_time", "names", given)


def rows(sides: dict[str, Any], flags: list[str]) -> list[dict[str, Any]]:
    """Return the rows of the line.

    Args:
        sides: what ``in_turn`` returned.
        flags: of the processor.

    """
    has_bf16 = not BF16_FLAGS.isdisjoint(flags)
    told = "in bfloat16" if has_bf16 else "as by default, here float32 too"
    names, exact_names = ({*sides[side]["found"]["names"]} for side in (OURS, EXACT))
    seconds, exact_seconds = (Value(spread(sides[side]["seconds"])["median"], "s") for side in (OURS, EXACT))
    kept = Value(len(names & exact_names), "", f"of {len(exact_names)}, and {len(names - exact_names)} new")
    return [
        row(f"names in clips that SFace in float32 gives and that stay {told}", kept),
        row(
            f"the clips annotated without writing rows, with SFace {told}",
            seconds,
            beside=("in float32", exact_seconds),
            ratio=ratio(sides, EXACT),
        ),
    ]
