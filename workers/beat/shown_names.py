"""What names tracks as those that are shown were named: loaded when a job of beat needs it, once for all of them."""

import logging
import threading
from typing import TYPE_CHECKING, Final

from sqlalchemy import Engine

from annotator.errors import ConfigError, InputError, ModelError
from annotator.settings import Settings
from annotator.store.store import Store

if TYPE_CHECKING:
    from annotator.recognition.decision import Identifier

_LOGGER: Final = logging.getLogger(__name__)


class ShownNames:
    """Finds the model that is shown, and keeps it. Safe for threads."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        """Load nothing yet.

        Args:
            engine: of the database.
            settings: where models are found.

        """
        self._engine = engine
        self._settings = settings
        self._lock = threading.Lock()
        self._names: Identifier | None = None
        self._told = ""

    def find(self, model: str, digest: str) -> "Identifier | None":
        """Return what made some labels; people enrolled since make another one, and are passed over.

        Args:
            model: as users see it.
            digest: of all that decides its labels.

        Returns:
            What names; None where there is no such model here, which is logged.

        Raises:
            StoreUnavailableError: the database does not answer.

        """
        with self._lock:
            if self._names is None or self._names.digest != digest:
                self._names = self._load(model, digest)
            return self._names

    def _load(self, model: str, digest: str) -> "Identifier | None":
        from annotator.build import build_gallery, build_identifier  # noqa: PLC0415  (most turns need no model)

        store = Store(self._engine)
        for name in (self._settings.model, model.partition("+")[0]):
            try:
                settings = self._settings.model_copy(update={"model": name})
                names = build_identifier(settings, build_gallery(settings, store=store))
            except (ConfigError, InputError, ModelError) as error:
                _LOGGER.debug("%s cannot be loaded: %s", name, error)
                continue
            if names.digest == digest:
                return names
        if self._told != digest:
            self._told = digest
            _LOGGER.warning(
                "Some contents lack labels of %s, which is shown, or were not looked at for Review, and beat finds no"
                " such model: install it, or set ANNOTATOR_MODEL, and ANNOTATOR_PRIOR and ANNOTATOR_MIN_PRECISION as"
                " its labels were made with.",
                model,
            )
        return None
