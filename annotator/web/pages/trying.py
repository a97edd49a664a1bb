"""Trying media: upload some, or give an address, and see how far they are."""

from typing import Final

from starlette.responses import Response

from annotator.store.web.jobs import list_jobs, room_left
from annotator.web.giving import ask_for, stop, words_of
from annotator.web.known import known_job
from annotator.web.visit import Visit

SHOWN: Final = 30
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


def stop_now(visit: Visit) -> Response:
    """Stop a job that waits, and show that it is over."""
    return visit.redirect("job", job_id=stop(visit).job_id)


def _size(size_bytes: int) -> str:
    """Return a number of bytes for people.

    >>> _size(200 * 1024 * 1024), _size(5000)
    ('200 MiB', '5000 bytes')
    """
    return f"{size_bytes // 1024**2} MiB" if size_bytes >= 1024**2 else f"{size_bytes} bytes"
