"""Forms with files, read as they come: whoever may not send them is refused before, and too much is not taken.

Files go to the disk piece by piece, counted; nothing of a form is kept in memory but a few short fields.
"""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from anyio import CapacityLimiter, fail_after
from anyio.to_thread import run_sync
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from annotator.errors import MediaTooLargeError
from annotator.web.errors import WebError
from annotator.web.uploads import Incoming, Uploads

_MULTIPART: Final = b"multipart/form-data"
_LONGEST_FIELDS: Final = 16 * 1024
_MOST_PARTS: Final = 200
# What a form has besides its files: boundaries, headers of parts, fields.
_AROUND_FILES: Final = 256 * 1024


UPLOADS_AT_ONCE: Final = 8
_UPLOADS_OF_ONE: Final = 2
_WAITS_S: Final = 5.0
_BODY_TIMEOUT_S: Final = 10.0
_COME_AGAIN: Final = {"Retry-After": "10"}


class Uploading:
    """Lets so many uploads in at once, and few of one visitor: whoever sends slowly keeps nobody else out for long."""

    def __init__(self, *, at_once: int = UPLOADS_AT_ONCE, waits_s: float = _WAITS_S) -> None:
        """Take how many there may be, and how long one more waits for another to end."""
        self._limiter = CapacityLimiter(at_once)
        self._waits_s = waits_s
        self._of: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def admitting(self, who: str) -> AsyncIterator[None]:
        """Let an upload in, while the block lasts.

        Args:
            who: sends it.

        Raises:
            WebError: the visitor sends others already, or there are too many.

        """
        if self._of[who] >= _UPLOADS_OF_ONE:
            raise WebError(
                429, f"You send {_UPLOADS_OF_ONE} uploads already: wait for one of them.", headers=_COME_AGAIN
            )
        self._of[who] += 1
        try:
            await self._wait()
            try:
                yield
            finally:
                self._limiter.release()
        finally:
            self._of[who] -= 1
            if not self._of[who]:
                del self._of[who]

    async def _wait(self) -> None:
        try:
            with fail_after(self._waits_s):
                await self._limiter.acquire()
        except TimeoutError as error:
            words = "Too many people upload something just now: try again soon."
            raise WebError(503, words, headers=_COME_AGAIN) from error


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a form may have.

    Attributes:
        files: at most so many.
        file_bytes: of each of them, at most.
        timeout_s: in which all of it must come.

    """

    files: int
    file_bytes: int
    timeout_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """A form that was received.

    Attributes:
        fields: by name; of several of one name the last one.
        files: in their order; they are gone when the request is answered, unless they are kept.
        body: what came where it was no form of parts.

    """

    fields: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[Incoming] = ()
    body: bytes = b""


NOTHING_RECEIVED: Final = Received()


@dataclass(slots=True, eq=False)
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    header_name: bytearray = field(default_factory=bytearray)
    header_value: bytearray = field(default_factory=bytearray)
    name: str = ""
    file: Incoming | None = None
    value: bytearray = field(default_factory=bytearray)


class _Form:
    """Reads a form of parts; one thread at a time feeds it."""

    def __init__(
        self,
        boundary: bytes,
        uploads: Uploads,
        allowed: Allowed,
        *,
        check: Callable[[Mapping[str, str]], None],
        stack: contextlib.ExitStack,
    ) -> None:
        self._uploads = uploads
        self._allowed = allowed
        self._check = check
        self._stack = stack
        self._part = _Part()
        self._parts = 0
        self._field_bytes = 0
        self.fields: dict[str, str] = {}
        self.files: list[Incoming] = []
        self.is_whole = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": lambda data, start, end: self._part.header_name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._part.header_value.extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_value,
                "on_part_data": self._take_value,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def feed(self, data: bytes) -> None:
        """Take some bytes of it."""
        self._parser.write(data)

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise WebError(413, f"A form may have {_MOST_PARTS} parts.")
        self._part = _Part()

    def _end_header(self) -> None:
        part = self._part
        part.headers[bytes(part.header_name).lower()] = bytes(part.header_value)
        part.header_name.clear()
        part.header_value.clear()

    def _begin_value(self) -> None:
        _, options = parse_options_header(self._part.headers.get(b"content-disposition", b""))
        self._part.name = options.get(b"name", b"").decode(errors="replace")
        file_name = options.get(b"filename")
        if file_name is None:
            return
        if not self.files:
            self._check(self.fields)
        if len(self.files) == self._allowed.files:
            raise WebError(413, f"At most {self._allowed.files} files at once: send the others later.")
        file = self._stack.enter_context(self._uploads.begin(file_name.decode(errors="replace")))
        self._part.file = file
        if file_name:  # the field of a form that was left empty has neither name nor bytes
            self.files.append(file)

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        if self._part.file is not None:
            self._part.file.write(data[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > _LONGEST_FIELDS:
            raise WebError(413, f"The fields of a form may have {_LONGEST_FIELDS // 1024} KiB.")
        self._part.value.extend(data[start:end])

    def _end_part(self) -> None:
        part = self._part
        if part.file is None:
            self.fields[part.name] = part.value.decode(errors="replace")
        elif part.file not in self.files and part.file.size_bytes:
            self.files.append(part.file)

    def _end(self) -> None:
        self.is_whole = True


def is_form_of_parts(request: Request) -> bool:
    """Say whether a request brings a form that may have files."""
    return parse_options_header(request.headers.get("content-type", ""))[0] == _MULTIPART


async def receive_form(
    request: Request,
    uploads: Uploads,
    allowed: Allowed,
    *,
    check: Callable[[Mapping[str, str]], None],
    stack: contextlib.ExitStack,
) -> Received:
    """Read a form of parts.

    Args:
        request: brings it.
        uploads: where files go.
        allowed: what it may have.
        check: is told the fields that came before the first file, or all, and may refuse by raising.
        stack: removes files that are not kept, when it is closed.

    Raises:
        WebError: it is too large, comes too slowly, or is no whole form; what came of it is gone.
        LocalDiskError: there is no room for it.

    """
    _, options = parse_options_header(request.headers.get("content-type", ""))
    most = allowed.files * allowed.file_bytes + _AROUND_FILES
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > most:
        raise WebError(413, f"All of it may have {most} bytes: send less at once.")
    try:
        form = _Form(options.get(b"boundary", b""), uploads, allowed, check=check, stack=stack)
        with fail_after(allowed.timeout_s):
            async for data in request.stream():
                await run_sync(form.feed, data)
    except FormParserError as error:
        raise WebError(400, f"The form cannot be read: {error}.") from error
    except MediaTooLargeError as error:
        raise WebError(413, str(error)) from error
    except TimeoutError as error:
        raise WebError(408, f"It did not come within {allowed.timeout_s:g} s: send less at once.") from error
    except ClientDisconnect as error:
        raise WebError(400, "The form broke off.") from error
    if not form.is_whole:
        raise WebError(400, "The form breaks off before its end: send it again.")
    if not form.files:
        await run_sync(check, form.fields)
    return Received(form.fields, form.files)


async def receive_body(request: Request, *, timeout_s: float = _BODY_TIMEOUT_S) -> Received:
    """Read a short body.

    Raises:
        WebError: it is longer, comes too slowly, or breaks off.

    """
    body = bytearray()
    try:
        with fail_after(timeout_s):
            async for data in request.stream():
                body.extend(data)
                if len(body) > _LONGEST_FIELDS:
                    raise WebError(413, f"It may have {_LONGEST_FIELDS // 1024} KiB.")
    except TimeoutError as error:
        raise WebError(408, f"It did not come within {timeout_s:g} s.") from error
    except ClientDisconnect as error:
        raise WebError(400, "It broke off.") from error
    return Received(body=bytes(body))
