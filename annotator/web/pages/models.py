"""Models of the archive: how much each has labelled, what one would change, promotion and rollback."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection
from starlette.responses import HTMLResponse, Response

from annotator.build import STARTER_FOLDER
from annotator.promotion.gate import GateReport
from annotator.promotion.report import numbers_of
from annotator.promotion.running import Asked, promote, roll_back
from annotator.recognition.bundle import MANIFEST
from annotator.store.diff import LabellingDiff
from annotator.store.labellings import Labelling, load_active, load_labelling
from annotator.store.promotions import Step, former_id, list_steps
from annotator.store.titles import titles_of
from annotator.store.web.models import ModelOfArchive, models_of_archive, models_without_labels
from annotator.web.errors import WebError
from annotator.web.known import known_model
from annotator.web.promoting import Outcome, PromotionState
from annotator.web.visit import Visit

_STEPS: Final = 20
_PEOPLE: Final = 50
_TOLD_FOR: Final = timedelta(hours=12)
_STARTER: Final = "starter@"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How a model does on photographs of people whom it was made to forget, as its manifest states.

    Attributes:
        rates: shares of strangers who are given a name.
        rows: for each size of a face in pixels, the largest first, the shares of known people who are found at these
            rates; None where it was not measured.

    """

    rates: tuple[float, ...]
    rows: tuple[tuple[int, tuple[float | None, ...]], ...]

    @property
    def best(self) -> tuple[int, float, float] | None:
        """The strictest figure for the largest faces: their size, the rate, the share; None where there is none."""
        if not self.rows or not self.rates:
            return None
        size_px, shares = self.rows[0]
        return None if shares[-1] is None else (size_px, self.rates[-1], shares[-1])


def show_models(visit: Visit) -> Response:
    """Show which models have labelled the archive, which one is shown, and what was shown when."""
    with visit.site.store.reading() as connection:
        models = models_of_archive(connection)
        others = models_without_labels(connection)
        steps = list_steps(connection, limit=_STEPS)
        has_former = former_id(connection) is not None
    return visit.page(
        "models.html",
        models=[(one, _accuracy(one)) for one in models],
        others=others,
        steps=steps,
        has_former=has_former,
        promotion=_promotion_told(visit),
        rolled_back="rolled_back" in visit.request.query_params,
    )


def show_promotion(visit: Visit) -> Response:
    """Show how far the promotion is that is under way: the part of the page that a script brings up to date."""
    state = _promotion_told(visit)
    return HTMLResponse(visit.site.templates.render("promotion_now.html", {"promotion": state, "url": visit.url}))


def show_model(visit: Visit) -> Response:
    """Show what a model would change, how sure it is, and what the gate has said of it."""
    return _show(visit, "model.html")


def confirm_promotion(visit: Visit) -> Response:
    """Show once more what would change, and ask for the model's name."""
    return _show(visit, "promote.html", message=None)


def promote_model(visit: Visit) -> Response:
    """Begin to promote a model, if what is shown is still what the form has shown and the name is right."""
    model, shown = _model(visit)
    labelling = model.labelling
    if visit.form.get("name", "").strip() != labelling.model:
        return _show(visit, "promote.html", message=f"That is not its name: it is {labelling.model}.", code=400)
    if shown is None or visit.form.get("shown") != str(shown.labelling_id):
        raise WebError(409, "Another model is shown by now: look at what this one changes, and decide again.")
    state = PromotionState(labelling.labelling_id, labelling.model, visit.now)
    with visit.site.store.writing() as connection:
        visit.record(connection, "began a promotion", subject=labelling.model)
        visit.site.promoting.begin(state, _promotion(visit, labelling))
    return visit.redirect("operation_models")


def confirm_rollback(visit: Visit) -> Response:
    """Show what a rollback would change, and ask."""
    shown, former = _shown_and_former(visit)
    diff, why_not = _diff(visit, shown, former)
    return visit.page("rollback.html", shown=shown, former=former, why_not=why_not, **_told(visit, diff))


def roll_back_model(visit: Visit) -> Response:
    """Show what was shown before, if that is still what the form has shown."""
    shown, former = _shown_and_former(visit)
    if (visit.form.get("former"), visit.form.get("shown")) != (str(former.labelling_id), str(shown.labelling_id)):
        raise WebError(409, "Another model is shown by now: look at what a rollback changes, and decide again.")

    def note(connection: Connection) -> None:
        visit.record(connection, "rolled back a model", subject=former.model, instead_of=shown.model)

    roll_back(visit.site.store, seen=(former.labelling_id, shown.labelling_id), done_by=_who(visit), note=note)
    visit.site.comparisons.forget()
    target = visit.redirect("operation_models")
    target.headers["location"] += "?rolled_back="
    return target


def _promotion_told(visit: Visit) -> PromotionState | None:
    """Return the last promotion, unless it has ended long ago."""
    state = visit.site.promoting.state
    if state is None or (state.outcome is not None and visit.now - state.began_at > _TOLD_FOR):
        return None
    return state


