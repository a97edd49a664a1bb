"""The store's front: one object that opens a database and says in one call what a user wants done."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sqlalchemy import Connection, Engine, select, type_coerce
from sqlalchemy.exc import DBAPIError, StatementError

from annotator.errors import StoreUnavailableError
from annotator.store import enrolled, identities, labels, merging, promotions, queries, reads, registry, rollups, writes
from annotator.store.columns import UtcTime, utc_now
from annotator.store.connection import open_engine, reading, writing
from annotator.store.corrections.words import words_on
from annotator.store.database_errors import is_conflict
from annotator.store.locks import hold_evidence
from annotator.store.queue.chunks import USUAL_LIMITS, ChunkLimits
from annotator.store.queue.requeue import requeue, retry
from annotator.store.queue.status import Status, read_status
from annotator.store.registry import batched
from annotator.store.schema import HEAD, check_engine, count_once, current_revision, upgrade_engine
from annotator.store.takedowns.tombstones import ids_under_way, taken_down
from annotator.types import F32, Identity, MediaRef, TrackEvidence, TrackLabel

# Outcomes in one transaction: enough that the commit costs little, few enough that others wait little.
BATCH: Final = 32
# Media or contents asked for in one statement; SQLite takes 32,766 values.
_ASKED: Final = 500
# How often a transaction that lost against another one is run again before its outcomes are tried one by one.
_MAX_CONFLICTS: Final = 5
# A program that is frozen in a transaction (Ctrl-Z, the closed lid of a laptop) holds its locks no longer.
_MAX_SILENCE_S: Final = 300.0


class Store:
    """A database of annotations, in SQLite or Postgres. It may be used from several threads.

    Every call is one transaction (``save`` and ``retry``: one per batch). All raise ``StoreUnavailableError`` when the
    database does not answer.
    """

    def __init__(self, engine: Engine) -> None:
        """Take an engine of ``annotator.store.connection.open_engine`` whose schema is up to date."""
        self._engine = engine
        self._has_grown = False

    @classmethod
    def open(
        cls,
        url: str | Path,
        *,
        upgrade: bool | None = None,
        pool_size: int = 5,
        max_silence_s: float | None = _MAX_SILENCE_S,
    ) -> Self:
        """Open a database.

        Args:
            url: the path of an SQLite file, ``sqlite:///PATH`` or ``postgresql://USER@HOST/NAME``.
            upgrade: bring the schema up to date first. By default that is done for an SQLite file, which is made
                where there is none, and never for Postgres, whose schema is its owner's business.
            pool_size: connections kept open.
            max_silence_s: see ``open_engine``; None waits for ever.

        Raises:
            ConfigError: the URL names no supported database, or the schema is not the one this program needs.
            StoreUnavailableError: the database does not answer.

        """
        engine = open_engine(url, pool_size=pool_size, max_silence_s=max_silence_s)
        try:
            if engine.dialect.name == "sqlite" if upgrade is None else upgrade:
                found = current_revision(engine)
                # A database that a newer program made has a revision that is unknown here: check_engine says so.
                if found is None or found < HEAD:
                    upgrade_engine(engine)
                elif found == HEAD:
                    count_once(engine)
            check_engine(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @property
    def engine(self) -> Engine:
        """The engine, for what this class does not offer."""
        return self._engine

    def close(self) -> None:
        """Close the connections; where something was written, counts are brought up to date first, if that is cheap."""
        if self._has_grown:
            rollups.catch_up(self._engine)
            self._has_grown = False
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection in a transaction that only reads."""
        with reading(self._engine) as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction that writes; committed at the end, rolled back on an exception."""
        with writing(self._engine) as connection:
            yield connection

    # ------------------------------------------------------------------------------------------------- registration

    def register_network(self, spec: Mapping[str, object]) -> int:
        """Return the id of a network, known by the canonical JSON of its spec (``Annotator.network_spec``).

        Raises:
            TypeError: the spec holds something that JSON has no form for.

        """
        with self.writing() as connection:
            return registry.register_network(connection, spec)

    def register_labelling(
        self,
        network_id: int,
        *,
        model: str,
        digest: str,
        photographs: Mapping[Identity, int],
        calibration: Mapping[str, object] | None = None,
    ) -> int:
        """Return the id of a labelling; its people get ids. The first labelling of a database becomes the active one.

        Args:
            network_id: the network whose tracks it labels.
            model: as users see it, e.g. ``"starter@1"``.
            digest: of all that can change a label.
            photographs: whom it knows, and from how many photographs.
            calibration: its thresholds and confidence, as of ``registry.register_labelling``.

        """
        with self.writing() as connection:
            labelling_id = registry.register_labelling(
                connection, network_id, model=model, digest=digest, calibration=calibration
            )
            identities.register_people(connection, labelling_id, photographs)
            return labelling_id

    def activate(self, labelling_id: int) -> None:
        """Point the views and searches at a labelling, whose counts are rolled up first, and note it in the history.

        Raises:
            ConfigError: there is no such labelling.

        """
        if labelling_id != self.active_labelling():
            rollups.roll_up(self._engine, labelling_id=labelling_id)
        with self.writing() as connection:
            promotions.switch_whatever_is_shown(connection, labelling_id)

    def active_labelling(self) -> int | None:
        """Return the labelling that views and searches show, None in an empty database."""
        with self.reading() as connection:
            return registry.active_labelling(connection)

    # ------------------------------------------------------------------------------------------------------- results

    def save(
        self, outcomes: Sequence[writes.Outcome], *, network_id: int, labelling_id: int, refresh: bool = False
    ) -> writes.SaveReport:
        """Write outcomes, 32 in a transaction; saving the same again changes nothing.

        A content is annotated once per network and labelled once per labelling. Where the database refuses a batch, its
        outcomes are written one by one, and the refused ones become failures of reason ``"unstorable"``.

        Args:
            outcomes: of any media.
            network_id: what made the tracks.
            labelling_id: what made the labels.
            refresh: replace what is there, in the same transaction.

        Raises:
            LookupError: a label names somebody who was never registered.
            StoreUnavailableError: the database does not answer; batches before are written.

        """
        report = writes.SaveReport()
        for some in batched(outcomes, BATCH):
            report += self._save_batch(some, network_id, labelling_id, refresh=refresh)
        self._has_grown |= bool(report.annotated or report.labelled)
        return report

    def _save_batch(
        self, outcomes: Sequence[writes.Outcome], network_id: int, labelling_id: int, *, refresh: bool
    ) -> writes.SaveReport:
        for _ in range(_MAX_CONFLICTS):
            try:
                with self.writing() as connection:
                    return writes.write_outcomes(
                        connection, outcomes, network_id=network_id, labelling_id=labelling_id, refresh=refresh
                    )
            except (StatementError, ValueError, ArithmeticError) as exc:
                if isinstance(exc, DBAPIError) and is_conflict(exc):
                    continue
                if len(outcomes) > 1:
                    break
                refused = writes.unstorable(outcomes[0], exc)
                with self.writing() as connection:
                    return writes.write_outcomes(
                        connection, [refused], network_id=network_id, labelling_id=labelling_id
                    )
        else:
            raise StoreUnavailableError("the database gives way to other transactions again and again: try later")
        report = writes.SaveReport()
        for one in outcomes:
            report += self._save_batch([one], network_id, labelling_id, refresh=refresh)
        return report

    def known_contents(self, network_id: int, refs: Sequence[MediaRef]) -> dict[str, reads.KnownContent]:
        """Return what is known of media, by URI, going by their etag; those that must be read first are left out."""
        found: dict[str, reads.KnownContent] = {}
        with self.reading() as connection:
            for some in batched(refs, _ASKED):
                found |= reads.known_media(connection, network_id, some)
        return found

    def is_annotated(self, network_id: int, sha256: str) -> bool:
        """Say whether a network has annotated these bytes: the question of ``Annotator.annotate(is_known=…)``."""
        with self.reading() as connection:
            return reads.is_annotated(connection, network_id, sha256)

    def load_annotations(
        self, labelling_id: int, refs: Sequence[MediaRef], *, identify: labels.Identify | None = None
    ) -> dict[str, reads.StoredAnnotation]:
        """Return the rows of media, by URI, as they are told; media without rows are left out.

        Args:
            labelling_id: whose labels.
            refs: which media; ``media_id`` is told as given here.
            identify: tells the candidates of unknown tracks, which are not stored (``Annotator.identify``).

        """
        found: dict[str, reads.StoredAnnotation] = {}
        with self.reading() as connection:
            for some in batched(refs, _ASKED):
                found |= reads.load_annotations(connection, labelling_id, some, identify=identify)
        return found

    def load_evidence(self, network_id: int, content_ids: Sequence[int]) -> dict[int, tuple[TrackEvidence, ...]]:
        """Return the evidence of contents' tracks, in order of ``track_no``."""
        found: dict[int, tuple[TrackEvidence, ...]] = {}
        with self.reading() as connection:
            for some in batched(content_ids, _ASKED):
                found |= labels.load_evidence(connection, network_id, some)
        return found

    def corrected_contents(self, digests: Collection[str]) -> frozenset[str]:
        """Return those contents, by the sha256 of their bytes, of whose tracks somebody has said who they are."""
        with self.reading() as connection:
            ids = registry.find_contents(connection, digests)
            corrected = words_on(connection, ids.values())
        return frozenset(digest for digest, content_id in ids.items() if content_id in corrected)

    def save_labels(self, labelling_id: int, by_content: Mapping[int, Sequence[TrackLabel]]) -> frozenset[int]:
        """Label stored tracks; return the contents that were labelled now: others have labels, which stay.

        Args:
            labelling_id: under which labelling.
            by_content: one label per stored track, in order of ``track_no``.

        Raises:
            ValueError: a content has another number of tracks than labels.

        """
        with self.writing() as connection:
            changed = labels.save_labels(connection, labelling_id, by_content)
        self._has_grown |= bool(changed)
        return frozenset(changed)

    def label_contents(
        self, identify: labels.Identify, labelling_id: int, content_ids: Sequence[int]
    ) -> frozenset[int]:
        """Label some contents from their embeddings; return those labelled now: others have labels, which stay.

        A whole archive gets its labels by ``annotator.store.relabelling.running.relabel_archive``.

        Args:
            identify: says who tracks are (``Annotator.identify``).
            labelling_id: under which labelling.
            content_ids: a few, annotated by its network (``SaveReport.to_relabel``).

        Raises:
            ValueError: there is no such labelling.

        """
        with self.writing() as connection:
            network_id = labels.network_of(connection, labelling_id)
            hold_evidence(connection, network_id)
            evidence = labels.load_evidence(connection, network_id, content_ids)
            changed = labels.save_labels(connection, labelling_id, labels.identify_all(identify, evidence))
        self._has_grown |= bool(changed)
        return frozenset(changed)

    # -------------------------------------------------------------------------------------------------------- people

    def list_identities(self) -> list[identities.IdentityRecord]:
        """Return everybody, by name, with the counts of the active labelling."""
        with self.reading() as connection:
            return identities.list_identities(connection)

    def rename(self, name: str, new_name: str) -> Identity:
        """Give a person another name; the former one keeps finding the person.

        Raises:
            IdentityError: nobody or several have the name, or somebody else has the new one.

        """
        with self.writing() as connection:
            return identities.rename(connection, name, new_name)

    def merge(self, name: str, into: str) -> Identity:
        """Let one person stand for another: names, photographs and labels. :meth:`unmerge` takes it back.

        Raises:
            IdentityError: one of the names means nobody or several, or both mean one person.

        """
        with self.writing() as connection:
            return merging.merge(connection, name, into)

    def unmerge(
        self, name: str, *, new_name: str | None = None, say: Callable[[str], None] = lambda _: None
    ) -> Identity:
        """Take a merge back: whoever had a name is somebody of their own again, with labels and photographs.

        Args:
            name: of whom was given up.
            new_name: what that one is called from now on; by default what it was called before.
            say: is told what could not be as it was.

        Raises:
            IdentityError: nobody who was merged has the name, or the new one is somebody's.
            TakenDownError: the new name is of somebody who was taken down.

        """
        with self.writing() as connection:
            given_up = merging.find_merged(connection, name)
            return merging.unmerge(connection, given_up, name=new_name, when_held=lambda held: say(held.sentence))

    def former_names(self) -> dict[str, Identity]:
        """Return names that are no longer anybody's, with the person they mean: what a gallery must rename or merge."""
        with self.reading() as connection:
            return identities.former_names(connection)

    def add_enrolled(
        self, identity: Identity, *, embedder: str, embeddings: F32, photo_sha256: Sequence[str]
    ) -> Identity:
        """Keep f32 (n, D) embeddings of n photographs of a person, who is added if nobody has the name."""
        with self.writing() as connection:
            return enrolled.add_enrolled(
                connection, identity, embedder=embedder, embeddings=embeddings, photo_sha256=photo_sha256
            )

    def list_enrolled(self, embedder: str) -> list[enrolled.EnrolledFaces]:
        """Return the enrolled people of an embedder, by name."""
        with self.reading() as connection:
            return enrolled.list_enrolled(connection, embedder)

    def taken_down(self, people: Collection[Identity]) -> frozenset[str]:
        """Return the names of those whom nobody may know any more (``annotator takedown``).

        Whom the database knows was not taken down, unless the takedown is under way; each of the others takes 40 ms,
        where anybody ever was.
        """
        with self.reading() as connection:
            known = identities.ids_of(connection, {one.name for one in people})
            going = ids_under_way(connection)
            gone = taken_down(connection, [one for one in people if one.name not in known])
        return gone | {name for name, identity_id in known.items() if identity_id in going}

    # ------------------------------------------------------------------------------------------------------- queries

    def search(
        self, name: str, *, min_confidence: float = 0.0, limit: int = 100, after: queries.Cursor | None = None
    ) -> queries.Page:
        """Return media that show a person, of the active labelling, surest first.

        Raises:
            IdentityError: nobody has the name; the message suggests near ones.

        """
        with self.reading() as connection:
            return queries.search(connection, name, min_confidence=min_confidence, limit=limit, after=after)

    def status(self) -> Status:
        """Return how far the database has come."""
        with self.reading() as connection:
            return read_status(connection)

    def retry(
        self,
        *,
        reason: str | None = None,
        network_id: int | None = None,
        limits: ChunkLimits = USUAL_LIMITS,
        most: int | None = None,
        note: Callable[[Connection, int], None] | None = None,
    ) -> int:
        """Let failed and quarantined media be tried again, all or those of one reason; return how many.

        Ten thousand at a time, each in a transaction of its own.

        Args:
            reason: only those that failed for it.
            network_id: under which network; the active one by default.
            limits: of their chunks.
            most: end after the ten thousand with which so many are reached; None goes on until none is left.
            note: is told of each ten thousand how many they are, in their transaction.

        """
        with self.reading() as connection:
            chosen = network_id if network_id is not None else registry.active_network(connection)
            began = connection.execute(select(type_coerce(utc_now(), UtcTime()))).scalar_one()
        count = 0
        while chosen is not None and (most is None or count < most):
            with self.writing() as connection:
                again = retry(connection, reason=reason, network_id=chosen, until=began)
                requeue(connection, chosen, again, limits=limits)
                if again and note is not None:
                    note(connection, len(again))
            if not again:
                break
            count += len(again)
        return count
