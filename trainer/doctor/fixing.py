"""``trainer doctor --fix``: move what is wrong aside. Nothing is deleted, and a list says where everything went."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from trainer.doctor.findings import Finding
from trainer.workdir import Experiment

LOG_NAME: Final = "moved.csv"
HEADER: Final = ("from", "to", "kind", "why")


def move_aside(experiment: Experiment, findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Move what findings name into ``set_aside/KIND/…``, under the same folders and names.

    The list of moves is written first, so that a kill in between loses nothing: to undo it, move files back.

    Returns:
        From where to where, paths within the experiment's folder.

    """
    moves = []
    for finding in findings:
        for name in finding.aside:
            source = experiment.folder / name
            if not source.is_file():
                continue  # another finding has named it, too
            target = _free(experiment.set_aside / finding.kind / Path(name).relative_to(Path(name).parts[0]))
            moved_to = str(target.relative_to(experiment.folder))
            _note(experiment.set_aside / LOG_NAME, (name, moved_to, finding.kind, finding.what))
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
            moves.append((name, moved_to))
    return moves


def _free(path: Path) -> Path:
    """Return the path, or one beside it that nothing has yet."""
    number, free = 1, path
    while free.exists():
        free, number = path.with_name(f"{path.stem}_{number}{path.suffix}"), number + 1
    return free


def _note(path: Path, row: tuple[str, ...]) -> None:
    is_new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(HEADER)
        writer.writerow(row)