def _promotion(visit: Visit, labelling: Labelling) -> Callable[[Callable[[str], None]], Outcome]:
    site = visit.site
    settings = site.settings.model_copy(update={"model": labelling.model.partition("+")[0]})

    def note(connection: Connection, report: GateReport, is_shown: bool) -> None:  # noqa: FBT001 - as Asked has it
        deed = "promoted a model" if is_shown else "was refused a promotion"
        refused = [check.name for check in report.checks if not check.passed]
        visit.record(connection, deed, subject=labelling.model, instead_of=report.former, refused=refused)

    def do(say: Callable[[str], None]) -> Outcome:
        asked = Asked(labelling_id=labelling.labelling_id, done_by=_who(visit), note=note)
        done = promote(site.store, settings, asked, say=say)
        site.comparisons.forget()
        if done is None:
            return "shown already"
        return "shown" if done.is_shown else "refused"

    return do


def _who(visit: Visit) -> str | None:
    account = visit.visitor.account
    return None if account is None else account.name


def _model(visit: Visit) -> tuple[ModelOfArchive, Labelling | None]:
    """Return the model of the address, and the labelling that is shown.

    Raises:
        WebError: there is none of that number, or its labels were removed.

    """
    with visit.site.store.reading() as connection:
        return known_model(visit, connection), load_active(connection)


def _shown_and_former(visit: Visit) -> tuple[Labelling, Labelling]:
    with visit.site.store.reading() as connection:
        shown, former = load_active(connection), former_id(connection)
        if shown is None or former is None:
            raise WebError(404, "There is nothing to go back to: what is shown has been shown from the start.")
        return shown, load_labelling(connection, former)


def _diff(visit: Visit, before: Labelling | None, after: Labelling) -> tuple[LabellingDiff | None, str | None]:
    """Return what a labelling changes, or why that cannot be told."""
    if before is None or before == after:
        return None, None
    if before.network_id != after.network_id:
        return None, (
            f"{before.model} and {after.model} label the tracks of different networks,"
            " which cannot be compared one by one."
        )
    return visit.site.comparisons.compare(visit.site.store, before, after), None


def _show(visit: Visit, template: str, *, code: int = 200, **more: object) -> Response:
    model, shown = _model(visit)
    with visit.site.store.reading() as connection:
        steps = list_steps(connection, limit=_STEPS, labelling_id=model.labelling.labelling_id)
    diff, why_not = _diff(visit, shown, model.labelling)
    state = visit.site.promoting.state
    return visit.page(
        template,
        status=code,
        model=model,
        shown=shown,
        accuracy=_accuracy(model),
        why_not=why_not,
        steps=steps,
        checks=_checks(steps),
        is_under_way=state is not None and state.outcome is None,
        **_told(visit, diff),
        **more,
    )


def _told(visit: Visit, diff: LabellingDiff | None) -> dict[str, Any]:
    """Return what templates show of a comparison."""
    people = [] if diff is None else [(one.identity.name, *numbers_of(one)) for one in diff.people[:_PEOPLE]]
    return {
        "diff": diff,
        "people": people,
        "more_people": 0 if diff is None else len(diff.people) - len(people),
        "titles": {} if diff is None else _titles(visit, diff),
    }


def _titles(visit: Visit, diff: LabellingDiff) -> dict[int, str]:
    """Return what the media are called of which a comparison tells tracks."""
    told = [(one.media_id, one.media_uri) for one in diff.flips]
    told += [(one.media_id, one.media_uri) for one in (*diff.gained, *diff.lost)]
    with visit.site.store.reading() as connection:
        return titles_of(connection, [(media_id, uri) for media_id, uri in told if media_id is not None and uri])


def _checks(steps: list[Step]) -> list[dict[str, Any]]:
    """Return what the gate has found when it was asked last."""
    for step in steps:
        if step.reasons.report is not None:
            return list(step.reasons.report.get("checks", []))
    return []


def _accuracy(model: ModelOfArchive) -> Accuracy | None:
    manifest = model.manifest
    if manifest is None and model.labelling.model.startswith(_STARTER) and (STARTER_FOLDER / MANIFEST).is_file():
        manifest = json.loads((STARTER_FOLDER / MANIFEST).read_text(encoding="utf-8"))
        if f"{_STARTER}{manifest['version']}" != model.labelling.model.partition("+")[0]:
            return None
    return None if manifest is None else accuracy_of(manifest)


def accuracy_of(manifest: Mapping[str, Any]) -> Accuracy | None:
    """Return what a manifest says of a model's accuracy; None where it says nothing.

    >>> of_large_faces = {"fpir_0.01": {"tpir": 0.97}, "fpir_0.001": {"tpir": 0.95}}
    >>> sizes = {"64_px": {"fpir_0.01": {"tpir": 0.9}}, "112_px": of_large_faces}
    >>> accuracy_of({"metrics": {"by_face_size": sizes}})
    Accuracy(rates=(0.01, 0.001), rows=((112, (0.97, 0.95)), (64, (0.9, None))))
    """
    sizes = manifest.get("metrics", {}).get("by_face_size", {})
    rates = sorted({_rate(key) for one in sizes.values() for key in one if key.startswith("fpir_")}, reverse=True)
    if not rates:
        return None
    rows = []
    for size, one in sizes.items():
        shares = {_rate(key): found.get("tpir") for key, found in one.items() if key.startswith("fpir_")}
        rows.append((int(size.removesuffix("_px")), tuple(shares.get(rate) for rate in rates)))
    return Accuracy(tuple(rates), tuple(sorted(rows, reverse=True)))


def _rate(key: str) -> float:
    return float(key.removeprefix("fpir_"))
