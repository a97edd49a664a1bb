"""``annotator relabel``: labels of another model, gallery or threshold for what is stored."""

import gc
import os
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, func, select, text

from annotator.build import build_gallery, build_identifier
from annotator.cli.database import open_store
from annotator.cli.output import out, print_json_line, progress, remark
from annotator.errors import ConfigError
from annotator.recognition.decision import Identifier
from annotator.settings import load_settings
from annotator.store.registry import active_network, embedders
from annotator.store.relabelling.batches import Names
from annotator.store.relabelling.running import relabel_archive
from annotator.store.relabelling.runs import Run, Sums
from annotator.store.store import Store
from annotator.store.tables import active, annotations, labellings, media, sources

MOST_WORKERS: Final = 4  # more threads than that wait for one another more than they work
_MOST_SOURCES: Final = 3  # that are named when everything is to be annotated again
_HOUR_S: Final = 3600.0
# Worker time of a media so far: backlogs charge it, and their settled media are counted (run 0 is «no backlog», -1 is
# all that ended long ago).
_WORKER_S: Final = """
SELECT (SELECT sum(worker_s) FROM runs) / NULLIF(sum(media), 0)
FROM (SELECT media FROM work_counts WHERE run_id <> 0 AND state >= 2
      UNION ALL SELECT media FROM work_deltas WHERE run_id <> 0 AND state >= 2) n
"""


def relabel(*, is_activated: bool, workers: int | None, as_json: bool, settings: Mapping[str, Any]) -> None:
    """Make the labels of the model of the settings for all that is stored, and say what they change.

    Args:
        is_activated: let views and searches show them at the end.
        workers: threads; by default one for each core, at most four.
        as_json: print the run as a JSON line.
        settings: values for ``load_settings``.

    Raises:
        ConfigError: the settings cannot work, or there are no embeddings of the model's network.
        RelabellingTakenError: another process does the same just now.
        StoreUnavailableError: the database does not answer; the next call goes on.

    """
    loaded = load_settings(**settings)
    with open_store(loaded, must_exist=True) as store:
        identifier = build_identifier(loaded, build_gallery(loaded, store=store))
        with store.reading() as connection:
            network_id = network_to_label(connection, identifier, loaded.model)
        labelling_id = store.register_labelling(
            network_id,
            model=identifier.model,
            digest=identifier.digest,
            photographs=identifier.photographs,
            calibration=identifier.calibration.to_json(),
        )
        gc.freeze()  # what is loaded stays: the collector need not look through it for each batch
        run = make_labels(store, identifier, labelling_id, workers=workers)
        if is_activated:
            store.activate(labelling_id)
        with store.reading() as connection:
            shown = connection.execute(
                select(labellings.c.model, labellings.c.id).join(active, active.c.labelling_id == labellings.c.id)
            ).one()
        is_shown = shown.id == labelling_id
        if as_json:
            print_json_line(to_json(run, identifier.model, is_shown=is_shown))
            return
        out().print(in_words(run, identifier.model), markup=False, soft_wrap=True)
        if not is_shown:
            remark(f"Searches go on to show {shown.model}; `annotator relabel --activate` switches at once.")


def make_labels(store: Store, names: Names, labelling_id: int, *, workers: int | None = None) -> Run | None:
    """Label all that a labelling lacks, with progress and remaining time on stderr.

    Args:
        store: the database.
        names: gives the names.
        labelling_id: under which labelling.
        workers: threads; by default one for each core, at most four.

    Returns:
        The run; None where nothing was to do.

    """
    with store.reading() as connection:
        newest = select(func.max(annotations.c.content_id)).join(
            labellings, labellings.c.network_id == annotations.c.network_id
        )
        total = connection.execute(newest.where(labellings.c.id == labelling_id)).scalar_one() or 0
    reached = 0
    with progress("relabelling", total=total) as advance:

        def on_batch(last: int, _: Sums) -> None:
            nonlocal reached
            advance(max(0, last - reached))
            reached = max(reached, last)

        return relabel_archive(
            store.engine, names, labelling_id, workers=workers or _usual_workers(), on_batch=on_batch
        )


def to_json(run: Run | None, model: str, *, is_shown: bool) -> dict[str, Any]:
    """Return a run as it is printed for programs."""
    sums = Sums() if run is None else run.sums
    names = ("contents", "tracks", "labels", "tracks_added", "tracks_dropped", "tracks_flipped")
    return {"model": model, "is_shown": is_shown, **{name: getattr(sums, name) for name in names}}


def in_words(run: Run | None, model: str) -> str:
    """Return what a run came to.

    >>> in_words(None, "starter@1")
    'everything has labels of starter@1 already'
    """
    if run is None:
        return f"everything has labels of {model} already"
    sums = run.sums
    told = f"{model} names {sums.labels:,} of {sums.tracks:,} tracks in {sums.contents:,} contents"
    if run.from_labelling_id is None:
        return told
    return (
        f"{told}; against what is shown so far, {sums.tracks_added:,} get a name, {sums.tracks_dropped:,} lose"
        f" theirs, {sums.tracks_flipped:,} get another one"
    )


def _usual_workers() -> int:
    return min(MOST_WORKERS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def network_to_label(connection: Connection, identifier: Identifier, model: str) -> int:
    """Return the network whose embeddings the model can name: the one that is shown, else the newest.

    Args:
        connection: any.
        identifier: gives the names.
        model: as the settings name it.

    Raises:
        ConfigError: nothing is stored of any such network.

    """
    embedder = identifier.gallery.embedder
    shown = active_network(connection)
    annotated = {one: its for one, its in embedders(connection).items() if _has_tracks(connection, one)}
    fitting = [network_id for network_id, its_embedder in annotated.items() if its_embedder == embedder]
    if fitting:
        return shown if shown is not None and shown in fitting else max(fitting)
    if not annotated:
        raise ConfigError("nothing is annotated yet: there is nothing to label anew")
    raise ConfigError(
        f"{identifier.model} needs embeddings of {embedder}, and none are stored: {_in_media(connection, model)}"
    )


def _has_tracks(connection: Connection, network_id: int) -> bool:
    some = select(annotations.c.content_id).where(annotations.c.network_id == network_id).limit(1)
    return connection.execute(some).first() is not None


def _in_media(connection: Connection, model: str) -> str:
    """Say what annotating everything again means: how many media, about how long, and which commands."""
    number = func.count().label("number")
    held = select(sources.c.uri, number).join(media, media.c.source_id == sources.c.id)
    rows = connection.execute(
        held.where(media.c.deleted_at.is_(None)).group_by(sources.c.uri).order_by(number.desc(), sources.c.uri)
    ).all()
    worker_s = connection.execute(text(_WORKER_S)).scalar_one()
    total = sum(row.number for row in rows)
    told = f"all {total:,} media are to be annotated again"
    if worker_s:
        told += f", about {total * worker_s / _HOUR_S:,.1f} hours of one worker at the rate of former backlogs"
    commands = ", ".join(
        f"`annotate-backlog {row.uri} --model {model}`"
        if row.uri.startswith("s3://")
        else f"`annotator annotate {row.uri}… --model {model}`"
        for row in rows[:_MOST_SOURCES]
    )
    return f"{told}: {commands}" + (f" and {len(rows) - _MOST_SOURCES} more" if len(rows) > _MOST_SOURCES else "")
