"""The model that is shown, in memory: whom it takes tracks for, and who looks like whom to it."""

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from sqlalchemy import Connection, func, select

from annotator.build import build_gallery, build_identifier
from annotator.errors import AnnotatorError, StoreUnavailableError
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.settings import Settings
from annotator.store.labellings import load_active
from annotator.store.store import Store
from annotator.store.tables import enrolled_faces, identities, tombstones

MODEL_IS_GONE: Final = "The model of these names is not here any more: `annotator models list` shows which are."
NEAREST: Final = 6
"""Look-alikes that are told of a person."""

_FAILURE_LASTS_S: Final = 60.0
"""A model that could not be loaded is tried again then."""

_State = tuple[object, ...]


class ShownModel:
    """Loads the model that is shown when it is first asked for, and anew when its people change. Safe for threads."""

    def __init__(self) -> None:
        """Load nothing yet."""
        self._lock = threading.Lock()
        self._kept: tuple[_State, _Loaded | None] | None = None
        self._tried_again_s = 0.0  # of a monotonic clock

    def identifier(self, store: Store, settings: Settings) -> Identifier | None:
        """Return what names tracks; None where nothing is shown, or the model of what is shown is not here any more.

        Args:
            store: the database.
            settings: where models are, and how sure names must be.

        Raises:
            StoreUnavailableError: the database does not answer.

        """
        loaded = self._load(store, settings)
        return None if loaded is None else loaded.identifier

    def own_names(self, store: Store, settings: Settings) -> frozenset[str] | None:
        """Return what the model itself calls its people, whatever they are called here; None as of :meth:`identifier`.

        These names must go on finding their people: what labels next would take them for somebody new.
        """
        loaded = self._load(store, settings)
        return None if loaded is None else frozenset(one.name for one in loaded.identifier.gallery.bundle.identities)

    def name(self, store: Store, settings: Settings) -> str | None:
        """Return what ``ANNOTATOR_MODEL`` must be to have it; None as of :meth:`identifier`."""
        loaded = self._load(store, settings)
        return None if loaded is None else loaded.name

    def _load(self, store: Store, settings: Settings) -> "_Loaded | None":
        with store.reading() as connection:
            active = load_active(connection)
            state = (None if active is None else active.model, *_people(connection))
        with self._lock:
            kept = self._kept
            if kept is None or kept[0] != state or (kept[1] is None and time.monotonic() >= self._tried_again_s):
                kept = (state, None if active is None else _load(store, settings, active.model))
                self._kept, self._tried_again_s = kept, time.monotonic() + _FAILURE_LASTS_S
            return kept[1]


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    name: str
    identifier: Identifier


def look_alikes(gallery: Gallery, names: Collection[str]) -> tuple[tuple[str, float], ...]:
    """Return who looks most like a person: names and cosines of the prototypes, likest first.

    Args:
        gallery: of the model.
        names: all that mean the person.

    """
    place = next((place for place, one in enumerate(gallery.identities) if one.name in names), None)
    if place is None:
        return ()
    similarities = gallery.prototypes @ gallery.prototypes[place]
    likest = np.argsort(-similarities)[: NEAREST + len(names)].tolist()
    found = [(gallery.identities[one].name, float(similarities[one])) for one in likest]
    return tuple(one for one in found if one[0] not in names)[:NEAREST]


def _people(connection: Connection) -> _State:
    """Return what changes when people are enrolled, merged or taken down; names alone change nothing of faces."""
    faces = enrolled_faces.c
    return (
        *connection.execute(select(func.count(faces.identity_id), func.max(faces.added_at))).one(),
        *connection.execute(select(func.count(identities.c.merged_into), func.max(identities.c.id))).one(),
        connection.execute(select(func.count(tombstones.c.digest))).scalar_one(),
    )


def _load(store: Store, settings: Settings, shown: str) -> _Loaded | None:
    """Return what names by the model of a name in the database; None where it cannot be loaded."""
    model = shown.partition("+")[0]
    for name in dict.fromkeys((model, settings.model)):
        chosen = settings.model_copy(update={"model": name})
        try:
            gallery = build_gallery(chosen, store=store)
            if gallery.bundle.model == model:
                return _Loaded(name, build_identifier(chosen, gallery))
        except StoreUnavailableError:
            raise
        except AnnotatorError:  # it is not here, or cannot be had just now
            continue
    return None
