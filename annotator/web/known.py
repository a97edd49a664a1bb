"""What addresses name, or 404 where there is none: people, media, jobs, labels, takedowns."""

from sqlalchemy import Connection

from annotator.store.takedowns.listing import KnownTakedown, find_takedown
from annotator.store.web.accounts import Role
from annotator.store.web.jobs import Job, find_job
from annotator.store.web.media import KnownMediaRow, find_media_row
from annotator.store.web.models import ModelOfArchive, models_of_archive
from annotator.store.web.people import Person, find_person
from annotator.web.errors import WebError
from annotator.web.visit import Visit


def person_of(connection: Connection, person_id: int) -> Person:
    """Return a person; of somebody who was merged, who took over.

    Raises:
        WebError: there is no such person.

    """
    person = find_person(connection, person_id)
    if person is None:
        raise WebError(404, "There is no such person.")
    return person


def known_person(visit: Visit, connection: Connection) -> Person:
    """Return the person of the address, as :func:`person_of`."""
    return person_of(connection, visit.request.path_params["person_id"])


def media_of(connection: Connection, media_id: int) -> KnownMediaRow:
    """Return a media.

    Raises:
        WebError: there is none, or it is gone.

    """
    row = find_media_row(connection, media_id)
    if row is None:
        raise WebError(404, "There is no such media, or it is gone.")
    return row


def known_media(visit: Visit) -> KnownMediaRow:
    """Return the media of the address, as :func:`media_of`."""
    with visit.site.store.reading() as connection:
        return media_of(connection, visit.request.path_params["media_id"])


def known_job(visit: Visit) -> Job:
    """Return the job of the address, to whoever has given it, and to admins.

    Raises:
        WebError: there is none, or it is somebody else's.

    """
    with visit.site.store.reading() as connection:
        job = find_job(connection, visit.request.path_params["job_id"])
    if job is None or not (visit.visitor.may(Role.ADMIN) or job.owner == visit.visitor.name):
        raise WebError(404, "There is no such job, or it was over long ago.")
    return job


def known_model(visit: Visit, connection: Connection) -> ModelOfArchive:
    """Return the model of the address, by the number of its labels.

    Raises:
        WebError: there are none of that number, or they were removed.

    """
    found = models_of_archive(connection, labelling_id=visit.request.path_params["labelling_id"])
    if not found:
        raise WebError(404, "There are no such labels, or they were removed.")
    return found[0]


def known_takedown(visit: Visit) -> KnownTakedown:
    """Return the takedown of the address.

    Raises:
        WebError: there is none.

    """
    with visit.site.store.reading() as connection:
        takedown = find_takedown(connection, visit.request.path_params["takedown_id"])
    if takedown is None:
        raise WebError(404, "There is no such takedown.")
    return takedown
