"""``annotator space``: the map of people and faces."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from annotator.build import build_gallery, build_identifier
from annotator.cli.database import open_store
from annotator.cli.output import out, progress, remark
from annotator.recognition.gallery import Gallery
from annotator.settings import Settings, load_settings
from annotator.space.files import map_path, write_map
from annotator.space.people import identity_ids, labelling_of
from annotator.space.placing import make_map
from annotator.space.projector import write_projector
from annotator.space.sample import SampledFaces, sample_faces
from annotator.store.identities import load_identities
from annotator.store.labellings import Labelling
from annotator.store.registry import active_labelling
from annotator.store.store import Store


@dataclass(frozen=True, slots=True, eq=False)
class _Sampled:
    store: Store
    settings: Settings
    gallery: Gallery
    labelling: Labelling
    faces: SampledFaces


def build_space(*, faces: int, settings: Mapping[str, Any]) -> None:
    """Compute the map of the model of the settings, and keep it.

    Raises:
        ConfigError: the settings cannot work, or nothing is labelled by the model.
        LocalDiskError: it cannot be kept.
        StoreUnavailableError: the database does not answer.

    """
    with _sampled(faces, settings) as one, one.store.reading() as connection:
        space = make_map(
            one.gallery,
            one.faces,
            identity_ids=identity_ids(connection, one.gallery),
            model=one.labelling.model,
            made_at=datetime.now(UTC),
        )
        write_map(map_path(one.settings.cache_dir, connection, one.labelling.labelling_id), space)
        is_shown = active_labelling(connection) == one.labelling.labelling_id
    out().print(
        f"{len(space.identity_id):,} people of {space.model} and {len(one.faces):,} faces have their places;"
        f" three dimensions hold {space.explained.sum():.0%} of what distinguishes people",
        soft_wrap=True,
    )
    if not is_shown:
        remark(f"Names are shown of another model: `annotator web` shows this map when {space.model} is active.")


def export_space(folder: Path, *, faces: int, settings: Mapping[str, Any]) -> None:
    """Write people and faces for the projector of TensorBoard.

    Raises:
        ConfigError: as of ``build_space``, or the folder holds something.
        LocalDiskError: it cannot be written there.
        StoreUnavailableError: the database does not answer.

    """
    with _sampled(faces, settings) as one:
        with one.store.reading() as connection:
            names = {identity_id: person.name for identity_id, person in load_identities(connection).items()}
        points = write_projector(folder, one.gallery, one.faces, names)
    out().print(f"{points:,} points are in {folder}", markup=False, soft_wrap=True)
    remark(f"Look at them with: tensorboard --logdir {folder}")


@contextmanager
def _sampled(most: int, settings: Mapping[str, Any]) -> Iterator[_Sampled]:
    loaded = load_settings(**settings)
    with open_store(loaded, must_exist=True) as store:
        gallery = build_gallery(loaded, store=store)
        with store.reading() as connection:
            labelling = labelling_of(connection, gallery, build_identifier(loaded, gallery).digest)
        with progress("reading faces", total=None) as advance:
            faces = sample_faces(store.engine, gallery, labelling, most=most, on_batch=advance)
        yield _Sampled(store, loaded, gallery, labelling, faces)
