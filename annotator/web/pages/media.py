"""One media: the player with boxes that follow faces, who is in it when, and what each model has said."""

import contextlib
import json
import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from anyio import CancelScope
from anyio.to_thread import run_sync
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from annotator.media.reader import MediaReader, scheme_of
from annotator.media.sniff import sniff
from annotator.results import TrackResult, confidence_in_words
from annotator.store.corrections.listing import Correction, list_corrections_of
from annotator.store.identities import ids_of
from annotator.store.ids import LARGEST_ID
from annotator.store.registry import active_network
from annotator.store.titles import title_of
from annotator.store.web.accounts import Role
from annotator.store.web.media import KnownMediaRow, labellings_of, load_media
from annotator.types import MediaRef
from annotator.web.errors import WebError
from annotator.web.exporting import shapes_offered
from annotator.web.known import known_media
from annotator.web.labels import name_of
from annotator.web.presence import why_not_shown
from annotator.web.relatives import relatives_of
from annotator.web.shown_model import BeingLoadedError
from annotator.web.visit import Bringing, Visit

TRACKS: Final = 60
"""Tracks of which a page lets people speak: films have hundreds."""

_VIDEOS: Final = frozenset({".mp4", ".m4v", ".mov", ".webm", ".mkv"})
# What a browser is told that a media is, by the name of its format. Nothing else is handed out.
_TYPES: Final = {
    "GIF": "image/gif",
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "APNG": "image/png",
    "WebP": "image/webp",
    "animated WebP": "image/webp",
    "mp4 or mov": "video/mp4",
    "webm or mkv": "video/webm",
}
# What a media is allowed, should a browser take it for a page after all: nothing.
_NOTHING: Final = {"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, no-cache"}


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of the timeline: one person, or one stranger.

    Attributes:
        name: who; None is somebody unknown.
        person_id: of the person's page; None for a stranger.
        colour: number of the colour, the same in the player.
        confidence: of the surest track.
        tracks: in order of time.

    """

    name: str | None
    person_id: int | None
    colour: int
    confidence: float | None
    tracks: tuple[TrackResult, ...]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A track, and what people have said of it.

    Attributes:
        track: as it is told.
        name: who it is; None is somebody unknown.
        words: what holds of what was said, in the order of saying.

    """

    track: TrackResult
    name: str | None
    words: tuple[Correction, ...]


def show_media(visit: Visit) -> Response | Bringing:
    """Show a media."""
    row = known_media(visit)
    if scheme_of(row.ref.uri) != "file":
        return _page(visit, row)
    # It is looked whether the file is still there: disks of other machines may take long, and hold no other pages up.
    return Bringing(visit, row.ref.uri, partial(_page, visit, row))


def _page(visit: Visit, row: KnownMediaRow) -> Response:
    first_track = visit.number("tracks_from", least=0, most=LARGEST_ID, usual=0)
    site = visit.site
    identifier, is_being_loaded = None, False
    try:
        identifier = site.shown_model.identifier(site.store, site.settings)
    except BeingLoadedError:
        is_being_loaded = True
    with site.store.reading() as connection:
        # Before the tracks: if others are shown meanwhile, what is said of these is refused.
        network_id = active_network(connection)
        words = [] if row.content_id is None else list_corrections_of(connection, row.content_id)
        stored = load_media(connection, row, identify=None if identifier is None else identifier.identify)
        history = labellings_of(connection, row)
        tracks = () if stored is None else stored.result.tracks
        names = {name for track in tracks if (name := name_of(track.label)) is not None}
        ids = ids_of(connection, names)
        called = title_of(connection, row.media_id, row.ref.uri)
        relatives = relatives_of(connection, row)
    lanes = _lanes(tracks, ids)
    duration_ms = _duration(stored.result.duration_ms if stored else None, tracks)
    spoken = [_spoken(track, words) for track in tracks if track.track_no >= first_track]
    return visit.page(
        "media.html",
        row=row,
        name=called,
        relatives=relatives,
        not_shown=why_not_shown(site.reader, row.ref),
        explain_command=shlex.join(["annotator", "explain", row.ref.uri]),
        is_video=is_video(row.ref.uri),
        result=None if stored is None else stored.result,
        is_being_loaded=is_being_loaded,
        lanes=lanes,
        duration_ms=duration_ms,
        history=history,
        spoken=spoken[:TRACKS],
        next_track=spoken[TRACKS].track.track_no if len(spoken) > TRACKS else None,
        shapes=shapes_offered(),
        seen=f"{network_id}-{row.content_id}",
        may_correct=visit.visitor.may(Role.REVIEWER),
        may_enroll=visit.visitor.may(Role.OPERATOR),
        said=_just_said(visit, tracks),
        tracks_json=json.dumps(_for_player(lanes), separators=(",", ":")),
    )


