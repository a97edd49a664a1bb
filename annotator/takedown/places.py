"""Of what a takedown would change on this machine: which models and files, and who else relies on them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from annotator.build import STARTER_FOLDER
from annotator.demo.portraits import PORTRAITS
from annotator.space.files import FOLDER

_PACKAGED: Final = (
    "the starter model goes without the person, too: its files are of the installation, so that every archive that is"
    " used by this installation does without the person from then on; an upgrade of the program brings the model back"
    " whole, and only the tombstones of this database keep the person out of it"
)
_MAPS: Final = (
    "all maps of people in the cache go, also those of other archives that share it: `annotator space build` makes each"
    " anew"
)


def places_of(bundles: Sequence[Path], cached: Sequence[Path], cache_folder: Path) -> Mapping[str, Sequence[str]]:
    """Return where the models are that would be written anew, and which files of the cache would go, by step.

    A portrait of the demo is called after a person, so only its folder is told.

    Args:
        bundles: folders of models.
        cached: files of the cache.
        cache_folder: the cache.

    """
    keys = {portrait.key for portrait in PORTRAITS}
    files = [
        f"{path.parent} (a portrait)" if path.parent == cache_folder / "demo" and path.stem in keys else str(path)
        for path in cached
    ]
    found = {"models": [str(folder) for folder in bundles], "cache": files}
    return {step: places for step, places in found.items() if places}


def warnings_of(bundles: Sequence[Path], cached: Sequence[Path]) -> Sequence[str]:
    """Return what others rely on of what would go, a sentence each."""
    is_packaged = STARTER_FOLDER.resolve() in bundles
    return [_PACKAGED] * is_packaged + [_MAPS] * any(path.parent.name == FOLDER for path in cached)
