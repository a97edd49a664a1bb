"""Why a request is not answered as asked: what a page or the API tells of it."""

from collections.abc import Mapping
from typing import Final

from annotator.errors import (
    AnnotatorError,
    ChangedMeanwhileError,
    IdentityError,
    InputError,
    SourceChangedError,
    SourceNotFoundError,
    StoreUnavailableError,
    TransientError,
)

TITLES: Final[Mapping[int, str]] = {
    400: "That cannot be",
    401: "Log in first",
    403: "You may not do that",
    404: "Not here",
    405: "Not in this way",
    408: "Too slow",
    409: "Changed meanwhile",
    410: "Gone",
    411: "How long is it?",
    413: "Too large",
    415: "Not read here",
    422: "That cannot be",
    429: "Too often",
    500: "This went wrong",
    503: "Not now",
}

# The first one that an error is decides. Of a media that has changed, asking again brings nothing else, though workers
# may try it again.
_STATUSES: Final[tuple[tuple[type[AnnotatorError], int], ...]] = (
    (IdentityError, 404),
    (SourceNotFoundError, 410),
    (SourceChangedError, 409),
    (ChangedMeanwhileError, 409),
    (InputError, 400),
)

NOTED: Final = "It is noted in the log of the program."


class WebError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: of HTTP.
        detail: a sentence with the remedy.
        headers: what else the answer carries.

    """

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        """Keep status and sentence."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    @property
    def title(self) -> str:
        """What all errors of this status are called."""
        return TITLES.get(self.status, "This went wrong")


def web_error_of(error: AnnotatorError) -> WebError:
    """Return how an error of the package is told.

    What is wrong with the database or the settings is for whoever reads the log: its words name hosts and users.
    """
    if isinstance(error, StoreUnavailableError):
        return WebError(503, "The database does not answer just now: try again soon.", headers={"Retry-After": "10"})
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return WebError(status, str(error))
    if isinstance(error, TransientError):
        return WebError(503, str(error), headers={"Retry-After": "10"})
    return WebError(500, NOTED)
