"""Whether a media of this machine is still what was looked at, and what helps where it is not."""

import shlex

from annotator.errors import AnnotatorError, SourceChangedError, SourceNotFoundError
from annotator.media.reader import MediaReader, scheme_of
from annotator.types import MediaRef


def why_not_shown(reader: MediaReader | None, media: MediaRef) -> str | None:
    """Return why a media cannot be shown and what helps, as sentences; None where it can, or nothing is known of that.

    Args:
        reader: brings media; None where none are shown.
        media: which. One that is elsewhere is not looked for: that may take minutes.

    """
    try:
        if reader is None or scheme_of(media.uri) != "file":
            return None
        with reader.open_path(media):
            return None
    except SourceChangedError:
        again = shlex.join(["annotator", "annotate", media.uri])
        return (
            "The file was changed since it was looked at. Who is told here, and when, was found in what it was before;"
            f" `{again}` looks at it anew."
        )
    except SourceNotFoundError:
        return (
            "The file is gone. What was found in it, who and when, is kept; put it back, unchanged and where it was,"
            " and it is shown here again."
        )
    except AnnotatorError as error:
        return f"It cannot be shown here: {error}"
