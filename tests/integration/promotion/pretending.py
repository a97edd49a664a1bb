"""An annotator of made-up clips, without networks."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.types import KnownMedia, MediaAnnotation, MediaFailure, MediaRef, TrackEvidence, TrackLabel
from tests.integration.promotion.conftest import archive_track
from tests.made_up_bundles import EMBEDDER, write_made_up_bundle
from tests.store_values import annotation

PEOPLE_IN = {"one.gif": (1,), "two.gif": (2, 3), "broken.gif": (4,)}


class PretendAnnotator:
    """Finds the made-up people of a clip by its name, and counts what it decodes."""

    network_spec = {"embedder": EMBEDDER}  # noqa: RUF012 - never changed

    def __init__(self, folder: Path, **options: object) -> None:
        self.identifier = Identifier(Gallery.from_bundle(write_made_up_bundle(folder, **options)))  # type: ignore[arg-type]
        self.model = self.identifier.model
        self.decoded: list[str] = []

    def identify(self, tracks: Sequence[TrackEvidence]) -> list[TrackLabel]:
        return self.identifier.identify(tracks)

    def annotate(
        self, refs: Sequence[MediaRef], *, is_known: Callable[[str], bool]
    ) -> Iterator[MediaAnnotation | MediaFailure | KnownMedia]:
        for ref in refs:
            assert not is_known("0" * 64)
            self.decoded.append(ref.media_id)
            people = PEOPLE_IN[ref.media_id]
            tracks = [archive_track(number, person, 5) for number, person in enumerate(people)]
            if ref.media_id == "broken.gif":
                yield MediaFailure(ref, self.model, "undecodable", "It is no media.", is_transient=False)
            else:
                labels = self.identify([one.evidence for one in tracks])
                yield annotation(ref, content=people[0], tracks=tracks, labels=labels)
