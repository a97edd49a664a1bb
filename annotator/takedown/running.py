"""``annotator takedown``: find all that is known of a person, say how much, and take it away."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from sqlalchemy import Connection, Engine, update

from annotator.build import STARTER_FOLDER, bundle_folder, open_bundle, open_library
from annotator.demo.portraits import PORTRAITS
from annotator.errors import AnnotatorError, ChangedMeanwhileError, IdentityError, LocalDiskError
from annotator.library import S3, folder_uri, manifest_digest
from annotator.settings import Settings
from annotator.space.files import FOLDER
from annotator.store import Store
from annotator.store.tables import models
from annotator.store.takedowns.alone import only_takedown
from annotator.store.takedowns.leaving import keep_left
from annotator.store.takedowns.listing import find_takedown
from annotator.store.takedowns.name_finder import NameFinder
from annotator.store.takedowns.running import (
    NO_FACES,
    KnownFaces,
    begin_takedown,
    count_in_database,
    faces_in_archive,
    finish_takedown,
    forget_in_database,
    note_step,
)
from annotator.store.takedowns.tombstones import has_tombstone
from annotator.store.takedowns.whom import Person, enrolled_of, find_person
from annotator.takedown.bundles import Known, find_bundles, is_replaceable, rewrite_without
from annotator.takedown.folders import Sweep, sweep_folder
from annotator.takedown.places import places_of, warnings_of
from annotator.takedown.report import TakedownReport, report_of

GOLDEN: Final = "golden.db*"
"""What was found on golden clips, kept in the cache: it is made again where it is missing."""

_READ_ONLY: Final = (
    "a model lies in a folder that this user cannot write to and still has the prototype: with the database it is"
    " loaded without the person; make it anew without her or him, or call this again as somebody who may write there"
)
_RELABEL: Final = (
    "a model without the person is another model: what is annotated with it from now on is not shown before"
    " `annotator relabel --activate`, which labels what is there with it, too"
)
_NOT_HERE: Final = "it is not there (any more), or on another machine: call this where it is, with --folder"
_ELSEWHERE: Final = (
    "it was swept here, and named on another machine before this was interrupted: if it has a folder of its own,"
    " call this there, with --folder"
)
_NOT_OURS: Final = "it cannot be read or changed by this user: call this as somebody who may, with --folder"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        name: a name, an alias, an identity id or a Knowledge Graph id; None for a face that nobody has named.
        face: of a picture of the person, with what is known of her or him otherwise.
        folders: work directories, exports and reports that are swept, too; of one that goes on, those that were named
            before are.
        is_dry: only look.
        tells_name: whether the report says the name.
        identity_ids: whom the name must mean; None asks for nothing.
        done_by: who does it; None is the user of this machine.
        note: is called when it begins, or goes on, with its number, in the same transaction.

    """

    name: str | None
    face: KnownFaces = NO_FACES
    folders: Sequence[Path] = ()
    is_dry: bool = True
    tells_name: bool = False
    identity_ids: Sequence[int] | None = None
    done_by: str | None = None
    note: Callable[[Connection, int], None] = lambda _connection, _takedown_id: None


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    person: Person
    known: KnownFaces
    bundles: Sequence[Known]
    has_photographs: bool = False  # enrolled ones

    @property
    def changes_model(self) -> bool:
        return self.has_photographs or bool(self.replaceable)

    @property
    def replaceable(self) -> list[Known]:
        return [known for known in self.bundles if is_replaceable(known.folder)]


def take_down(
    store: Store, settings: Settings, wanted: Wanted, *, say: Callable[[str], None] = lambda _: None
) -> TakedownReport:
    """Take a person down, or say what would go.

    It may be killed at any time: called again, with the same name, it goes on.

    Args:
        store: the database.
        settings: say where models and caches are.
        wanted: what is asked for.
        say: is told what is done, as users read it.

    Raises:
        BusyError: another takedown is under way.
        ChangedMeanwhileError: the name means other people than it must.
        IdentityError: several people may be meant, or nothing is known of anybody of this name.
        ModelError: a bundle fails its checks.
        LocalDiskError: a folder cannot be changed; what was done stays.
        StoreUnavailableError: the database does not answer; what was done stays.

    """
    with _changing_files(), contextlib.nullcontext() if wanted.is_dry else only_takedown(store.engine):
        say("looking at models")
        found = _find(store, settings, wanted)
        act = _look if wanted.is_dry else _forget
        report = act(store, settings, wanted, found=found, say=say)
    return replace(report, names=found.person.names if wanted.tells_name else ())


