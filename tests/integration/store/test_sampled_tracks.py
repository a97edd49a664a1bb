"""A sample of an archive's tracks: which contents, and the numbers of the decision."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from annotator.recognition.decision import Identifier
from annotator.store import Store
from annotator.store.relabelling import sampling
from annotator.store.relabelling.reading import read_tracks
from annotator.store.relabelling.sampling import sample_tracks
from annotator.types import MediaAnnotation
from tests.made_up_gallery import annotations, gallery
from tests.store_values import SPEC

CONTENTS = 60


@dataclass(frozen=True)
class Archive:
    """Sixty contents of one network, and what they were saved from."""

    store: Store
    network_id: int
    identifier: Identifier
    annotations: list[MediaAnnotation]


@pytest.fixture
def archive(store: Store, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """Sixty contents, read seven at a time."""
    monkeypatch.setattr(sampling, "BATCH", 7)
    identifier = Identifier(gallery())
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(
        network_id, model="small@1", digest="first", photographs=identifier.photographs
    )
    made = annotations(CONTENTS, identifier)
    store.save(made, network_id=network_id, labelling_id=labelling_id)
    return Archive(store, network_id, identifier, made)


def test_every_usable_track_has_the_log_ratio_and_the_name_that_its_label_has(archive: Archive) -> None:
    told: list[int] = []
    found = sample_tracks(
        archive.store.engine, archive.identifier, archive.network_id, most=CONTENTS, on_batch=told.append
    )
    labels = [label for one in archive.annotations for label in one.labels]
    usable = [label for label in labels if label.verdict != "too_poor"]
    assert (found.contents, found.sampled, found.tracks) == (CONTENTS, CONTENTS, len(labels))
    assert sum(told) == CONTENTS
    assert max(told) <= 7
    assert 0 < len(usable) < len(labels)
    assert (np.diff(found.content_id) >= 0).all()
    assert found.is_named.tolist().count(True) == sum(label.verdict == "known" for label in usable)
    prior = archive.identifier.prior
    confidences = 1 / (1 + np.exp(-found.log_ratios) * (1 - prior) / prior)
    np.testing.assert_allclose(
        np.sort(confidences), np.sort([label.candidates[0].confidence for label in usable]), atol=1e-6
    )


def test_a_sample_lies_over_the_whole_archive_and_is_the_same_each_time(archive: Archive) -> None:
    engine, identifier, network_id = archive.store.engine, archive.identifier, archive.network_id
    whole = sample_tracks(engine, identifier, network_id, most=CONTENTS)
    half, again, fifth = (sample_tracks(engine, identifier, network_id, most=most) for most in (30, 30, 12))
    assert (abs(half.sampled - 30) <= 2, abs(fifth.sampled - 12) <= 2) == (True, True)
    np.testing.assert_array_equal(half.content_id, again.content_id)
    np.testing.assert_array_equal(half.log_ratios, again.log_ratios)
    assert set(fifth.content_id.tolist()) <= set(half.content_id.tolist()) < set(whole.content_id.tolist())
    assert {one // 20 for one in half.content_id.tolist()} == {0, 1, 2}


def test_contents_far_apart_are_looked_up_by_themselves_with_the_same_tracks(archive: Archive) -> None:
    wanted = [3, 31, 59]
    with archive.store.reading() as connection:
        together = read_tracks(connection, archive.network_id, range(1, CONTENTS + 1))
        apart = read_tracks(connection, archive.network_id, wanted)
    rows = np.flatnonzero(np.isin(together.content_id, wanted))
    np.testing.assert_array_equal(apart.content_id, together.content_id[rows])
    np.testing.assert_array_equal(apart.track_no, together.track_no[rows])
    evidence = {
        place: row for stack in together.stacks for place, row in zip(stack.place, stack.embeddings, strict=True)
    }
    for stack in apart.stacks:
        for place, embeddings in zip(stack.place, stack.embeddings, strict=True):
            np.testing.assert_array_equal(embeddings, evidence[rows[place]])


def test_without_tracks_the_sample_is_empty(store: Store) -> None:
    network_id = store.register_network(SPEC)
    found = sample_tracks(store.engine, Identifier(gallery()), network_id, most=10)
    assert (found.contents, found.sampled, found.tracks, len(found.content_id)) == (0, 0, 0, 0)


def test_names_that_must_be_surer_change_no_log_ratio(archive: Archive) -> None:
    own = archive.identifier
    surer = Identifier(own.gallery, calibration=replace(own.calibration, min_confidence=0.99, prior=0.02))
    first, second = (
        sample_tracks(archive.store.engine, one, archive.network_id, most=CONTENTS) for one in (own, surer)
    )
    np.testing.assert_array_equal(first.log_ratios, second.log_ratios)
    assert second.is_named.sum() < first.is_named.sum()
