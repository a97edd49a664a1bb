"""The run: all contents of an archive that lack labels get them, in batches, by several threads.

It may be killed at any time, and goes on where it was. The rows are the same whoever makes them, in whatever order: a
label depends on its track alone.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from annotator.errors import RelabellingTakenError
from annotator.store.connection import reading, writing
from annotator.store.database_errors import MAX_CONFLICTS, is_conflict
from annotator.store.locks import only_one
from annotator.store.relabelling.batches import Names, label_contents
from annotator.store.relabelling.reading import Window, cut_batches, read_window
from annotator.store.relabelling.runs import Run, Sums, add_sums, begin, finish, is_complete, load_run, move_on

WINDOW: Final = 20_000
"""Contents looked at in one question; what is done is noted after each window."""

BATCH: Final = 2_000
"""Contents labelled in one transaction."""

OnBatch = Callable[[int, Sums], None]
"""Told of each batch: up to which content it went, and what it came to."""


def relabel_archive(
    engine: Engine, names: Names, labelling_id: int, *, workers: int = 1, on_batch: OnBatch | None = None
) -> Run | None:
    """Label all annotated contents of a labelling's network that it has not labelled, from their stored embeddings.

    Readers go on to see the active labelling: switching is another matter (``Store.activate``).

    Args:
        engine: of the database; ``workers`` + 2 connections are used at a time.
        names: gives the names; of the network's embedder.
        labelling_id: under which labelling.
        workers: threads. SQLite has one writer at a time, and gets one.
        on_batch: told of each batch, in the order of content ids.

    Returns:
        The run with its sums; None where nothing was to do.

    Raises:
        RelabellingTakenError: another process does the same just now.
        StoreUnavailableError: the database does not answer; what was done stays, and the next call goes on.
        ValueError: there is no such labelling.
        LookupError: a name is of somebody who was never registered.

    """
    with only_one(engine, f"relabel {labelling_id}") as is_ours:
        if not is_ours:
            raise RelabellingTakenError(
                "another process makes these labels just now: wait for it; the view relabelling_runs says how far it is"
            )
        with writing(engine) as connection:
            run = begin(connection, labelling_id)
        if run is None:
            return None
        threads = workers if engine.dialect.name == "postgresql" else 1
        _pass(engine, names, run, after=run.after_content_id, threads=threads, on_batch=on_batch)
        # Contents before that place may have come late: their transactions were under way when it was passed.
        if not _is_complete(engine, run):
            _pass(engine, names, run, after=0, threads=threads, on_batch=on_batch)
        with writing(engine) as connection:
            finish(connection, run.run_id)
            return load_run(connection, run.run_id)


def _is_complete(engine: Engine, run: Run) -> bool:
    with reading(engine) as connection:
        return is_complete(connection, run.network_id, run.labelling_id)


def _pass(engine: Engine, names: Names, run: Run, *, after: int, threads: int, on_batch: OnBatch | None) -> None:
    """Go over all contents after a place once. While threads are at a window, the next one is looked at already."""
    with ThreadPoolExecutor(threads, thread_name_prefix="relabel") as pool:
        waiting: tuple[Window, list[tuple[int, Future[Sums]]]] | None = None
        try:
            for window in _windows(engine, run, after):
                batches = cut_batches(window.lacking, contents=BATCH)
                begun = [(ids[-1], pool.submit(_label, engine, names, run, ids)) for ids in batches]
                _settle(engine, run, waiting, on_batch)
                waiting = (window, begun)
            _settle(engine, run, waiting, on_batch)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _windows(engine: Engine, run: Run, after: int) -> Iterator[Window]:
    while True:
        with reading(engine) as connection:
            window = read_window(
                connection, network_id=run.network_id, labelling_id=run.labelling_id, after=after, size=WINDOW
            )
        if window is None:
            return
        yield window
        after = window.last


def _settle(
    engine: Engine,
    run: Run,
    waiting: tuple[Window, Sequence[tuple[int, Future[Sums]]]] | None,
    on_batch: OnBatch | None,
) -> None:
    """Wait for the batches of a window, and note that all contents up to its end have labels."""
    if waiting is None:
        return
    window, begun = waiting
    for last, future in begun:
        sums = future.result()
        if on_batch is not None:
            on_batch(last, sums)
    with writing(engine) as connection:
        move_on(connection, run.run_id, window.last)


def _label(engine: Engine, names: Names, run: Run, content_ids: Sequence[int]) -> Sums:
    for _ in range(MAX_CONFLICTS - 1):
        try:
            return _label_once(engine, names, run, content_ids)
        except DBAPIError as exc:
            if not is_conflict(exc):
                raise
    return _label_once(engine, names, run, content_ids)


def _label_once(engine: Engine, names: Names, run: Run, content_ids: Sequence[int]) -> Sums:
    with writing(engine) as connection:
        sums = label_contents(
            connection,
            names,
            content_ids,
            network_id=run.network_id,
            labelling_id=run.labelling_id,
            compared_with=run.from_labelling_id,
        )
        add_sums(connection, run.run_id, sums)
        return sums
