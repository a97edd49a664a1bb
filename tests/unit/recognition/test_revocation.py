"""People can be taken out without a list of their names."""

from pathlib import Path

import pytest

from annotator.errors import ConfigError, ModelError
from annotator.recognition.revocation import (
    RevocationList,
    new_revocation_list,
    parse_revocation_list,
    read_revocation_list,
    revoke,
)
from annotator.types import Identity

CRUZ = Identity("Penélope Cruz", "/m/01mqz0")


@pytest.mark.parametrize("name", ["Penélope Cruz", "penelope  cruz", "PENE\u0301LOPE CRUZ"])
def test_a_person_is_covered_whatever_case_accents_and_spaces(name: str) -> None:
    assert new_revocation_list().extended([CRUZ]).covers(Identity(name))


def test_a_person_is_covered_by_the_knowledge_graph_id_under_another_name() -> None:
    assert new_revocation_list().extended([CRUZ]).covers(Identity("P. Cruz", "/m/01mqz0"))


def test_others_are_not_covered() -> None:
    revoked = new_revocation_list().extended([CRUZ])
    assert not revoked.covers(Identity("Tom Cruise", "/m/07r1h"))
    assert not RevocationList("00", revoked.hashes).covers(CRUZ), "the salt must count"


def test_a_list_does_not_hold_the_name() -> None:
    text = new_revocation_list().extended([CRUZ]).to_json()
    assert "cruz" not in text.casefold()
    assert "01mqz0" not in text


def test_a_users_list_grows_and_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "lists" / "revoked.json"
    revoke(path, [CRUZ])
    revoke(path, [Identity("Tom Cruise")])
    revoked = read_revocation_list(path)
    assert revoked.covers(CRUZ)
    assert revoked.covers(Identity("tom cruise"))
    assert [file.name for file in path.parent.iterdir()] == ["revoked.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"salt": "a", "sha256": ["short"]}', '{"salt": 1, "sha256": []}', "[" * 100_000]
)
def test_an_unreadable_list_is_an_error_and_never_an_empty_list(text: str) -> None:
    with pytest.raises(ModelError, match="no revocation list"):
        parse_revocation_list(text, where="revoked.json")


def test_a_missing_list_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not there"):
        read_revocation_list(tmp_path / "revoked.json")
