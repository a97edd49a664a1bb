"""People who were taken down are not learnt again: the trainer asks the annotator's database."""

from collections.abc import Collection

from annotator.errors import TakenDownError
from annotator.settings import load_settings
from annotator.store import Store
from annotator.store.connection import sqlite_path
from annotator.types import Identity


def insist_on_nobody_taken_down(people: Collection[Identity]) -> None:
    """Refuse people of whom somebody was taken down (``annotator takedown``).

    Where there is no database, nobody was. Each name that the database does not know takes 40 ms, once anybody was.

    Raises:
        TakenDownError: somebody was; it does not say who.
        StoreUnavailableError: the database does not answer: then nobody knows.

    """
    url = load_settings().database_url.get_secret_value()
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return
    with Store.open(url) as store:
        gone = store.taken_down(people)
    if gone:
        raise TakenDownError(
            f"{len(gone)} of the labels {'is' if len(gone) == 1 else 'are'} of somebody who was taken down: nothing may"
            " learn them again; `annotator takedown NAME --folder WORKDIR --yes` takes photographs and labels away"
        )
