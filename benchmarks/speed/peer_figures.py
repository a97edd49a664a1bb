"""The plots of the page, drawn in the peers' environment, which has matplotlib: RESULTS.json FOLDER."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt


def main() -> None:
    """Draw every curve of the results."""
    lines = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["lines"]
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, curve in lines.get("curves", {}).get("curves", {}).items():
        draw_curve(curve, folder / f"{name}.png")
    if "film" in lines:
        draw_memory(lines["film"]["sides"]["ours"]["found"]["memory"], folder / "film-memory.png")


def draw_curve(curve: dict[str, Any], path: Path) -> None:
    """Draw time and memory against what grows, both axes logarithmic."""
    xs = [point["x"] for point in curve["points"]]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
    for axes, key, what, slope in (
        (left, "seconds", "seconds", curve["slope"]),
        (right, "memory_mb", "memory, MB", curve["memory_slope"]),
    ):
        ys = [point[key] for point in curve["points"]]
        axes.loglog(xs, ys, "o-", label=f"slope {slope:.2f}")
        axes.loglog(xs, [ys[0] * x / xs[0] for x in xs], ":", color="grey", label="linear")
        axes.set_xticks(xs, [f"{x:g}" for x in xs])
        axes.set_yticks([min(ys), max(ys)], [f"{y:.3g}" for y in (min(ys), max(ys))])
        axes.minorticks_off()
        axes.set_xlabel(curve["axis"])
        axes.set_ylabel(what)
        axes.legend()
    _save(figure, path)


def draw_memory(points: list[tuple[float, float]], path: Path) -> None:
    """Draw memory over time."""
    figure, axes = plt.subplots(figsize=(8, 3.2))
    axes.plot([at for at, _ in points], [mb for _, mb in points])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("memory of all processes, MB")
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:  # noqa: ANN401 - no types
    figure.tight_layout()
    figure.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
