"""What a command works with: an annotator, a database, and the labels that both agree on."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from annotator.build import TimeLimit, build_annotator, build_source, register_model
from annotator.cli.database import open_store
from annotator.cli.output import err, remark
from annotator.cli.relabelling import make_labels
from annotator.cli.session import Saving
from annotator.decoding import FrameSource, PipelineParams
from annotator.errors import RelabellingTakenError
from annotator.media import Sampling
from annotator.metering import StageMeter
from annotator.pipeline import Annotator, TrackIdentifier, Watch
from annotator.settings import Settings
from annotator.store.labels import network_of
from annotator.store.promotions import is_promoted
from annotator.store.store import Store

_MAX_DECODERS: Final = 16
"""Each is a child process that may take ``ANNOTATOR_DECODE__MEMORY_BYTES``, 768 MiB: so many take 12 GiB at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Workplace:
    """What a command works with.

    Attributes:
        settings: as loaded.
        annotator: knows the model's people and those of the database.
        saving: where results go; None where the database is left alone.
        every_frame: opens media with all their distinct frames, for drawing.

    """

    settings: Settings
    annotator: Annotator
    saving: Saving | None
    every_frame: FrameSource

    @property
    def database(self) -> str | None:
        """The database's URL without password; None where it is left alone."""
        return str(self.settings.database_url) if self.saving else None


@dataclass(frozen=True, slots=True)
class Watching:
    """Who is told how far a run is, and how long a media may take; see ``build_annotator``."""

    time_limit_s: TimeLimit | None = None
    meter: StageMeter | None = None
    watch: Watch | None = None


UNWATCHED: Final = Watching()


@contextmanager
def open_workplace(
    settings: Settings,
    *,
    is_saved: bool,
    keep_faces: bool = False,
    watching: Watching = UNWATCHED,
) -> Iterator[Workplace]:
    """Open the database and load the model.

    Where people were enrolled, merged or a newer version of the active model is used since the last time, what is
    stored gets the new names first, from its embeddings; nothing is decoded.

    Args:
        settings: as loaded.
        is_saved: False leaves the database alone.
        keep_faces: whether tracks keep the crops of their best faces, for drawing.
        watching: who is told how far it is, and how long a media may take.

    Raises:
        ConfigError: the settings cannot work.
        ModelError: the model fails its checks.
        StoreUnavailableError: the database does not answer.

    """
    with ExitStack() as stack:
        store = stack.enter_context(open_store(settings)) if is_saved else None
        is_first = not (settings.cache_dir / "networks").is_dir()
        with err().status("making the networks ready, once: half a minute" if is_first else "loading the model"):
            annotator = build_annotator(
                settings,
                store=store,
                params=_in_hand(settings, keep_faces=keep_faces),
                time_limit_s=watching.time_limit_s,
                meter=watching.meter,
                watch=watching.watch,
            )
        saving = None
        if store is not None:
            registered = register_model(store, annotator)
            saving = Saving(store, registered.network_id, registered.labelling_id)
            bring_up_to_date(annotator, saving)
        yield Workplace(settings, annotator, saving, build_source(settings, sampling=Sampling.all()))


def _in_hand(settings: Settings, *, keep_faces: bool) -> PipelineParams:
    """Decode as many media at once as processors may be used: each keeps one busy, and two leave many of them idle."""
    processors = settings.threads or len(os.sched_getaffinity(0))
    return PipelineParams(decoders=min(max(2, processors), _MAX_DECODERS), keep_faces=keep_faces)


def relabel_all(identifier: TrackIdentifier, store: Store, labelling_id: int) -> int:
    """Label everything stored that a labelling has not labelled, then show the labelling in views and searches.

    Returns:
        How many contents were labelled.

    """
    run = make_labels(store, identifier, labelling_id)
    store.activate(labelling_id)
    return 0 if run is None else run.sums.contents


def bring_up_to_date(annotator: Annotator, saving: Saving) -> None:
    """Give what is stored the names of this annotator, where it is the next of what is shown; else say so."""
    active = saving.store.active_labelling()
    if active is None or active == saving.labelling_id:
        return
    model = saving.store.status().model or ""
    if _is_next_of(saving.store, active, saving) and follows(saving.store, annotator.model, shown=model):
        try:
            changed = relabel_all(annotator.identifier, saving.store, saving.labelling_id)
        except RelabellingTakenError:
            remark("Another process makes the labels of this model just now; searches go on to show the former ones.")
        else:
            if changed:
                remark(f"{changed} contents have new labels: the people known, or the demands on names, have changed.")
    else:
        remark(
            f"Results are saved beside those of the active model ({model}), which searches go on to show: "
            "this run uses another model or looks at other frames. To search these, use another --database."
        )


def _is_next_of(store: Store, active: int, saving: Saving) -> bool:
    with store.reading() as connection:
        return network_of(connection, active) == saving.network_id


def follows(store: Store, model: str, *, shown: str) -> bool:
    """Say whether the names of a model may be shown instead of those that are shown, without going through the gate.

    The same model may, with other people enrolled; another version may, unless the one that is shown was promoted.

    Args:
        store: the database.
        model: as users see it.
        shown: the model that is shown.

    """
    (name, _, version), (shown_name, _, shown_version) = _parts(model), _parts(shown)
    if name != shown_name or version == shown_version:
        return name == shown_name
    with store.reading() as connection:
        return not is_promoted(connection, f"{shown_name}@{shown_version}")


def _parts(model: str) -> tuple[str, str, str]:
    """Return a model's name and version; the mark of enrolled people is left out."""
    return model.partition("+")[0].partition("@")
