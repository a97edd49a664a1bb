"""Annotate and save: an annotator and a database, and what is between them."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from annotator.pipeline import Annotator
from annotator.results import MediaResult
from annotator.store.reads import StoredAnnotation
from annotator.store.store import Store
from annotator.types import KnownMedia, MediaAnnotation, MediaFailure, MediaRef

SAVE_AFTER_MEDIA: Final = 32
SAVE_AFTER_S: Final = 0.25

Outcome = MediaAnnotation | MediaFailure | KnownMedia


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """One media that is through.

    Attributes:
        result: what is told of it.
        annotation: the fresh annotation with its faces; None where it comes from rows or failed.

    """

    result: MediaResult
    annotation: MediaAnnotation | None


@dataclass(frozen=True, slots=True)
class Saving:
    """Where results go.

    Attributes:
        store: the database.
        network_id: what makes the tracks.
        labelling_id: what makes the labels.

    """

    store: Store
    network_id: int
    labelling_id: int


def annotate_media(
    annotator: Annotator,
    refs: Iterable[MediaRef],
    *,
    saving: Saving | None = None,
    is_refreshed: bool = False,
    needs_faces: bool = False,
) -> Iterator[Told]:
    """Annotate media, save what comes out in batches, and tell it once it is saved.

    Args:
        annotator: does the work.
        refs: what to annotate.
        saving: where to save; None leaves the database alone.
        is_refreshed: annotate again what is saved, and replace it.
        needs_faces: annotate again what is saved, since rows keep no faces; rows stay as they are.

    Yields:
        Each media, in the order in which they are ready.

    """
    if saving is None:
        for outcome in annotator.annotate(refs):
            yield _fresh(outcome)
        return

    waiting: list[Outcome] = []
    saved_at = -SAVE_AFTER_S  # the first one at once: it is waited for
    outcomes = annotator.annotate(refs) if is_refreshed or needs_faces else _outcomes(annotator, refs, saving)
    for outcome in outcomes:
        waiting.append(outcome)
        if len(waiting) >= SAVE_AFTER_MEDIA or time.monotonic() - saved_at > SAVE_AFTER_S:
            yield from _save(annotator, waiting, saving, is_refreshed=is_refreshed)
            waiting, saved_at = [], time.monotonic()
    yield from _save(annotator, waiting, saving, is_refreshed=is_refreshed)


def _outcomes(annotator: Annotator, refs: Iterable[MediaRef], saving: Saving) -> Iterator[Outcome]:
    """Annotate what is not known: by its etag, which saves fetching it, or by its bytes, which saves decoding it."""

    def is_known(sha256: str) -> bool:
        return saving.store.is_annotated(saving.network_id, sha256)

    listed = list(refs)
    contents = saving.store.known_contents(saving.network_id, listed)
    known = {uri: content.sha256 for uri, content in contents.items() if content.is_annotated}
    for ref in listed:
        if ref.uri in known:
            yield KnownMedia(ref, known[ref.uri])
    yield from annotator.annotate((ref for ref in listed if ref.uri not in known), is_known=is_known)


def _save(annotator: Annotator, outcomes: Sequence[Outcome], saving: Saving, *, is_refreshed: bool) -> Iterator[Told]:
    """Save some outcomes in one transaction, label known contents, and tell all of them in their order."""
    store, labelling_id = saving.store, saving.labelling_id
    report = store.save(outcomes, network_id=saving.network_id, labelling_id=labelling_id, refresh=is_refreshed)
    if report.to_relabel:
        store.label_contents(annotator.identify, labelling_id, sorted(report.to_relabel))
    refused = set(report.failed)
    corrected = store.corrected_contents({one.content_sha256 for one in outcomes if isinstance(one, MediaAnnotation)})
    from_rows = [
        one.media
        for one in outcomes
        if isinstance(one, KnownMedia)
        or (isinstance(one, MediaAnnotation) and (one.media.uri in refused or one.content_sha256 in corrected))
    ]
    stored = store.load_annotations(labelling_id, from_rows, identify=annotator.identify) if from_rows else {}
    for outcome in outcomes:
        rows = stored.get(outcome.media.uri)
        yield _fresh(outcome) if rows is None else Told(rows.result, _with_labels_of(rows, outcome))


def _with_labels_of(rows: StoredAnnotation, outcome: Outcome) -> MediaAnnotation | None:
    """Return a fresh annotation with the labels of its rows, which people may have corrected: that is drawn."""
    if not isinstance(outcome, MediaAnnotation) or len(rows.tracks) != len(outcome.tracks):
        return None
    return replace(outcome, labels=tuple(track.label for track in rows.tracks))


def _fresh(outcome: Outcome) -> Told:
    if isinstance(outcome, KnownMedia):
        msg = f"{outcome.media.media_id} is said to be annotated, but has no rows"
        raise LookupError(msg)  # noqa: TRY004 - the row is missing, the type is right
    return Told(MediaResult.of(outcome), outcome if isinstance(outcome, MediaAnnotation) else None)
