"""Runs that train a model anew: which, when, from what, how good the model is, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.responses import Response

from annotator.store.ids import LARGEST_ID
from annotator.store.models import list_models
from annotator.store.queue.words import span
from annotator.store.retrainings import Retraining, list_retrainings, what_was_new
from annotator.store.web.models import newest_labellings
from annotator.web.pages.models import Accuracy, accuracy_of
from annotator.web.visit import Visit

_ROWS: Final = 20


@dataclass(frozen=True, slots=True)
class Told:
    """A run as the page shows it.

    Attributes:
        run: the run.
        fresh: which kinds of data had changed since the run before.
        took: how long it took, or has taken so far, in words.
        accuracy: of its model; None where that was not installed, or says nothing.
        labelling_id: of its model, to see what it changes; None where it has labelled nothing here.

    """

    run: Retraining
    fresh: tuple[str, ...]
    took: str
    accuracy: Accuracy | None
    labelling_id: int | None


def show_retrainings(visit: Visit) -> Response:
    """Show the runs, newest first."""
    before_id = visit.number("before", most=LARGEST_ID, usual=0) or None
    with visit.site.store.reading() as connection:
        runs = list_retrainings(connection, limit=_ROWS + 1, before_id=before_id)
        manifests = {one.model: one.manifest for one in list_models(connection)}
        labelled = newest_labellings(connection)
        told = [
            Told(
                run=run,
                fresh=what_was_new(connection, run),
                took=_took(run, visit.now),
                accuracy=accuracy_of(manifests[run.model]) if run.model in manifests else None,
                labelling_id=labelled.get(run.model),
            )
            for run in runs[:_ROWS]
        ]
    next_before = runs[_ROWS - 1].id if len(runs) > _ROWS else None
    return visit.page("retrainings.html", told=told, next_before=next_before, span=span)


def _took(run: Retraining, now: datetime) -> str:
    return span(max(((run.finished_at or now) - run.started_at).total_seconds(), 0.0))
