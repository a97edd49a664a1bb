"""Is there anything new to learn from? Photographs, labels, and what people have corrected or enrolled."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlalchemy import Connection, select

from annotator.store.corrections.photographs import is_exported
from annotator.store.tables import corrections, enrolled_faces, identities, identity_aliases
from trainer.labels import inspect_label_table, person_key
from trainer.workdir import Experiment


def read_news(experiment: Experiment, experiment_file: Path, connection: Connection) -> dict[str, str]:
    """Return a digest of each thing that a model is made from; what is equal is no news.

    Args:
        experiment: the places. Photographs count by path, size and time of change: not one is opened. Those that come
            of corrections count by what was said, for the run writes them itself.
        experiment_file: how they are learnt.
        connection: any; of the database with corrected names and enrolled people.

    """
    files = sorted(path for path in experiment.raw_dataset.rglob("*") if path.is_file() and not is_exported(path))
    enrolled = select(enrolled_faces.c.identity_id, enrolled_faces.c.embedder, enrolled_faces.c.photo_sha256)
    # Names that models bring along are no corrections; these are left behind by renaming and merging.
    aliases = select(identity_aliases.c.name, identity_aliases.c.identity_id)
    merged = select(identities.c.id, identities.c.merged_into).where(identities.c.merged_into.is_not(None))
    return {
        "photographs": _digest(_of_file(path, experiment.raw_dataset) for path in files),
        "labels": _digest_of_content(experiment.labels_file),
        "experiment": _digest_of_content(experiment_file),
        "enrolled": _digest(sorted(repr(tuple(row)) for row in connection.execute(enrolled))),
        "corrections": _digest(
            [
                *sorted(repr(tuple(row)) for corrected in (aliases, merged) for row in connection.execute(corrected)),
                *_words(experiment, connection),
            ]
        ),
    }


def _words(experiment: Experiment, connection: Connection) -> Iterator[str]:
    """Yield what people say of tracks, of those whom the experiment learns to know: of others nothing comes of it."""
    labels, _ = inspect_label_table(experiment.labels_file)
    learnt = {person_key(label.text) for label in labels.labels}
    survivor = identities.alias()
    said = (
        select(corrections.c.id, corrections.c.verdict, survivor.c.name)
        .join(identities, identities.c.id == corrections.c.identity_id)
        .join(survivor, survivor.c.id == identities.c.survivor_id)
        .where(corrections.c.withdrawn_at.is_(None))
        .order_by(corrections.c.id)
    )
    for correction_id, verdict, name in connection.execute(said):
        if person_key(name) in learnt:
            yield f"{correction_id} {verdict} {name}"


def _of_file(path: Path, root: Path) -> str:
    stated = path.stat()
    return f"{path.relative_to(root)}\0{stated.st_size}\0{stated.st_mtime_ns}"


def _digest_of_content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _digest(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
