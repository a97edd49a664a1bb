"""``annotator review``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from annotator.build import build_gallery, build_identifier
from annotator.cli.database import open_store
from annotator.cli.output import out, print_json_line, progress, remark
from annotator.recognition.decision import Identifier
from annotator.settings import Settings, load_settings
from annotator.store.backlog.view_file import read_views
from annotator.store.registry import active_labelling, active_network
from annotator.store.review.scanning import scan_all
from annotator.store.review.views import keep_views
from annotator.store.store import Store
from annotator.store.tables import labelled_contents, labellings, review_items


def fill_queue(*, views: Path | None, as_json: bool, settings: Mapping[str, Any]) -> None:
    """Look through everything that is annotated, and say how much is worth a look.

    Raises:
        ConfigError: the file of views cannot be read, or there is no such model.

    """
    loaded = load_settings(**settings)
    with open_store(loaded, must_exist=True) as store:
        kept = None if views is None else keep_views(store.engine, read_views(views))
        identifier = _shown(loaded, store)
        reached = 0
        with progress("looking at tracks", total=_newest(store)) as advance:

            def on_batch(last: int) -> None:
                nonlocal reached
                advance(last - reached)
                reached = last

            identify = None if identifier is None else identifier.identify
            done = scan_all(store.engine, identify=identify, on_batch=on_batch)
        named, nameless = _waiting(store)
    if as_json:
        print_json_line({"contents": done.contents, "named": named, "nameless": nameless, "views": kept})
        return
    if kept is not None:
        remark(f"Views of {kept:,} media are known now.")
    out().print(
        f"{done.contents:,} clips were looked at: {named:,} uncertain names and {nameless:,} tracks without one are"
        " worth a look; the page Review of `annotator web` asks about them",
        soft_wrap=True,
        markup=False,
    )


def _shown(settings: Settings, store: Store) -> Identifier | None:
    """Return what names tracks as those that are shown were named; None where the model is another one."""
    with store.reading() as connection:
        digest = connection.execute(
            select(labellings.c.digest).where(labellings.c.id == active_labelling(connection))
        ).scalar_one_or_none()
    if digest is None:
        return None
    identifier = build_identifier(settings, build_gallery(settings, store=store))
    if identifier.digest == digest:
        return identifier
    remark(
        f"The names that are shown are not those that {identifier.model} gives by now: tracks without a name are left"
        " out. Give --model the one that is shown, or let `annotator relabel --activate` show the names of this one."
    )
    return None


def _newest(store: Store) -> int:
    with store.reading() as connection:
        labelling_id = active_labelling(connection)
        newest = select(func.max(labelled_contents.c.content_id)).where(
            labelled_contents.c.labelling_id == labelling_id
        )
        return connection.execute(newest).scalar_one() or 0


def _waiting(store: Store) -> tuple[int, int]:
    """Return how many tracks with, and without, a name nobody has decided on."""
    items = review_items.c
    with store.reading() as connection:
        named = func.count().filter(items.candidates.is_(None))
        nameless = func.count().filter(items.candidates.is_not(None))
        mine = (items.network_id == active_network(connection), items.decided_at.is_(None))
        row = connection.execute(select(named, nameless).where(*mine)).one()
    return int(row[0]), int(row[1])
