"""The units for systemd: accepted by systemd itself, closed, and their commands are understood."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.command_lines import OWN, complaints_of, complaints_of_line

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").iterdir())
INSTALLED = "/opt/annotator/bin/"
DAEMONS = ["annotator-beat.service", "annotator-follow.service", "annotator-worker.service"]


def read(name: str) -> str:
    return (ROOT / "deploy" / "systemd" / name).read_text()


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed: only the commands of the units are checked")
    environment = {**os.environ, "SYSTEMD_LOG_LEVEL": "warning"}
    return subprocess.run(
        [program, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with the programs of this environment, as systemd looks for them."""
    for unit in UNITS:
        text = unit.read_text().replace(INSTALLED, f"{Path(sys.executable).parent}/")
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def test_systemd_has_nothing_to_say_about_them(units: Path) -> None:
    done = analyze("verify", *(units / unit.name for unit in UNITS))
    assert (done.returncode, done.stderr) == (0, "")
    broken = units / "annotator-beat.service"
    broken.write_text(broken.read_text().replace("ProtectHome=", "ProtectHouse="))
    assert "ProtectHouse" in analyze("verify", broken).stderr


@pytest.mark.parametrize("name", DAEMONS)
def test_systemd_finds_them_hardly_exposed(units: Path, name: str) -> None:
    assert analyze("security", "--offline=true", "--threshold=25", units / name).returncode == 0
    loose = units / name
    loose.write_text(loose.read_text().replace("ProtectSystem=strict\n", "").replace("CapabilityBoundingSet=\n", ""))
    assert analyze("security", "--offline=true", "--threshold=25", loose).returncode != 0


def commands(text: str) -> list[str]:
    variables = dict(re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE))
    lines = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    return [re.sub(r"\$\{(\w+)\}", lambda found: variables[found[1]], line) for line in lines]


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name)
def test_their_commands_are_understood(unit: Path) -> None:
    found = commands(unit.read_text())
    assert found
    for line in found:
        words = shlex.split(line)
        inner = words[2] if words[0] == "/bin/sh" else shlex.join(words)
        assert any(f"{INSTALLED}{program}" in inner for program in OWN)
        assert complaints_of_line(inner.replace(INSTALLED, "")) == []
    assert complaints_of(["celery", "-A", "workers", "wroker"]) != []


@pytest.mark.parametrize("name", DAEMONS)
def test_secrets_come_from_a_file_and_a_stop_leaves_time_to_drain(name: str) -> None:
    service = configparser.RawConfigParser(strict=False)
    service.optionxform = str  # type: ignore[assignment,method-assign]
    service.read_string(read(name))
    assert service["Service"]["EnvironmentFile"] == "/etc/annotator/environment"
    assert "URL" not in read(name)
    assert int(service["Service"]["TimeoutStopSec"]) == 30
    ends = name == "annotator-follow.service"  # when its backlog is stopped
    assert service["Service"]["Restart"] == ("on-failure" if ends else "always")
    # A setting that cannot work is put right by a person: a worker and beat work as soon as that is done.
    assert service["Service"].get("RestartPreventExitStatus") == ("2" if ends else None)


def test_decoders_of_a_worker_are_not_sent_the_signal_to_stop() -> None:
    assert "\nKillMode=mixed\n" in read("annotator-worker.service")
