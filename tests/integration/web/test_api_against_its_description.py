"""Whatever the description of the API allows is answered as it says, and whatever it does not is refused."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema
from starlette.types import ASGIApp

from annotator.store import Store
from annotator.store.web.accounts import Role
from annotator.store.web.tokens import add_token
from annotator.web.application import make_application
from annotator.web.rates import Rates
from tests.web_archive import copied
from tests.web_client import WebForTests

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    negative_data_rejection,
]
EXAMPLES = 30
NAMES = (
    *(
        "people_list",
        "person_details",
        "appearances",
        "media_list",
        "media_details",
        "correction_list",
        "export_media",
        "export_found",
    ),
    *("operation_status", "failure_list", "retry"),
    *("annotate", "job_list", "job_details"),
    *("change_person", "merge_person", "unmerge_person", "person_tracks", "split_tracks"),
    *("review_next", "answer_review", "undo_review", "enroll_person"),
    *("take_down", "takedown_list", "takedown_details"),
)


def is_as_described(url: str, parameters: list[dict[str, Any]]) -> bool:
    """Say whether a query holds what is described and nothing else; of a request with a body nothing is said."""
    if not parameters:
        return False
    schemas = {one["name"]: one["schema"] for one in parameters if one["in"] == "query"}
    required = {one["name"] for one in parameters if one["in"] == "query" and one.get("required")}
    given = parse_qs(urlsplit(url).query, keep_blank_values=True)
    return required <= set(given) <= set(schemas) and all(
        any(_is_valid(value, schemas[name]) for value in _readings(values)) for name, values in given.items()
    )


def _readings(values: list[str]) -> list[object]:
    """Return what texts of a query may mean: a list of them, or of one a text, a number or a truth."""
    readings: list[object] = [values]
    if len(values) == 1:
        readings.append(values[0])
        with contextlib.suppress(ValueError):
            readings.append(json.loads(values[0]))
    return readings


def _is_valid(value: object, schema: dict[str, Any]) -> bool:
    return Draft202012Validator(schema).is_valid(value)


def application_over(store: Store, folder: Path) -> tuple[ASGIApp, dict[str, str]]:
    """Return an application that is asked as often as one likes, and the headers of an admin."""
    web = WebForTests(store, uploads=folder / "uploads")
    web.account(Role.ADMIN, "eve")
    with store.writing() as connection:
        token = add_token(connection, "eve", role=Role.ADMIN, purpose="", now=web.clock(), lasts=None)
    headers = {"Authorization": f"Bearer {token}", "Host": "127.0.0.1"}
    return make_application(replace(web.site, rates=Rates(per_minute=1e9, at_once=10**9))), headers


@pytest.fixture
def archive(make_filled: Callable[..., tuple[str, dict[str, int]]]) -> Iterator[Store]:
    """Three clips that went well, and seven that failed."""
    with copied(make_filled, "sqlite", with_failures=True) as filled:
        yield filled.store


@pytest.fixture(scope="module")
def told() -> list[OpenApiSchema]:
    """The description as the first application that was asked has told it: it is the same whatever is in a store."""
    return []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["allowed", "not allowed"])
def test_the_api_is_as_its_description_says(  # noqa: PLR0917 - what is varied
    archive: Store, told: list[OpenApiSchema], tmp_path: Path, name: str, mode: str
) -> None:
    application, headers = application_over(archive, tmp_path)
    if not told:
        told.append(schemathesis.openapi.from_asgi("/api/v1/openapi.json", application, headers=headers))
    operation = told[0].find_operation_by_id(name)
    drawn = schemathesis.GenerationMode.POSITIVE if mode == "allowed" else schemathesis.GenerationMode.NEGATIVE
    limits_size = "413" in {str(status) for status in operation.definition.raw["responses"]}
    asked = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=drawn))
    def ask(case: schemathesis.Case) -> None:
        asked.append(case)
        answer = case.call(headers=headers, app=application)
        # What is drawn as wrong may leave no trace in an address, or be the absence of the token, which is sent anyway.
        is_wrong = not is_as_described(str(answer.request.url), operation.definition.raw.get("parameters", []))
        # Where it is described, it is a refusal, too, which the check does not know.
        is_wrong &= not (answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and limits_size)
        case.validate_response(answer, checks=[one for one in CHECKS if is_wrong or one is not negative_data_rejection])

    ask()
    assert len(asked) >= 1