def _look(
    store: Store, settings: Settings, wanted: Wanted, *, found: _Found, say: Callable[[str], None]
) -> TakedownReport:
    names = found.person.names
    steps = count_in_database(store.engine, found.person, found.known, say=say)
    steps["models"] = {"models": len(found.replaceable)} if found.replaceable else {}
    cached = _cached(settings, names)
    steps["cache"] = {"files": len(cached)}
    left = _left(settings, found, wanted, folders=len(wanted.folders))
    for number, folder in enumerate(wanted.folders, start=1):
        sweep = sweep_folder(folder, names, kg_mids=found.person.kg_mids, is_dry=True)
        steps[f"folder {number}"] = sweep.counts()
        left += _left_in(number, sweep)
    report = TakedownReport(
        takedown=None,
        started_at=None,
        is_done=False,
        is_resumed=False,
        tombstones=(),
        steps=steps,
        left=left,
        places=places_of([known.folder for known in found.replaceable], cached, settings.cache_dir),
        warnings=warnings_of([known.folder for known in found.replaceable], cached),
    )
    _insist_on_something(store, report, found, wanted)
    return report


def _forget(
    store: Store, settings: Settings, wanted: Wanted, *, found: _Found, say: Callable[[str], None]
) -> TakedownReport:
    takedown = begin_takedown(
        store.engine,
        found.person,
        found.known,
        folders=wanted.folders,
        done_by=wanted.done_by,
        note=wanted.note,
    )
    names = takedown.names
    if found.changes_model:  # said before: when this is killed, the next call finds nothing of it any more
        keep_left(store.engine, takedown.takedown_id, [_RELABEL])
    say("faces, labels and texts of the database")
    forget_in_database(store.engine, takedown, names)
    say("models, and what is kept of them")
    for known in found.replaceable:
        _rewrite(store.engine, known, names)
        note_step(store.engine, takedown, "models", {"models": 1})
    for path in _cached(settings, names):
        path.unlink(missing_ok=True)
        note_step(store.engine, takedown, "cache", {"files": 1})
    for number, folder in enumerate(takedown.folders, start=1):
        try:
            is_here = folder.path.is_dir()
            sweep = sweep_folder(folder.path, names, kg_mids=takedown.kg_mids) if is_here else None
        except (OSError, LocalDiskError):  # of others: whoever goes on may not be who named it
            keep_left(store.engine, takedown.takedown_id, [f"folder {number}: {_NOT_OURS}"])
            continue
        if sweep is not None:
            keep_left(store.engine, takedown.takedown_id, _left_in(number, sweep))
            note_step(store.engine, takedown, f"folder {number}", sweep.counts())
        if sweep is None or not folder.is_of_this_machine:
            words = _NOT_HERE if sweep is None else _ELSEWHERE
            keep_left(store.engine, takedown.takedown_id, [f"folder {number}: {words}"])
    say("the names")
    left = keep_left(store.engine, takedown.takedown_id, [])
    general = [one for one in _left(settings, found, wanted, folders=len(takedown.folders)) if one not in left]
    finish_takedown(store.engine, takedown, names, left=[*general, *left])
    with store.reading() as connection:
        done = find_takedown(connection, takedown.takedown_id)
    if done is None:
        raise LookupError("the row of a takedown is gone")
    return report_of(done)


@contextlib.contextmanager
def _changing_files() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LocalDiskError(
            f"{error.filename} cannot be changed ({error.strerror}): change its rights, and call this again"
        ) from error


def _find(store: Store, settings: Settings, wanted: Wanted) -> _Found:
    if wanted.name is None:
        return _Found(Person((), ()), wanted.face, ())
    with store.reading() as connection:
        person = find_person(connection, wanted.name)
    if wanted.identity_ids is not None and set(wanted.identity_ids) != set(person.identity_ids):
        raise ChangedMeanwhileError("the person was merged with somebody meanwhile: look at what would go, once more")
    bundles = find_bundles(_bundle_folders(settings), person.identities)
    embedders = [known.bundle.embedder for known in bundles]
    embedder = wanted.face.embedder or (embedders[0] if embedders else _embedder_of(settings))
    if embedder is None:
        return _Found(person, NO_FACES, bundles)
    with store.reading() as connection:
        enrolled = enrolled_of(connection, person, embedder=embedder)
        faces = [wanted.face.faces, enrolled]
        faces.append(faces_in_archive(connection, person, embedder=embedder))
    faces += [
        known.prototypes for known in bundles if known.bundle.embedder == embedder and known.bundle.projection is None
    ]
    there = [one for one in faces if len(one)]
    return _Found(
        person, KnownFaces(embedder, np.concatenate(there)) if there else NO_FACES, bundles, len(enrolled) > 0
    )


