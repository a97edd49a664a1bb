"""The OpenAPI document of the API, made from the table of routes: it cannot say what is not so."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from annotator import __version__
from annotator.store.ids import LARGEST_BIG_ID
from annotator.web.described import Operation, ref
from annotator.web.visit import Page, Visit

_TEMPLATE: Final = "#/components/schemas/{model}"
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def tell_document(visit: Visit) -> Response:
    """Tell the document."""
    return JSONResponse(openapi_document(visit.pages))


def openapi_document(pages: Sequence[Page]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of those rows that have an operation."""
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    paths: dict[str, Any] = {}
    for page in pages:
        if page.operation is not None:
            path = re.sub(r"\{(\w+)(?::\w+)?\}", r"{\1}", page.path)
            paths.setdefault(path, {})[page.method.lower()] = _operation(page, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Celebrity Annotator",
            "version": __version__,
            "description": "Who is in GIFs, videos and pictures, when, and how sure that is.",
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(page: Page, schemas: dict[str, Any]) -> dict[str, Any]:
    operation = page.operation
    assert operation is not None  # noqa: S101 - for the type checker
    errors = {"400": "the query cannot be", "401": "no token", "403": "another role is needed", "404": "not there"}
    errors |= {"429": "too many requests", "503": "the database does not answer"}
    if page.method != "GET":
        errors |= {"409": "it has changed meanwhile, or something else is under way"}
    if page.takes_files:
        errors |= {"408": "it comes too slowly", "413": "it is too large", "415": "it is nothing that is read"}
    told = {
        "operationId": page.name,
        "summary": operation.summary,
        "parameters": [*_in_path(page), *_in_query(operation.parameters)],
        "responses": {
            str(operation.status): {"description": operation.summary, "content": _content(operation, schemas)},
            **({"304": {"description": "who asks has it, by its ETag"}} if page.method == "GET" else {}),
            **{
                status: {
                    "description": words,
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
                for status, words in errors.items()
            },
        },
    }
    if operation.body is not None:
        content = {media_type: {"schema": schema} for media_type, schema in operation.body.items()}
        told["requestBody"] = {"required": operation.is_body_required, "content": content}
    return told


def _content(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return what a route answers with, by media type; its objects are added to the schemas."""
    if operation.files:
        return {media_type: {"schema": {"type": "string"}} for media_type in operation.files}
    if operation.answer is None:
        return {"application/json": {"schema": {"type": "object"}}}
    schemas |= _definitions(operation.answer, "serialization")
    return {"application/json": {"schema": dict(ref(operation.answer))}}


def _in_path(page: Page) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+):int\}", page.path):
        schema = {"type": "integer", "minimum": 0, "maximum": LARGEST_BIG_ID}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    schema = model.model_json_schema()
    for name, described in schema.get("properties", {}).items():
        one = {key: value for key, value in described.items() if key not in {"title", "description"}}
        if "anyOf" in one:  # a query cannot say null: it leaves the name out
            one = next(kind for kind in one["anyOf"] if kind.get("type") != "null")
        told = {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": one}
        yield told | ({"description": described["description"]} if "description" in described else {})


def _definitions(model: type[BaseModel], mode: Any) -> dict[str, Any]:  # noqa: ANN401 - pydantic's literal
    schema = model.model_json_schema(ref_template=_TEMPLATE, mode=mode)
    return {**schema.pop("$defs", {}), model.__name__: schema}
