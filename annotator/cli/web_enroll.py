"""The process that lets photographs, tracks or strangers count as evidence of people, for the web application.

It reads a line of JSON, what it works with, and writes one: how much counts now, or why none does. Then it goes on to
give what is stored the new names, which may take as long as the archive is large.
"""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from annotator.build import build_detector, build_engine, build_gallery, build_identifier
from annotator.cli.database import open_store
from annotator.cli.enrolling import show_new_names
from annotator.cli.entry import one_line
from annotator.cli.strangers import enroll_stranger
from annotator.cli.web_asked import tell
from annotator.errors import AnnotatorError, InputError, TransientError
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.enrollment import MIN_ENROLLED_TRACK_PX, Photograph, enroll_person
from annotator.recognition.gallery import EnrolledPerson, Gallery
from annotator.recognition.photographs import read_picture
from annotator.settings import Settings, load_settings
from annotator.store.corrections.evidence import enroll_corrected
from annotator.store.corrections.listing import list_corrections_of
from annotator.store.enrolled import add_enrolled
from annotator.store.registry import shown_network
from annotator.store.store import Store
from annotator.store.web.audit import record_deed
from annotator.types import Identity

_NICER: Final = 5


def enroll(given: Mapping[str, Any], settings: Settings, store: Store) -> int:
    """Enroll what is given, and return how many photographs or tracks count that did not before.

    Raises:
        AnnotatorError: what is given cannot stand for the person, or the model cannot be used.

    """
    gallery = build_gallery(settings, store=store)
    if "anew" in given:  # somebody was taken apart: only the names are new
        return 0
    if "photographs" in given:
        return _enroll_photographs(given, settings, store, gallery=gallery)
    if "stranger" in given:
        return _enroll_stranger(given, store, gallery=gallery)
    with store.writing() as connection:
        network_id = shown_network(connection, embedder=gallery.embedder)
        standing = [
            one
            for one in list_corrections_of(connection, given["content_id"])
            if one.track_no == given["track"] and one.verdict == "is"
            if one.withdrawn_at is None and not one.is_overtaken
        ]
        done = enroll_corrected(
            connection, standing, network_id=network_id, embedder=gallery.embedder, bundle=gallery.bundle
        )
        if done.added:
            _record(connection, given, "let a track count as evidence", done.people[0], track=given["track"])
    if done.too_poor:
        raise InputError(
            f"the faces of the track are under {MIN_ENROLLED_TRACK_PX:.0f} pixels, or too blurred, to know somebody by:"
            " give photographs"
        )
    return done.added


def _enroll_photographs(given: Mapping[str, Any], settings: Settings, store: Store, *, gallery: Gallery) -> int:
    files = [(str(name), Path(path)) for name, path in given["photographs"]]
    person = _checked(given, files, settings, gallery)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for _, path in files]
    with store.writing() as connection:
        identity = add_enrolled(
            connection, person.identity, embedder=person.embedder, embeddings=person.embeddings, photo_sha256=digests
        )
        _record(connection, given, "enrolled photographs", identity.name, photographs=len(digests))
    return len(digests)


def _enroll_stranger(given: Mapping[str, Any], store: Store, *, gallery: Gallery) -> int:
    def note(connection: Connection) -> None:
        _record(connection, given, "named a stranger", given["name"], stranger=given["stranger"])

    return enroll_stranger(store, gallery, given["stranger"], given["name"], note=note).tracks


def _checked(
    given: Mapping[str, Any], files: list[tuple[str, Path]], settings: Settings, gallery: Gallery
) -> EnrolledPerson:
    engine = build_engine(settings)
    return enroll_person(
        Identity(given["name"]),
        [Photograph(name, read_picture(path)) for name, path in files],
        gallery=gallery,
        detector=build_detector(settings, engine),
        embedder=FaceEmbedder(engine, precision="f32", network=gallery.bundle.network),
        face=given["face"],
    )


def _record(connection: Connection, given: Mapping[str, Any], action: str, subject: str, **details: Any) -> None:  # noqa: ANN401 - JSON
    record_deed(
        connection,
        given["actor"],
        action,
        address=given["address"],
        now=datetime.now(UTC),
        subject=subject,
        details=details,
    )


def main() -> None:
    """Read, enroll, tell, and give what is stored the new names."""
    os.nice(_NICER)
    given = json.loads(sys.stdin.readline())
    try:
        settings = load_settings(**given["settings"]).for_visitors()
        with open_store(settings, must_exist=True) as store:
            try:
                added = enroll(given, settings, store)
            except (InputError, TransientError) as error:
                tell({"failure": one_line(error)})
                return
            tell({"added": added})
            gallery = build_gallery(settings, store=store)
            with store.reading() as connection:
                network_id = shown_network(connection, embedder=gallery.embedder)
            show_new_names(store, build_identifier(settings, gallery), network_id)
    except AnnotatorError as error:
        sys.exit(one_line(error))


if __name__ == "__main__":
    main()