def send_media(visit: Visit) -> Response | Bringing:
    """Send the bytes of a media, to whoever may look; parts of it, too, as players ask for."""
    reader = visit.site.reader
    if reader is None:
        raise WebError(404, "Media are not shown here.")
    row = known_media(visit)
    is_here = scheme_of(row.ref.uri) == "file"
    if not is_here and row.sha256 is not None and f'"{row.sha256}"' in visit.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=_NOTHING | {"ETag": f'"{row.sha256}"'})
    return Bringing(visit, row.ref.uri, partial(_open, reader, row.ref, is_here=is_here))


def _open(reader: MediaReader, media: MediaRef, *, is_here: bool) -> Response:
    """Bring a media, and return what sends it."""
    with contextlib.ExitStack() as stack:
        # A file of this machine is not read from end to end for a digest: its mark is that of FileResponse.
        if is_here:
            path, mark = stack.enter_context(reader.open_path(media)), {}
        else:
            local = stack.enter_context(reader.open(media))
            path, mark = local.path, {"ETag": f'"{local.sha256}"'}
        with path.open("rb") as file:
            kind = sniff(file, name=media.media_id).name
        media_type = _TYPES.get(kind)
        if media_type is None:
            raise WebError(404, f"A browser does not show {kind}.")
        return _OpenedFile(path, media_type, _NOTHING | mark, stack.pop_all())


class _OpenedFile(FileResponse):
    """Sends a file and lets go of it, however that ends: a background task is left out where a visitor goes away."""

    def __init__(self, path: Path, media_type: str, headers: dict[str, str], opened: contextlib.ExitStack) -> None:
        super().__init__(path, media_type=media_type, headers=headers)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await run_sync(self._opened.close)


def is_video(uri: str) -> bool:
    """Say whether an address looks like that of a video, which takes another element of a page than a picture."""
    return PurePosixPath(urlsplit(uri).path).suffix.lower() in _VIDEOS


def _spoken(track: TrackResult, words: list[Correction]) -> Spoken:
    holding = (one for one in words if one.withdrawn_at is None and not one.is_overtaken)
    return Spoken(track, name_of(track.label), tuple(one for one in holding if one.track_no == track.track_no))


def _just_said(visit: Visit, tracks: tuple[TrackResult, ...]) -> str | None:
    """Return what is told to whoever has just said something of a track; None to all others."""
    query = visit.request.query_params
    given = query.get("said", query.get("enrolled", ""))
    found = next((track for track in tracks if str(track.track_no) == given), None)
    if found is None:
        return None
    name = name_of(found.label) or "unknown"
    if "enrolled" in query:
        return f"Track {found.track_no} counts as evidence of {name} now; other clips are compared with it."
    return f"Track {found.track_no} is {name} now."


def _lanes(tracks: tuple[TrackResult, ...], ids: dict[str, int]) -> list[Lane]:
    """Return a lane for each person, surest first, and one for each unknown track behind them."""
    by_name: dict[str, list[TrackResult]] = {}
    for track in tracks:
        if (name := name_of(track.label)) is not None:
            by_name.setdefault(name, []).append(track)
    best = {name: max(one.label.candidates[0].confidence for one in its_own) for name, its_own in by_name.items()}
    known = sorted(by_name, key=lambda name: (-best[name], name))
    lanes = [Lane(name, ids[name], number, best[name], tuple(by_name[name])) for number, name in enumerate(known)]
    strangers = [track for track in tracks if name_of(track.label) is None]
    return lanes + [Lane(None, None, len(known) + number, None, (track,)) for number, track in enumerate(strangers)]


def _duration(duration_ms: int | None, tracks: tuple[TrackResult, ...]) -> int:
    return max(duration_ms or 0, *(track.end_ms for track in tracks), 1) if tracks else (duration_ms or 1)


def _for_player(lanes: list[Lane]) -> list[dict[str, object]]:
    return [
        {
            "name": lane.name or "unknown",
            "confidence": None if lane.confidence is None else confidence_in_words(lane.confidence),
            "colour": lane.colour % 8,
            "start": track.start_ms,
            "end": track.end_ms,
            "boxes": [[box.pts_ms, *box.xyxy] for box in track.boxes],
        }
        for lane in lanes
        for track in lane.tracks
    ]
