"""Photographs of people by the API: checked and kept at once; what is annotated gets the name afterwards."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field
from starlette.responses import Response

from annotator.names import MAX_NAME_CHARS
from annotator.store.identities import the_one_called
from annotator.web.described import Parameters, Told, read_parameters
from annotator.web.enrolling import MOST_PHOTOGRAPHS, enroll_files, name_of_form
from annotator.web.errors import WebError
from annotator.web.forms import MOST_FACES
from annotator.web.receiving import is_form_of_parts
from annotator.web.visit import Visit

PHOTOGRAPHS: Final[Mapping[str, Mapping[str, Any]]] = {
    "multipart/form-data": {
        "type": "object",
        "required": ["name", "photograph"],
        "properties": {
            "name": {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_NAME_CHARS,
                "description": "whose they are; somebody new gets it",
            },
            "face": {
                "type": "string",
                "pattern": "^([1-9]|[1-4][0-9]|50)$",
                "description": f"which face, where a photograph has several: 1 is the leftmost, at most {MOST_FACES}",
            },
            "photograph": {
                "type": "array",
                "items": {"type": "string", "format": "binary"},
                "minItems": 1,
                "description": f"at most {MOST_PHOTOGRAPHS}",
            },
        },
    }
}


class EnrolledTold(Told):
    """Whose photographs count now."""

    person_id: int
    name: str
    added: int = Field(description="how many that were given")


def enroll(visit: Visit) -> Response:
    """Let photographs count as evidence of whoever has a name; what is annotated gets the name afterwards."""
    read_parameters(visit, Parameters)
    if not is_form_of_parts(visit.request):
        raise WebError(415, "Send photographs as multipart/form-data: name, and photograph once or more.")
    name = name_of_form(visit)
    added = enroll_files(visit, name)
    with visit.site.store.reading() as connection:
        person_id = the_one_called(connection, name)
    told = EnrolledTold(person_id=person_id, name=name, added=added)
    headers = {"Location": visit.url("person_details", person_id=person_id)}
    return Response(told.model_dump_json(), status_code=202, media_type="application/json", headers=headers)
