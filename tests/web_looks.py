"""How pages are looked at in a real browser, and which: each page that people read has an address here.

Where an address holds ``{media}``, ``{person}`` or ``{picture}``, the test that opens it knows the value.
"""

from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe

# Colours, width and height in pixels: a desk and a telephone, light and dark.
LOOKS: Final = (("light", 1280, 800), ("dark", 1280, 800), ("light", 390, 780), ("dark", 390, 780))
_SERIOUS: Final = frozenset({"serious", "critical"})

ENTRANCE: Final = ("/login",)
BASIC: Final = (
    *("/", "/search", "/search?person=ada+lovelace&person=ben+brown", "/search?person=nobody"),
    *("/people", "/people/1", "/people/2/merge?into=ada+lovelace", "/media/{media}", "/space"),
    "/media/{media}/family",
    *("/try", "/try/1", "/try/2", "/record", "/account", "/no/such/page"),
)
TWO_PEOPLE: Final = (
    *("/people/1", "/people/1/merged/3", "/people/1/tracks", "/people/1/tracks?by=look", "/people/2/tracks"),
)
REVIEW: Final = ("/review", "/strangers", "/strangers/1")
OPERATION: Final = (
    *("/operation", "/operation?retried=2&reason=too_large", "/operation/failures", "/operation/failures?reason=none"),
    *("/operation/models", "/operation/models/2", "/operation/models/2/promote", "/operation/rollback"),
    "/operation/retraining",
)
TAKEDOWNS: Final = ("/people/{person}/takedown", "/takedowns", "/takedowns/1", "/takedowns/picture", "{picture}")
ALL: Final = (*ENTRANCE, *BASIC, *TWO_PEOPLE, *REVIEW, *OPERATION, *TAKEDOWNS, "/takedowns/picture/token")

# Rows of the table of routes that answer with something else than a page of the application, by name.
NO_PAGES: Final = frozenset(
    {
        *("person_face", "face", "still_face", "moving_face", "media_file"),  # pictures and media
        *("media_export", "search_export", "takedown_report", "openapi", "health"),  # files, and for programs
        *("space_points", "operation_now", "operation_promotion"),  # what scripts of a page ask for
        *("go_elsewhere", "come_back", "enter"),  # they lead to a page
        "explanation",  # it stands alone, with a style of its own, as a file of `annotator explain`
    }
)


def insist_on_whole(page: Any, width_px: int, *, told: str) -> None:
    """See that a page is not wider than the window, and that everybody can use it.

    Args:
        page: of Playwright, as it is shown.
        width_px: of the window.
        told: its address, for whoever reads that it is not so.

    """
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px, told
    found = [one for one in Axe().run(page).response["violations"] if one["impact"] in _SERIOUS]
    assert (told, [(one["id"], node["html"][:200]) for one in found for node in one["nodes"]]) == (told, [])
