"""Why the tracks of a media are called what they are: a page that holds all of it, and JSON for programs."""

from typing import Any, Final

from starlette.responses import HTMLResponse, JSONResponse, Response

from annotator.explaining.style import POLICY
from annotator.web.described import Parameters, read_parameters
from annotator.web.errors import WebError
from annotator.web.known import known_media
from annotator.web.shown_model import MODEL_IS_GONE
from annotator.web.visit import Visit

# The page has pictures and one style of its own, told by its digest; as it is sandboxed, it is of no origin, not ours.
_POLICY: Final = f"{POLICY}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"


def show_explanation(visit: Visit) -> Response:
    """Show why."""
    return HTMLResponse(_explained(visit)["page"], headers={"Content-Security-Policy": _POLICY})


def tell_explanation(visit: Visit) -> Response:
    """Tell programs why."""
    read_parameters(visit, Parameters)
    return JSONResponse(_explained(visit)["explanation"])


def _explained(visit: Visit) -> dict[str, Any]:
    site, row = visit.site, known_media(visit)
    model = site.shown_model.name(site.store, site.settings)
    if site.explaining is None or model is None:
        raise WebError(404, MODEL_IS_GONE)
    return site.explaining.run(model=model, media=row.ref.uri)
