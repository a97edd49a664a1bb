"""Add a person to a gallery from a few photographs, without training.

A wrong photograph would name strangers for ever, so each is checked: it must have one clear face, or say which; the
face must be large enough, like the person's other photographs, and nobody else's of the gallery.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from annotator.errors import ConfigError, EnrollmentError, ModelError
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import EnrolledPerson, Gallery
from annotator.recognition.labels import check_name
from annotator.recognition.photographs import FaceEmbedding, FaceFinder, PhotographedFace, find_faces, read_picture
from annotator.recognition.prototypes import MIN_AGREEMENT
from annotator.types import F32, U8, Identity, TrackEvidence

MIN_ENROLLED_FACE_PX: Final = 48.0
"""Side of the aligned square from which a face can stand for a person. At 48 pixels 2 % of known people are nearest to
somebody else, at 32 pixels 8 %."""

MIN_ENROLLED_TRACK_PX: Final = 64.0
"""Size from which the faces of a clip's track can stand for a person. Small faces in clips are blurred and poor in
colours, and so are strangers', which resemble them for it; how often is told by ``annotator.accuracy.enrolling``."""

MIN_SHARE_OF_LARGEST: Final = 0.25
"""Faces smaller than this share of the photograph's largest face are people in the background."""


@dataclass(frozen=True, slots=True, eq=False)
class Photograph:
    """A photograph of a person.

    Attributes:
        name: what messages call it.
        picture: u8 (H, W, 3), RGB, upright.

    """

    name: str
    picture: U8


def read_photographs(paths: Sequence[Path]) -> list[Photograph]:
    """Read photographs.

    Raises:
        SourceNotFoundError: one is not there.
        UndecodableMediaError: one is no picture.

    """
    return [Photograph(path.name, read_picture(path)) for path in paths]


def enroll_person(
    identity: Identity,
    photographs: Sequence[Photograph],
    *,
    gallery: Gallery,
    detector: FaceFinder,
    embedder: FaceEmbedding,
    face: int | None = None,
) -> EnrolledPerson:
    """Check photographs of a person and embed them.

    Args:
        identity: who; the name of a person of the gallery adds photographs to that person.
        photographs: at least one; each must show the person.
        gallery: who is known already.
        detector: finds the faces.
        embedder: must run in f32.
        face: which face to take of a photograph that has several, 1 is the leftmost.

    Returns:
        The person, one embedding for each photograph, in order.

    Raises:
        EnrollmentError: a photograph has no face, several, too small a one, one unlike the others, or somebody
            else's; the name cannot be one; or there is no photograph.
        ConfigError: the embedder runs in bf16.
        ModelError: the embedder is not the gallery's.

    """
    if embedder.precision != "f32":
        raise ConfigError("people are enrolled in f32, the embedder runs in bf16: set its precision to f32")
    gallery.check_embedder(embedder.network_id)
    try:
        check_name(identity.name)
    except ModelError as error:
        raise EnrollmentError(str(error)) from error
    if not photographs:
        raise EnrollmentError(f"{identity.name} cannot be enrolled without a photograph: give at least one")
    found_faces = [find_faces(one.picture, detector=detector, crop=embedder.crop) for one in photographs]
    faces = [_the_face(one, found, face) for one, found in zip(photographs, found_faces, strict=True)]
    embeddings = embedder.embed(np.stack([found.crop for found in faces]))
    _check_alike(photographs, embeddings)
    check_who(identity, embeddings, [found.face_px for found in faces], gallery)
    return EnrolledPerson(identity, embeddings, embedder.network_id)


def _the_face(photograph: Photograph, faces: Sequence[PhotographedFace], wanted: int | None) -> PhotographedFace:
    """Return the person's face on one photograph."""
    if not faces:
        raise EnrollmentError(f"{photograph.name} shows no clear face: give one that shows it from the front")
    largest_px = max(face.face_px for face in faces)
    near = [face for face in faces if face.face_px >= MIN_SHARE_OF_LARGEST * largest_px]
    in_order = sorted(near, key=lambda face: face.box_xyxy[0])
    if len(in_order) > 1 and wanted is None:
        raise EnrollmentError(
            f"{photograph.name} shows {len(in_order)} faces: crop it, or say which one with --face 1 (the leftmost) "
            f"to --face {len(in_order)}"
        )
    if len(in_order) > 1 and wanted is not None and not 1 <= wanted <= len(in_order):
        raise EnrollmentError(f"{photograph.name} shows {len(in_order)} faces, there is none with the number {wanted}")
    chosen = in_order[wanted - 1 if len(in_order) > 1 and wanted is not None else 0]
    if chosen.face_px < MIN_ENROLLED_FACE_PX:
        raise EnrollmentError(
            f"the face on {photograph.name} is {chosen.face_px:.0f} pixels large, {MIN_ENROLLED_FACE_PX:.0f} needed: "
            "give a larger photograph"
        )
    return chosen


def _check_alike(photographs: Sequence[Photograph], embeddings: F32) -> None:
    """Check that all photographs show one person."""
    if len(photographs) < 2:
        return
    exact = embeddings.astype(np.float64)
    others = exact.sum(axis=0) - exact
    agreement = (exact * others).sum(axis=1) / np.linalg.norm(others, axis=1)
    worst = int(agreement.argmin())
    if agreement[worst] < MIN_AGREEMENT:
        raise EnrollmentError(
            f"the face on {photographs[worst].name} is unlike the person's other photographs (similarity "
            f"{agreement[worst]:.2f}, {MIN_AGREEMENT:.2f} is needed): leave it out, or give more photographs"
        )


def check_who(identity: Identity, embeddings: F32, face_px: Sequence[float], gallery: Gallery) -> None:
    """Check that faces are like the gallery's of the same name, and not somebody else's.

    Args:
        identity: who they are said to show.
        embeddings: f32 (n, D), unit norm, n > 0.
        face_px: how large each is, n sizes.
        gallery: who is known already.

    Raises:
        EnrollmentError: they are somebody else's, or unlike those of the person who has the name.

    """
    names = [person.name for person in gallery.identities]
    if identity.name in names:
        known = gallery.prototypes[names.index(identity.name)]
        similarity = float(gallery.bundle.comparable(embeddings.astype(np.float64)).mean(axis=0) @ known)
        if similarity < MIN_AGREEMENT:
            raise EnrollmentError(
                f"the gallery knows another {identity.name} (similarity {similarity:.2f}): choose a name that "
                f"tells them apart, such as «{identity.name} (painter)»"
            )
        return
    evidence = TrackEvidence(
        embeddings=embeddings.astype(np.float16),
        face_px=np.array([min(size, 60000.0) for size in face_px], np.float16),
        quality=np.ones(len(face_px), np.float16),
    )
    (label,) = Identifier(gallery).identify([evidence])
    if label.identity is not None:
        raise EnrollmentError(
            f"the faces of {identity.name} are {label.identity.name}'s to the gallery (score {label.score:.2f}): "
            f"enroll them as «{label.identity.name}», and rename that person if the name is wrong"
        )
