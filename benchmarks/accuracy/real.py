"""Real clips, whose people somebody has written down."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from annotator.build import build_annotator
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.settings import Settings
from annotator.starter import load_starter
from annotator.types import MediaAnnotation, MediaFailure, MediaRef
from trainer.evaluation.clips import ClipOutcome, judge, spans_of, tell_clips
from trainer.evaluation.truth import read_truth


def real_clips(data: Path, settings: Settings) -> dict[str, dict[str, Any]]:
    """Return what the starter model says of the clips of ``clips.csv``, as JSON values, at each of its thresholds.

    People's photographs are all in the model; none comes from these clips.

    Returns:
        By rate of strangers (``"0.003"``) what :func:`trainer.evaluation.clips.tell_clips` tells.

    """
    clips = data / "clips"
    truths = {one.file: one for one in read_truth(data / "clips.csv", clips)}
    annotator = build_annotator(settings)
    bundle = load_starter()
    identifiers = {
        f"{rate:g}": Identifier(Gallery.from_bundle(bundle), calibration=bundle.calibration.at_rate(rate))
        for rate in bundle.calibration.rates
    }
    known = frozenset(identity.name for identity in bundle.identities)
    outcomes: dict[str, list[ClipOutcome]] = {rate: [] for rate in identifiers}
    for said in annotator.annotate([MediaRef(file, (clips / file).resolve().as_uri()) for file in truths]):
        truth = truths[said.media.media_id] if isinstance(said, MediaAnnotation | MediaFailure) else None
        if truth is None:
            continue
        for rate, identifier in identifiers.items():
            spans = spans_of(_labelled(said, identifier)) if isinstance(said, MediaAnnotation) else {}
            outcomes[rate].append(judge(truth, spans, known))
    return {rate: tell_clips(sorted(found, key=lambda one: one.file)) for rate, found in outcomes.items()}


def _labelled(said: MediaAnnotation, identifier: Identifier) -> MediaAnnotation:
    return replace(said, labels=tuple(identifier.identify([track.evidence for track in said.tracks])))
