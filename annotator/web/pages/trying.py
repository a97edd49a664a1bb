"""Trying media: upload some, or give an address, and see how far they are."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import Response

from annotator.results import confidence_in_words
from annotator.store.web.accounts import Role
from annotator.store.web.jobs import Job, NoRoomError, Stage, Wanted, add_jobs, find_job, list_jobs, room_left, stop_job
from annotator.web.errors import WebError
from annotator.web.visit import Visit

SHOWN: Final = 30
_LONGEST_ADDRESS: Final = 2000
_LARGEST_ID: Final = 2**63 - 1
_COME_AGAIN_S: Final = "30"
_IN_HAND: Final[Mapping[Stage, str]] = {
    "starting": "It begins.",
    "fetching": "It is fetched.",
    "decoding": "It is decoded.",
    "looking": "Faces are looked for.",
    "saving": "It is saved.",
}
_STAGES: Final = (
    ("waiting", "waiting"),
    ("starting", "getting ready"),
    ("fetching", "fetching"),
    ("decoding", "decoding"),
    ("looking", "looking for faces"),
    ("saving", "saving"),
)


def show_try(visit: Visit) -> Response:
    """Show where media are given, and what has become of those that were."""
    with visit.site.store.reading() as connection:
        jobs = list_jobs(connection, visit.visitor.name, limit=SHOWN)
        left = room_left(connection, visit.visitor.name, visit.site.room)
    web = visit.site.settings.web
    return visit.page(
        "try.html",
        jobs=jobs,
        words={job.job_id: words_of(job) for job in jobs},
        is_any_open=any(not job.is_over for job in jobs),
        left=left,
        max_bytes=visit.site.allowed.file_bytes,
        max_size=_size(visit.site.allowed.file_bytes),
        max_files=web.upload_files,
    )


def show_job(visit: Visit) -> Response:
    """Show how far a media is; when it is annotated, its own page."""
    job = known_job(visit)
    if job.state == "done" and job.media_id is not None:
        return visit.redirect("media", media_id=job.media_id)
    reached = job.stage or "waiting"
    place = [stage for stage, _ in _STAGES].index(reached)
    return visit.page("job.html", job=job, words=words_of(job), stages=_STAGES, reached=reached, place=place)


def try_media(visit: Visit) -> Response:
    """Take files, or an address, to be annotated."""
    ids = ask_for(visit, visit.received.fields.get("url", "").strip())
    return visit.redirect("job", job_id=ids[0]) if len(ids) == 1 else visit.redirect("try")


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


def known_job(visit: Visit) -> Job:
    """Return the job that the address names, to whoever has given it, and to admins.

    Raises:
        WebError: there is none, or it is somebody else's.

    """
    job_id = visit.request.path_params["job_id"]
    with visit.site.store.reading() as connection:
        job = find_job(connection, job_id) if job_id <= _LARGEST_ID else None
    is_for_all = visit.visitor.role is not None and visit.visitor.role >= Role.ADMIN
    if job is None or not (is_for_all or job.owner == visit.visitor.name):
        raise WebError(404, "There is no such job, or it was over long ago.")
    return job


def stop_now(visit: Visit) -> Response:
    """Stop a job that waits, and show that it is over."""
    return visit.redirect("job", job_id=stop(visit).job_id)


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


def _size(size_bytes: int) -> str:
    """Return a number of bytes for people.

    >>> _size(200 * 1024 * 1024), _size(5000)
    ('200 MiB', '5000 bytes')
    """
    return f"{size_bytes // 1024**2} MiB" if size_bytes >= 1024**2 else f"{size_bytes} bytes"
