"""What is stored is labelled anew after somebody was taken apart: tried again until it has begun."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

from annotator.errors import AnnotatorError
from annotator.web.errors import WebError

_WAITS_S: Final = (5, 15, 60, *[300] * 5, *[1800] * 47)
"""Waits between tries, a day in all: what holds it up is another errand, a model being loaded, or the database."""

_LOG: Final = logging.getLogger(__name__)


class LabellingAnew:
    """Keeps in memory that labelling is due, and for whom. It ends with the program. Safe for threads."""

    def __init__(self, *, waits_s: Sequence[float] = _WAITS_S) -> None:
        """Nothing is due yet.

        Args:
            waits_s: between one try and the next; after the last one it is given up.

        """
        self._waits_s = waits_s
        self._lock = threading.Lock()
        self._label: Callable[[], object] | None = None
        self._people: frozenset[int] = frozenset()
        self._is_tried = False

    def begin(self, label: Callable[[], object], people: Collection[int]) -> None:
        """Try it now; where it fails, a thread goes on trying.

        Args:
            label: begins it, for all who are due; raises whatever keeps it from that.
            people: ids of those whose names may be wrong until then.

        """
        with self._lock:
            self._label = label
            self._people |= frozenset(people)
            if self._is_tried:  # whoever tries does it once more
                return
            self._is_tried = True
        if not self._try():
            threading.Thread(target=self._go_on, name="labelling anew", daemon=True).start()

    def is_due_for(self, person_id: int) -> bool:
        """Say whether names of a person may be wrong, because labelling has not begun yet."""
        with self._lock:
            return person_id in self._people

    def _go_on(self) -> None:
        while True:
            with self._lock:
                label = self._label
            for wait_s in self._waits_s:
                time.sleep(wait_s)
                if self._try():
                    return
            with self._lock:
                if self._label is label:
                    self._forget()
                    break
            # More has become due meanwhile: it has its own series of tries.
        _LOG.warning("labelling anew after it was said who is who is given up: `annotator relabel --activate` does it")

    def _try(self) -> bool:
        """Label, and once more where more has become due meanwhile; say whether nothing is due any more."""
        while True:
            with self._lock:
                label = self._label
            try:
                if label is not None:
                    label()
            except Exception as error:  # noqa: BLE001 - the boundary of a thread: whatever goes wrong is tried again
                is_fault = not isinstance(error, (AnnotatorError, WebError))  # of ours: where it is must be told
                _LOG.warning(
                    "what is stored is not labelled anew yet, after it was said who is who: %s",
                    error,
                    exc_info=is_fault,
                )
                return False
            with self._lock:
                if self._label is label:
                    self._forget()
                    return True

    def _forget(self) -> None:
        self._label, self._people, self._is_tried = None, frozenset(), False