def _embedder_of(settings: Settings) -> str | None:
    try:
        return open_bundle(settings).embedder
    except AnnotatorError:
        return None


def _bundle_folders(settings: Settings) -> list[Path]:
    """Return the folders of all models that are on this machine."""
    folders = [STARTER_FOLDER, *open_library(settings).folders()]
    cached = settings.cache_dir / "bundles"
    folders += sorted(one for one in cached.iterdir() if one.is_dir()) if cached.is_dir() else []
    if not settings.model.startswith(S3):
        folders.append(bundle_folder(settings))
    return folders


def _cached(settings: Settings, names: Sequence[str]) -> list[Path]:
    """Return the files of the cache that go: of golden clips, maps of all people, and portraits of the demo."""
    finder = NameFinder.of(names)
    portraits = [
        path
        for portrait in PORTRAITS
        if finder.is_alone(portrait.name)
        for path in (settings.cache_dir / "demo").glob(f"{portrait.key}.*")
    ]
    maps = (settings.cache_dir / FOLDER).glob("*.npz")
    return sorted([*settings.cache_dir.glob(GOLDEN), *maps, *portraits])


def _rewrite(engine: Engine, known: Known, names: Sequence[str]) -> None:
    """Replace a bundle, and let the row of one that is installed in this very folder say what is there now.

    A row whose model is in a bucket stays: there is what it says, and what is fetched from there must go on to be it.
    """
    bundle = rewrite_without(known, names)
    with engine.begin() as connection:
        connection.execute(
            update(models)
            .where(
                models.c.name == bundle.name,
                models.c.version == str(bundle.version),
                models.c.uri == folder_uri(known.folder),
            )
            .values(digest=manifest_digest(bundle.manifest), manifest=dict(bundle.manifest))
        )


def _left_in(number: int, sweep: Sweep) -> list[str]:
    return [f"folder {number}: {one}: it was left as it is, look into it yourself" for one in sweep.left]


def _left(settings: Settings, found: _Found, wanted: Wanted, *, folders: int) -> list[str]:
    """Return what no program can do here."""
    left = [
        "media are not changed: whoever annotates them anew finds a face without a name",
        "backups, and models and folders on other machines, still have the person: call this there, let backups go",
    ]
    if settings.uploads_folder.is_dir():
        left.append(
            "what was uploaded to `annotator web` is media, too, and stays: what shows the person goes only if you"
            " remove it from the folder of uploads; search for the name before the takedown to see which"
        )
    if settings.models_uri is not None and settings.models_uri.startswith(S3):
        left.append(
            "models in the bucket still have the prototype: build them anew without it, and remove the former ones"
        )
    if found.changes_model:
        left.append(_RELABEL)
    if len(found.replaceable) < len(found.bundles):
        left.append(_READ_ONLY)
    if not folders:
        left.append("no work directory was named: give --folder for each, and for exports and pictures that were drawn")
    if wanted.name is None:
        left.append("a face without a name leaves no tombstone: it is found again when a clip is annotated anew")
    if any(" " not in name for name in found.person.names):
        left.append("a name of a single word is not looked for within sentences: look through reports yourself")
    return left


def _insist_on_something(store: Store, report: TakedownReport, found: _Found, wanted: Wanted) -> None:
    if not report.is_empty:
        return
    if wanted.name is None:
        raise IdentityError("nothing here looks like this face, so there is nothing to take away", name="")
    with store.reading() as connection:
        is_gone = any(has_tombstone(connection, one) for one in found.person.identities)
    if not is_gone:
        raise IdentityError(
            "nothing is known of this person, neither in the database nor in a model: write the name as"
            " `annotator identities` does, or, if nobody of this name may ever be learnt, add --yes",
            name=wanted.name or "",
        )
