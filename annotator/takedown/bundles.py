"""Model bundles without a person: the prototype, the label, the credits and whatever else says the name.

A bundle is written anew beside its folder and takes its place at once; what it is called stays, what it contains is
another thing, so its digest changes. The centre that scores are taken from stays: it is a mean over all people. The
class head of GIPHY's network (classes.npz), which nothing uses, is left out.
"""

import csv
import io
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from annotator.recognition.bundle import MANIFEST, ModelBundle, load_bundle, write_bundle
from annotator.recognition.bundle_files import CREDITS, LICENSE, MODEL_CARD, NETWORK, REVOKED
from annotator.recognition.revocation import parse_revocation_list
from annotator.recognition.tombstone import keys_of
from annotator.store.takedowns.name_finder import NameFinder
from annotator.types import F32, I64, Identity

_NEW: Final = ".without-"
_OLD: Final = ".former-"


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A bundle that knows the person.

    Attributes:
        folder: of the bundle.
        bundle: as it is.
        places: of the person, i64 (n,), n > 0.

    """

    folder: Path
    bundle: ModelBundle
    places: I64

    @property
    def prototypes(self) -> F32:
        """The person's, f32 (n, E)."""
        return self.bundle.prototypes[self.places]


def find_bundles(folders: Sequence[Path], people: Sequence[Identity]) -> list[Known]:
    """Return the bundles that know somebody; a replacement that was killed half-way is ended first.

    Args:
        folders: of bundles; those that are none are left out.
        people: one person, under all names.

    Raises:
        ModelError: a bundle fails its checks.

    """
    keys = {key for one in people for key in keys_of(one)}
    found = []
    for folder in dict.fromkeys(one.resolve() for one in folders):
        _end_replacement(folder)
        if not (folder / MANIFEST).is_file():
            continue
        bundle = load_bundle(folder)
        is_meant = [not keys.isdisjoint(keys_of(one)) for one in bundle.identities]
        if any(is_meant):
            found.append(Known(folder, bundle, np.flatnonzero(is_meant).astype(np.int64)))
    return found


def is_replaceable(folder: Path) -> bool:
    """Say whether this user may put another folder in place of one: within an image of a container mostly not."""
    return os.access(folder.parent, os.W_OK | os.X_OK) and os.access(folder, os.W_OK | os.X_OK)


def rewrite_without(known: Known, names: Sequence[str]) -> ModelBundle:
    """Replace a bundle by one without the person, and return that.

    Args:
        known: the bundle.
        names: of the person.

    Raises:
        OSError: the folder cannot be replaced.

    """
    folder, bundle = known.folder, known.bundle
    scratch, former = folder.with_name(_NEW + folder.name), folder.with_name(_OLD + folder.name)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    if bundle.network is not None:
        shutil.copyfile(folder / NETWORK, scratch / NETWORK)
    people = [bundle.identities[place] for place in known.places.tolist()]
    finder = NameFinder.of(names, [one.kg_mid for one in people if one.kg_mid is not None])
    texts = {
        name: _text_without(folder / name, finder)
        for name in (CREDITS, MODEL_CARD, LICENSE)
        if (folder / name).is_file()
    }
    revoked = parse_revocation_list((folder / REVOKED).read_text(encoding="utf-8"), where=REVOKED)
    write_bundle(scratch, _without(bundle, known.places, finder), texts=texts, revoked=revoked)
    folder.rename(former)
    scratch.rename(folder)
    shutil.rmtree(former)
    return load_bundle(folder)


def _without(bundle: ModelBundle, places: I64, finder: NameFinder) -> ModelBundle:
    left = np.setdiff1d(np.arange(len(bundle.identities)), places)
    manifest = finder.without(dict(bundle.manifest))
    manifest.pop("files", None)  # digests and sizes are stated anew
    if isinstance(manifest.get("people"), int):
        manifest["people"] -= len(places)
    return replace(bundle.with_only(left), manifest=manifest)


def _text_without(path: Path, finder: NameFinder) -> str:
    """Return a text of a bundle without the names: of a table, without the lines that have one."""
    text = path.read_text(encoding="utf-8")
    if path.name != CREDITS:
        return str(finder.without(text))
    rows = list(csv.reader(io.StringIO(text)))
    out = io.StringIO()
    left = [row for row in rows if not any(finder.is_alone(cell) or finder.is_within(cell) for cell in row)]
    csv.writer(out, lineterminator="\n").writerows(left)
    return out.getvalue()


def _end_replacement(folder: Path) -> None:
    """Bring a folder back that was moved away and not replaced; take away what is left of one that was."""
    former = folder.with_name(_OLD + folder.name)
    if former.is_dir() and not folder.exists():
        former.rename(folder)
    shutil.rmtree(former, ignore_errors=True)
    shutil.rmtree(folder.with_name(_NEW + folder.name), ignore_errors=True)
