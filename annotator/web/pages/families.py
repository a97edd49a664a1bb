"""All media that show the same clip as one of them."""

from typing import Final

from starlette.responses import Response

from annotator.store.titles import title_of
from annotator.web.errors import WebError
from annotator.web.known import known_media
from annotator.web.relatives import relatives_of
from annotator.web.visit import Visit

_ROWS: Final = 100


def show_family(visit: Visit) -> Response:
    """Show the other media of a family, newest first, page by page."""
    row = known_media(visit)
    before_id = visit.number("before", most=2**62, usual=0) or None
    with visit.site.store.reading() as connection:
        relatives = relatives_of(connection, row, limit=_ROWS + 1, before_id=before_id)
        called = title_of(connection, row.media_id, row.ref.uri)
    if relatives is None:
        raise WebError(404, "No other media is known to show the same clip.")
    others = relatives.family.others
    return visit.page(
        "family.html",
        row=row,
        name=called,
        relatives=relatives,
        others=others[:_ROWS],
        is_first=before_id is None,
        next_before=others[_ROWS - 1].media_id if len(others) > _ROWS else None,
    )
