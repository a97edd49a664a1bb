"""docs/operations.md: its commands are understood, its files are there, its settings exist."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from annotator.settings.loading import known_variables
from annotator.store.connection import open_engine, reading
from tests.deploy.command_lines import OWN, complaints_of, complaints_of_line
from tests.deploy.compose_checks import read_compose
from tests.deploy.kubernetes_checks import read_manifests

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
# Programs of others: only known to be meant.
OTHERS = {
    *(
        "aws",
        "docker",
        "export",
        "install",
        "journalctl",
        "kubectl",
        "python3",
        "set",
        "systemctl",
        "unset",
        "useradd",
        ".",
    ),
    *("createdb", "pg_dump", "pg_dumpall", "pg_restore", "psql", "sqlite3"),
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def lines() -> list[str]:
    joined = "\n".join(blocks("bash")).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def inner_command(words: list[str]) -> list[str]:
    """Return the project's command: the line itself, or what a container is told to run."""
    first = 1 if words[0] in {"docker", "kubectl"} else 0
    numbers = [number for number, word in enumerate(words) if word in OWN]
    return words[numbers[0] :] if numbers and (first or numbers[0] == 0) else []


def test_every_block_says_what_it_is() -> None:
    assert set(re.findall(r"^```(.+)$", PAGE, re.MULTILINE)) == {"bash", "sql"}


@pytest.mark.parametrize("line", lines())
def test_every_command_line_is_understood(line: str) -> None:
    for command in re.split(r"&&|\|\|?|;", line):
        words = [word.removeprefix("/opt/annotator/bin/") for word in shlex.split(command, comments=True)]
        program = words[0]
        assert program in {*OTHERS, *OWN, "pip"} or (ROOT / program).is_file()
        assert complaints_of(inner_command(words)) == []


def test_a_command_that_does_not_exist_is_seen() -> None:
    words = shlex.split("docker compose exec cpu-worker annotator db chek")
    assert complaints_of(inner_command(words)) != []
    assert complaints_of_line("docker compose ps && annotator db chek") != []


def test_services_and_objects_that_it_names_are_there() -> None:
    services = set(read_compose()["services"])
    named = re.findall(r"docker compose (?:run --rm|exec|up --detach --no-deps) ([a-z0-9-]+)", PAGE)
    assert named
    assert set(named) <= services
    objects = {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in read_manifests()}
    assert set(re.findall(r"\b((?:deployment|job|cronjob)/[a-z-]+)\b", PAGE)) <= objects


def test_files_that_it_names_are_there() -> None:
    paths = set(re.findall(r"\b((?:deploy|requirements)/[\w./-]+\w)", PAGE))
    assert len(paths) > 5
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_settings_that_it_names_exist() -> None:
    named = set(re.findall(r"ANNOTATOR_\w+", PAGE))
    assert len(named) > 5
    groups = {name for name in named if name.endswith("__")}
    assert [name for name in named - groups if name not in known_variables()] == []
    assert [group for group in groups if not any(name.startswith(group) for name in known_variables())] == []


def test_every_secret_of_the_manifests_is_explained_with_its_keys() -> None:
    rows = dict(re.findall(r"^\| `(annotator-[a-z]+)` \| (.*?) \|", PAGE, re.MULTILINE))
    named: dict[str, set[str]] = {}
    for one in read_manifests():
        for place in _references(one):
            named.setdefault(place["name"], set()).add(place["key"])
    assert {secret: set(re.findall(r"`([a-z0-9-]+)`", told)) for secret, told in rows.items()} == named


def _references(place: object) -> list[dict[str, str]]:
    if isinstance(place, dict):
        if {"name", "key"} <= place.keys():
            return [place]
        return [found for value in place.values() for found in _references(value)]
    if isinstance(place, list):
        return [found for value in place for found in _references(value)]
    return []


@pytest.mark.servers
def test_its_queries_run(make_database: Callable[..., str]) -> None:
    queries = [one for one in blocks("sql") if one.startswith("SELECT")]
    assert queries
    engine = open_engine(make_database("postgres"))
    with reading(engine) as connection:
        for query in queries:
            connection.execute(text(query)).all()
    engine.dispose()
