"""A job of beat: what lacks labels of the model that is shown gets them, from stored embeddings, some at a time."""

import logging
from typing import Final

from sqlalchemy import Engine

from annotator.errors import ConfigError, InputError, ModelError
from annotator.recognition.decision import Identifier
from annotator.settings import Settings
from annotator.store.relabelling.catching_up import Lacking, label_some, look
from annotator.store.store import Store

_LOGGER: Final = logging.getLogger(__name__)


class CatchUp:
    """Labels what workers of a former model, or a run that passed by too early, have left without labels."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        """Load nothing yet.

        Args:
            engine: of the database.
            settings: where models are found.

        """
        self._engine = engine
        self._settings = settings
        self._names: Identifier | None = None
        self._told = ""

    def run(self) -> int:
        """Do a turn, which takes seconds at most; may be killed at any time. Returns the contents labelled.

        Raises:
            StoreUnavailableError: the database does not answer.

        """
        lacking = look(self._engine)
        if lacking is None:
            return 0
        names = self._find(lacking)
        if names is None:
            return 0
        count = label_some(self._engine, names, lacking)
        if count:
            _LOGGER.info("%d contents that lacked labels of %s have them now.", count, lacking.model)
        return count

    def _find(self, lacking: Lacking) -> Identifier | None:
        """Return what made the labels that are shown; people enrolled since make another one, and are passed over."""
        if self._names is None or self._names.digest != lacking.digest:
            self._names = self._load(lacking)
        return self._names

    def _load(self, lacking: Lacking) -> Identifier | None:
        from annotator.build import build_gallery, build_identifier  # noqa: PLC0415  (most turns need no model)

        store = Store(self._engine)
        for name in (self._settings.model, lacking.model.partition("+")[0]):
            try:
                settings = self._settings.model_copy(update={"model": name})
                names = build_identifier(settings, build_gallery(settings, store=store))
            except (ConfigError, InputError, ModelError) as error:
                _LOGGER.debug("%s cannot be loaded: %s", name, error)
                continue
            if names.digest == lacking.digest:
                return names
        if self._told != lacking.digest:
            self._told = lacking.digest
            _LOGGER.warning(
                "Some contents lack labels of %s, which is shown, and beat finds no such model: install it, or"
                " set ANNOTATOR_MODEL, and ANNOTATOR_PRIOR and ANNOTATOR_MIN_PRECISION as its labels were made with.",
                lacking.model,
            )
        return None
