"""A promotion from beginning to end. Each step can be done again; only the last one changes what is shown."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select

from annotator.build import (
    STARTER_FOLDER,
    build_annotator,
    build_engine,
    build_gallery,
    build_identifier,
    open_bundle,
)
from annotator.errors import ChangedMeanwhileError, ConfigError, ModelsBusyError
from annotator.promotion.evaluation import Evaluation
from annotator.promotion.gate import GateReport, run_checks
from annotator.promotion.golden import GoldenClip, GoldenComparison, try_model
from annotator.recognition.bundle import ModelBundle, load_bundle
from annotator.recognition.decision import Identifier
from annotator.settings import Settings
from annotator.store import rollups
from annotator.store.diff import compare_labellings, read_coverage
from annotator.store.identities import register_people
from annotator.store.labellings import Labelling, load_active, load_labelling
from annotator.store.locks import only_one
from annotator.store.models import LOCK, find_model
from annotator.store.promotions import Reasons, former_labelling, note_first, note_refusal, switch
from annotator.store.registry import embedder_of, embedders, register_labelling, register_network
from annotator.store.relabelling.running import relabel_archive
from annotator.store.store import Store
from annotator.store.tables import annotations, labellings

GOLDEN_FILE: Final = "golden.db"
_LABELLERS: Final = 2  # threads; each has a connection to the database


@dataclass(frozen=True, slots=True)
class Golden:
    """Clips of which it is known who is in them.

    Attributes:
        clips: which, and who.
        folder: where they are.

    """

    clips: Sequence[GoldenClip]
    folder: Path

    @property
    def people(self) -> int:
        """How many people are in them, each clip counted."""
        return sum(len(clip.people) for clip in self.clips)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A model that may be promoted.

    Attributes:
        identifier: gives its names.
        labelling: its labelling.
        shown: the labelling that is shown now.

    """

    identifier: Identifier
    labelling: Labelling
    shown: Labelling


@dataclass(frozen=True, slots=True)
class Promotion:
    """What became of a promotion.

    Attributes:
        report: of the gate.
        is_shown: whether the model is shown now.
        relabelled: contents that were labelled for it.

    """

    report: GateReport
    is_shown: bool
    relabelled: int


