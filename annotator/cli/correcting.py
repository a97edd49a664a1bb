"""``annotator correct`` and ``annotator corrections``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotator.build import build_annotator, build_gallery, build_identifier, build_source
from annotator.cli.database import open_store
from annotator.cli.enrolling import show_new_names
from annotator.cli.entry import FAILED, OK
from annotator.cli.output import err, out, print_json_line, print_table, progress, remark
from annotator.decoding import PipelineParams
from annotator.media import Sampling
from annotator.recognition.enrollment import MIN_ENROLLED_TRACK_PX
from annotator.results import span_in_words
from annotator.settings import load_settings
from annotator.store.corrections.evidence import enroll_corrected
from annotator.store.corrections.export import write_crops
from annotator.store.corrections.listing import Correction, list_corrections
from annotator.store.corrections.photographs import write_photographs
from annotator.store.corrections.saying import Corrected, correct_track, withdraw_corrections
from annotator.store.corrections.words import CorrectionVerdict
from annotator.store.registry import shown_network
from annotator.store.rollups import catch_up
from annotator.store.store import Store
from annotator.types import Identity, MediaRef


@dataclass(frozen=True, slots=True)
class CorrectOptions:
    """The options of ``annotator correct``.

    Attributes:
        track_no: of which track.
        verdict: what is said of it; None withdraws all that was said.
        name: whose name.
        is_new: whether a person is added where nobody has the name.
        as_json: a JSON line instead of a sentence.
        settings: values for ``load_settings``.

    """

    track_no: int
    verdict: CorrectionVerdict | None
    name: str = ""
    is_new: bool = False
    as_json: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


def correct(source: str, options: CorrectOptions) -> None:
    """Say who a track is, or is not, or take that back; and what became of it.

    Raises:
        CorrectionError: there is no such media or track, or nothing to withdraw.
        IdentityError: nobody has the name, or several.

    """
    media = media_of(source)
    with open_store(load_settings(**options.settings), must_exist=True) as store:
        if options.verdict is None:
            done = withdraw_corrections(store.engine, media, options.track_no)
        else:
            done = correct_track(
                store.engine,
                media,
                options.track_no,
                verdict=options.verdict,
                name=options.name,
                is_new=options.is_new,
            )
        catch_up(store.engine)
    if options.as_json:
        print_json_line(
            {
                "media": source,
                "track": done.track_no,
                "before": _name(done.before),
                "now": _name(done.now),
                "withdrawn": done.words if options.verdict is None else 0,
            }
        )
        return
    out().print(_in_words(source, done), markup=False, soft_wrap=True)
    if options.verdict is None:
        remark(
            f"{done.words} {'word was' if done.words == 1 else 'words were'} withdrawn: the model's answer holds again."
        )


def media_of(source: str) -> MediaRef:
    """Return the media of a path or address, which need not be there any more."""
    return MediaRef(source, source if "://" in source else Path(source).resolve().as_uri())


def _name(identity: Identity | None) -> str | None:
    return None if identity is None else identity.name


def _in_words(source: str, done: Corrected) -> str:
    before, now = (_name(one) or "unknown" for one in (done.before, done.now))
    change = f"stays {now}" if before == now else f"is {now} now, and was {before}"
    return f"track {done.track_no} of {source} ({span_in_words(done.start_ms, done.end_ms)}) {change}"


def show_corrections(*, only_unmatched: bool, has_all: bool, as_json: bool, settings: Mapping[str, Any]) -> None:
    """Print what people have said.

    Args:
        only_unmatched: only what finds no track of what is shown.
        has_all: also what was withdrawn, and what newer words have overtaken.
        as_json: JSON lines instead of a table.
        settings: values for ``load_settings``.

    """
    with open_store(load_settings(**settings), must_exist=True) as store, store.reading() as connection:
        shown = [one for one in list_corrections(connection) if _is_wanted(one, only_unmatched, has_all)]
    if as_json:
        for one in shown:
            print_json_line(_to_json(one))
    elif shown:
        header = ["media", "track", "when", "verdict", "who", "said by", "on", "remark"]
        print_table(header, [_row(one) for one in shown], right=["track"])
    else:
        remark(
            "Nothing: " + ("all that was said finds its track." if only_unmatched else "`annotator correct` says it.")
        )


def _is_wanted(one: Correction, only_unmatched: bool, has_all: bool) -> bool:  # noqa: FBT001  (two options)
    if only_unmatched:
        return one.withdrawn_at is None and one.track_no is None
    return has_all or (one.withdrawn_at is None and not one.is_overtaken)


def _to_json(one: Correction) -> dict[str, Any]:
    shares = one.boxes.shares
    return {
        "correction": one.correction_id,
        "media_uri": one.media_uri,
        "track": one.track_no,
        "start_ms": shares[0][0],
        "end_ms": shares[-1][1],
        "verdict": one.verdict,
        "identity": one.identity.name,
        "said_by": one.said_by,
        "said_at": one.said_at.isoformat(),
        "withdrawn_at": None if one.withdrawn_at is None else one.withdrawn_at.isoformat(),
        "overtaken": one.is_overtaken,
        "unmatched": one.why_unmatched,
    }


def _row(one: Correction) -> list[str]:
    shares = one.boxes.shares
    why = "withdrawn" if one.withdrawn_at else "overtaken by a newer word" if one.is_overtaken else one.why_unmatched
    return [
        one.media_uri or "(gone)",
        "" if one.track_no is None else str(one.track_no),
        span_in_words(shares[0][0], shares[-1][1]),
        one.verdict,
        one.identity.name,
        one.said_by,
        f"{one.said_at:%Y-%m-%d}",
        why or "",
    ]


def _standing(store: Store) -> list[Correction]:
    """Return the words «is» that hold: who a face is by somebody's word."""
    with store.reading() as connection:
        return [
            one
            for one in list_corrections(connection)
            if one.verdict == "is" and one.withdrawn_at is None and not one.is_overtaken
        ]


