"""Media that visitors give to be annotated, for pages and for the API: taken, stopped, and told how far they are."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from annotator.results import confidence_in_words
from annotator.store.web.jobs import Job, NoRoomError, Stage, Wanted, add_jobs, room_left, stop_job
from annotator.web.errors import WebError
from annotator.web.known import known_job
from annotator.web.visit import Visit

_LONGEST_ADDRESS: Final = 2000
_COME_AGAIN_S: Final = "30"
_IN_HAND: Final[Mapping[Stage, str]] = {
    "starting": "It begins.",
    "fetching": "It is fetched.",
    "decoding": "It is decoded.",
    "looking": "Faces are looked for.",
    "saving": "It is saved.",
}


def ask_for(visit: Visit, address: str) -> tuple[int, ...]:
    """Let what has come be annotated: the files that were received, and what an address names.

    Args:
        visit: brings the files.
        address: http or https; empty is none.

    Returns:
        The numbers of the jobs. A file that is no media is a job that has failed.

    Raises:
        WebError: nothing came, none of it can be, or there is no room for more.

    """
    addresses = [_checked(address)] if address else []
    if not visit.received.files and not addresses:
        raise WebError(400, "Nothing came: choose a file, or give the address of a media.")
    faults = [file.find_fault() for file in visit.received.files]
    wrong = [fault for fault in faults if fault is not None]
    if len(wrong) == len(faults) and not addresses:
        raise WebError(415, " ".join(message for _, message in wrong))
    insist_on_room(visit, len(addresses) + len(faults) - len(wrong))
    keeping = visit.site.uploads.keeping() if visit.received.files else contextlib.nullcontext()
    with keeping:
        try:
            ids = _add(visit, [*addresses, *(file.keep() for file in visit.received.files)])
        except BaseException:
            for file in visit.received.files:
                file.take_back()
            raise
    visit.site.wake()
    return ids


def insist_on_room(visit: Visit, new: int = 1) -> None:
    """Refuse more jobs than there is room for.

    Raises:
        WebError: they would be too many.

    """
    with visit.site.store.reading() as connection:
        left = room_left(connection, visit.visitor.name, visit.site.room)
    if left <= 0:
        raise _no_room("As many media as may be wait already. Come again when some are done.")
    if new > left:
        raise _no_room(f"{new} are given and there is room for {left}. Come again when some are done.")


def _add(visit: Visit, wanted: Sequence[Wanted]) -> tuple[int, ...]:
    with visit.site.store.writing() as connection:
        try:
            ids = add_jobs(connection, visit.visitor.name, wanted, room=visit.site.room, now=visit.now)
        except NoRoomError as error:
            raise _no_room(str(error)) from error
        for job_id, one in zip(ids, wanted, strict=True):
            if one.failure is None:
                visit.record(connection, "tried a media", subject=one.name, job=job_id)
    return ids


def stop(visit: Visit) -> Job:
    """Stop the job that the address names, where it waits, and put that on record.

    Returns:
        The job as it was.

    Raises:
        WebError: there is none, it is somebody else's, or it waits no more.

    """
    job = known_job(visit)
    with visit.site.store.writing() as connection:
        if not stop_job(connection, job.job_id, now=visit.now):
            raise WebError(409, "It waits no more: it is under way, or over.")
        visit.record(connection, "stopped a media", subject=job.name, job=job.job_id)
    return job


def words_of(job: Job) -> str:
    """Return how far a job is, or who is in what it became, as a sentence."""
    if job.state == "waiting" and job.message:
        return f"Waiting: {job.message}"
    if job.state == "waiting":
        return "Waiting: it is the next one." if job.ahead == 0 else f"Waiting: {job.ahead} before it."
    if job.state == "failed":
        return job.message or "It failed."
    if job.state == "done":
        people = (f"{name} {confidence_in_words(confidence)}" for name, confidence in job.people)
        return ", ".join(people) or "Nobody known."
    if job.stage == "looking" and job.frames:
        return f"Faces are looked for: {job.frames} frames so far."
    return _IN_HAND[job.stage or "starting"]


def _no_room(words: str) -> WebError:
    return WebError(429, words, headers={"Retry-After": _COME_AGAIN_S})


def _checked(address: str) -> Wanted:
    """Return what an address of the open internet names; what it has is for those who fetch it to check.

    Raises:
        WebError: it is of another kind: files and buckets of this server are not a visitor's.

    """
    try:
        parts = urlsplit(address)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
    except ValueError:
        is_whole = False
    if not is_whole or len(address) > _LONGEST_ADDRESS or not address.isprintable() or " " in address:
        raise WebError(400, "Give a whole address that begins with https:// or http://, without a password in it.")
    return Wanted(parts._replace(fragment="").geturl(), address)
