"""What is news to a retraining: what people say of tracks of those whom it learns to know, and no work of its own."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.store import Store
from annotator.store.connection import reading
from annotator.store.corrections.saying import correct_track, withdraw_corrections
from annotator.types import MediaRef
from tests.store_values import ADA, BEN, SPEC, annotation, track, unknown
from trainer.retraining.news import read_news
from trainer.retraining.running import run_child
from trainer.retraining.steps import STEPS, Plan
from trainer.workdir import Experiment


@pytest.fixture
def clip(tmp_path: Path) -> MediaRef:
    """A clip of one picture."""
    path = tmp_path / "clip.gif"
    Image.new("RGB", (90, 90), (0, 0, 255)).save(path)
    return MediaRef(str(path), path.as_uri())


@pytest.fixture
def store(database_url: str, clip: MediaRef) -> Iterator[Store]:
    """An archive of the clip, with one face."""
    with Store.open(database_url) as opened:
        network_id = opened.register_network(SPEC)
        labelling_id = opened.register_labelling(network_id, model="m@1", digest="1", photographs={ADA: 1, BEN: 1})
        face = replace(track(0), boxes_xyxy=np.array([[20, 20, 60, 60]] * 3, np.float32))
        found = annotation(clip, content=1, tracks=[face], labels=[unknown(ADA)])
        found = replace(found, content_sha256=hashlib.sha256(Path(clip.media_id).read_bytes()).hexdigest())
        opened.save([found], network_id=network_id, labelling_id=labelling_id)
        yield opened


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    """An experiment that learns to know one of two people."""
    places = Experiment("sports", tmp_path)
    (places.raw_dataset / "Ada_Lovelace").mkdir(parents=True)
    places.labels_file.write_text("Label,Index\nAda_Lovelace_[m.0ada],0\n")
    return places


class News:
    """What is new since the last look."""

    def __init__(self, store: Store, experiment: Experiment) -> None:
        self._store, self._experiment = store, experiment
        self._before = self._now()

    def _now(self) -> dict[str, str]:
        with reading(self._store.engine) as connection:
            return read_news(self._experiment, Path("nowhere.py"), connection)

    def __call__(self) -> set[str]:
        before, self._before = self._before, self._now()
        return {kind for kind in before if before[kind] != self._before[kind]}


@pytest.fixture
def news(store: Store, experiment: Experiment) -> News:
    return News(store, experiment)


def test_what_is_said_of_somebody_who_is_learnt_is_news_and_taken_back_too(
    store: Store, clip: MediaRef, news: News
) -> None:
    assert news() == set()
    correct_track(store.engine, clip, 0, verdict="is", name=ADA.name)
    assert news() == {"corrections"}
    correct_track(store.engine, clip, 0, verdict="is not", name=ADA.name)
    assert news() == {"corrections"}
    assert news() == set()
    withdraw_corrections(store.engine, clip, 0)
    assert news() == {"corrections"}


def test_what_is_said_of_others_is_no_news_until_they_are_learnt(
    store: Store, clip: MediaRef, news: News, experiment: Experiment
) -> None:
    correct_track(store.engine, clip, 0, verdict="is", name=BEN.name)
    assert news() == set()
    experiment.labels_file.write_text("Label,Index\nAda_Lovelace,0\nBén_Brown,1\n")
    assert news() == {"labels", "corrections"}


def test_photographs_that_the_run_writes_itself_are_no_news_and_others_are(news: News, experiment: Experiment) -> None:
    folder = experiment.raw_dataset / "Ada_Lovelace"
    Image.new("RGB", (9, 9)).save(folder / "corrected-0123456789ab-100ms.png")
    assert news() == set()
    Image.new("RGB", (9, 9)).save(folder / "corrected-mine.png")
    assert news() == {"photographs"}


def test_a_run_begins_with_photographs_of_what_was_said(store: Store, clip: MediaRef, experiment: Experiment) -> None:
    correct_track(store.engine, clip, 0, verdict="is", name=ADA.name)
    assert "--missing-ok" in STEPS[0].arguments(
        Plan("sports", experiment.workdir, "sports", 1, experiment.workdir), False
    )
    url = store.engine.url.render_as_string(hide_password=False)
    environment = {"ANNOTATOR_DATABASE_URL": url}
    plan = Plan("sports", experiment.workdir, "sports", 1, experiment.workdir, environment=environment)
    assert run_child(STEPS[0], plan, False, lambda: False) == 0
    (photograph,) = (experiment.raw_dataset / "Ada_Lovelace").iterdir()
    with Image.open(photograph) as picture:
        assert picture.size == (80, 80), "the face and half of its length around it"
