"""``annotator strangers``."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from shlex import quote
from typing import Any, Final

from sqlalchemy import Connection, func, select

from annotator.build import build_gallery, build_identifier, build_source
from annotator.cli.database import open_store
from annotator.cli.enrolling import show_new_names
from annotator.cli.output import err, out, print_csv, print_json_line, print_table, progress, remark
from annotator.cli.pages import write_page
from annotator.errors import EnrollmentError, ModelError, StrangerError
from annotator.media import Sampling
from annotator.promotion.pictures import face_pictures
from annotator.promotion.report import page
from annotator.recognition.enrollment import check_who
from annotator.recognition.gallery import Gallery
from annotator.recognition.labels import check_name
from annotator.results import span_in_words
from annotator.settings import Settings, load_settings
from annotator.store.backlog.view_file import read_views
from annotator.store.identities import ids_of
from annotator.store.registry import active_network, shown_network
from annotator.store.rollups import catch_up
from annotator.store.store import Store
from annotator.store.strangers.counting import count_strangers
from annotator.store.strangers.decisions import (
    find_group,
    merge_groups,
    name_group,
    network_of_strangers,
    split_group,
)
from annotator.store.strangers.faces import best_tracks
from annotator.store.strangers.listing import Stranger, StrangerTrack, list_strangers, tracks_of_stranger
from annotator.store.strangers.running import Grouped, group_strangers
from annotator.store.strangers.unnaming import Unnamed
from annotator.store.tables import annotations, identities
from annotator.types import Identity

MOST_PICTURES: Final = 60
"""Faces on a contact sheet: each takes the decoding of a clip."""

MOST_LINES: Final = 40
"""Tracks that the table shows; the JSON has them all."""


def group(*, is_anew: bool, as_json: bool, settings: Mapping[str, Any]) -> None:
    """Let the tracks of what is annotated find their groups, and say what that came to.

    Raises:
        ConfigError: nothing is annotated, or the model's embedder is not that of what is shown.
        GroupingTakenError: another process does it just now.

    """
    loaded = load_settings(**settings)
    reached = 0
    with open_store(loaded, must_exist=True) as store, progress("grouping", total=newest_content(store)) as advance:

        def on_batch(last: int, _: int) -> None:
            nonlocal reached
            advance(last - reached)
            reached = last

        done = group_new(store, loaded, is_anew=is_anew, on_batch=on_batch)
    if as_json:
        print_json_line(asdict(done))
        return
    if done.is_anew:
        remark("All groups were made anew, around those about which somebody has decided.")
    out().print(in_words(done), soft_wrap=True)


def group_new(
    store: Store, settings: Settings, *, is_anew: bool = False, on_batch: Callable[[int, int], None] | None = None
) -> Grouped:
    """Let the tracks of what is annotated find their groups.

    Args:
        store: the database.
        settings: where the model is.
        is_anew: make all groups anew, but for what a person has decided.
        on_batch: told of each batch, up to which content it went, and which one is the last.

    Raises:
        ConfigError: nothing is annotated, or the model's embedder is not that of what is shown.
        GroupingTakenError: another process does it just now.

    """
    gallery = build_gallery(settings, store=store)
    with store.reading() as connection:
        network_id = shown_network(connection, embedder=gallery.embedder)
    total = newest_content(store)

    def on_contents(last: int) -> None:
        if on_batch is not None:
            on_batch(last, max(last, total))

    done = group_strangers(store.engine, gallery.bundle, network_id, is_anew=is_anew, on_batch=on_contents)
    if done.contents or done.is_anew:
        count_strangers(store.engine)
    return done


def newest_content(store: Store) -> int:
    """Return the id of the newest content of the network that is shown; 0 where there is none."""
    with store.reading() as connection:
        newest = select(func.max(annotations.c.content_id)).where(
            annotations.c.network_id == active_network(connection)
        )
        return connection.execute(newest).scalar_one() or 0


def in_words(done: Grouped) -> str:
    """Return what grouping came to."""
    if not done.contents:
        return "everything is grouped already"
    return (
        f"{done.tracks:,} tracks of {done.contents:,} clips: {done.founded:,} new groups, {done.united:,} became part"
        f" of others; {done.too_poor:,} tracks are too poor for one"
    )


def show_list(
    *, limit: int, min_media: int, has_known: bool, views: Path | None, form: str, settings: Mapping[str, Any]
) -> None:
    """Print groups, those that are seen most first.

    Raises:
        StrangerError: nothing is grouped yet.
        ConfigError: the file of views cannot be read.

    """
    with open_store(load_settings(**settings), must_exist=True) as store:
        network_of_strangers(store.engine)
        viewed = None if views is None else list(read_views(views))
        with store.reading() as connection:
            found = list_strangers(connection, limit=limit, min_media=min_media, has_known=has_known, views=viewed)
    lines = [_line(one) for one in found]
    if form == "json":
        for line in lines:
            print_json_line(line)
    elif form == "csv":
        print_csv(_COLUMNS, [list(line.values()) for line in lines])
    elif not found:
        remark("Nobody: `annotator strangers group` groups what is annotated; --all and --min-media 1 show more.")
    else:
        _print_table(found, has_views=viewed is not None)


_COLUMNS: Final = (
    *("stranger", "identity", "resembles", "media", "contents", "tracks", "named_tracks", "screen_time_ms"),
    *("face_px", "views", "first_annotated_at", "last_annotated_at"),
)


def _line(one: Stranger) -> dict[str, Any]:
    facts = asdict(one) | {"stranger": one.number}
    facts |= {name: getattr(one, name).isoformat() for name in ("first_annotated_at", "last_annotated_at")}
    return {name: facts[name] for name in _COLUMNS}


def _print_table(found: Sequence[Stranger], *, has_views: bool) -> None:
    header = ["stranger", *(["views"] if has_views else []), "media", "tracks", "on screen", "largest face", "who"]
    rows = [
        [
            str(one.number),
            *([f"{one.views:,.0f}"] if one.views is not None else []),
            f"{one.media:,}",
            f"{one.tracks:,}",
            f"{one.screen_time_ms / 1000:.1f} s",
            f"{one.face_px:.0f} px",
            _who(one),
        ]
        for one in found
    ]
    print_table(header, rows, right=header[:-1])


def _who(one: Stranger) -> str:
    if one.identity is not None:
        return one.identity
    if one.resembles is None:
        return ""
    return f"{one.named_tracks} more {'is' if one.named_tracks == 1 else 'are'} {one.resembles}"


def show_stranger(number: int, *, html: Path | None, as_json: bool, settings: Mapping[str, Any]) -> None:
    """Print the tracks of a group, and write its faces on a page.

    Raises:
        StrangerError: there is no such group.
        LocalDiskError: the page cannot be written.

    """
    loaded = load_settings(**settings)
    with open_store(loaded, must_exist=True) as store:
        network_id = network_of_strangers(store.engine)
        with store.reading() as connection:
            found_as = find_group(connection, network_id, number).number
            seen = tracks_of_stranger(connection, found_as)
        if html is not None:
            shown = sorted(_once(seen), key=lambda one: -one.quality)[:MOST_PICTURES]
            with err().status("cutting faces out of their media"):
                source = build_source(loaded, sampling=Sampling.all())
                pictures = face_pictures(store, network_id, shown, source)
            write_page(html, _sheet(found_as, shown, pictures, left_out=len(_once(seen)) - len(shown)))
    if as_json:
        for one in seen:
            print_json_line({"stranger": found_as, **asdict(one)})
        return
    _print_tracks(found_as, seen)
    if html is not None:
        missing = sum(picture is None for picture in pictures)
        lost = f"; {missing} cannot be shown: the media are gone or have changed" if missing else ""
        remark(f"faces in {html}: {len(shown) - missing}{lost}")


def _once(seen: Sequence[StrangerTrack]) -> list[StrangerTrack]:
    """Return each track once, however many media hold its clip."""
    return list({(one.content_id, one.track_no): one for one in reversed(seen)}.values())[::-1]


def _print_tracks(number: int, seen: Sequence[StrangerTrack]) -> None:
    rows = [
        [
            f"{one.media_uri}#{one.track_no}",
            span_in_words(one.first_seen_ms, one.last_seen_ms),
            f"{one.screen_time_ms / 1000:.1f} s",
            f"{one.face_px:.0f} px",
            one.identity or "",
        ]
        for one in seen[:MOST_LINES]
    ]
    print_table(["track", "when", "on screen", "face", "who"], rows, right=["on screen", "face"])
    if len(seen) > MOST_LINES:
        remark(f"{len(seen) - MOST_LINES:,} more: --json tells them all")
    if not seen:
        remark(f"stranger {number} is seen in no media any more")


def _sheet(number: int, seen: Sequence[StrangerTrack], pictures: Sequence[bytes | None], *, left_out: int) -> str:
    parts = list(_faces(seen, pictures))
    if left_out:
        parts.append(f"<p>{left_out:,} tracks with smaller or less sharp faces are left out.</p>")
    return page(f"Stranger {number}", parts)


def _faces(seen: Sequence[StrangerTrack], pictures: Sequence[bytes | None]) -> Iterator[str]:
    yield '<div class="flips">'
    for one, picture in zip(seen, pictures, strict=True):
        shown = '<div class="none">no picture</div>'
        if picture is not None:
            shown = f'<img alt="a face" src="data:image/jpeg;base64,{base64.b64encode(picture).decode("ascii")}">'
        name = f"<strong>{escape(one.identity)}</strong><br>" if one.identity else ""
        yield (
            f"<figure>{shown}<figcaption>{name}<small>{escape(one.media_uri)}#{one.track_no}, from "
            f"{one.first_seen_ms / 1000:.1f} s, face {one.face_px:.0f} px</small></figcaption></figure>"
        )
    yield "</div>"


@dataclass(frozen=True, slots=True)
class NamedStranger:
    """What naming a group came to.

    Attributes:
        number: of the group, by now.
        name: the person's, as it is kept.
        tracks: how many of the group's tracks count as photographs of the person.

    """

    number: int
    name: str
    tracks: int


def enroll_stranger(
    store: Store,
    gallery: Gallery,
    number: int,
    name: str,
    *,
    note: Callable[[Connection], None] = lambda _: None,
) -> NamedStranger:
    """Enroll the best tracks of a group as a person. What is stored is not labelled anew yet.

    Args:
        store: the database.
        gallery: of the model that is shown.
        number: of the group.
        name: the person's.
        note: keeps what else is to be known of it, in the transaction in which the group gets its name.

    Raises:
        StrangerError: there is no such group, or it has another name already.
        EnrollmentError: the faces are somebody else's to the model, or the name cannot be one.
        ConfigError: the gallery is of another model than what is shown.

    """
    identity = Identity(name.strip())
    try:
        check_name(identity.name)
    except ModelError as error:
        raise EnrollmentError(str(error)) from error
    network_id = network_of_strangers(store.engine)
    with store.reading() as connection:
        shown_network(connection, embedder=gallery.embedder)  # else what is grouped cannot be compared with the model
        stranger = find_group(connection, network_id, number)
        _check_unnamed(stranger.identity_id, identity, number, names=_names(store, stranger.identity_id))
        best = best_tracks(connection, network_id, stranger.number, bundle=gallery.bundle)
    check_who(identity, best.embeddings, best.face_px.tolist(), gallery)
    identity = store.add_enrolled(
        identity, embedder=gallery.embedder, embeddings=best.embeddings, photo_sha256=best.digests
    )
    with store.writing() as connection:
        identity_id = ids_of(connection, {identity.name})[identity.name]
    name_group(store.engine, network_id, stranger.number, identity_id, note=note)
    return NamedStranger(stranger.number, identity.name, len(best))


def name_stranger(number: int, name: str, *, settings: Mapping[str, Any]) -> None:
    """Enroll the best tracks of a group as a person, and give what is stored the new name.

    Raises:
        StrangerError: there is no such group, or it has another name already.
        EnrollmentError: the faces are somebody else's to the model, or the name cannot be one.

    """
    loaded = load_settings(**settings)
    with open_store(loaded, must_exist=True) as store:
        network_id = network_of_strangers(store.engine)
        done = enroll_stranger(store, build_gallery(loaded, store=store), number, name)
        counted = "1 track" if done.tracks == 1 else f"{done.tracks} tracks"
        out().print(f"{done.name} is known now, from {counted} of stranger {done.number}", markup=False)
        changed = show_new_names(store, build_identifier(loaded, build_gallery(loaded, store=store)), network_id)
        with store.reading() as connection:
            seen = _once(tracks_of_stranger(connection, done.number))
    named = sum(one.identity == done.name for one in seen)
    rest = "" if named == len(seen) else "; the others are too unlike the best ones to be sure"
    remark(
        f"{changed:,} contents have been compared with the new face, without decoding. {named:,} of {len(seen):,}"
        f" tracks of the group have the name{rest}."
    )


def merge_strangers(number: int, into: int, *, settings: Mapping[str, Any]) -> None:
    """Make two groups one, for good.

    Raises:
        StrangerError: one of them is not there, or they cannot be one.

    """
    with open_store(load_settings(**settings), must_exist=True) as store:
        network_id = network_of_strangers(store.engine)
        kept = merge_groups(store.engine, network_id, number, into)
    out().print(f"stranger {number} is stranger {kept.number} now, and stays so")


def split_stranger(number: int, tracks: Sequence[str], *, settings: Mapping[str, Any]) -> None:
    """Make some tracks of a group another one, for good.

    Args:
        number: of the group.
        tracks: ``MEDIA#TRACK`` as ``show`` tells them; of a media's URI the end is enough.
        settings: values for ``load_settings``.

    Raises:
        StrangerError: there is no such group, or a track is not in it.

    """
    loaded = load_settings(**settings)
    with open_store(loaded, must_exist=True) as store:
        network_id = network_of_strangers(store.engine)
        gallery = build_gallery(loaded, store=store)
        with store.reading() as connection:
            found_as = find_group(connection, network_id, number).number
            seen = tracks_of_stranger(connection, found_as)
        keys = [_key_of(given, seen, number) for given in tracks]
        new = split_group(store.engine, network_id, found_as, keys=keys, bundle=gallery.bundle)
        counted = "1 track is" if new.tracks == 1 else f"{new.tracks:,} tracks are"
        out().print(f"{counted} stranger {new.number} now, and not stranger {found_as}; that stays so")
        if new.unnamed is None:
            return
        _tell_unnamed(new.unnamed, found_as)
        if new.unnamed.enrolled:
            show_new_names(store, build_identifier(loaded, build_gallery(loaded, store=store)), network_id)
        catch_up(store.engine)


def _tell_unnamed(unnamed: Unnamed, number: int) -> None:
    name = unnamed.identity.name
    remark(f"It was said of them that they are not {name}: `annotator corrections` lists it.")
    if unnamed.enrolled:
        counted = "1 of them counts" if unnamed.enrolled == 1 else f"{unnamed.enrolled} of them count"
        more = "" if unnamed.left else f" `annotator strangers name {number} {quote(name)}` lets the others count."
        remark(f"{counted} as a photograph of {name} no more.{more}")


def _key_of(given: str, seen: Sequence[StrangerTrack], number: int) -> tuple[int, int]:
    """Return the track of a group that ``MEDIA#TRACK`` means."""
    media, _, track = given.rpartition("#")
    if not media or not track.isdecimal():
        raise StrangerError(f"{given!r} is no track: write MEDIA#TRACK as `annotator strangers show {number}` does")
    fitting = [one for one in seen if one.track_no == int(track)]
    exact = {(one.content_id, one.track_no) for one in fitting if one.media_uri == media}
    found = exact or {(one.content_id, one.track_no) for one in fitting if one.media_uri.endswith(f"/{media}")}
    if len(found) != 1:
        what = "means several tracks" if found else "is not a track"
        raise StrangerError(f"{given!r} {what} of stranger {number}: `annotator strangers show {number}` lists them")
    return found.pop()


def _names(store: Store, identity_id: int | None) -> frozenset[str]:
    """Return what somebody is called."""
    if identity_id is None:
        return frozenset()
    with store.reading() as connection:
        survivor = select(identities.c.survivor_id).where(identities.c.id == identity_id).scalar_subquery()
        return frozenset(
            connection.execute(select(identities.c.name).where(identities.c.survivor_id == survivor)).scalars()
        )


def _check_unnamed(identity_id: int | None, identity: Identity, number: int, *, names: frozenset[str]) -> None:
    if identity_id is not None and identity.name not in names:
        known = min(names)
        raise StrangerError(
            f"stranger {number} is {known} already: correct that by"
            f' `annotator identities --rename "{known}" "{identity.name}"`'
        )
