"""Style sheets and scripts, served under a name that holds their digest: a browser keeps them for ever."""

import hashlib
import mimetypes
from dataclasses import dataclass
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

FOLDER: Final = "static"
_FOR_EVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of the package.

    Attributes:
        name: with its digest: ``site.0123456789ab.css``.
        content: its bytes.
        media_type: what it is.

    """

    name: str
    content: bytes
    media_type: str


class StaticFiles:
    """The files of the package's folder ``static``, read once."""

    def __init__(self) -> None:
        """Read them."""
        files = {
            entry.name: _named(entry.name, entry.read_bytes())
            for entry in resources.files("annotator.web").joinpath(FOLDER).iterdir()
            if entry.is_file()
        }
        self._by_plain_name = files
        self._by_name = {file.name: file for file in files.values()}

    def path(self, plain_name: str) -> str:
        """Return where a browser finds a file: ``/static/site.0123456789ab.css`` for ``site.css``."""
        return f"/{FOLDER}/{self._by_plain_name[plain_name].name}"

    async def serve(self, request: Request) -> Response:
        """Answer with a file."""
        file = self._by_name.get(request.path_params["name"])
        if file is None:
            return Response(status_code=404)
        return Response(file.content, media_type=file.media_type, headers={"Cache-Control": _FOR_EVER})


def _named(name: str, content: bytes) -> StaticFile:
    stem, _, ending = name.rpartition(".")
    digest = hashlib.sha256(content).hexdigest()[:12]
    return StaticFile(f"{stem}.{digest}.{ending}", content, mimetypes.types_map.get(f".{ending}", "text/plain"))
