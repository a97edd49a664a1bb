"""An archive of four clips of strangers and of one person, for tests of groups."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.store import Store
from annotator.types import FaceTrack, MediaRef
from tests.made_up_bundles import EMBEDDER, track_of, write_made_up_bundle
from tests.store_values import annotation, track

FIRST, SECOND, THIRD, KNOWN = 50, 51, 52, 3
CLIPS: Final = {
    "hello.gif": (FIRST, KNOWN),
    "waving.gif": (SECOND, FIRST),
    "party.gif": (SECOND, THIRD),
    "end.gif": (FIRST,),
}


def face_of(person: int, number: int, *, seed: int) -> FaceTrack:
    """Return a track of a person; no two of a clip share a frame."""
    made = track(number, start_ms=300 * number)
    return replace(
        made,
        frame_index=np.arange(3, dtype=np.int64) + 10 * number,
        boxes_xyxy=np.array([[10, 10, 50, 50]] * 3, np.float32),
        evidence=track_of(person, seed=seed),
        best_faces=np.zeros((3, 112, 112, 3), np.uint8),
    )


def fill(url: str, folder: Path, model: Path) -> None:
    """Annotate four clips, of which the first one is there and shows a face; the model knows one of four people."""
    identifier = Identifier(Gallery.from_bundle(write_made_up_bundle(model)))
    clip = folder / "hello.gif"
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8))
    picture.save(clip, save_all=True, append_images=[picture.rotate(90)], duration=100)
    with Store.open(url) as store:
        network_id = store.register_network({"embedder": EMBEDDER, "sampling": "even"})
        labelling_id = store.register_labelling(
            network_id, model=identifier.model, digest=identifier.digest, photographs=identifier.photographs
        )
        for content, (name, people) in enumerate(CLIPS.items(), start=1):
            tracks = [face_of(person, number, seed=content) for number, person in enumerate(people)]
            uri = clip.as_uri() if name == clip.name else f"s3://gifs/{name}"
            one = annotation(
                MediaRef(uri, uri, None),
                content=content,
                tracks=tracks,
                labels=identifier.identify([one.evidence for one in tracks]),
            )
            if name == clip.name:
                one = replace(one, content_sha256=hashlib.sha256(clip.read_bytes()).hexdigest())
            store.save([one], network_id=network_id, labelling_id=labelling_id)
