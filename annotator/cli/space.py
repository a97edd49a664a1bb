"""``annotator space``: the map of people and faces."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from annotator.build import build_gallery, build_identifier
from annotator.cli.database import open_store
from annotator.cli.output import out, progress, remark
from annotator.errors import ChangedMeanwhileError
from annotator.recognition.gallery import Gallery
from annotator.settings import Settings, load_settings
from annotator.space.files import map_path, write_map
from annotator.space.people import identity_ids, labelling_of
from annotator.space.placing import SpaceMap, make_map
from annotator.space.projector import write_projector
from annotator.space.sample import SampledFaces, sample_faces
from annotator.store.identities import load_identities
from annotator.store.labellings import Labelling
from annotator.store.registry import active_labelling
from annotator.store.store import Store
from annotator.store.takedowns.tombstones import takedowns_so_far


@dataclass(frozen=True, slots=True, eq=False)
class KeptMap:
    """A map that was made.

    Attributes:
        space: the map.
        faces: how many tracks it shows.
        is_shown: names are shown of the model that it is of.

    """

    space: SpaceMap
    faces: int
    is_shown: bool

    def in_words(self) -> str:
        """Return what it came to."""
        return (
            f"{len(self.space.identity_id):,} people of {self.space.model} and {self.faces:,} faces have their places;"
            f" three dimensions hold {100 * self.space.explained.sum():.0f}\u00a0% of what distinguishes people"
        )


def build_space(*, faces: int, settings: Mapping[str, Any]) -> None:
    """Compute the map of the model of the settings, and keep it.

    Raises:
        ChangedMeanwhileError: somebody is taken down, or was meanwhile; nothing is kept.
        ConfigError: the settings cannot work, or nothing is labelled by the model.
        LocalDiskError: it cannot be kept.
        StoreUnavailableError: the database does not answer.

    """
    loaded = load_settings(**settings)
    with open_store(loaded, must_exist=True) as store, progress("reading faces", total=None) as advance:
        kept = keep_map(store, loaded, faces=faces, on_batch=advance)
    out().print(kept.in_words(), soft_wrap=True)
    if not kept.is_shown:
        model = kept.space.model
        remark(f"Names are shown of another model: `annotator web` shows this map when {model} is active.")


def keep_map(store: Store, settings: Settings, *, faces: int, on_batch: Callable[[int], None] | None = None) -> KeptMap:
    """Compute the map of the model of the settings, and keep it in the cache.

    Args:
        store: the database; it is only read.
        settings: where the model and the cache are.
        faces: tracks of the sample, at most.
        on_batch: told of each batch, how many contents it had.

    Raises:
        ConfigError: the settings cannot work, or nothing is labelled by the model.
        LocalDiskError: it cannot be kept.
        StoreUnavailableError: the database does not answer.

    """
    made_at = datetime.now(UTC)  # whoever is named while faces are read may not be in it
    with store.reading() as connection:
        takedowns = takedowns_so_far(connection)
    one = _sampled(store, settings, most=faces, on_batch=on_batch)
    with store.reading() as connection:
        space = make_map(
            one.gallery,
            one.faces,
            identity_ids=identity_ids(connection, one.gallery),
            model=one.labelling.model,
            made_at=made_at,
        )
        path = map_path(settings.cache_dir, connection, one.labelling.labelling_id)
        write_map(path, space)
        is_shown = active_labelling(connection) == one.labelling.labelling_id
    with store.reading() as connection:
        begun, ended = takedowns_so_far(connection)
    if begun != ended or (begun, ended) != takedowns:
        path.unlink(missing_ok=True)
        raise ChangedMeanwhileError(
            "somebody was taken down meanwhile, or a takedown was interrupted: call this again when it has ended"
        )
    return KeptMap(space, len(one.faces), is_shown)


def export_space(folder: Path, *, faces: int, settings: Mapping[str, Any]) -> None:
    """Write people and faces for the projector of TensorBoard.

    Raises:
        ConfigError: as of ``build_space``, or the folder holds something.
        LocalDiskError: it cannot be written there.
        StoreUnavailableError: the database does not answer.

    """
    loaded = load_settings(**settings)
    with open_store(loaded, must_exist=True) as store:
        with progress("reading faces", total=None) as advance:
            one = _sampled(store, loaded, most=faces, on_batch=advance)
        with store.reading() as connection:
            names = {identity_id: person.name for identity_id, person in load_identities(connection).items()}
        points = write_projector(folder, one.gallery, one.faces, names)
    out().print(f"{points:,} points are in {folder}", markup=False, soft_wrap=True)
    remark(f"Look at them with: tensorboard --logdir {folder}")


@dataclass(frozen=True, slots=True, eq=False)
class _Sampled:
    gallery: Gallery
    labelling: Labelling
    faces: SampledFaces


def _sampled(store: Store, settings: Settings, *, most: int, on_batch: Callable[[int], None] | None) -> _Sampled:
    gallery = build_gallery(settings, store=store)
    with store.reading() as connection:
        labelling = labelling_of(connection, gallery, build_identifier(settings, gallery).digest)
    return _Sampled(gallery, labelling, sample_faces(store.engine, gallery, labelling, most=most, on_batch=on_batch))
