"""Photographs of people, and tracks that are somebody by a person's word, that count as evidence from now on."""

from typing import Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from annotator.store.web.people import find_person
from annotator.web.changing import checked_length
from annotator.web.errors import WebError
from annotator.web.pages.media import known_row
from annotator.web.shown_model import MODEL_IS_GONE
from annotator.web.visit import Visit

MOST_PHOTOGRAPHS: Final = 20
MOST_FACES: Final = 50
_LARGEST_ID: Final = 2**31 - 1


def enroll_photographs(visit: Visit) -> Response:
    """Let photographs count as evidence of a person, who is in them alone, or whose face in them is said."""
    person_id = visit.request.path_params["person_id"]
    with visit.site.store.reading() as connection:
        person = find_person(connection, person_id) if person_id <= _LARGEST_ID else None
    if person is None:
        raise WebError(404, "There is no such person.")
    added = enroll_files(visit, person.name)
    return RedirectResponse(f"{visit.url('person', person_id=person.person_id)}?enrolled={added}", status_code=303)


def enroll_somebody(visit: Visit) -> Response:
    """Let photographs count as evidence of whoever has a name; somebody new gets it."""
    name = name_of_form(visit)
    enroll_files(visit, name)
    return RedirectResponse(f"{visit.url('people')}?{urlencode({'q': name})}", status_code=303)


def name_of_form(visit: Visit) -> str:
    """Return whose photographs a form says they are.

    Raises:
        WebError: it does not say.

    """
    return checked_length(visit.received.fields.get("name", ""))


def enroll_files(visit: Visit, name: str) -> int:
    """Let the photographs that came count as evidence of whoever has a name; return how many do.

    Raises:
        WebError: one cannot stand for the person, or the model is not here; says why.

    """
    files = visit.received.files
    if not 0 < len(files) <= MOST_PHOTOGRAPHS:
        raise WebError(400, f"Choose from 1 to {MOST_PHOTOGRAPHS} photographs.")
    return _run(
        visit,
        name=name,
        photographs=[(file.name, str(file.close())) for file in files],
        face=_face(visit.received.fields.get("face", "")),
    )


def enroll_track(visit: Visit) -> Response:
    """Let a track that is somebody by a person's word count as evidence."""
    row = known_row(visit)
    track_no = visit.request.path_params["track_no"]
    if row.content_id is None:
        raise WebError(404, "It is not annotated yet.")
    if not _run(visit, content_id=row.content_id, track=track_no):
        raise WebError(400, "It counts already, or nobody has said who it is: say so first.")
    address = f"{visit.url('media', media_id=row.media_id)}?enrolled={track_no}#track-{track_no}"
    return RedirectResponse(address, status_code=303)


def _run(visit: Visit, **asked: object) -> int:
    """Return how many photographs or tracks count now that did not before."""
    site = visit.site
    model = site.shown_model.name(site.store, site.settings)
    if site.enrolling is None or model is None:
        raise WebError(404, MODEL_IS_GONE)
    told = site.enrolling.run(model=model, actor=visit.visitor.name, address=visit.address, **asked)
    return int(told["added"])


def _face(given: str) -> int | None:
    if not given.strip():
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 4 and 1 <= int(given) <= MOST_FACES):
        raise WebError(400, f"Which face is a number from 1, the leftmost, to {MOST_FACES}.")
    return int(given)
