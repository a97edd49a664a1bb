"""What a machine lacks is skipped on a developer's, and is a failure in CI."""

import platform
from pathlib import Path

import pytest

from tests.optional import import_optional

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _on_a_machine_for_which_all_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def test_what_is_there_is_imported() -> None:
    assert import_optional("json.decoder").JSONDecoder


def test_what_is_not_there_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no_such_module"):
        import_optional("no_such_module")


def test_what_is_not_there_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(ModuleNotFoundError):
        import_optional("no_such_module")


def test_what_is_locked_for_other_machines_only_skips_in_ci_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(pytest.skip.Exception):
        import_optional("no_such_module")


def test_no_test_skips_by_another_way() -> None:
    call = "importor" + "skip("
    assert [path.name for path in TESTS.rglob("*.py") if call in path.read_text(encoding="utf-8")] == []
