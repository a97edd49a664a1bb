"""An archive of a few media with everything that an export must tell, on both databases."""

from dataclasses import dataclass

import numpy as np
import pytest
from sqlalchemy import update

from annotator.store import Store
from annotator.store.connection import writing
from annotator.store.tables import annotations
from annotator.types import FaceTrack, Identity, MediaRef
from tests.store_values import SPEC, annotation, evidence, failure, known, ref, unknown

MODEL = "starter@1"
HOSTILE = Identity('=HYPERLINK("http://x") <i>--> \n\n00:00.000 --> 00:09.000')


@dataclass(frozen=True)
class Archive:
    """A store with media, and what made them."""

    store: Store
    network_id: int
    labelling_id: int


def seen(number: int, *shares: tuple[int, int], shot: int = 0, is_picture: bool | None = None) -> FaceTrack:
    """Return a track that is seen for some shares of displayed time, in the middle of a frame of 320 x 240."""
    starts, ends = np.array(shares, np.int64).T
    count = len(shares)
    return FaceTrack(
        track_no=number,
        shot_no=shot,
        frame_index=np.arange(count, dtype=np.int64),
        pts_ms=(starts + ends) // 2,
        from_ms=starts,
        shown_ms=ends - starts,
        boxes_xyxy=np.tile(np.float32([80, 60, 160, 180]), (count, 1)),
        scores=np.full(count, 0.75, np.float32),
        quality=np.full(count, 0.5, np.float32),
        evidence=evidence(number),
        best_faces=np.zeros((2, 112, 112, 3), np.uint8),
        is_picture=is_picture,
    )


@pytest.fixture
def archive(store: Store) -> Archive:
    """Two people in a clip, one in a film that is damaged, a hostile name on a picture, a still, nobody, a failure."""
    jennifer, brad = Identity("Jennifer Aniston", "/m/03pvt"), Identity("Brad Pitt")
    network_id = store.register_network(SPEC)
    people = dict.fromkeys((jennifer, brad, HOSTILE), 5)
    labelling_id = store.register_labelling(network_id, model=MODEL, digest="1", photographs=people)
    pair = [seen(0, (0, 500), (500, 1000)), seen(1, (500, 1000), (1000, 1500)), seen(2, (1200, 1500), shot=1)]
    film = MediaRef("film.mp4", "https://films.example/a%20b/film.mp4?token=secret")
    outcomes = [
        annotation(
            ref("pair.gif"),
            content=1,
            tracks=pair,
            labels=[known(jennifer, brad), known(brad), known(jennifer, confidence=0.5)],
        ),
        annotation(film, content=2, tracks=[seen(0, (3_600_000, 3_600_040))], labels=[known(brad)], damage="truncated"),
        annotation(
            ref("=1+1.gif"),
            content=3,
            tracks=[seen(0, (0, 1500), is_picture=True)],
            labels=[known(HOSTILE, confidence=0.6)],
        ),
        annotation(ref("still.png"), content=4, tracks=[seen(0, (0, 1))], labels=[known(jennifer)]),
        annotation(ref("nobody.gif"), content=5, tracks=[seen(0, (0, 100))], labels=[unknown(brad)]),
        failure(ref("broken.gif"), message="It is no media."),
    ]
    store.save(outcomes, network_id=network_id, labelling_id=labelling_id)
    with writing(store.engine) as connection:
        still = annotations.c.content_id == 4
        connection.execute(update(annotations).where(still).values(duration_ms=None))
    return Archive(store, network_id, labelling_id)
