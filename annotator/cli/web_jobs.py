"""The process that annotates what visitors of the web application give; ``annotator.web.annotating`` starts it.

Its first line of standard input says what it works with, each further one that there is something to do. It leaves
when that ends, when there was nothing to do for a while, and when the names that are shown are no longer those that it
gives: the next one loads the model anew.

Exit codes: 0 it has left, 75 (EX_TEMPFAIL) something is away that no media is to blame for (the database, a bucket,
room on the disk, a model): try again later; 70 (EX_SOFTWARE) an error of the program itself; others: it could not
begin.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TextIO

from annotator.cli.database import open_store
from annotator.cli.entry import one_line
from annotator.cli.output import remark
from annotator.cli.session import annotate_media
from annotator.cli.workplace import Watching, Workplace, open_workplace
from annotator.errors import AnnotatorError, DeadlineError, DecodeTimeoutError, LocalDiskError, StoreUnavailableError
from annotator.media import expand_sources
from annotator.metering import Stage as MeteredStage
from annotator.quality import QualityParts
from annotator.settings import Settings, load_settings
from annotator.store.registry import active_labelling, find_media
from annotator.store.rollups import catch_up
from annotator.store.store import Store
from annotator.store.takedowns.tombstones import takedowns_so_far
from annotator.store.web.jobs import MOST_TRIES, Job, Stage, finish_job, give_back, note_job, take_job
from annotator.tracking import FrameFaces
from annotator.types import MediaRef

LEAVES_AFTER_S: Final = 300.0
"""With nothing to do: its model takes memory while it is there, and seconds to load again."""

_SAYS_EVERY_S: Final = 0.4
_SAYS_AT_LEAST_EVERY_S: Final = 5.0
_LOOKS_EVERY_S: Final = 5.0
_NICER: Final = 5
_STAGES: Final[Mapping[MeteredStage, Stage]] = {"fetch": "fetching", "decode": "decoding", "accelerator": "looking"}
_ORDER: Final[Sequence[Stage]] = ("starting", "fetching", "decoding", "looking", "saving")
_NO_MODEL: Final = "the model of this server cannot be loaded just now; the log of `annotator web` says why."
_NO_ROOM: Final = "the disk of this server has no room just now; the log of `annotator web` says where."
_MEANWHILE: Final = "It went wrong by no fault of the media; the log of `annotator web` says why."


class PutOffError(Exception):
    """What is in hand was given back, and is worth another try later; what is away is said already."""


class Progress:
    """How far the media in hand is; it is told by all threads of the pipeline."""

    def __init__(self) -> None:
        """Begin with none in hand."""
        self._lock = threading.Lock()
        self._stage: Stage = "starting"
        self._frames = 0

    def begin_media(self) -> None:
        """Forget the media before."""
        with self._lock:
            self._stage, self._frames = "starting", 0

    def now(self) -> tuple[Stage, int]:
        """Return the stage, and in how many frames faces were looked for."""
        with self._lock:
            return self._stage, self._frames

    def reach(self, stage: Stage) -> None:
        """Say that a stage is reached; stages of a media overlap, and the last one counts."""
        with self._lock:
            self._stage = max(self._stage, stage, key=_ORDER.index)

    def set_threads(self, stage: MeteredStage, count: int) -> None:
        """Do nothing."""

    def begin(self, stage: MeteredStage) -> None:
        """Say that a thread begins to work in a stage."""
        if stage in _STAGES:
            self.reach(_STAGES[stage])

    def end(self, stage: MeteredStage) -> None:
        """Do nothing."""

    def watch(self, _media: MediaRef, frames: Sequence[FrameFaces], _parts: QualityParts) -> None:
        """Take note of frames that were looked at."""
        with self._lock:
            self._frames += len(frames)


class Desk:
    """What the process works with: the database, its session, and the job in hand."""

    def __init__(self, store: Store, session: str) -> None:
        """Have nothing in hand."""
        self._store = store
        self._session = session
        self.progress = Progress()

    def take(self) -> Job | None:
        """Take the next job in hand; None where there is none."""
        with self._store.writing() as connection:
            return take_job(connection, self._session, now=datetime.now(UTC))

    def finish(self, job: Job, media_id: int | None, failure: tuple[str, str] | None = None) -> None:
        """Say what has become of a job."""
        with self._store.writing() as connection:
            finish_job(connection, job.job_id, self._session, now=datetime.now(UTC), media_id=media_id, failure=failure)

    def give_back(self, *, counts: bool = False, why: str | None = None) -> None:
        """Leave what is in hand to others.

        Args:
            counts: it was a try: what is in hand may be the cause.
            why: what it waits for, for whoever gave it.

        """
        with self._store.writing() as connection:
            give_back(connection, self._session, is_lost=counts, why=why)

    @contextlib.contextmanager
    def telling(self, job: Job) -> Iterator[None]:
        """Say again and again how far a job is, while the block lasts."""
        is_over = threading.Event()

        def tell() -> None:
            said, said_s = ("", 0), 0.0
            while not is_over.wait(_SAYS_EVERY_S):
                stage, frames = self.progress.now()
                if (stage, frames) == said and time.monotonic() - said_s < _SAYS_AT_LEAST_EVERY_S:
                    continue
                with contextlib.suppress(StoreUnavailableError), self._store.writing() as connection:
                    note_job(connection, job.job_id, self._session, stage=stage, frames=frames, now=datetime.now(UTC))
                    said, said_s = (stage, frames), time.monotonic()

        self.progress.begin_media()
        thread = threading.Thread(target=tell, name="telling", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


def main() -> int:
    """Work until there is nothing to do; return the exit code."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole terminal; who has started it tells it to leave
    os.nice(_NICER)  # pages go first
    first = json.loads(sys.stdin.readline())
    settings = load_settings(**first["settings"]).for_visitors()
    try:
        with open_store(settings) as store:
            desk, woken = Desk(store, first["session"]), threading.Event()
            threading.Thread(target=_listen, args=(sys.stdin, woken, desk), name="listening", daemon=True).start()
            return run(desk, store, settings, woken)
    except AnnotatorError as error:
        remark(f"what annotates for visitors cannot begin: {one_line(error)}")
        return os.EX_TEMPFAIL
    except Exception:  # noqa: BLE001 - the boundary: the exit code tells it from one that could not begin
        traceback.print_exc()
        return os.EX_SOFTWARE


