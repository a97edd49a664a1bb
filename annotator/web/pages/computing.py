"""What pages share that show something computed of the whole archive: a button begins it, and they tell its state."""

from dataclasses import dataclass

from annotator.store.web.accounts import Role
from annotator.web.computing import Computing, ComputingState, GoesOnError
from annotator.web.errors import WebError
from annotator.web.shown_model import MODEL_IS_GONE
from annotator.web.visit import Visit


@dataclass(frozen=True, slots=True)
class ComputingTold:
    """What a page tells of it.

    Attributes:
        is_possible: it can be begun from a page at all, and there is something to compute of.
        may_begin: the visitor may.
        state: of the one that goes on, or has ended a short while ago; None is none.

    """

    is_possible: bool
    may_begin: bool
    state: ComputingState | None

    @property
    def goes_on(self) -> bool:
        """One is under way: the page renews itself."""
        return self.state is not None and self.state.ended_at is None


def computing_told(visit: Visit, computing: Computing | None, *, is_labelled: bool) -> ComputingTold:
    """Return what the page of a visit tells.

    Args:
        visit: whose.
        computing: what computes; None does not.
        is_labelled: something is annotated.

    """
    may_begin = visit.visitor.may(Role.OPERATOR)
    return ComputingTold(
        computing is not None and is_labelled, may_begin, None if computing is None else computing.state
    )


def begin_computing(visit: Visit, computing: Computing | None, *, deed: str) -> None:
    """Begin it by the model that is shown, unless it is under way.

    Args:
        visit: whose.
        computing: what computes; None does not.
        deed: for the record.

    Raises:
        WebError: the model is not here, or is being loaded.

    """
    model = visit.site.shown_model.name(visit.site.store, visit.site.settings)
    if computing is None or model is None:
        raise WebError(404, MODEL_IS_GONE)
    try:
        with visit.site.store.writing() as connection:
            visit.record(connection, deed, subject=model)
            computing.begin(model=model)
    except GoesOnError:  # a second click: what it wants is being done, and nothing more is on record
        return
