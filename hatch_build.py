"""Compiles the C part of the package when it is built or installed."""

import os
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("annotator", "native", "kernels.c")
# No contraction: products that are rounded give the same bits on every processor. What is not to be proven away is what
# the loops need to become vectors: comparisons of numbers that are no NaN trap nowhere.
FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")


class CompileKernels(BuildHookInterface[Any]):
    """Puts ``kernels.so`` beside its source, also for an editable install, and into the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; called before a wheel is built. ``$CC`` and ``$CFLAGS`` count as usual."""
        del version
        source = Path(self.root, SOURCE)
        library = source.with_suffix(".so")
        part = library.with_suffix(f".{os.getpid()}")  # whoever runs the one that is there goes on with it
        command = [*shlex.split(os.environ.get("CC", "cc")), *FLAGS, *shlex.split(os.environ.get("CFLAGS", ""))]
        try:
            subprocess.run([*command, "-o", str(part), str(source)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            part.unlink(missing_ok=True)
            raise SystemExit(
                f"{SOURCE} could not be compiled ({error}): a C compiler must be there, such as Debian's packages gcc "
                "and libc6-dev; $CC names another"
            ) from error
        part.replace(library)
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"].append(str(SOURCE.with_suffix(".so")))
