"""The first page, the record of who did what, and the sign of life."""

from typing import Final

from starlette.responses import JSONResponse, Response

from annotator.store.web.audit import list_deeds
from annotator.store.web.overview import overview_of
from annotator.web.visit import Visit

_ROWS: Final = 100


def show_home(visit: Visit) -> Response:
    """Show what there is."""
    with visit.site.store.reading() as connection:
        overview = overview_of(connection)
    return visit.page("home.html", overview=overview)


def show_record(visit: Visit) -> Response:
    """Show who did what, newest first."""
    before_id = visit.number("before", most=2**62, usual=0) or None
    with visit.site.store.reading() as connection:
        deeds = list_deeds(connection, limit=_ROWS + 1, before_id=before_id)
    has_more = len(deeds) > _ROWS
    deeds = deeds[:_ROWS]
    return visit.page("record.html", deeds=deeds, next_before=deeds[-1].deed_id if has_more else None)


def tell_health(visit: Visit) -> Response:
    """Say that the database answers: for supervisors and load balancers. It tells nothing else to strangers."""
    with visit.site.store.reading() as connection:
        connection.exec_driver_sql("SELECT 1")
    return JSONResponse({"status": "ok"})
