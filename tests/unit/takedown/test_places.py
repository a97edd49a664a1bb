"""Of what a takedown would change, which models and files are told, and of which others are warned."""

from pathlib import Path

from annotator.build import STARTER_FOLDER
from annotator.demo.portraits import PORTRAITS
from annotator.takedown.places import places_of, warnings_of

CACHE = Path("/home/somebody/.cache/annotator")
MAP = CACHE / "space" / "0123.npz"


def test_models_and_files_are_told_by_their_paths() -> None:
    places = places_of([Path("/models/mine@3")], [CACHE / "golden.db", MAP], CACHE)
    assert places == {"models": ["/models/mine@3"], "cache": [str(CACHE / "golden.db"), str(MAP)]}
    assert places_of([], [], CACHE) == {}


def test_a_portrait_is_not_told_by_its_name() -> None:
    key = PORTRAITS[0].key
    assert places_of([], [CACHE / "demo" / f"{key}.jpg"], CACHE) == {"cache": [f"{CACHE / 'demo'} (a portrait)"]}


def test_whoever_takes_down_is_warned_of_what_others_rely_on() -> None:
    assert warnings_of([Path("/models/mine@3")], [CACHE / "golden.db"]) == []
    packaged, maps = warnings_of([Path("/models/mine@3"), STARTER_FOLDER.resolve()], [MAP])
    assert "files are of the installation" in packaged
    assert "other archives" in maps
