"""Compiling the C part, as an installation does it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What a wheel is built from, without the packages that need no compiler."""
    for name in ("pyproject.toml", "hatch_build.py", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "annotator" / "native").mkdir(parents=True)
    for name in ("__init__.py", "kernels.c"):
        shutil.copy(ROOT / "annotator" / "native" / name, tmp_path / "annotator" / "native")
    return tmp_path


def build(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_compiles_without_a_warning(source: Path) -> None:
    done = build(source, CFLAGS="-Wall -Wextra -Werror")
    assert done.returncode == 0, done.stderr
    assert (source / "annotator" / "native" / "kernels.so").stat().st_size > 10_000


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_compiler_the_installation_says_what_is_missing(source: Path, compiler: str) -> None:
    done = build(source, CC=compiler)
    assert done.returncode != 0
    assert "a C compiler must be there, such as Debian's packages gcc and libc6-dev; $CC names another" in done.stderr
    assert sorted(path.name for path in (source / "annotator" / "native").iterdir()) == ["__init__.py", "kernels.c"]


def test_a_package_that_was_not_compiled_says_so_when_it_is_imported(source: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(source / "annotator" / "native" / "__init__.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ImportError: the compiled part of the annotator cannot be loaded" in done.stderr
    assert "install the package again, with `make` or `pip install .`; a C compiler must be there" in done.stderr


CODE = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("native", sys.argv[1])
spec.loader.exec_module(importlib.util.module_from_spec(spec))
"""
