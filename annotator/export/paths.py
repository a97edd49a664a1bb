"""What the files of media are called: readable, within their folder, whatever the media are called."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

_MAX_PART_BYTES: Final = 200  # file systems take 255; suffixes and a number come to it
_MAX_PATH_BYTES: Final = 2_000  # Linux takes 4,096 with the folder
# What some file system, shell or player takes for something else; also %, so that nothing is taken for an escape.
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f-\x9f"*/:<>?\\|%\u2028\u2029\u202a-\u202e\u2066-\u2069]|^[.\-~ ]|[. ]$')

_LIKE_A_FILE: Final = re.compile(r"\.(?=(?:vtt|json)$)", re.IGNORECASE)


def path_of(uri: str) -> PurePosixPath:
    """Return where a media's files go: scheme, host and path of its address, without its query.

    Two media may get the same path; the caller tells them apart.

    >>> print(path_of("s3://gifs/new/x.gif"), path_of("https://host.example/a%20b/../?token=1"))
    s3/gifs/new/x.gif https/host.example/a b/%2E%2E
    """
    parts = urlsplit(uri)
    # A key of a bucket is not escaped, and knows no query.
    rest = uri.partition("://")[2].partition("/")[2] if parts.scheme == "s3" else parts.path
    if parts.scheme != "s3":
        segments = [unquote(one, errors="surrogateescape") for one in rest.split("/")]
    else:
        segments = rest.split("/")
    named = [safe_name(one) for one in (parts.scheme, parts.netloc, *segments) if one]
    # A folder must not have the name of a file that lies beside it.
    folders = [_LIKE_A_FILE.sub("%2E", one) for one in named[:-1]]
    path = PurePosixPath(*folders, named[-1])
    if len(str(path).encode()) > _MAX_PATH_BYTES:
        path = PurePosixPath(named[0], "long", named[-1])
    return path


def safe_name(name: str) -> str:
    """Return a name as one part of a path: never a folder above, never hidden, never too long.

    >>> safe_name("../etc"), safe_name("a/b"), safe_name(""), safe_name("Żółć 1.gif")
    ('%2E.%2Fetc', 'a%2Fb', '_', 'Żółć 1.gif')
    """
    escaped = _UNSAFE.sub(lambda found: _percent(found[0]), name)
    encoded = "".join(_percent(one) if "\ud800" <= one <= "\udfff" else one for one in escaped).encode()
    return encoded[:_MAX_PART_BYTES].decode(errors="ignore") or "_"


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode(errors="surrogateescape"))


def alternatives(path: PurePosixPath, between: str, suffix: str, media_id: int) -> Iterator[PurePosixPath]:
    """Yield names for a file, best first: the media's, with what tells it from others where that is taken.

    >>> [str(one) for one in alternatives(PurePosixPath("s3/gifs/x.gif"), "Cher", ".vtt", 7)][:2]
    ['s3/gifs/x.gif.Cher.vtt', 's3/gifs/x.gif.Cher~7.vtt']
    """
    stem = f"{path.name}.{safe_name(between)}" if between else path.name
    stem = stem.encode()[:_MAX_PART_BYTES].decode(errors="ignore")
    yield path.with_name(f"{stem}{suffix}")
    yield path.with_name(f"{stem}~{media_id}{suffix}")
    for number in range(2, 1_000):
        yield path.with_name(f"{stem}~{media_id}~{number}{suffix}")
