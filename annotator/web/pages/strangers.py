"""Groups of strangers: who is seen most without a name, and a page for each, to name, merge and split it."""

from typing import Final

from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from annotator.errors import ConfigError, StrangerError
from annotator.store.ids import LARGEST_ID
from annotator.store.registry import active_labelling
from annotator.store.strangers.decisions import (
    Group,
    SplitOff,
    find_group,
    merge_groups,
    network_of_strangers,
    split_group,
)
from annotator.store.web.people import find_person
from annotator.store.web.strangers import MOST_LOOKED_AT, count_tracks, faces_of_stranger, most_seen_strangers
from annotator.web.changing import checked_length, labelled_anew
from annotator.web.errors import WebError
from annotator.web.forms import chosen_tracks, track_key, whole_number
from annotator.web.pages.computing import ComputingTold, begin_computing, computing_told
from annotator.web.shown_model import MODEL_IS_GONE
from annotator.web.visit import Visit

_ROWS: Final = 24
_MOST_ROWS: Final = 192
_FACES: Final = 60


def show_strangers(visit: Visit) -> Response:
    """Show the groups that are seen in most media."""
    limit = visit.number("limit", most=_MOST_ROWS, usual=_ROWS)
    try:
        network_of_strangers(visit.site.store.engine)
    except StrangerError:
        return visit.page("strangers.html", groups=None, more=None, told=_told(visit))
    with visit.site.store.reading() as connection:
        found = most_seen_strangers(connection, limit=limit + 1)
    more = min(2 * limit, _MOST_ROWS) if len(found) > limit and limit < _MOST_ROWS else None
    return visit.page("strangers.html", groups=found[:limit], more=more, told=_told(visit))


def group_strangers(visit: Visit) -> Response:
    """Begin to group what is in no group yet."""
    begin_computing(visit, visit.site.grouping, deed="began to group strangers")
    return visit.redirect("strangers")


def show_stranger(visit: Visit) -> Response:
    """Show one group; one that has become part of another is that one."""
    given = _number(visit)
    network_id = network_of_strangers(visit.site.store.engine)
    with visit.site.store.reading() as connection:
        group = _group(connection, network_id, given)
        faces = faces_of_stranger(connection, group.number, most=_FACES)
        tracks = count_tracks(connection, group.number)
        person = None if group.identity_id is None else find_person(connection, group.identity_id)
        is_not = visit.number("isnot", least=0, most=LARGEST_ID, usual=0)
        split_from = find_person(connection, is_not) if is_not else None
    if group.number != given:
        query = visit.request.url.query
        address = f"{visit.url('stranger', number=group.number)}{'?' if query else ''}{query}"
        return RedirectResponse(address, status_code=303)
    return visit.page(
        "stranger.html",
        number=group.number,
        faces=faces,
        left_out=tracks - len(faces),
        is_sampled=tracks > MOST_LOOKED_AT,
        tracks=tracks,
        person=person,
        counted=visit.number("counted", least=1, most=1000, usual=0),
        split_from=split_from,
        uncounted=visit.number("uncounted", least=0, most=LARGEST_ID, usual=0),
        still_counted=visit.number("left", least=0, most=LARGEST_ID, usual=0),
    )


def name_stranger(visit: Visit) -> Response:
    """Let the best tracks of a group count as photographs of a person; then what is stored gets the name."""
    number, site = _number(visit), visit.site
    name = checked_length(" ".join(visit.form.get("name", "").split()))
    with site.store.reading() as connection:
        _group(connection, network_of_strangers(site.store.engine), number)
    model = site.shown_model.name(site.store, site.settings)
    if site.enrolling is None or model is None:
        raise WebError(404, MODEL_IS_GONE)
    told = site.enrolling.run(model=model, actor=visit.visitor.name, address=visit.address, stranger=number, name=name)
    return RedirectResponse(f"{visit.url('stranger', number=number)}?counted={told['added']}", status_code=303)


def merge_stranger(visit: Visit) -> Response:
    """Let a group be one with another one."""
    number, into = _number(visit), whole_number(visit.form.get("into", "").strip().removeprefix("#"))
    if into is None:
        raise WebError(400, "Which stranger is it? Write the number of the group.")

    def note(connection: Connection) -> None:
        visit.record(connection, "merged strangers", subject=f"stranger {number}", into=into)

    engine = visit.site.store.engine
    kept = merge_groups(engine, network_of_strangers(engine), number, into, note=note)
    return visit.redirect("stranger", number=kept.number)


def split_stranger(visit: Visit) -> Response:
    """Let the tracks that are chosen be another group."""
    number, site = _number(visit), visit.site
    keys = [track_key(one) for one in chosen_tracks(visit.form)]
    identifier = site.shown_model.identifier(site.store, site.settings)
    if identifier is None:
        raise WebError(404, MODEL_IS_GONE)

    def note(connection: Connection, new: SplitOff) -> None:
        told: dict[str, str | int] = {}
        if new.unnamed is not None:
            told = {"name": new.unnamed.identity.name, "enrolled": new.unnamed.enrolled, "left": new.unnamed.left}
        visit.record(connection, "split a stranger", subject=f"stranger {number}", tracks=len(keys), **told)

    engine, bundle = site.store.engine, identifier.gallery.bundle
    try:
        network_id, says = network_of_strangers(engine), visit.visitor.said_by
        new = split_group(engine, network_id, number, keys=keys, bundle=bundle, said_by=says, note=note)
    except ConfigError as error:
        raise WebError(409, f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    if new.unnamed is None:
        return visit.redirect("stranger", number=new.number)
    unnamed = new.unnamed
    query = f"isnot={unnamed.identity_id}&uncounted={unnamed.enrolled}&left={unnamed.left}"
    answer = RedirectResponse(f"{visit.url('stranger', number=new.number)}?{query}", status_code=303)
    answer.background = labelled_anew(visit, [unnamed.identity_id])
    return answer


def _group(connection: Connection, network_id: int, number: int) -> Group:
    try:
        return find_group(connection, network_id, number)
    except StrangerError as error:
        raise WebError(404, "There is no such stranger.") from error


def _told(visit: Visit) -> ComputingTold:
    with visit.site.store.reading() as connection:
        is_labelled = active_labelling(connection) is not None
    return computing_told(visit, visit.site.grouping, is_labelled=is_labelled)


def _number(visit: Visit) -> int:
    number: int = visit.request.path_params["number"]
    if number > LARGEST_ID:
        raise WebError(404, "There is no such stranger.")
    return number
