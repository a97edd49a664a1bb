"""Whatever the description of the API allows is answered as it says, and whatever it does not is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from annotator.store import Store
from annotator.store.web.accounts import Role
from annotator.store.web.tokens import add_token
from annotator.web.application import make_application
from annotator.web.rates import Rates
from tests import web_archive
from tests.web_backlog import add_failures
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
)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["allowed", "not allowed"])
def test_the_api_is_as_its_description_says(sqlite_store: Store, tmp_path: Path, name: str, mode: str) -> None:
    web_archive.fill(sqlite_store)
    add_failures(sqlite_store)
    web = WebForTests(sqlite_store, uploads=tmp_path / "uploads")
    web.account(Role.OPERATOR, "eve")
    with sqlite_store.writing() as connection:
        token = add_token(connection, "eve", role=Role.OPERATOR, purpose="", now=web.clock(), lasts=None)
    headers = {"Authorization": f"Bearer {token}", "Host": "127.0.0.1"}
    application = make_application(replace(web.site, rates=Rates(per_minute=1e9, at_once=10**9)))
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", application, headers=headers)
    operation = next(one.ok() for one in schema.get_all_operations() if one.ok().definition.raw["operationId"] == name)
    drawn = schemathesis.GenerationMode.POSITIVE if mode == "allowed" else schemathesis.GenerationMode.NEGATIVE
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
        case.call_and_validate(headers=headers, checks=CHECKS)

    ask()
    assert len(asked) >= 1
