"""A place with the demo's portraits, where commands run as a user runs them."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from annotator.demo.clips import draw_clips
from annotator.demo.portraits import PORTRAITS, Portrait, fetch_portraits


def _no_download(*_: object) -> Path:
    pytest.fail("the portraits should be here already: tests fetch nothing")


@pytest.fixture(scope="session")
def portraits(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the demo's portraits: two from the shared data, one from an installed package."""
    folder = tmp_path_factory.mktemp("portraits")
    for portrait in PORTRAITS:
        path = _shared(shared_data, portrait)
        if path.is_file():
            shutil.copyfile(path, folder / f"{portrait.key}{path.suffix}")
    fetch_portraits(folder, download=_no_download)
    return folder


def _shared(shared_data: Path, portrait: Portrait) -> Path:
    return shared_data / "people" / "known" / portrait.name.replace(" ", "_") / Path(portrait.member).name


@pytest.fixture(scope="session")
def clips(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the clips that the demo draws."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_clips(folder, portraits={path.stem: path for path in portraits.iterdir()})
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory, with_networks: Callable[[Path], Path]) -> Path:
    """A cache for commands that run in this process."""
    cache = tmp_path_factory.mktemp("cache")
    with_networks(cache / "celebrity-annotator")
    return cache


@pytest.fixture(scope="session")
def user_environment(
    portraits: Path, tmp_path_factory: pytest.TempPathFactory, with_networks: Callable[[Path], Path]
) -> Mapping[str, str]:
    """The environment of a user with a home of her own, whose cache has the portraits and the networks."""
    home = tmp_path_factory.mktemp("home")
    cache = home / "cache" / "celebrity-annotator"
    shutil.copytree(portraits, with_networks(cache) / "demo")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANNOTATOR_")}
    programs = str(Path(sys.executable).parent)
    return kept | {
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }
