"""What the benchmarks measure beside is installed by hashes, and names no host."""

import re
from pathlib import Path

import pytest

PEERS = Path(__file__).resolve().parents[3] / "benchmarks" / "peers"
LOCKS = sorted(path.name for path in PEERS.glob("*.lock"))
PIN = re.compile(r"^([\w.-]+)==([\w.+]+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    """Return the versions that a file of requirements pins."""
    return dict(PIN.findall((PEERS / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_of_a_lock_has_a_hash_and_no_address(name: str) -> None:
    text = (PEERS / name).read_text(encoding="utf-8")
    assert "://" not in text
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(blocks) >= 1
    assert all("--hash=sha256:" in block for block in blocks)


@pytest.mark.parametrize("name", ["peers", "torch", "facenet"])
def test_a_lock_has_the_versions_that_are_asked_for(name: str) -> None:
    assert pins(f"{name}.in").items() <= pins(f"{name}.lock").items(), "make lock"


def test_both_builds_of_torch_are_of_one_version() -> None:
    assert pins("torch-cpu.lock") == {"torch": f"{pins('torch.lock')['torch']}+cpu"}


def test_what_makes_the_environment_takes_nothing_without_its_hash() -> None:
    script = (PEERS / "setup.sh").read_text(encoding="utf-8")
    assert [line for line in script.splitlines() if "pip install" in line] == [
        "install=(.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes)"
    ]
    assert re.findall(r"-r (\S+)", script) == ["peers.lock", "torch-cpu.lock", "torch.lock", "facenet.lock"]
