"""Who is on a picture: somebody with a name, or a face that nobody has named."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotator.build import build_detector, build_engine, build_gallery
from annotator.errors import EnrollmentError
from annotator.recognition.decision import Identifier
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.photographs import find_faces, read_picture
from annotator.settings import Settings
from annotator.store import Store
from annotator.store.takedowns.running import KnownFaces
from annotator.types import U8, TrackEvidence


@dataclass(frozen=True, slots=True, eq=False)
class OnPicture:
    """A face on a picture.

    Attributes:
        name: who it is to the model and the people of the database; None for nobody known.
        known: the face.

    """

    name: str | None
    known: KnownFaces


def look_at_picture(path: Path, *, which: int | None, store: Store, settings: Settings) -> OnPicture:
    """Find the face on a picture, and who it is.

    Args:
        path: of the picture.
        which: of several faces, 1 is the leftmost.
        store: whose people count, beside the model's.
        settings: what can be set.

    Raises:
        EnrollmentError: there is no clear face on it, or several and nobody has said which.
        SourceNotFoundError: it is not there.
        UndecodableMediaError: it is no picture.

    """
    return look_at_face(read_picture(path), name=path.name, which=which, store=store, settings=settings)


def look_at_face(picture: U8, *, name: str, which: int | None, store: Store, settings: Settings) -> OnPicture:
    """Find the face on a picture that was read, and who it is.

    Args:
        picture: u8 (H, W, 3), RGB.
        name: what errors call it.
        which: of several faces, 1 is the leftmost.
        store: whose people count, beside the model's.
        settings: what can be set.

    Raises:
        EnrollmentError: there is no clear face on it, or several and nobody has said which.

    """
    gallery = build_gallery(settings, store=store)
    engine = build_engine(settings)
    embedder = FaceEmbedder(engine, precision="f32", network=gallery.bundle.network)
    found = find_faces(picture, detector=build_detector(settings, engine), crop=embedder.crop)
    faces = sorted(found, key=lambda face: face.box_xyxy[0])
    if not faces:
        raise EnrollmentError(f"{name} shows no clear face: give a larger picture, from the front")
    if len(faces) > 1 and (which is None or not 1 <= which <= len(faces)):
        raise EnrollmentError(f"{name} shows {len(faces)} faces: say which one (--which), 1 is the leftmost")
    face = faces[which - 1 if which is not None and len(faces) > 1 else 0]
    embeddings = embedder.embed(face.crop[None])
    evidence = TrackEvidence(
        embeddings=embeddings.astype(np.float16),
        face_px=np.array([min(face.face_px, 60000.0)], np.float16),
        quality=np.ones(1, np.float16),
    )
    (label,) = Identifier(gallery).identify([evidence])
    known = KnownFaces(embedder.network_id, embeddings)
    return OnPicture(None if label.identity is None else label.identity.name, known)
