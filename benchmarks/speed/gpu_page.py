"""``docs/performance-gpu.md``, made from the results and a template: no number in it is typed by hand.

python -m benchmarks.speed.gpu_page
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.speed.places import GPU_PAGE, GPU_RESULTS

TEMPLATE: Final = Path(__file__).parent / "performance-gpu.md.in"
WORK: Final = {
    "detect": ("faces from 20 px in {count} frames of GIFs, 480 px, each on its own", "frames"),
    "detect_clips": ("faces from 20 px in {count} frames of clips, with use of time", "frames"),
    "embed": ("embedding {count} faces in float16, as those of clips are", "faces"),
    "embed_f32": ("embedding {count} faces in float32, as those of photographs are", "faces"),
    "decode": ("fetching and decoding {count} sampled frames of clips, on one processor", "frames"),
    "clips": ("{count} clips: decode, find, embed, name, write rows", "clips"),
}
"""What each line does, and what it counts; in the order of the table."""

NOT_TOGETHER: Final = "How much several of them do together was not measured."
NOT_MEASURED: Final = """\
**It was not measured on a GPU yet.** On a machine with an NVIDIA GPU and Python 3.11 to 3.13, `make bench-gpu` makes an
environment of its own (`.venv-gpu`, from `requirements/gpu.lock`), measures and writes this page."""


def page(results: Mapping[str, Any] | None) -> str:
    """Return the page for some results; None where there are none."""
    told, together = NOT_MEASURED, NOT_TOGETHER
    if results is not None and "lines" in results:
        compiled = f"Until detection and SFace were compiled it took {results['ready_s']:g} s."
        told = f"{table(results)}\n\n{_where(results)} {compiled}"
    if results is not None and "side_by_side" in results:
        together = f"{side_by_side(results['side_by_side'])}\n\n{_where(results['side_by_side'])}"
    template = TEMPLATE.read_text(encoding="utf-8")
    return template.replace("{{RESULTS}}", told).replace("{{SIDE_BY_SIDE}}", together)


def tables(results: Mapping[str, Any]) -> str:
    """Return all that was measured."""
    parts = [table(results)] if "lines" in results else []
    return "\n\n".join([*parts, *([side_by_side(results["side_by_side"])] if "side_by_side" in results else [])])


def table(results: Mapping[str, Any]) -> str:
    """Return the lines as a table, and what they say of decoding."""
    lines = results["lines"]
    rows = [_row(lines[name], *words) for name, words in WORK.items()]
    head = ["| work | a second | processors busy | GPU busy | GPU memory |", "|---|---|---|---|---|"]
    return "\n".join(
        [*head, *rows, "", f"{_trial(results)}{_decoders_of_clips(lines)}", "", _decoders_of_searching(results)]
    )


def side_by_side(part: Mapping[str, Any]) -> str:
    """Return what several processes do as a table, and how many times as much as the fewest of them."""
    lines = part["lines"]
    rows = [_row(one, f"{one['processes']}, {one['decoders']} decoders in each", "clips") for one in lines]
    head = ["| processes | a second | processors busy | GPU busy | GPU memory |", "|---|---|---|---|---|"]
    fewest, most = (choose(lines, key=lambda one: one["processes"]) for choose in (min, max))
    ratio = most["per_s"] / fewest["per_s"]
    times = f"{most['processes']} processes together do {ratio:.1f} times as many clips as {fewest['processes']}."
    return "\n".join([*head, *rows, "", f"{_trial(part)}{times if most is not fewest else ''}".strip()])


def _trial(part: Mapping[str, Any]) -> str:
    return "" if part["device"] == "gpu" else "A trial on processors, where TensorFlow stands in for a GPU. "


def _decoders_of_clips(lines: Mapping[str, Any]) -> str:
    clips, decode = lines["clips"], lines["decode"]
    frames_per_s = clips["per_s"] * decode["count"] / clips["count"]
    busy = f", and of the GPU {_percent(clips['gpu_busy'])}" if "gpu_busy" in clips else ""
    return (
        f"**{frames_per_s / decode['per_s']:.1f} processors must decode for one worker on such a GPU, as clips go "
        f"the whole way**: {clips['per_s']:.1f} clips a second are {frames_per_s:,.0f} sampled frames, and a "
        f"processor decodes {decode['per_s']:,.0f}. With decoding, {clips['cores']:.1f} processors are busy{busy}."
    )


def _decoders_of_searching(results: Mapping[str, Any]) -> str:
    search = results["lines"]["detect_clips"]
    return (
        f"No more than {results['decode_cores']:g} could be of use to it: searching alone, with use of time, it does "
        f"{search['per_s']:,.0f} frames a second, and keeps {search['cores']:.1f} processors busy beside the decoders."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _row(line: Mapping[str, Any], work: str, unit: str) -> str:
    busy = _percent(line["gpu_busy"]) if "gpu_busy" in line else ""
    memory = f"{line['gpu_mib']:,} MiB" if "gpu_mib" in line else ""
    speed = f"{line['per_s']:,.0f}" if line["per_s"] >= 100 else f"{line['per_s']:.1f}"
    cells = [work.format(count=f"{line['count']:,}"), f"{speed} {unit}", f"{line['cores']:.1f}", busy, memory]
    return "| " + " | ".join(cells) + " |"


def _where(results: Mapping[str, Any]) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {one}" for name, one in results["versions"].items())
    return (
        f"Measured on {results['date']}, commit `{results['commit']}`: {results['gpu']}, beside {machine['cores']} "
        f"processors ({machine['processor']}), {machine['memory_gb']} GB, {machine['system']}, Python "
        f"{machine['python']}; {versions}."
    )


def load(file: Path = GPU_RESULTS) -> dict[str, Any] | None:
    """Read what was measured on a GPU; None where nothing was."""
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


if __name__ == "__main__":
    GPU_PAGE.write_text(page(load()), encoding="utf-8")
