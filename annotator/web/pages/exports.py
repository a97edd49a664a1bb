"""What was found as files: of one media, and of what a search has found."""

from starlette.responses import Response

from annotator.store.web.finding import find_media_with
from annotator.web.changing import checked_length
from annotator.web.errors import WebError
from annotator.web.exporting import MOST_MEDIA, WORDS, Shape, Wish, export_all, export_media, selected
from annotator.web.known import known_media
from annotator.web.pages.search import Asked, question_of
from annotator.web.visit import Visit


def send_media_export(visit: Visit) -> Response:
    """Send what was found in a media, in the shape that the address asks for."""
    row = known_media(visit)
    person = visit.request.query_params.get("person", "").strip() or None
    if person is not None:
        checked_length(person)
    return export_media(visit, row, Wish(_shape(visit), person=person))


def send_search_export(visit: Visit) -> Response:
    """Send all media that a search finds, whole: with whoever else is in them."""
    asked = Asked.of(visit)
    if not asked.people:
        raise WebError(400, "Say whom to look for.")
    shape = _shape(visit)
    if shape == "webvtt":
        raise WebError(400, "WebVTT is of one media: ask for it in the page of the media.")
    with visit.site.store.reading() as connection:
        found = find_media_with(connection, question_of(connection, asked), limit=MOST_MEDIA + 1)
    chosen = selected((one.media_id for one in found), min_confidence=asked.min_confidence, model=asked.model or None)
    return export_all(visit, chosen, Wish(shape), name=" and ".join(asked.people))


def _shape(visit: Visit) -> Shape:
    given = visit.request.query_params.get("shape", "")
    for shape in WORDS:
        if shape == given:
            return shape
    raise WebError(400, f"shape must be one of {', '.join(WORDS)}, got {given[:40]!r}.")