@dataclass(frozen=True, slots=True)
class Asked:
    """How a promotion is done.

    Attributes:
        golden: clips to try it on.
        evaluation: how it does on photographs.
        views: keys or addresses of media with their views: they say which flips are told.
        most_flips: how many flips are told one by one.
        forced: why it is promoted even if the gate refuses; None to refuse then.
        is_tried_only: say what the gate finds, note and switch nothing.
        labelling_id: the labelling that its asker has looked at: no other one is promoted. None takes what the model
            and the people who are enrolled here make.
        done_by: who asks; None is the user of this machine.
        note: is told what was decided, and whether the names are shown now, in the transaction of that.

    """

    golden: Golden | None = None
    evaluation: Evaluation | None = None
    views: Iterable[tuple[str, float]] | None = None
    most_flips: int = 50
    forced: str | None = None
    is_tried_only: bool = False
    labelling_id: int | None = None
    done_by: str | None = None
    note: Callable[[Connection, GateReport, bool], None] = lambda *_: None


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What the steps of a promotion share."""

    store: Store
    settings: Settings
    candidate: Candidate
    asked: Asked
    say: Callable[[str], None]


def promote(store: Store, settings: Settings, asked: Asked, *, say: Callable[[str], None]) -> Promotion | None:
    """Try the model of the settings, and show its names if it passes.

    What is killed on the way has changed nothing that is shown; doing it again goes on, since labels stay.

    Args:
        store: the database.
        settings: name the model.
        asked: how.
        say: is told what is done now.

    Returns:
        What became of it; None where its names are shown already.

    Raises:
        ConfigError: there is no such model, or the archive lacks the embeddings that it needs.
        ModelError: it fails its checks.
        ModelsBusyError: somebody else installs or promotes a model.
        ChangedMeanwhileError: what is shown has changed meanwhile: by a rollback, or another promotion.
        RelabellingTakenError: another process makes the labels of this model just now.

    """
    with only_one(store.engine, LOCK) as is_mine:
        if not is_mine:
            raise ModelsBusyError("somebody else installs or promotes a model just now: try again when that is done")
        with store.reading() as connection:
            shown = load_active(connection)
        if shown is None:
            return _promote_first(store, settings, asked, say)
        work = _Work(store, settings, find_candidate(store, settings, shown), asked, say)
        if work.candidate.labelling == work.candidate.shown:
            return None
        _insist_on_what_was_seen(work)
        golden = None if asked.golden is None else _try_both(work, asked.golden)
        say("labelling the archive from its embeddings")
        relabelled = label_what_lacks_labels(store, work.candidate)
        say("comparing the labels")
        report = _judge(work, golden)
        if asked.is_tried_only:
            return Promotion(report, is_shown=False, relabelled=relabelled)
        if not report.passed and asked.forced is None:
            _refuse(work, report)
            return Promotion(report, is_shown=False, relabelled=relabelled)
        say("showing the names")
        relabelled += label_what_lacks_labels(store, work.candidate)
        _show(work, report)
        return Promotion(report, is_shown=True, relabelled=relabelled)


def roll_back(
    store: Store,
    *,
    seen: tuple[int, int] | None = None,
    done_by: str | None = None,
    note: Callable[[Connection], None] = lambda _: None,
) -> tuple[Labelling, Labelling]:
    """Show what was shown before, at once: its labels are still there.

    Args:
        store: the database.
        seen: ids of the labellings that are to be shown, and that were shown, when this was decided; None takes what
            they are now.
        done_by: who has decided; None is the user of this machine.
        note: is called in the transaction.

    Returns:
        What is shown now, and what was shown.

    Raises:
        ConfigError: there is nothing to go back to.
        ChangedMeanwhileError: what is shown has changed meanwhile.

    """
    with store.reading() as connection:
        shown, former = load_active(connection), former_labelling(connection)
    if shown is None:
        raise ConfigError("nothing is annotated yet: there is nothing to go back to")
    if seen not in {None, (former.labelling_id, shown.labelling_id)}:
        raise ChangedMeanwhileError("another model was promoted meanwhile: look at what is shown now, and decide again")
    with store.writing() as connection:
        reasons = Reasons(done_by=done_by)
        switch(connection, former.labelling_id, kind="rollback", expected=shown.labelling_id, reasons=reasons)
        note(connection)
    return former, shown


def _promote_first(store: Store, settings: Settings, asked: Asked, say: Callable[[str], None]) -> Promotion:
    """Try the first model of an empty archive on golden clips, if there are any, and let it be shown from the start.

    A refusal has no row: whatever is registered in an empty archive is shown.
    """
    _insist_on_installed(store, open_bundle(settings))
    annotator = build_annotator(settings, store=store)
    golden = None
    if asked.golden is not None:
        say(f"trying {settings.model} on {len(asked.golden.clips)} golden clips")
        with Store.open(settings.cache_dir / GOLDEN_FILE) as kept:
            trial = try_model(annotator, asked.golden.clips, asked.golden.folder, kept=kept)
        golden = GoldenComparison(len(asked.golden.clips), asked.golden.people, former=None, candidate=trial)
    checks = run_checks(
        settings.gate, coverage=None, diff=None, golden=golden, known=frozenset(), evaluation=asked.evaluation
    )
    report = GateReport(annotator.model, None, checks, golden, None)
    is_shown = not asked.is_tried_only and (report.passed or asked.forced is not None)
    if is_shown:
        say("showing the names")
        with store.writing() as connection:
            network_id = register_network(connection, annotator.network_spec)
            labelling_id = register_labelling(
                connection,
                network_id,
                model=annotator.model,
                digest=annotator.identifier.digest,
                calibration=annotator.identifier.calibration.to_json(),
            )
            register_people(connection, labelling_id, annotator.identifier.photographs)
            note_first(connection, labelling_id, reasons=_reasons(report, asked, forced=asked.forced))
            asked.note(connection, report, True)
    return Promotion(report, is_shown=is_shown, relabelled=0)


def find_candidate(store: Store, settings: Settings, shown: Labelling) -> Candidate:
    """Find or make the labelling of the model of the settings, with the people who are enrolled here.

    Args:
        store: the database.
        settings: name the model.
        shown: what is shown now.

    Raises:
        ConfigError: there is no such model, or the archive lacks the embeddings that it needs.
        ModelError: it fails its checks.

    """
    gallery = build_gallery(settings, store=store)
    _insist_on_installed(store, gallery.bundle)
    identifier = build_identifier(settings, gallery)
    network_id = _network_for(store, settings, identifier, shown)
    labelling_id = store.register_labelling(
        network_id,
        model=identifier.model,
        digest=identifier.digest,
        photographs=identifier.photographs,
        calibration=identifier.calibration.to_json(),
    )
    with store.reading() as connection:
        return Candidate(identifier, load_labelling(connection, labelling_id), shown)


def _insist_on_installed(store: Store, bundle: ModelBundle) -> None:
    """Refuse what other machines could not get."""
    with store.reading() as connection:
        is_installed = find_model(connection, bundle.name, bundle.version) is not None
    if not (is_installed or bundle.digest == load_bundle(STARTER_FOLDER).digest):
        raise ConfigError(f"{bundle.model} is not installed: `annotator models install FOLDER` first, for all machines")


def _network_for(store: Store, settings: Settings, identifier: Identifier, shown: Labelling) -> int:
    """Return the network that is shown, or one like it, where the model can name its tracks, else the newest it named.

    Where nothing is annotated at all, it is the model's own, as workers with these settings register it.
    """
    embedder = identifier.gallery.embedder
    with store.reading() as connection:
        if embedder_of(connection, shown.network_id) == embedder:
            return _annotated_network(connection, embedder, shown.network_id)
        wanted = select(labellings.c.network_id).where(labellings.c.digest == identifier.digest)
        own = connection.execute(wanted.order_by(labellings.c.id.desc()).limit(1)).scalar_one_or_none()
        is_empty = not _is_annotated(connection)
    if own is not None:
        return int(own)
    if is_empty:
        return store.register_network(build_annotator(settings, store=store).network_spec)
    raise ConfigError(
        f"{identifier.model} needs embeddings of {embedder}, which the archive does not have: annotate it first, with"
        f" `annotate-backlog s3://… --model {identifier.model}` or `annotator annotate … --model {identifier.model}`"
    )


def _annotated_network(connection: Connection, embedder: str, shown: int) -> int:
    """Return the network that is shown, or the newest of the same embeddings where nothing is annotated under that one.

    The first model may be promoted with other settings than those of the workers: they annotate under another network.
    """
    alike = sorted((one for one, its_own in embedders(connection).items() if its_own == embedder), reverse=True)
    return next((one for one in (shown, *alike) if _is_annotated(connection, one)), shown)


def _is_annotated(connection: Connection, network_id: int | None = None) -> bool:
    """Say whether anything is annotated under a network, by default under any."""
    some = select(annotations.c.content_id).limit(1)
    if network_id is not None:
        some = some.where(annotations.c.network_id == network_id)
    return connection.execute(some).first() is not None


def label_what_lacks_labels(store: Store, candidate: Candidate) -> int:
    """Label what the candidate has not labelled, from stored embeddings; return how many contents that was."""
    labelling_id = candidate.labelling.labelling_id
    run = relabel_archive(store.engine, candidate.identifier, labelling_id, workers=_LABELLERS)
    return 0 if run is None else run.sums.contents


def _try_both(work: _Work, golden: Golden) -> GoldenComparison:
    """Try the model that is shown, and the candidate, on golden clips; people who are enrolled count for both."""
    former = work.candidate.shown.model.partition("+")[0]
    engine = build_engine(work.settings)
    trials = []
    with Store.open(work.settings.cache_dir / GOLDEN_FILE) as kept:
        for model in (former, work.settings.model):
            work.say(f"trying {model} on {len(golden.clips)} golden clips")
            chosen = work.settings.model_copy(update={"model": model})
            annotator = build_annotator(chosen, store=work.store, engine=engine)
            trials.append(try_model(annotator, golden.clips, golden.folder, kept=kept))
    return GoldenComparison(len(golden.clips), golden.people, former=trials[0], candidate=trials[1])


def _judge(work: _Work, golden: GoldenComparison | None) -> GateReport:
    candidate, asked = work.candidate, work.asked
    shown, labelling, diff = candidate.shown, candidate.labelling, None
    if labelling.network_id == shown.network_id:
        diff = compare_labellings(work.store.engine, shown, labelling, most_flips=asked.most_flips, views=asked.views)
    with work.store.reading() as connection:
        coverage = read_coverage(connection, shown, labelling) if _is_annotated(connection) else None
    known = frozenset(candidate.identifier.gallery.identities)
    checks = run_checks(
        work.settings.gate, coverage=coverage, diff=diff, golden=golden, known=known, evaluation=asked.evaluation
    )
    return GateReport(labelling.model, shown.model, checks, golden, diff)


def _insist_on_what_was_seen(work: _Work) -> None:
    seen, labelling = work.asked.labelling_id, work.candidate.labelling
    if seen not in {None, labelling.labelling_id}:
        raise ChangedMeanwhileError(
            "people were added or corrected since these labels were made:"
            f" `annotator relabel --model {labelling.model.partition('+')[0]}` makes them anew; look at what those"
            " change, and decide again"
        )


def _refuse(work: _Work, report: GateReport) -> None:
    labelling_id, shown = work.candidate.labelling.labelling_id, work.candidate.shown.labelling_id
    with work.store.writing() as connection:
        note_refusal(connection, labelling_id, shown=shown, reasons=_reasons(report, work.asked, forced=None))
        work.asked.note(connection, report, False)


def _show(work: _Work, report: GateReport) -> None:
    """Count the people under the new names, then switch: readers see either all of the old, or all of the new."""
    labelling_id, shown = work.candidate.labelling.labelling_id, work.candidate.shown.labelling_id
    rollups.roll_up(work.store.engine, labelling_id=labelling_id)
    reasons = _reasons(report, work.asked, forced=work.asked.forced)
    with work.store.writing() as connection:
        switch(connection, labelling_id, kind="promotion", expected=shown, reasons=reasons)
        work.asked.note(connection, report, True)


def _reasons(report: GateReport, asked: Asked, *, forced: str | None) -> Reasons:
    diff = report.diff
    return Reasons(
        report=report.to_json(),
        forced=None if report.passed else forced,
        added=None if diff is None else diff.added,
        dropped=None if diff is None else diff.dropped,
        flipped=None if diff is None else diff.flipped,
        done_by=asked.done_by,
    )
