"""The model that is shown, in memory: whom it takes tracks for, and who looks like whom to it."""

import threading
import time
from collections.abc import Collection
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
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
from annotator.store.tables import enrolled_faces, identities, merges
from annotator.store.takedowns.tombstones import takedowns_so_far
from annotator.web.errors import WebError

MODEL_IS_GONE: Final = "The model of these names is not here any more: `annotator models list` shows which are."
NEAREST: Final = 6
"""Look-alikes that are told of a person."""

_FAILURE_LASTS_S: Final = 60.0
"""A model that could not be loaded is tried again then."""

_WAITS_S: Final = 1.0
"""So long a page waits for a model that is being loaded."""
_ERRANDS_WAIT_S: Final = 20.0
"""So long waits what takes that long itself, and may have brought photographs."""

_State = tuple[object, ...]


class BeingLoadedError(WebError):
    """The model is being loaded: pages show the rest meanwhile, whatever needs it comes again."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__(
            503,
            "The model of these names is being loaded, which takes some seconds: try again then.",
            headers={"Retry-After": "5"},
        )


class ShownModel:
    """Loads the model that is shown when it is first asked for, and anew when its people change. Safe for threads.

    One thread of its own loads it, once for all who ask; each of them waits a moment only.
    """

    def __init__(self, *, waits_s: float = _WAITS_S, errands_wait_s: float = _ERRANDS_WAIT_S) -> None:
        """Load nothing yet.

        Args:
            waits_s: so long whoever asks waits for it.
            errands_wait_s: so long whoever asks for its name.

        """
        self._waits_s = waits_s
        self._errands_wait_s = errands_wait_s
        self._lock = threading.Lock()
        self._kept: tuple[_State, _Loaded | None] | None = None
        self._tried_again_s = 0.0  # of a monotonic clock
        self._under_way: Future[None] | None = None

    def identifier(self, store: Store, settings: Settings) -> Identifier | None:
        """Return what names tracks; None where nothing is shown, or the model of what is shown is not here any more.

        Args:
            store: the database.
            settings: where models are, and how sure names must be.

        Raises:
            BeingLoadedError: it is not there yet.
            StoreUnavailableError: the database does not answer.

        """
        loaded = self._await(store, settings, self._waits_s)
        return None if loaded is None else loaded.identifier

    def own_names(self, store: Store, settings: Settings) -> frozenset[str] | None:
        """Return what the model itself calls its people, whatever they are called here; None as of :meth:`identifier`.

        These names must go on finding their people: what labels next would take them for somebody new.
        """
        loaded = self._await(store, settings, self._waits_s)
        return None if loaded is None else frozenset(one.name for one in loaded.identifier.gallery.bundle.identities)

    def name(self, store: Store, settings: Settings) -> str | None:
        """Return what ``ANNOTATOR_MODEL`` must be for an errand to have it; None as of :meth:`identifier`."""
        loaded = self._await(store, settings, self._errands_wait_s)
        return None if loaded is None else loaded.name

    def _await(self, store: Store, settings: Settings, waits_s: float) -> "_Loaded | None":
        until_s = time.monotonic() + waits_s
        while True:
            with store.reading() as connection:
                active = load_active(connection)
                state = (None if active is None else active.model, *_people(connection))
            if active is None:
                return None
            with self._lock:
                if self._kept is not None and self._kept[0] == state and not self._is_due():
                    return self._kept[1]
                under_way = self._under_way or self._begin(state, store, settings, active.model)
            # What another one has begun may be of people who have changed meanwhile: then it is begun anew.
            if not wait_for([under_way], max(0.0, until_s - time.monotonic())).done:
                raise BeingLoadedError
            under_way.result()

    def _is_due(self) -> bool:
        """Say whether what could not be loaded is to be tried again."""
        return self._kept is not None and self._kept[1] is None and time.monotonic() >= self._tried_again_s

    def _begin(self, state: _State, store: Store, settings: Settings, shown: str) -> "Future[None]":
        """Load it in a thread of its own; whatever goes wrong there is told to all who wait."""
        under_way: Future[None] = Future()

        def load() -> None:
            try:
                loaded = _load(store, settings, shown)
            except BaseException as error:  # noqa: BLE001 - told to those who wait
                with self._lock:
                    self._under_way = None
                under_way.set_exception(error)
                return
            with self._lock:
                self._kept, self._tried_again_s = (state, loaded), time.monotonic() + _FAILURE_LASTS_S
                self._under_way = None
            under_way.set_result(None)

        self._under_way = under_way
        threading.Thread(target=load, name="model", daemon=True).start()
        return under_way


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
        connection.execute(select(func.max(merges.c.merged_at))).scalar_one(),  # one is taken back, another one comes
        *takedowns_so_far(connection),
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
