"""Photographs and tracks that count as evidence from now on, for pages and for the API."""

from typing import Final

from annotator.web.changing import checked_length
from annotator.web.errors import WebError
from annotator.web.forms import which_face
from annotator.web.shown_model import MODEL_IS_GONE
from annotator.web.visit import Visit

MOST_PHOTOGRAPHS: Final = 20


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
    return count_as_evidence(
        visit,
        name=name,
        photographs=[(file.name, str(file.close())) for file in files],
        face=which_face(visit.received.fields.get("face", "")),
    )


def count_as_evidence(visit: Visit, **asked: object) -> int:
    """Let photographs, or tracks, count; return how many do now that did not before.

    Args:
        visit: of whoever says so.
        asked: which, as the program that enrolls takes it.

    Raises:
        WebError: the model is not here, or one cannot stand for the person; says why.

    """
    site = visit.site
    model = site.shown_model.name(site.store, site.settings)
    if site.enrolling is None or model is None:
        raise WebError(404, MODEL_IS_GONE)
    told = site.enrolling.run(model=model, actor=visit.visitor.name, address=visit.address, **asked)
    return int(told["added"])