def run(desk: Desk, store: Store, settings: Settings, woken: threading.Event) -> int:
    """Work, and return the exit code; whatever is away, nothing stays in hand that can be given back."""
    try:
        work(desk, store, settings, woken)
    except PutOffError:
        return os.EX_TEMPFAIL
    except AnnotatorError as error:
        remark(f"what annotates for visitors stops: {one_line(error)}")
        with contextlib.suppress(StoreUnavailableError):  # then who has started this process gives it back
            desk.give_back()
        return os.EX_TEMPFAIL
    return os.EX_OK


def work(desk: Desk, store: Store, settings: Settings, woken: threading.Event) -> None:
    """Do what is to be done, and return when there was nothing for a while, or another model is to be loaded.

    Raises:
        PutOffError: the model cannot be loaded now, or the disk is full; the job waits.
        StoreUnavailableError: the database does not answer.

    """
    job = desk.take()
    if job is None:
        return
    web, progress = settings.web, desk.progress
    watching = Watching(lambda _name, _size_bytes: web.job_timeout_s, progress, progress.watch)
    with contextlib.ExitStack() as stack:
        try:
            with desk.telling(job):
                workplace = stack.enter_context(open_workplace(settings, is_saved=True, watching=watching))
        except StoreUnavailableError:
            raise
        except AnnotatorError as error:  # the media is not to blame, whatever it is
            remark(f"the model cannot be loaded: {one_line(error)}")
            desk.give_back(why=_NO_ROOM if isinstance(error, LocalDiskError) else _NO_MODEL)
            raise PutOffError from error
        shown = _shown(store)
        while job is not None:
            if _shown(store) != shown:
                desk.give_back()
                return
            _do(desk, workplace, job)
            job = desk.take() or _wait(desk, store, woken)


def _shown(store: Store) -> tuple[object, ...]:
    """Return what changes when other names are shown, or somebody is taken down whom this process still knows."""
    with store.reading() as connection:
        return (active_labelling(connection), *takedowns_so_far(connection))


def _wait(desk: Desk, store: Store, woken: threading.Event) -> Job | None:
    """Wait for a job; None when it took too long."""
    catch_up(store.engine)
    until_s = time.monotonic() + LEAVES_AFTER_S
    while time.monotonic() < until_s:
        woken.wait(_LOOKS_EVERY_S)
        woken.clear()
        if (job := desk.take()) is not None:
            return job
    return None


def _do(desk: Desk, workplace: Workplace, job: Job) -> None:
    """Annotate one media and say what has become of it; what goes wrong with it is no trouble for the next one.

    Raises:
        PutOffError: the disk is full; the job waits.
        StoreUnavailableError: the database does not answer.

    """
    saving, web = workplace.saving, workplace.settings.web
    if saving is None:
        raise RuntimeError("it was opened to be saved")
    try:
        with desk.telling(job):
            (found,) = expand_sources([job.uri])
            ref = replace(found, media_id=job.name)
            (told,) = annotate_media(workplace.annotator, [ref], saving=saving)
            desk.progress.reach("saving")
    except StoreUnavailableError:
        raise
    except AnnotatorError as error:
        remark(f"job {job.job_id}: {one_line(error)}")
        put_off_without_room(desk, job, error.reason)
        desk.finish(job, None, (error.reason, one_line(error)))
        return
    with saving.store.reading() as connection:
        row = find_media(connection, [ref]).get(ref.uri)
    media_id = None if row is None else int(row.id)
    result = told.result
    if result.status == "failed":
        put_off_without_room(desk, job, result.reason)
        is_late = result.reason in {DeadlineError.reason, DecodeTimeoutError.reason}
        words = (
            f"It takes too long: the limit here is {web.job_timeout_s:g} s. Give a shorter one."
            if is_late
            else result.message
        )
        desk.finish(job, media_id, (result.reason or "failed", words or _MEANWHILE))
    elif saving.store.active_labelling() != saving.labelling_id:
        words = (
            f"It is annotated by {workplace.annotator.model}, and other names are shown here: an admin sets"
            " ANNOTATOR_MODEL to the model that is shown, or promotes this one."
        )
        desk.finish(job, media_id, ("not_shown", words))
    else:
        desk.finish(job, media_id)


def put_off_without_room(desk: Desk, job: Job, reason: str | None) -> None:
    """Give a job back that the disk had no room for; it is a try: it may be larger than the disk will ever be.

    Raises:
        PutOffError: it was given back.

    """
    if reason == LocalDiskError.reason and job.tries < MOST_TRIES:
        desk.give_back(counts=True, why=_NO_ROOM)
        raise PutOffError


def _listen(lines: TextIO, woken: threading.Event, desk: Desk) -> None:
    """Wake up for each line, and leave when there are no more: who has started this process is gone, or says so."""
    for _ in lines:
        woken.set()
    with contextlib.suppress(AnnotatorError):
        desk.give_back()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
