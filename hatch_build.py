"""Compiles the C part of the package when it is built or installed."""

import hashlib
import os
import shlex
import subprocess
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("annotator", "native", "kernels.c")
# No contraction: products that are rounded give the same bits on every processor (but for those that the source fuses
# itself). What is not to be proven away is what
# the loops need to become vectors: comparisons of numbers that are no NaN trap nowhere.
FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")


class CompileKernels(BuildHookInterface[Any]):
    """Puts ``kernels.so`` into the wheel; beside its source only where it is installed to be edited."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; called before a wheel is built. ``$CC``, ``$CFLAGS`` and ``$LDFLAGS`` count as usual."""
        source = Path(self.root, SOURCE)
        is_edited = version == "editable"
        try:
            # Where a process may run the library that is there, the new one takes its place in one step.
            self._folder = TemporaryDirectory(prefix="kernels-", dir=source.parent if is_edited else None)
            library = Path(self._folder.name, "kernels.so")
            _compile(source, library)
            if is_edited:
                library.replace(source.with_suffix(".so"))
        except OSError as error:
            raise SystemExit(f"{SOURCE} could not be compiled, for a folder cannot be written: {error}") from error
        if not is_edited:
            build_data["force_include"][str(library)] = str(SOURCE.with_suffix(".so"))
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Clear up; called after the wheel is built."""
        del version, build_data, artifact_path
        self._folder.cleanup()


def _compile(source: Path, library: Path) -> None:
    before, after = (shlex.split(os.environ.get(name, "")) for name in ("CFLAGS", "LDFLAGS"))
    compiler = shlex.split(os.environ.get("CC", "")) or ["cc"]
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    command = [*compiler, *before, *FLAGS, f"-DMADE_FROM=made_from_{digest}", "-o", str(library), str(source), *after]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except OSError as error:
        raise SystemExit(
            f"{SOURCE} could not be compiled ({error}): a C compiler must be there, such as Debian's packages gcc and "
            "libc6-dev; $CC names another"
        ) from error
    if done.returncode != 0:
        raise SystemExit(f"{SOURCE} could not be compiled: {compiler[0]} says\n{done.stdout}")
