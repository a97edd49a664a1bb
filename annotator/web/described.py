"""What the description of the API says of a route, and what the route reads and answers with accordingly."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import Response

from annotator.web.errors import WebError
from annotator.web.visit import Visit


class Parameters(BaseModel):
    """The query of an address; names that are not known are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Told(BaseModel):
    """An object that the API answers with."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


_P = TypeVar("_P", bound=Parameters)
_B = TypeVar("_B", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Operation:
    """What the description of the API says of a route.

    Attributes:
        summary: a sentence.
        answer: the object that it answers with; None is described elsewhere.
        parameters: its query.
        files: what it may answer with instead of an object, as media types.
        body: what is sent to it: a schema for each media type that it takes; None takes none.
        is_body_required: without it the answer is another one, where this is False.
        status: of an answer.

    """

    summary: str
    answer: type[Told] | None
    parameters: type[Parameters] = Parameters
    files: tuple[str, ...] = ()
    body: Mapping[str, Mapping[str, Any]] | None = None
    is_body_required: bool = True
    status: int = 200


def read_parameters(visit: Visit, kind: type[_P]) -> _P:
    """Return the query of the address.

    Raises:
        WebError: a name is unknown, or a value cannot be.

    """
    query = visit.request.query_params
    given: dict[str, Any] = {}
    for name in query:
        field = kind.model_fields.get(name)
        is_list = field is not None and get_origin(field.annotation) is tuple
        values = query.getlist(name)
        if len(values) > 1 and not is_list:
            raise WebError(400, f"{name} is given {len(values)} times; it can be given once.")
        given[name] = values if is_list else values[0]
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:1])
        raise WebError(400, f"{name[:80] or 'The query'}: {first['msg']}.") from None


def json_body(visit: Visit, *, how: str) -> Any:  # noqa: ANN401 - whatever was sent
    """Return what was sent as JSON.

    Args:
        visit: of a page that takes files, or a body.
        how: what is told where it is none.

    Raises:
        WebError: it is no JSON.

    """
    media_type = visit.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise WebError(415, how)
    try:
        return json.loads(visit.received.body)
    except (ValueError, RecursionError):
        raise WebError(400, "The body is no JSON.") from None


def checked_body(kind: type[_B], given: object) -> _B:
    """Return what was sent as an object of a kind.

    Raises:
        WebError: it is none.

    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise WebError(400, f"{'.'.join(map(str, first['loc'][:2]))[:80] or 'The body'}: {first['msg']}.") from None


def json_answer(visit: Visit, value: Told) -> Response:
    """Answer with an object; who has it already, by its ETag, gets nothing anew."""
    body = value.model_dump_json().encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
    known = {one.strip().removeprefix("W/") for one in visit.request.headers.get("if-none-match", "").split(",")}
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def ref(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}
