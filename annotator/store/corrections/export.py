"""The faces of tracks that are somebody by a person's word, cut out of their media: pictures for the next model."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from sqlalchemy import select

from annotator.errors import ConfigError, CorrectionError, InputError, ModelError
from annotator.pipeline import Annotator
from annotator.recognition.labels import format_label
from annotator.store.codec import decode_boxes, encode_boxes
from annotator.store.corrections.listing import Correction
from annotator.store.corrections.matching import find_track
from annotator.store.store import Store
from annotator.store.tables import contents
from annotator.types import U8, Identity, KnownMedia, MediaAnnotation, MediaFailure, MediaOutcome, MediaRef

_NAME_DIGITS: Final = 12  # of the digest of a clip's bytes, in names of files


@dataclass(frozen=True, slots=True)
class WrittenCrops:
    """What came of an export.

    Attributes:
        crops: pictures that are there now.
        tracks: tracks that they are of.
        people: people that they show.
        left_out: media or person, and why a track of it is not there.

    """

    crops: int
    tracks: int
    people: int
    left_out: tuple[tuple[str, str], ...]


def write_crops(
    store: Store,
    annotator: Annotator,
    standing: Sequence[Correction],
    folder: Path,
    *,
    on_media: Callable[[], None],
) -> WrittenCrops:
    """Look at media again and write the aligned faces of corrected tracks, a folder for each person.

    The folder's name is the person's label (``Brad_Pitt``), the file's says which clip, when and which face: doing it
    again writes the same files.

    Args:
        store: the database.
        annotator: keeps the faces of tracks.
        standing: words «is» that hold.
        folder: is made where it is not there.
        on_media: called once for each content.

    Raises:
        ConfigError: the folder cannot be written.

    """
    of_media: dict[str, list[Correction]] = defaultdict(list)
    left_out = []
    for one in standing:
        if one.media_uri is None:
            left_out.append((one.identity.name, "the media that showed this face is gone"))
        else:
            of_media[one.media_uri].append(one)
    digests = digests_of(store, standing)
    crops, people, written_tracks = 0, set(), 0
    for outcome in annotator.annotate([MediaRef(uri, uri) for uri in of_media]):
        on_media()
        uri = outcome.media.uri
        for one in of_media[uri]:
            try:
                sha256 = digests[one.content_id]
                written = _write(_faces(outcome, one, annotator, sha256), folder, one, sha256)
            except (InputError, ModelError) as error:
                left_out.append((uri, str(error)))
            else:
                crops, written_tracks = crops + written, written_tracks + 1
                people.add(one.identity)
    return WrittenCrops(crops, written_tracks, len(people), tuple(left_out))


def digests_of(store: Store, standing: Sequence[Correction]) -> dict[int, str]:
    """Return the sha256 of the contents that words are on, hexadecimal, by id."""
    wanted = select(contents.c.id, contents.c.sha256).where(contents.c.id.in_({one.content_id for one in standing}))
    with store.reading() as connection:
        return {content_id: bytes(sha256).hex() for content_id, sha256 in connection.execute(wanted)}


def _faces(outcome: MediaOutcome | KnownMedia, one: Correction, annotator: Annotator, sha256: str) -> U8:
    """Return the good faces of the track that is meant, u8 (K, 112, 112, 3) RGB.

    Raises:
        CorrectionError: there are none; says why.

    """
    if not isinstance(outcome, MediaAnnotation):
        raise CorrectionError(outcome.message if isinstance(outcome, MediaFailure) else "it was not read")
    boxes = {track.track_no: decode_boxes(encode_boxes(track)) for track in outcome.tracks}
    track_no = find_track(one.boxes, boxes) if outcome.content_sha256 == sha256 else None
    if track_no is None:
        raise CorrectionError(f"it does not show the face of {one.identity.name} any more, or has changed")
    (track,) = [track for track in outcome.tracks if track.track_no == track_no]
    sizes, quality = track.evidence.face_px.astype(np.float32), track.evidence.quality.astype(np.float32)
    is_good = annotator.identifier.calibration.usable_faces(sizes, quality)
    if not is_good.any():
        raise CorrectionError(f"the faces of {one.identity.name} are too small or too blurred")
    return track.best_faces[is_good]


def folder_of(identity: Identity) -> str:
    """Return what a person's folder is called: the label, which nobody can make a hidden folder or another place.

    Raises:
        ModelError: the name cannot stand in a label.

    """
    label = format_label(identity).replace("/", "_")
    return f"_{label}" if label.startswith(".") else label


def _write(faces: U8, folder: Path, one: Correction, sha256: str) -> int:
    target = folder / folder_of(one.identity)
    start_ms = one.boxes.shares[0][0]
    try:
        target.mkdir(parents=True, exist_ok=True)
        for number, face in enumerate(faces):
            Image.fromarray(face).save(target / f"{sha256[:_NAME_DIGITS]}-{start_ms}ms-{number}.png")
    except OSError as error:
        raise ConfigError(f"{target} cannot be written ({error.strerror}): name another folder") from error
    return len(faces)
