"""What workers of a former model annotate after the switch gets the labels that are shown, a little at a time."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from annotator.recognition.bundle import CREDITS, LICENSE, MODEL_CARD, load_bundle, write_bundle
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.recognition.revocation import RevocationList
from annotator.settings import Settings, load_settings
from annotator.store import Store
from annotator.store.relabelling import catching_up
from annotator.store.relabelling.running import relabel_archive
from tests.made_up_gallery import annotations, gallery
from workers.beat.catching_up import CatchUp
from workers.beat.shown_names import ShownNames

EMBEDDER = "sface-2021dec"
CONTENTS = 30
TRACKS = "SELECT content_id, track_no, identity_id, score FROM track_labels WHERE labelling_id = :l ORDER BY 1, 2"


class Archive:
    """Thirty contents that a bolder model has labelled, too; that one is shown."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.store = Store(engine)
        self.former = self._model(folder / "former", 1, min_score=0.7)
        self.shown = self._model(folder / "shown", 2, min_score=0.2)
        self.network_id = self.store.register_network({"embedder": EMBEDDER})
        self.former_id, self.shown_id = (self._register(one) for one in (self.former, self.shown))
        self.annotate(CONTENTS)
        relabel_archive(engine, self.shown, self.shown_id)
        self.store.activate(self.shown_id)

    def annotate(self, count: int) -> None:
        """Do what a worker of the former model does: save contents that are new, with its labels."""
        outcomes = annotations(count, self.former)
        self.store.save(outcomes, network_id=self.network_id, labelling_id=self.former_id)

    def rows(self) -> list[tuple[object, ...]]:
        """Return the labels of what is shown."""
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.execute(text(TRACKS), {"l": self.shown_id})]

    def wanted(self) -> list[tuple[object, ...]]:
        """Return the labels that a run would make."""
        again = self.store.register_labelling(
            self.network_id, model="again@1", digest="again", photographs=self.shown.photographs
        )
        relabel_archive(self.store.engine, self.shown, again)
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.execute(text(TRACKS), {"l": again})]

    def _model(self, folder: Path, version: int, *, min_score: float) -> Identifier:
        bundle = replace(gallery(min_score=min_score).bundle, version=version, embedder=EMBEDDER)
        texts = dict.fromkeys((MODEL_CARD, LICENSE, CREDITS), "made up\n")
        write_bundle(folder, bundle, texts=texts, revoked=RevocationList("00" * 16))
        return Identifier(Gallery.from_bundle(load_bundle(folder)))

    def _register(self, identifier: Identifier) -> int:
        return self.store.register_labelling(
            self.network_id, model=identifier.model, digest=identifier.digest, photographs=identifier.photographs
        )


@pytest.fixture
def archive(engine: Engine, tmp_path: Path) -> Archive:
    """A fresh archive, on each database."""
    return Archive(engine, tmp_path)


def settings_of(tmp_path: Path, model: str) -> Settings:
    return load_settings(model=str(tmp_path / model), data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")


def test_contents_of_workers_of_the_former_model_get_the_labels_that_are_shown(
    archive: Archive, tmp_path: Path
) -> None:
    job = CatchUp(archive.store.engine, ShownNames(archive.store.engine, settings_of(tmp_path, "shown")))
    assert job.run() == 0
    archive.annotate(CONTENTS + 9)
    before = archive.rows()
    assert job.run() == 9
    assert job.run() == 0
    assert len(archive.rows()) > len(before)
    assert archive.rows() == archive.wanted()


def test_a_turn_is_bounded_and_the_round_comes_to_everything(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catching_up, "LOOKED_AT", 7)
    monkeypatch.setattr(catching_up, "LABELLED", 2)
    with archive.store.writing() as connection:
        for table in ("labelled_contents", "track_labels", "content_labels_by"):
            gone = f"DELETE FROM {table} WHERE labelling_id = :l AND content_id IN (3, 9, 11, 13, 29)"
            connection.execute(text(gone), {"l": archive.shown_id})
    job = CatchUp(archive.store.engine, ShownNames(archive.store.engine, settings_of(tmp_path, "shown")))
    done = [job.run() for _ in range(12)]
    assert max(done) == 2
    assert sum(done) == 5
    assert archive.rows() == archive.wanted()


def test_without_the_model_that_is_shown_nothing_is_labelled_and_it_is_said_once(
    archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    archive.annotate(CONTENTS + 2)
    job = CatchUp(archive.store.engine, ShownNames(archive.store.engine, settings_of(tmp_path, "former")))
    assert [job.run(), job.run()] == [0, 0]
    (record,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert "lack labels of small@2" in record.getMessage()


def test_labels_under_another_prior_are_caught_up_where_beat_is_told_of_it(
    archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = archive.shown.calibration
    archive.shown = Identifier(archive.shown.gallery, calibration=replace(own, prior=0.02, min_confidence=0.5))
    archive.shown_id = archive._register(archive.shown)
    relabel_archive(archive.store.engine, archive.shown, archive.shown_id)
    archive.store.activate(archive.shown_id)
    archive.annotate(CONTENTS + 5)
    assert CatchUp(archive.store.engine, ShownNames(archive.store.engine, settings_of(tmp_path, "shown"))).run() == 0
    assert "small@2+prior=0.02+min-precision=0.5" in caplog.text
    assert "ANNOTATOR_PRIOR" in caplog.text
    monkeypatch.setenv("ANNOTATOR_PRIOR", "0.02")
    monkeypatch.setenv("ANNOTATOR_MIN_PRECISION", "0.5")
    assert CatchUp(archive.store.engine, ShownNames(archive.store.engine, settings_of(tmp_path, "shown"))).run() == 5
    assert archive.rows() == archive.wanted()


def test_an_empty_database_lacks_nothing(engine: Engine, tmp_path: Path) -> None:
    assert CatchUp(engine, ShownNames(engine, settings_of(tmp_path, "shown"))).run() == 0