def export_corrections(folder: Path, *, whole: bool, missing_ok: bool, settings: Mapping[str, Any]) -> int:
    """Write pictures of tracks that are somebody by a person's word, a folder for each person.

    Args:
        folder: where they go.
        whole: photographs, as `trainer prepare` takes them, instead of aligned faces.
        missing_ok: it is no failure that media cannot be read, or do not show the face again.
        settings: values for ``load_settings``.

    Returns:
        The exit code: 1 where some media could not be read, or did not show the face again, and that is a failure.

    Raises:
        ConfigError: the folder cannot be written.

    """
    loaded = load_settings(**settings)
    with open_store(loaded, must_exist=True) as store:
        standing = _standing(store)
        if not standing:
            remark("Nobody has said yet who somebody is: `annotator correct MEDIA --track N --is NAME` does.")
        if whole:
            source = build_source(loaded, sampling=Sampling.all())
            with progress("reading media", total=len(standing)) as advance:
                written = write_photographs(store, source, standing, folder, on_media=advance)
        elif standing:
            with err().status("loading the model"):
                annotator = build_annotator(loaded, store=store, params=PipelineParams(keep_faces=True))
            with progress("reading media", total=len({one.content_id for one in standing})) as advance:
                written = write_crops(store, annotator, standing, folder, on_media=advance)
        else:
            return OK
    what = "photographs" if whole else "faces"
    out().print(
        f"{written.crops:,} {what} of {written.people:,} people, from {written.tracks:,} tracks, are in {folder}",
        markup=False,
        soft_wrap=True,
    )
    for media, why in written.left_out:
        remark(f"{media}: {why}")
    return FAILED if written.left_out and not missing_ok else OK


def enroll_corrections(*, settings: Mapping[str, Any]) -> None:
    """Enroll the tracks that are somebody by a person's word, and give what is stored the new names.

    Raises:
        ConfigError: nothing is annotated, or by another embedder than the model's.

    """
    loaded = load_settings(**settings)
    with open_store(loaded, must_exist=True) as store:
        standing = _standing(store)
        gallery = build_gallery(loaded, store=store)
        with store.writing() as connection:
            network_id = shown_network(connection, embedder=gallery.embedder)
            done = enroll_corrected(
                connection, standing, network_id=network_id, embedder=gallery.embedder, bundle=gallery.bundle
            )
        _tell_enrolled(done.people, done.added, done.too_poor)
        if not done.added:
            return
        changed = show_new_names(store, build_identifier(loaded, build_gallery(loaded, store=store)), network_id)
    remark(f"{changed:,} contents have been compared with the new faces, without decoding.")


def _tell_enrolled(people: Sequence[str], added: int, too_poor: int) -> None:
    if added:
        counted = "1 track counts" if added == 1 else f"{added:,} tracks count"
        out().print(f"{counted} as evidence of {', '.join(people)} now", markup=False, soft_wrap=True)
    else:
        remark("Nothing new: all tracks that are somebody by a person's word are enrolled already.")
    if too_poor:
        remark(
            f"{too_poor:,} tracks are not enrolled: their faces are under {MIN_ENROLLED_TRACK_PX:.0f} pixels, or too"
            " blurred, to know somebody by; `annotator enroll NAME PHOTO…` takes photographs."
        )
