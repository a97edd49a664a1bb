"""An S3 endpoint for one machine whose objects are files of a folder.

Run as ``python -m annotator.stack.s3_server FOLDER PORT``. The endpoint is moto's, which keeps objects in memory. To
make them last, ``FOLDER/BUCKET/KEY`` is loaded when it starts, and every object that is put or deleted is written
through to the folder before the answer goes out. Files that are dropped into the folder are objects after the next
start. Each part of a key is percent-encoded where it could not be a file's name. What is not kept: metadata, access
rules, versions, and the ETag of an object that came in several parts (it gets that of a whole one).
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from annotator.appearing import appearing_file
from annotator.errors import LocalDiskError

_LOGGER: Final = logging.getLogger(__name__)
_WRITES: Final = frozenset({"PUT", "POST", "DELETE"})
# moto keeps buckets by account; this is the one of every key pair that it does not know.
_ACCOUNT: Final = "123456789012"
_REGION: Final = "us-east-1"


def key_to_path(key: str) -> Path:
    """Return the relative path of an object's file.

    >>> key_to_path("clips/50%.gif").as_posix(), key_to_path("../x").as_posix()
    ('clips/50%25.gif', '%2E%2E/x')
    """
    return Path(*(_part_to_name(part) for part in key.split("/")))


def path_to_key(path: Path) -> str:
    """Return the key of a file, the inverse of :func:`key_to_path` for every file that a person puts there."""
    return "/".join("" if name == "%" else unquote(name) for name in path.parts)


def _part_to_name(part: str) -> str:
    if part == "":
        return "%"  # a leading, trailing or doubled slash
    name = part.replace("%", "%25").replace("\0", "%00")
    return "".join("%2E" if letter == "." else letter for letter in name) if name.startswith(".") else name


class FolderBackedEndpoint:
    """A WSGI application: moto's S3, mirrored to a folder."""

    def __init__(self, application: Callable[..., Iterable[bytes]], backend: Any, folder: Path) -> None:  # noqa: ANN401  (moto's backend has no usable type)
        """Load the folder.

        Args:
            application: moto's WSGI application.
            backend: moto's S3 backend.
            folder: holds one folder per bucket.

        """
        self._application = application
        self._backend = backend
        self._folder = folder
        for bucket in sorted(path for path in folder.iterdir() if path.is_dir()):
            self._load(bucket)

    def _load(self, bucket: Path) -> None:
        self._backend.create_bucket(bucket.name, _REGION)
        for path in sorted(bucket.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                self._backend.put_object(bucket.name, path_to_key(path.relative_to(bucket)), path.read_bytes())

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request and write what it has changed through."""
        answer = self._application(environ, start_response)
        if environ["REQUEST_METHOD"] in _WRITES:
            # WSGI hands UTF-8 paths over as Latin-1.
            path = environ["PATH_INFO"].encode("latin-1").decode("utf-8")
            bucket, _, key = path.removeprefix("/").partition("/")
            self._mirror(bucket, key)
        return answer

    def _mirror(self, bucket: str, key: str) -> None:
        known = self._backend.buckets.get(bucket)
        if not bucket or key_to_path(bucket).as_posix() != bucket:
            return
        folder = self._folder / bucket
        if known is None:
            _remove_empty_folders(folder, self._folder)
        elif key:
            folder.mkdir(parents=True, exist_ok=True)
            self._mirror_key(folder, bucket, key)
        else:  # the bucket was made, or several objects were deleted
            folder.mkdir(parents=True, exist_ok=True)
            for path in [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]:
                self._mirror_key(folder, bucket, path_to_key(path.relative_to(folder)))

    def _mirror_key(self, folder: Path, bucket: str, key: str) -> None:
        path = folder / key_to_path(key)
        stored = self._backend.get_object(bucket, key)
        if stored is None:
            path.unlink(missing_ok=True)
            _remove_empty_folders(path.parent, folder)
            return
        try:
            with appearing_file(path) as file:
                file.write(stored.value)
        except LocalDiskError as error:  # another key is a folder of its path, a part is too long, the disk is full
            _LOGGER.warning("s3://%s/%s is kept in memory only: %s", bucket, key, error)


def _remove_empty_folders(folder: Path, root: Path) -> None:
    """Remove a folder and its parents below the root, as far as they are empty."""
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def main(argv: list[str]) -> None:
    """Serve until the process is told to stop."""
    folder, port = Path(argv[0]), int(argv[1])
    os.environ.setdefault("MOTO_PORT", str(port))
    from moto.moto_server.werkzeug_app import create_backend_app  # noqa: PLC0415  (an extra, and slow to import)
    from moto.s3.models import s3_backends  # noqa: PLC0415
    from werkzeug.serving import WSGIRequestHandler, run_simple  # noqa: PLC0415

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, *_: object) -> None:
            """Log no request: a listing of a million keys would fill the disk."""

    application = create_backend_app("s3")
    endpoint = FolderBackedEndpoint(application.wsgi_app, s3_backends[_ACCOUNT]["aws"], folder)
    run_simple("127.0.0.1", port, endpoint, threaded=True, request_handler=Handler)


if __name__ == "__main__":
    main(sys.argv[1:])
