"""Compiling the C part, as an installation does it, and what is said where that was not done."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMPILED = "annotator/native/kernels.so"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What a wheel is built from, without the packages that need no compiler."""
    folder = tmp_path / "source"
    (folder / "annotator" / "native").mkdir(parents=True)
    (folder / "migrations").mkdir()
    (folder / "migrations" / "env.py").touch()
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    for name in ("__init__.py", "kernels.c"):
        shutil.copy(ROOT / "annotator" / "native" / name, folder / "annotator" / "native")
    return folder


def build(folder: Path, target: str = "wheel", **environment: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "-m", "hatchling", "build", "-t", target, "-d", "dist", **environment)


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def files_of_wheel(folder: Path) -> list[str]:
    (wheel,) = folder.glob("dist/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def files_of_source(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "annotator" / "native").iterdir())


def test_it_compiles_without_a_warning_and_a_wheel_leaves_the_source_as_it_was(source: Path, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    done = build(source, CFLAGS="-Wall -Wextra -Werror", TMPDIR=str(tmp_path / "temporary"))
    assert done.returncode == 0, done.stderr
    assert COMPILED in files_of_wheel(source)
    assert files_of_source(source) == ["__init__.py", "kernels.c"]
    assert not list((tmp_path / "temporary").iterdir())


def test_a_source_distribution_builds_a_wheel_without_what_killed_builds_have_left(source: Path) -> None:
    left = source / "annotator" / "native" / "kernels-left" / "kernels.so"  # as by a build that was killed
    left.parent.mkdir()
    left.write_text("old")
    assert build(source, "sdist").returncode == 0
    (packed,) = source.glob("dist/*.tar.gz")
    with tarfile.open(packed) as archive:
        archive.extractall(source / "unpacked", filter="data")
    (unpacked,) = (source / "unpacked").iterdir()
    done = build(unpacked)
    assert done.returncode == 0, done.stderr
    assert [name for name in files_of_wheel(unpacked) if name.endswith(".so")] == [COMPILED]


def installed_to_be_edited(folder: Path) -> subprocess.CompletedProcess[str]:
    return run(folder, "-c", "from hatchling.build import build_editable; build_editable('dist')")


def test_where_it_is_installed_to_be_edited_it_lies_beside_its_source(source: Path) -> None:
    (source / "dist").mkdir()
    done = installed_to_be_edited(source)
    assert done.returncode == 0, done.stderr
    assert files_of_source(source) == ["__init__.py", "kernels.c", "kernels.so"]


def test_a_folder_that_cannot_be_written_is_told_from_a_compiler_that_is_missing(source: Path) -> None:
    (source / "annotator" / "native" / "kernels.so").mkdir()  # root may write where others may not, but not here
    done = installed_to_be_edited(source)
    assert done.returncode != 0
    assert "a folder cannot be written: [Errno 21] Is a directory" in done.stderr
    assert files_of_source(source) == ["__init__.py", "kernels.c", "kernels.so"]


def test_without_a_compiler_the_installation_says_what_is_missing(source: Path) -> None:
    done = build(source, CC="no-such-compiler")
    assert done.returncode != 0
    assert "a C compiler must be there, such as Debian's packages gcc and libc6-dev; $CC names another" in done.stderr


def test_a_compiler_that_fails_is_quoted(source: Path) -> None:
    with (source / "annotator" / "native" / "kernels.c").open("a") as text:
        text.write("#error no such machine\n")
    done = build(source)
    assert done.returncode != 0
    assert "kernels.c could not be compiled: cc says" in done.stderr
    assert "#error no such machine" in done.stderr
    assert "must be there" not in done.stderr


def test_flags_from_outside_do_not_change_the_results_and_the_linker_gets_its_own(source: Path) -> None:
    compiler = source / "compiler"
    compiler.write_text('#!/bin/sh\necho "$@"\nexit 1\n')
    compiler.chmod(0o755)
    said = build(source, CC=str(compiler), CFLAGS="-ffp-contract=fast -g", LDFLAGS="-Wl,-z,now").stderr.split()
    assert said.index("-ffp-contract=fast") < said.index("-ffp-contract=off")
    assert said[-1] == "-Wl,-z,now"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The whole package, of which the compiled part can be spoilt."""
    folder = tmp_path / "site" / "annotator"
    folder.mkdir(parents=True)
    for path in (ROOT / "annotator").iterdir():
        if path.name not in ("native", "__pycache__"):
            (folder / path.name).symlink_to(path)
    shutil.copytree(ROOT / "annotator" / "native", folder / "native")
    return folder


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("missing", "cannot be loaded"),
        ("stale", "is of another version than the rest"),
        ("no library", "cannot be loaded"),
    ],
)
def test_a_package_that_is_not_compiled_says_so_in_one_sentence(package: Path, fault: str, told: str) -> None:
    if fault == "missing":
        (package / "native" / "kernels.so").unlink()
    elif fault == "stale":
        with (package / "native" / "kernels.c").open("a") as text:
            text.write("/* as `git pull` brings it */\n")
    else:
        (package / "native" / "kernels.so").write_bytes(b"")
    code = "import sys; from annotator.cli.entry import run; sys.exit(run(['annotate', 'nothing.gif', '--no-save']))"
    done = run(package.parent, "-c", code)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"annotator: the compiled part of the annotator {told}")
    assert line.endswith("again, with `make setup` or `pip install .`; a C compiler must be there")
