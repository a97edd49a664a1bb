"""An archive for tests of the web application whose model is there: a made-up bundle, and clips that it has named."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from annotator.recognition.bundle import load_bundle
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.store import Store
from annotator.store.web.media import list_media
from annotator.types import FaceTrack, MediaAnnotation, MediaRef
from tests.made_up_bundles import EMBEDDER, track_of, write_made_up_bundle
from tests.store_values import annotation, track
from tests.web_client import WebForTests

CLIP, OTHER = "s3://gifs/clip.gif", "s3://gifs/other.gif"


def fill(store: Store, folder: Path) -> dict[str, int]:
    """Fill a store: a clip of person 3 and of a stranger, and another one of the same stranger.

    Args:
        store: an empty one.
        folder: where the model goes.

    Returns:
        Media ids by address.

    """
    identifier = Identifier(Gallery.from_bundle(write_made_up_bundle(folder)))
    network_id = store.register_network({"embedder": EMBEDDER, "sampling": "even"})
    labelling_id = store.register_labelling(
        network_id,
        model=identifier.model,
        digest=identifier.digest,
        photographs=identifier.photographs,
        calibration=identifier.calibration.to_json(),
    )
    outcomes = [
        _annotated(CLIP, 1, [_seen(3, 0, seed=1), _seen(50, 1, seed=2)], identifier),
        _annotated(OTHER, 2, [_seen(50, 0, seed=3)], identifier),
    ]
    store.save(outcomes, network_id=network_id, labelling_id=labelling_id)
    with store.reading() as connection:
        return {row.ref.uri: row.media_id for row in list_media(connection, limit=10)}


def add_unsure(store: Store, folder: Path) -> None:
    """Add a clip of somebody who might be person 3, to the model of a folder, and is not sure enough for a name."""
    identifier = Identifier(Gallery.from_bundle(load_bundle(folder)))
    one, other = (track_of(person, seed=4) for person in (3, 50))
    between = one.embeddings.astype(np.float32) + other.embeddings.astype(np.float32)
    between /= np.linalg.norm(between, axis=1, keepdims=True)
    seen = replace(_seen(3, 0, seed=4), evidence=replace(one, embeddings=between.astype(np.float16)))
    store.save([_annotated("s3://gifs/unsure.gif", 3, [seen], identifier)], network_id=1, labelling_id=1)


def web_with(store: Store, folder: Path) -> WebForTests:
    """Return the application over a store that was filled with the model of a folder."""
    web = WebForTests(store)
    web.use_settings(model=str(folder))
    return web


def _seen(person: int, number: int, *, seed: int) -> FaceTrack:
    left = 100.0 * number
    boxes = np.array([[left, 10, left + 60, 90]] * 3, np.float32)
    none = np.zeros((3, 112, 112, 3), np.uint8)
    return replace(track(number), boxes_xyxy=boxes, evidence=track_of(person, seed=seed), best_faces=none)


def _annotated(uri: str, content: int, tracks: Sequence[FaceTrack], identifier: Identifier) -> MediaAnnotation:
    labels = identifier.identify([one.evidence for one in tracks])
    return annotation(MediaRef(uri, uri), content=content, tracks=tracks, labels=labels)
