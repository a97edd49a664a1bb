"""A job of beat: what lacks labels of the model that is shown gets them, from stored embeddings, some at a time."""

import logging
from typing import Final

from sqlalchemy import Engine

from annotator.store.relabelling.catching_up import label_some, look
from workers.beat.shown_names import ShownNames

_LOGGER: Final = logging.getLogger(__name__)


class CatchUp:
    """Labels what workers of a former model, or a run that passed by too early, have left without labels."""

    def __init__(self, engine: Engine, names: ShownNames) -> None:
        """Take what loads models; nothing is loaded yet.

        Args:
            engine: of the database.
            names: of the model that is shown.

        """
        self._engine = engine
        self._names = names

    def run(self) -> int:
        """Do a turn, which takes seconds at most; may be killed at any time. Returns the contents labelled.

        Raises:
            StoreUnavailableError: the database does not answer.

        """
        lacking = look(self._engine)
        if lacking is None:
            return 0
        names = self._names.find(lacking.model, lacking.digest)
        if names is None:
            return 0
        count = label_some(self._engine, names, lacking)
        if count:
            _LOGGER.info("%d contents that lacked labels of %s have them now.", count, lacking.model)
        return count
