"""The C part under the sanitizers: it reads and writes nothing that is not its own, whatever it is given."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from annotator.native import FirstLayer

FOLDER = Path(__file__).parent
SOURCE = FOLDER.parents[2] / "annotator" / "native" / "kernels.c"
TESTS = (
    *(FOLDER / f"test_{name}.py" for name in ("frames", "windows", "suppression", "first_layer", "products")),
    FOLDER.parent / "detection" / "test_boxes.py",
)

CODE = """
import sys
from pathlib import Path
import pytest
from annotator import native
native.LIBRARY = Path(sys.argv[1])
native._library = native._loaded()
# Neither what tests share nor plugins are for these: under the sanitizers it takes longer to load than they run.
alone = ["--noconftest", "--disable-plugin-autoload", "-p", "no:cacheprovider"]
sys.exit(pytest.main(["-qs", *alone, *sys.argv[2:]]))
"""


def compiler_says(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([shutil.which("cc") or "cc", *arguments], capture_output=True, text=True, check=False)


def run_tests(source: Path, library: Path, tests: tuple[Path, ...] = TESTS) -> subprocess.CompletedProcess[str]:
    sanitizers = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fPIC", "-shared", "-o", str(library))
    runtimes = [compiler_says(f"-print-file-name={name}").stdout.strip() for name in ("libasan.so", "libubsan.so")]
    has_sanitizers = compiler_says(*sanitizers, "-x", "c", os.devnull).returncode == 0
    if not has_sanitizers or not all(Path(runtime).is_absolute() for runtime in runtimes):
        pytest.skip("the compiler has no sanitizers")
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()
    flags = ("-std=gnu11", "-g", "-O1", "-ffp-contract=off", f"-DMADE_FROM=made_from_{digest}")
    made = compiler_says(*sanitizers, *flags, str(source))
    assert made.returncode == 0, made.stderr
    return subprocess.run(
        [sys.executable, "-c", CODE, str(library), *map(str, tests)],
        env={**os.environ, "LD_PRELOAD": " ".join(runtimes), "ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_nothing_is_read_or_written_out_of_bounds(tmp_path: Path) -> None:
    done = run_tests(SOURCE, tmp_path / "sanitized.so")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        ("(9 * widest + 16) * sizeof", "(7 * widest + 16) * sizeof", "frames"),
        pytest.param(
            "MIN(x, columns - pixels); /*",
            "x; /*",
            "first_layer",
            marks=pytest.mark.skipif(
                not FirstLayer.is_there(), reason="this processor has no AVX2, or is none of x86-64"
            ),
        ),
    ],
)
def test_what_is_too_long_is_noticed(tmp_path: Path, right: str, wrong: str, name: str) -> None:
    text = SOURCE.read_text()
    broken = tmp_path / "kernels.c"
    broken.write_text(text.replace(right, wrong))
    assert broken.read_text() != text
    assert "heap-buffer-overflow" in run_tests(broken, tmp_path / "broken.so", (FOLDER / f"test_{name}.py",)).stderr
