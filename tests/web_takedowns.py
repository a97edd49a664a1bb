"""An archive for tests of takedowns by the web application: whoever is to go is in every store that pages can fill."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sqlalchemy import insert, select, text

from annotator.store import Store
from annotator.store.columns import utc_now
from annotator.store.tables import identities, web_audit
from annotator.store.web.accounts import Account, Role
from annotator.web.application import make_application
from annotator.web.taking_down import TakingDown
from tests import web_modelled
from tests.made_up_bundles import EMBEDDER, direction_of, identity_of
from tests.traces import traces_in_database, traces_in_files
from tests.web_client import Browser, WebForTests

GONE = 3
NAME, ALIAS = identity_of(GONE).name, "Third Somebody"
FACE = direction_of(GONE)
PROGRAM = (sys.executable, "-m", "annotator.cli.web_takedown")
PATIENCE_S = 300.0
_THIS_PROGRAM = {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}  # not what may be installed elsewhere


def fill(store: Store, folder: Path) -> int:
    """Fill a store, and return who is to go: in a model, in labels, by a photograph, by another name, in the record."""
    web_modelled.fill(store, folder / "model")
    store.add_enrolled(
        identity_of(GONE), embedder=EMBEDDER, embeddings=np.asarray(FACE[None], np.float32), photo_sha256=["ab" * 32]
    )
    store.rename(NAME, ALIAS)
    store.rename(ALIAS, NAME)
    with store.writing() as connection:
        deed = {"happened_at": utc_now(), "actor": "eve", "address": "", "action": "renamed a person"}
        connection.execute(insert(web_audit).values(subject=NAME, details={"former": ALIAS}, **deed))
        return connection.execute(select(identities.c.id).where(identities.c.name == NAME)).scalar_one()


class Place:
    """An archive in a folder, and an application over it that takes down."""

    def __init__(self, store: Store, database_url: str, folder: Path, *, is_filled: bool = True) -> None:
        """Take a store: an empty one, which is filled, unless nobody is to go."""
        self.store = store
        self.folder = folder
        self.person_id = fill(store, folder) if is_filled else 0
        self._settings = {"database_url": database_url}
        self.web = WebForTests(store)
        if is_filled:
            self.web.use_settings(model=str(folder / "model"))
            self._settings["model"] = str(folder / "model")
        self.web.use_settings(data_dir=folder / "data", cache_dir=folder / "cache")
        self._environment = {
            **os.environ,
            **_THIS_PROGRAM,
            "ANNOTATOR_DATA_DIR": str(folder / "data"),
            "ANNOTATOR_CACHE_DIR": str(folder / "cache"),
        }
        self._admin: Account | None = None
        self.use(PROGRAM)

    def use(self, program: Sequence[str]) -> None:
        """Let takedowns be done by a program, as if the application were started anew."""
        self.web.site = replace(self.web.site, taking_down=TakingDown(program, self._settings, self._environment))
        self.web.application = make_application(self.web.site)

    @property
    def taking_down(self) -> TakingDown:
        """What does them."""
        assert self.web.site.taking_down is not None
        return self.web.site.taking_down

    def admin(self) -> Browser:
        """Return a browser of an admin."""
        self._admin = self._admin or self.web.account(Role.ADMIN)
        browser = self.web.browser()
        browser.log_in_as(self._admin)
        return browser

    def wait(self) -> None:
        """Wait until nothing is under way."""
        assert self.taking_down.wait(lambda: not self.taking_down.is_busy, timeout_s=PATIENCE_S)

    def beside(self) -> WebForTests:
        """Return another application over the same database, with a memory of its own."""
        web = web_modelled.web_with(self.store, self.folder / "model")
        web.use_settings(data_dir=self.folder / "data", cache_dir=self.folder / "cache")
        return web

    def traces(self) -> list[str]:
        """Return where the person is found."""
        found = traces_in_database(self.store.engine, (NAME, ALIAS), FACE, ids=(self.person_id,))
        if self.store.engine.dialect.name == "sqlite":  # what is left in its file is looked for, too
            with self.store.engine.connect() as connection:
                connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        return found + traces_in_files([self.folder], (NAME, ALIAS), FACE)
