"""Real clips, whose people somebody has written down."""

from pathlib import Path
from typing import Any

from annotator.build import build_annotator
from annotator.settings import Settings
from annotator.types import MediaAnnotation, MediaFailure, MediaRef
from trainer.evaluation.clips import judge, spans_of, tell_clips
from trainer.evaluation.truth import read_truth


def real_clips(data: Path, settings: Settings) -> dict[str, Any]:
    """Return what the starter model says of the clips of ``clips.csv``, as JSON values.

    People's photographs are all in the model; none comes from these clips.
    """
    clips = data / "clips"
    truths = {one.file: one for one in read_truth(data / "clips.csv", clips)}
    annotator = build_annotator(settings)
    known = frozenset(identity.name for identity in annotator.identifier.identities)
    outcomes = []
    for said in annotator.annotate([MediaRef(file, (clips / file).resolve().as_uri()) for file in truths]):
        truth = truths[said.media.media_id] if isinstance(said, MediaAnnotation | MediaFailure) else None
        if truth is not None and isinstance(said, MediaAnnotation):
            outcomes.append(judge(truth, spans_of(said), known))
        elif truth is not None:
            outcomes.append(judge(truth, {}, known))
    return tell_clips(sorted(outcomes, key=lambda one: one.file))
