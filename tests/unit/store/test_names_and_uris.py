"""Names, URIs, specs and database URLs as values."""

import doctest
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import ConfigError
from annotator.store import connection, identities, registry
from annotator.store.connection import database_url
from annotator.store.identities import name_key
from annotator.store.registry import canonical_json, split_uri


@pytest.mark.parametrize("module", [connection, identities, registry], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_are_true(module: object) -> None:
    assert doctest.testmod(module).failed == 0


@given(st.sampled_from(["s3://b/", "file:///", "https://h:8080/"]), st.text(min_size=1))
def test_source_and_key_are_the_uri_again(source: str, key: str) -> None:
    assert split_uri(source + key) == (source, key)


@pytest.mark.parametrize("uri", ["", "a.gif", "/srv/a.gif", "file:/srv/a.gif", "mailto:a@b"])
def test_what_is_no_uri_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="needs a URI"):
        split_uri(uri)


@given(st.text())
def test_a_name_key_is_its_own_key(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)


@given(st.text(st.characters(codec="ascii")))
def test_a_name_has_the_same_key_alone_and_before_a_letter_with_an_accent(name: str) -> None:
    assert name_key(f"{name} \u00e9") == f"{name_key(name)} e".strip()


def test_a_spec_with_something_that_json_cannot_say_is_refused() -> None:
    with pytest.raises(TypeError):
        canonical_json({"path": Path()})
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"threshold": float("nan")})


@pytest.mark.parametrize(
    ("given", "driver", "database"),
    [
        ("annotations.db", "sqlite+pysqlite", "annotations.db"),
        (Path("/srv/a b.db"), "sqlite+pysqlite", "/srv/a b.db"),
        ("sqlite:////srv/a.db", "sqlite+pysqlite", "/srv/a.db"),
        ("postgresql://me@host/gifs", "postgresql+psycopg2", "gifs"),
        ("postgres://me@host/gifs", "postgresql+psycopg2", "gifs"),
        ("postgresql+psycopg://me@host/gifs", "postgresql+psycopg2", "gifs"),
    ],
)
def test_paths_and_urls_name_a_database(given: str | Path, driver: str, database: str) -> None:
    url = database_url(given)
    assert (url.drivername, url.database) == (driver, database)


@pytest.mark.parametrize("given", ["mysql://host/a", "http://host/a", "postgresql://:bad:port:/x", "://"])
def test_other_urls_are_refused_in_one_line(given: str) -> None:
    with pytest.raises(ConfigError, match="path of an SQLite file") as caught:
        database_url(given)
    assert "\n" not in str(caught.value)
