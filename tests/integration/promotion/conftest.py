"""An archive of made-up people, named by ``mine@1``, and settings that find the models beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.library import manifest_digest
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.settings import Settings, load_settings
from annotator.store import Store
from annotator.store.models import note_model
from annotator.types import FaceTrack, MediaAnnotation
from tests.made_up_bundles import EMBEDDER, track_of, write_made_up_bundle
from tests.store_values import annotation, ref, track

SHOWN = 12
"""People of the archive: each is in ``CLIPS_EACH`` clips; so is a stranger beside each."""

CLIPS_EACH = 6
STRANGER = 1000


def archive_track(number: int, person: int, seed: int) -> FaceTrack:
    made = track(number, seed=seed)
    shares = {name: getattr(made, name) for name in FaceTrack.__slots__}
    evidence = track_of(person, seed=seed)
    faces = np.zeros((len(evidence), 112, 112, 3), np.uint8)
    return FaceTrack(**shares | {"evidence": evidence, "best_faces": faces})


def clips_of(identifier: Identifier) -> list[MediaAnnotation]:
    outcomes = []
    for person in range(SHOWN):
        for take in range(CLIPS_EACH):
            number = person * CLIPS_EACH + take
            tracks = [archive_track(0, person, take), archive_track(1, STRANGER + number, take)]
            labels = identifier.identify([one.evidence for one in tracks])
            outcomes.append(annotation(ref(f"{number}.gif"), content=number + 1, tracks=tracks, labels=labels))
    return outcomes


@pytest.fixture
def settings_for(store: Store, tmp_path: Path) -> Callable[..., Settings]:
    """Settings that name a model, over the database of the test."""

    def make(model: str, **options: Any) -> Settings:
        url = store.engine.url.render_as_string(hide_password=False)
        folders = {"data_dir": tmp_path / "data", "cache_dir": tmp_path / "cache"}
        return load_settings(env_file=None, model=model, database_url=url, **folders, **options)

    return make


@pytest.fixture
def install(store: Store, tmp_path: Path) -> Callable[..., str]:
    """Call it with the arguments of ``write_made_up_bundle`` to have a model installed; gives its name and version."""

    def make(**options: Any) -> str:
        name, version = options.get("name", "mine"), options.get("version", 1)
        folder = tmp_path / "data" / "models" / f"{name}@{version}"
        bundle = write_made_up_bundle(folder, **options)
        with store.writing() as connection:
            note_model(
                connection, digest=manifest_digest(bundle.manifest), uri=folder.as_uri(), manifest=bundle.manifest
            )
        return bundle.model

    return make


@pytest.fixture
def archive(store: Store, tmp_path: Path, install: Callable[..., str]) -> Store:
    """Clips that ``mine@1`` has named; its names are shown."""
    install()
    bundle = write_made_up_bundle(tmp_path / "data" / "models" / "mine@1")
    identifier = Identifier(Gallery.from_bundle(bundle))
    network_id = store.register_network({"embedder": EMBEDDER})
    labelling_id = store.register_labelling(
        network_id, model=identifier.model, digest=identifier.digest, photographs=identifier.photographs
    )
    store.save(clips_of(identifier), network_id=network_id, labelling_id=labelling_id)
    return store
