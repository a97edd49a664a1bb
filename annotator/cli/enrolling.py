"""``annotator enroll``."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from annotator.build import build_annotator, build_detector, build_engine, build_gallery, register_model
from annotator.cli.database import open_store
from annotator.cli.output import err, out, remark
from annotator.cli.workplace import follows, relabel_all
from annotator.pipeline import Annotator, TrackIdentifier
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.enrollment import enroll_person, read_photographs
from annotator.settings import load_settings
from annotator.store.labels import network_of
from annotator.store.registry import embedder_of
from annotator.store.store import Store
from annotator.types import Identity


def enroll(name: str, photos: Sequence[Path], *, face: int | None, settings: Mapping[str, Any]) -> None:
    """Check photographs, keep their embeddings, and give what is stored the new name.

    Args:
        name: the person's; somebody who is known gets further photographs.
        photos: at least one.
        face: which face of a photograph with several, 1 is the leftmost.
        settings: values for ``load_settings``.

    Raises:
        EnrollmentError: a photograph cannot stand for the person; says why.
        SourceNotFoundError: a photograph is not there.
        UndecodableMediaError: one is no picture.

    """
    loaded = load_settings(**settings)
    photographs = read_photographs(photos)
    with open_store(loaded) as store:
        with err().status("looking at the photographs"):
            engine = build_engine(loaded)
            gallery = build_gallery(loaded, store=store)
            person = enroll_person(
                Identity(name.strip()),
                photographs,
                gallery=gallery,
                detector=build_detector(loaded, engine),
                embedder=FaceEmbedder(engine, precision="f32", network=gallery.bundle.network),
                face=face,
            )
        identity = store.add_enrolled(
            person.identity,
            embedder=person.embedder,
            embeddings=person.embeddings,
            photo_sha256=[hashlib.sha256(path.read_bytes()).hexdigest() for path in photos],
        )
        kept = next(len(one.embeddings) for one in store.list_enrolled(person.embedder) if one.identity == identity)
        was_known = identity.name in {one.name for one in gallery.identities}
        out().print(_in_words(identity.name, kept, was_known=was_known), markup=False)
        changed = _relabel(store, build_annotator(loaded, store=store, engine=engine))
    if changed:
        remark(f"{changed} contents that were annotated before have been compared with the new face, without decoding.")


def _in_words(name: str, photographs: int, *, was_known: bool) -> str:
    counted = "1 photograph" if photographs == 1 else f"{photographs} photographs"
    if was_known:
        return f"{name} was known already; {counted} enrolled here {'counts' if photographs == 1 else 'count'}, too"
    return f"{name} is known now, from {counted}"


def _relabel(store: Store, annotator: Annotator) -> int:
    """Label what is stored under the active network, whatever sampling it has; the embedder must be the same."""
    active = store.active_labelling()
    if active is None:
        register_model(store, annotator)
        return 0
    with store.reading() as connection:
        network_id = network_of(connection, active)
        embedder = embedder_of(connection, network_id)
    if embedder != annotator.network_spec["embedder"]:
        remark("What is annotated was embedded by another network: annotate it again to find the new face in it.")
        return 0
    return show_new_names(store, annotator.identifier, network_id)


def show_new_names(store: Store, identifier: TrackIdentifier, network_id: int) -> int:
    """Label what is stored with people who were added, and show it; return how many contents were labelled.

    Where another model is shown, nothing happens, and it is said how to go on.

    Args:
        store: the database.
        identifier: knows the people.
        network_id: whose tracks are shown.

    """
    shown = store.status().model or ""
    if not follows(store, identifier.model, shown=shown):
        model = shown.partition("+")[0]
        remark(f"Searches go on to show {model}'s names: `annotator relabel --model {model} --activate` adds this one.")
        return 0
    labelling_id = store.register_labelling(
        network_id,
        model=identifier.model,
        digest=identifier.digest,
        photographs=identifier.photographs,
        calibration=identifier.calibration.to_json(),
    )
    return relabel_all(identifier, store, labelling_id)
