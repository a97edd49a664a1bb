"""What faces in clips have in common, against photographs, is learnt with the thresholds and taken away."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotator.accuracy.calibrating import MIN_TRACKS, SIZES_PX, calibrate, known_tracks
from annotator.accuracy.scenes import plan_scene
from annotator.accuracy.subjects import HeldOut, Subject
from annotator.accuracy.tracks import SeenTrack, ShownClip
from annotator.accuracy.trial import Trial
from annotator.errors import ConfigError
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.types import TrackEvidence
from tests.made_up_bundles import PEOPLE, SIZE, direction_of, identity_of, unit, write_made_up_bundle

STRANGERS = range(1000, 1000 + PEOPLE)
TRACKS_EACH = MIN_TRACKS // PEOPLE + 3  # three fifths of whom stay in the gallery of a fold, and more


@pytest.fixture
def held(tmp_path: Path) -> HeldOut:
    subjects = {
        number: Subject(identity_of(number).name, identity_of(number).name, 5, "gallery") for number in range(PEOPLE)
    }
    subjects |= {number: Subject(f"stranger {number}", None, 0, "strangers") for number in STRANGERS}
    bundle = write_made_up_bundle(tmp_path / "bundle")
    return HeldOut(bundle, {number: Path(f"{number}.png") for number in subjects}, subjects)


def shown(number: int, seed: int, *, shift: np.ndarray) -> ShownClip:
    random = np.random.default_rng(seed)
    scene = plan_scene(f"clip{number}-{seed}", [number], others=[], seed=seed)
    embedding = unit(direction_of(number) + random.normal(0, 0.1, SIZE)) + shift
    face_px, quality = np.full(1, random.uniform(40, 120), np.float16), np.full(1, 0.9, np.float16)
    seen = TrackEvidence(unit(embedding)[None].astype(np.float16), face_px, quality)
    return ShownClip(scene, (), (SeenTrack(scene.name, 0, number, "live", seen, ((0, 1000),)),))


def test_faces_of_clips_are_centred_by_their_own_mean(held: HeldOut) -> None:
    shift = 0.5 * unit(np.random.default_rng(9).normal(0, 1, SIZE))
    numbers = [*range(PEOPLE), *STRANGERS]
    clips = [shown(number, seed, shift=shift) for number in numbers for seed in range(TRACKS_EACH)]
    calibration = calibrate(Trial(held, clips))

    embeddings = np.stack([clip.tracks[0].evidence.embeddings[0] for clip in clips]).astype(np.float64)
    assert calibration.clip_centre == pytest.approx(unit(embeddings).mean(axis=0), abs=1e-4)

    centred = replace(held, bundle=replace(held.bundle, calibration=calibration))
    scores = [Trial(one, clips).folds.scores[Trial(one, clips).folds.is_known].mean() for one in (held, centred)]
    assert scores[1] > scores[0] + 0.02  # without the shift, people are nearer to themselves

    identifier = Identifier(Gallery.from_bundle(centred.bundle))
    labels = identifier.identify([clip.tracks[0].evidence for clip in clips[: PEOPLE * TRACKS_EACH]])
    assert np.mean([label.verdict == "known" for label in labels]) > 0.9


def test_how_often_the_right_person_is_nearest_is_told_of_known_peoples_tracks(held: HeldOut) -> None:
    still = np.zeros(SIZE)

    def unlike(number: int, seed: int) -> ShownClip:
        """Return a clip of somebody who looks like nobody."""
        clip, other = shown(number, seed, shift=still), shown(5000 + number * TRACKS_EACH + seed, seed, shift=still)
        return replace(clip, tracks=(replace(clip.tracks[0], evidence=other.tracks[0].evidence),))

    everybody = [(number, seed) for number in (*range(PEOPLE), *STRANGERS) for seed in range(TRACKS_EACH)]
    clips = [
        unlike(number, seed) if number < PEOPLE and (number + seed) % 4 == 0 else shown(number, seed, shift=still)
        for number, seed in everybody
    ]
    known = known_tracks(Trial(held, clips))
    assert known.face_px == SIZES_PX
    assert known.nearest_is_right == pytest.approx([0.75] * len(SIZES_PX), abs=0.1)
    assert known.scale > 0

    with pytest.raises(ConfigError, match="a calibration needs"):
        known_tracks(Trial(held, clips[:20]))
