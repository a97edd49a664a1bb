"""Look over an experiment before any work: all that is wrong with it, in one list."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from PIL import Image, UnidentifiedImageError

from annotator.cli.output import progress, remark
from annotator.recognition.photographs import MAX_PIXELS, open_picture
from trainer.labels import LabelTable, person_key, write_label_table
from trainer.problems import Problem, ProblemsError
from trainer.workdir import Experiment, inspect_experiment, photograph_files

READERS: Final = 2
"""Threads that read photographs; decoding leaves the interpreter to others."""

_CHECKED_SIDE_PX: Final = 64  # JPEGs are decoded at an eighth of their size: damage shows all the same


def check_experiment(experiment: Experiment, *, writes_labels: bool = False) -> LabelTable:
    """Check folders, labels, weights and every photograph, and say what does not fit together.

    Args:
        experiment: the places.
        writes_labels: write ``labels.csv`` from the folders where it is not there.

    Returns:
        The labels.

    Raises:
        ProblemsError: with everything that keeps the experiment from being prepared.

    """
    if writes_labels and not experiment.labels_file.exists():
        count = write_label_table(experiment.labels_file, [folder.name for folder in experiment.people_folders()])
        remark(f"{experiment.labels_file} has been written, with {count} labels")
    photographs = [path for folder in experiment.people_folders() for path in photograph_files(folder)]
    labels, problems = inspect_experiment(experiment)
    problems = (*problems, *unreadable(photographs))
    if problems:
        raise ProblemsError(problems)
    for mismatch in mismatches(experiment, labels):
        remark(f"remark: {mismatch}")
    people = len(experiment.people_folders())
    remark(f"{experiment.folder}: {len(photographs)} photographs of {people} people, {len(labels.labels)} labels")
    return labels


def mismatches(experiment: Experiment, labels: LabelTable) -> tuple[Problem, ...]:
    """Return labels without a folder of photographs, and folders without a label; neither keeps others from work."""
    folders = {person_key(folder.name): folder for folder in experiment.people_folders()}
    named = {person_key(label.text): label for label in labels.labels}
    return (
        *(
            Problem(labels.path, f"{label.text} has no folder in raw_dataset: it gets no training data", label.line)
            for key, label in named.items()
            if key not in folders
        ),
        *(
            Problem(folder, "labels.csv does not name it: it is left out")
            for key, folder in folders.items()
            if key not in named
        ),
    )


def unreadable(photographs: Sequence[Path]) -> tuple[Problem, ...]:
    """Decode photographs, and return those that cannot be."""
    with (
        progress("reading", total=len(photographs)) as advance,
        ThreadPoolExecutor(READERS, thread_name_prefix="read") as pool,
    ):
        problems = []
        for problem in pool.map(photograph_problem, photographs):
            advance()
            if problem is not None:
                problems.append(problem)
    return tuple(problems)


def photograph_problem(path: Path) -> Problem | None:
    """Decode a photograph, and say why it cannot be; None if it can."""
    remedy = "take it out, or let `trainer doctor --fix` move it aside"
    try:
        with open_picture(path) as image:
            if image.width * image.height > MAX_PIXELS:
                return Problem(path, f"it has more than {MAX_PIXELS} pixels: make it smaller")
            image.draft("RGB", (_CHECKED_SIDE_PX, _CHECKED_SIDE_PX))
            image.load()
    except UnidentifiedImageError:
        return Problem(path, f"it is no JPEG, PNG or WebP by its content: {remedy}")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return Problem(path, f"it cannot be read ({error}): {remedy}")
    return None
