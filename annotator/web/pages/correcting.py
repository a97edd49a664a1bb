"""Saying who a track is, from the page of its media."""

from starlette.background import BackgroundTask
from starlette.responses import RedirectResponse, Response

from annotator.store.ids import LARGEST_BIG_ID, LARGEST_ID
from annotator.store.rollups import roll_up_if_due
from annotator.store.titles import titles_of
from annotator.web.changing import checked_length
from annotator.web.correcting import Saying, UnknownNameError, say
from annotator.web.errors import WebError
from annotator.web.forms import dashed_numbers
from annotator.web.known import known_media
from annotator.web.pages.media import TRACKS
from annotator.web.visit import Visit


def correct_track_of_media(visit: Visit) -> Response:
    """Say what the form says of a track, and show the media again; where the name is nobody's, ask who is meant."""
    row = known_media(visit)
    track_no = visit.request.path_params["track_no"]
    try:
        say(visit, row, track_no, _saying(visit))
    except UnknownNameError as error:
        with visit.site.store.reading() as connection:
            titles = titles_of(connection, [(row.media_id, row.ref.uri)])
        return visit.page(
            "who_is_meant.html",
            status=404,
            error=error,
            verdict="is" if "is" in visit.form else "not",
            row=row,
            media_name=titles[row.media_id],
            track_no=track_no,
            seen=visit.form.get("seen", ""),
        )
    further = f"&tracks_from={track_no}" if track_no >= TRACKS else ""
    address = f"{visit.url('media', media_id=row.media_id)}?said={track_no}{further}#track-{track_no}"
    counted = BackgroundTask(roll_up_if_due, visit.site.store.engine)
    return RedirectResponse(address, status_code=303, background=counted)


def _saying(visit: Visit) -> Saying:
    """Return what the form says.

    Raises:
        WebError: it says nothing, or several things.

    """
    form = visit.form
    given = [name for name in ("is", "not", "withdraw") if name in form]
    if len(given) != 1:
        raise WebError(400, "Say one thing of a track: that it is somebody, that it is not, or nothing any more.")
    name = "" if given == ["withdraw"] else checked_length(form[given[0]])
    return Saying(
        is_person=name if given == ["is"] else None,
        is_not=name if given == ["not"] else None,
        is_new=form.get("new") == "1",
        seen=_seen(form.get("seen", "")),
    )


def _seen(given: str) -> tuple[int, int]:
    """Return network and content that the page has shown.

    Raises:
        WebError: the form does not say.

    """
    numbers = dashed_numbers(given, LARGEST_ID, LARGEST_BIG_ID)
    if numbers is None:
        raise WebError(400, "The form does not say which tracks were looked at: load the page again.")
    return numbers[0], numbers[1]
