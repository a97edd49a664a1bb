"""Names right, wrong and missed in whole clips: decoding, detection, tracks and all, as the annotator does it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from annotator.accuracy.intervals import wilson
from annotator.build import build_detector, build_engine, build_source
from annotator.cli.output import progress
from annotator.pipeline import Annotator
from annotator.recognition.crops import FaceCrop
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.results import covered_ms
from annotator.settings import load_settings
from annotator.types import F32, U8, MediaAnnotation, MediaFailure, MediaRef
from trainer.evaluation.recognisers import GalleryRecogniser
from trainer.evaluation.truth import ClipTruth, Span, read_truth
from trainer.labels import person_key
from trainer.settings import Device


@dataclass(frozen=True, slots=True)
class ClipOutcome:
    """What was said of one clip.

    Attributes:
        file: which.
        right: names given to people who are seen.
        wrong: names given that the truth does not have, or not at that time.
        missed: people who are seen and known, and got no name.
        not_known: people who are seen, and whom the recogniser does not know.
        unjudged: names given where the truth names nobody.
        seen_share: of the people whose time is told, the share of it in which they were named.
        failed: why the clip could not be read; None where it could.

    """

    file: str
    right: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    not_known: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    seen_share: Mapping[str, float] | None = None
    failed: str | None = None


def evaluate_clips(
    recogniser: GalleryRecogniser, clips: Path, truth: Path, *, threshold: float | None, device: Device
) -> dict[str, Any]:
    """Annotate the clips that the truth names.

    Args:
        recogniser: takes the place of the annotator's model.
        clips: the folder.
        truth: see :mod:`trainer.evaluation.truth`.
        threshold: score that a name must exceed; None for the model's own.
        device: what runs the detector.

    Returns:
        Counts over all clips, with intervals, and the outcome of each, as JSON values.

    Raises:
        ConfigError: the truth is not there, or the device.
        ProblemsError: lines of the truth are wrong.

    """
    expected = read_truth(truth, clips)
    refs = [MediaRef(one.file, (clips / one.file).resolve().as_uri()) for one in expected]
    outcomes: dict[str, ClipOutcome] = {}
    truths = {one.file: one for one in expected}
    known = frozenset(recogniser.people)
    annotator = _annotator(recogniser, threshold, device)
    with progress("annotating clips", total=len(refs)) as advance:
        for said in annotator.annotate(refs):
            advance()
            file = said.media.media_id
            if isinstance(said, MediaAnnotation):
                outcomes[file] = judge(truths[file], spans_of(said), known)
            elif isinstance(said, MediaFailure):
                outcomes[file] = replace(judge(truths[file], {}, known), failed=said.reason)
    return tell_clips([outcomes[one.file] for one in expected])


def judge(truth: ClipTruth, named: Mapping[str, Sequence[Span]], known: Collection[str]) -> ClipOutcome:
    """Hold the names given to a clip against who is seen in it.

    Args:
        truth: who is seen.
        named: when each name was given.
        known: whom the recogniser knows.

    """
    shares = {
        name: _share(spans, named.get(name, ())) for name, spans in truth.people.items() if spans and name in known
    }
    right = {name for name in named if name in truth.people and shares.get(name, 1.0) > 0}
    others = set(named) - right
    seen = set(truth.people)
    return ClipOutcome(
        file=truth.file,
        right=tuple(sorted(right)),
        wrong=tuple(sorted(others)) if seen else (),
        missed=tuple(sorted((seen - right) & set(known))),
        not_known=tuple(sorted(seen - set(known))),
        unjudged=() if seen else tuple(sorted(others)),
        seen_share={name: round(share, 4) for name, share in sorted(shares.items())} or None,
    )


def spans_of(annotation: MediaAnnotation) -> dict[str, list[Span]]:
    """Return when each name was given."""
    spans: dict[str, list[Span]] = {}
    for track, label in zip(annotation.tracks, annotation.labels, strict=True):
        if label.identity is not None:
            ends = (track.from_ms + track.shown_ms).tolist()
            its = [(start, end) for start, end in zip(track.from_ms.tolist(), ends, strict=True)]
            spans.setdefault(person_key(label.identity.name), []).extend(its)
    return spans


def tell_clips(outcomes: Sequence[ClipOutcome]) -> dict[str, Any]:
    """Sum up, as JSON values."""
    counts = {
        kind: sum(len(getattr(one, kind)) for one in outcomes)
        for kind in ("right", "wrong", "missed", "not_known", "unjudged")
    }
    found = wilson(counts["right"], counts["right"] + counts["missed"])
    precise = wilson(counts["right"], counts["right"] + counts["wrong"])
    return {
        "clips": len(outcomes),
        "failed": sum(one.failed is not None for one in outcomes),
        **counts,
        "recall": found.to_json() if found else None,
        "precision": precise.to_json() if precise else None,
        "outcomes": [asdict(one) for one in outcomes],
    }


def _share(seen: Sequence[Span], named: Sequence[Span]) -> float:
    """Return the part of the time in which a person is seen that the name was given in."""
    both = [(max(a, c), min(b, d)) for a, b in seen for c, d in named if max(a, c) < min(b, d)]
    return covered_ms(both) / covered_ms(seen)


@dataclass(frozen=True, slots=True)
class _Embedder:
    """Embeds the faces of clips as those of photographs are embedded."""

    network_id: str
    recogniser: GalleryRecogniser

    @property
    def crop(self) -> FaceCrop:
        return self.recogniser.crop

    def embed(self, faces: U8) -> F32:
        return self.recogniser.features(faces)


def _annotator(recogniser: GalleryRecogniser, threshold: float | None, device: Device) -> Annotator:
    settings = load_settings(device=device)
    bundle = recogniser.bundle
    calibration = bundle.calibration
    if threshold is not None:
        over = float(np.nextafter(threshold, np.inf))
        points = tuple(replace(point, min_scores=(over,)) for point in calibration.points)
        calibration = replace(calibration, points=points)
    return Annotator(
        source=build_source(settings),
        detector=build_detector(settings, build_engine(settings)),
        embedder=_Embedder(bundle.embedder, recogniser),
        identifier=Identifier(Gallery.from_bundle(bundle), calibration=calibration),
    )
