"""Modules that only some machines have: TensorFlow comes for Linux on x86-64 alone (pyproject.toml, extra «dev»)."""

import importlib
import os
import platform
from typing import Any

import pytest


def import_optional(name: str) -> Any:
    """Import a module, or skip what asks for it: a test, or all tests of a module.

    Where ``CI=true`` on a machine for which it is locked, its absence is a failure: tests that skip there test nothing.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if os.environ.get("CI") == "true" and (platform.system(), platform.machine()) == ("Linux", "x86_64"):
            raise
        reason = f"it needs {name} ({error}), which `make setup-dev` installs on Linux on x86-64"
        pytest.skip(reason, allow_module_level=True)
