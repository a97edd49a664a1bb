"""A small archive for tests of the web application: three clips, of two people and a stranger."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from sqlalchemy import insert, select, update

from annotator.store import Store
from annotator.store.connection import open_engine
from annotator.store.rollups import roll_up
from annotator.store.tables import content_families, roll_ups
from annotator.store.tables import media as media_table
from annotator.store.web.media import list_media
from annotator.types import FaceTrack, MediaRef
from tests.store_values import ADA, BEN, PEOPLE, SPEC, annotation, known, ref, track, unknown
from tests.web_backlog import add_failures


@dataclass(frozen=True, slots=True)
class Archive:
    """Three clips.

    Attributes:
        store: an open one that has them.
        media: their ids by name.

    """

    store: Store
    media: dict[str, int]


@contextmanager
def copied(
    make_filled: Callable[..., tuple[str, dict[str, int]]], dialect: str, *, with_failures: bool = False
) -> Iterator[Archive]:
    """Give an archive that was filled once for many tests, and is a copy for this one alone.

    Args:
        make_filled: the fixture.
        dialect: of the database.
        with_failures: it has those of ``web_backlog``, too.

    """
    name = "web_archive_with_failures" if with_failures else "web_archive"
    url, media = make_filled(dialect, name, partial(_fill_once, with_failures=with_failures))
    store = Store.open(url)
    try:
        yield Archive(store, dict(media))
    finally:
        store.engine.dispose()


def _fill_once(url: str, *, with_failures: bool) -> dict[str, int]:
    """Fill a database and leave no connection open; it is not closed as a store, which would sum up its counts."""
    engine = open_engine(url)
    store = Store(engine)
    try:
        media = fill(store)
        if with_failures:
            add_failures(store)
        # Counts are brought up to date by whoever asks next, however soon after the filling a test begins.
        with store.writing() as connection:
            connection.execute(update(roll_ups).values(took_ms=0))
    finally:
        engine.dispose()
    return media


def fill(store: Store, *, media: tuple[MediaRef, ...] = (), ada_confidence: float = 0.6) -> dict[str, int]:
    """Fill a store and return media ids by name.

    ``both.gif``: Ada and Ben in one shot; ``apart.gif``: both, in two shots; ``ada.mp4``: Ada, less sure, and a
    stranger.

    Args:
        store: an empty one.
        media: where these three are instead of in a bucket that is not there.
        ada_confidence: how sure Ada is in ``ada.mp4``.

    """
    both, apart, ada = media or (ref("both.gif"), ref("apart.gif"), ref("ada.mp4"))
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(
        network_id, model="test@1", digest="d", photographs=dict.fromkeys(PEOPLE, 3)
    )
    first, second = _seen(track(0)), _seen(track(1, start_ms=400))
    elsewhere = replace(second, shot_no=1)
    store.save(
        [
            annotation(
                both,
                content=1,
                tracks=[first, second],
                labels=[known(ADA, confidence=0.99), known(BEN, confidence=0.9)],
            ),
            annotation(
                apart,
                content=2,
                tracks=[first, elsewhere],
                labels=[known(ADA, confidence=0.95), known(BEN, confidence=0.97)],
            ),
            annotation(
                ada, content=3, tracks=[first, second], labels=[known(ADA, confidence=ada_confidence), unknown(BEN)]
            ),
        ],
        network_id=network_id,
        labelling_id=labelling_id,
    )
    roll_up(store.engine)
    with store.reading() as connection:
        ids = {row.ref.uri: row.media_id for row in list_media(connection, limit=10)}
    return {"both": ids[both.uri], "apart": ids[apart.uri], "ada": ids[ada.uri]}


def make_family(store: Store, *media_ids: int) -> int:
    """Write that media are one clip, as looking for families does; return the family's number."""
    wanted = select(media_table.c.content_id).where(media_table.c.id.in_(media_ids))
    with store.writing() as connection:
        contents = sorted(connection.execute(wanted.distinct()).scalars())
        rows = [{"content_id": one, "family_id": contents[0], "changes": ""} for one in contents]
        connection.execute(insert(content_families), rows)
    return contents[0]


def _seen(one: FaceTrack) -> FaceTrack:
    """Return a track whose face is a square of 100 pixels that moves to the right, beside those of other numbers."""
    left = 20 + 140 * one.track_no + 4 * np.arange(len(one.pts_ms))
    boxes = np.stack([left, np.full_like(left, 60), left + 100, np.full_like(left, 160)], axis=1)
    return replace(one, boxes_xyxy=boxes.astype(np.float32))
