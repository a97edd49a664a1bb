"""Photographs of people, and tracks that are somebody by a person's word, that count as evidence from now on."""

from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from annotator.web.enrolling import count_as_evidence, enroll_files, name_of_form
from annotator.web.errors import WebError
from annotator.web.known import known_media, known_person
from annotator.web.visit import Visit


def enroll_photographs(visit: Visit) -> Response:
    """Let photographs count as evidence of a person, who is in them alone, or whose face in them is said."""
    with visit.site.store.reading() as connection:
        person = known_person(visit, connection)
    added = enroll_files(visit, person.name)
    return RedirectResponse(f"{visit.url('person', person_id=person.person_id)}?enrolled={added}", status_code=303)


def enroll_somebody(visit: Visit) -> Response:
    """Let photographs count as evidence of whoever has a name; somebody new gets it."""
    name = name_of_form(visit)
    enroll_files(visit, name)
    return RedirectResponse(f"{visit.url('people')}?{urlencode({'q': name})}", status_code=303)


def enroll_track(visit: Visit) -> Response:
    """Let a track that is somebody by a person's word count as evidence."""
    row = known_media(visit)
    track_no = visit.request.path_params["track_no"]
    if row.content_id is None:
        raise WebError(404, "It is not annotated yet.")
    if not count_as_evidence(visit, content_id=row.content_id, track=track_no):
        raise WebError(400, "It counts already, or nobody has said who it is: say so first.")
    address = f"{visit.url('media', media_id=row.media_id)}?enrolled={track_no}#track-{track_no}"
    return RedirectResponse(address, status_code=303)
