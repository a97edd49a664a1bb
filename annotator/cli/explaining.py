"""``annotator explain``."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from annotator.build import build_annotator, s3_access
from annotator.cli.database import open_store
from annotator.cli.entry import FAILED, OK
from annotator.cli.output import err, out, print_json_line, print_table, remark
from annotator.cli.pages import write_page
from annotator.decoding import PipelineParams
from annotator.errors import ConfigError
from annotator.explaining.explanation import ExplainedTrack, Explanation, MadeWith, Said, SaidWord, masked
from annotator.explaining.page import explanation_html
from annotator.explaining.reasoning import explain
from annotator.explaining.watching import SeenFaces
from annotator.explaining.words import said_in_words, score_in_words, shown_as, what_would_change, why
from annotator.media import expand_sources
from annotator.pipeline import Annotator
from annotator.results import confidence_in_words, span_in_words
from annotator.settings import Settings, load_settings
from annotator.store.connection import sqlite_path
from annotator.store.corrections.fresh import correct_fresh
from annotator.store.registry import canonical_json
from annotator.store.store import Store
from annotator.types import MediaAnnotation, MediaFailure, MediaRef

PAGE_SUFFIX: Final = ".explained.html"


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """The options of ``annotator explain``.

    Attributes:
        track_no: only this track; None for all.
        html: where the page goes; None is beside where the command runs, under the media's name, unless ``as_json``.
        as_json: a JSON object instead of a table.
        has_database: whether the people of the database count.
        settings: values for ``load_settings``.

    """

    track_no: int | None = None
    html: Path | None = None
    as_json: bool = False
    has_database: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)


def explain_media(source: str, options: ExplainOptions) -> int:
    """Annotate one media, say why its tracks are called what they are, and write the page.

    Returns:
        The exit code: 1 where the media cannot be annotated.

    Raises:
        ConfigError: the settings cannot work, the source is several media, or there is no such track.
        InputError: the source is not there.

    """
    settings = load_settings(**options.settings)
    media = _only_media(source, settings)
    with _people_of(settings, options) as store:
        seen = SeenFaces()
        with err().status("loading the model"):
            params = PipelineParams(decoders=1, keep_faces=True)
            annotator = build_annotator(settings, store=store, params=params, watch=seen)
        with err().status("looking at it"):
            (outcome,) = annotator.annotate([media])
        said = (
            {} if store is None or not isinstance(outcome, MediaAnnotation) else words_said(store, outcome, annotator)
        )
    if isinstance(outcome, MediaFailure):
        remark(f"{masked(media.media_id)}: {masked(outcome.message)}")
    if not isinstance(outcome, MediaAnnotation):
        return FAILED
    database = None if store is None else str(settings.database_url)
    explanation = explain(
        outcome,
        seen,
        annotator.identifier,
        made_with=made_with(annotator, database),
        track_no=options.track_no,
        said=said,
    )
    _tell(explanation, options, media)
    return OK


def _only_media(source: str, settings: Settings) -> MediaRef:
    with err().status("looking for the media"):
        found = expand_sources([source], s3=s3_access(settings))
    if len(found) == 1:
        return found[0]
    what = f"there are {len(found):,} media" if found else "there is no media"
    raise ConfigError(f"{what} in {masked(source)}: give one file or address, for one page explains one media")


@contextmanager
def _people_of(settings: Settings, options: ExplainOptions) -> Iterator[Store | None]:
    """Open the database whose people count; one that was not named and is not there has none."""
    path = sqlite_path(settings.database_url.get_secret_value())
    is_named = options.settings.get("database_url") is not None
    if not options.has_database or (not is_named and path is not None and not path.exists()):
        yield None
        return
    with open_store(settings, must_exist=True) as store:
        yield store


def words_said(store: Store, outcome: MediaAnnotation, annotator: Annotator) -> dict[int, Said]:
    """Return what people have said of the tracks of a fresh annotation, by number, and what they are by that."""
    with store.reading() as connection:
        corrected = correct_fresh(connection, outcome, calibration=annotator.identifier.calibration)
    return {
        track_no: Said(
            tuple(SaidWord(word.verdict, word.identity, word.said_by, word.said_at) for word in one.words), one.label
        )
        for track_no, one in corrected.items()
    }


def made_with(annotator: Annotator, database: str | None) -> MadeWith:
    """Return what an explanation was made with.

    Args:
        annotator: has looked at the media.
        database: what the database is called whose people count; None for those of the model alone.

    """
    identifier, spec = annotator.identifier, annotator.network_spec
    return MadeWith(
        model=annotator.model,
        labelling_digest=identifier.digest,
        network_digest=hashlib.sha256(canonical_json(spec).encode()).hexdigest(),
        network=spec,
        calibration=identifier.calibration,
        people=len(identifier.identities),
        database=database,
    )


def _tell(explanation: Explanation, options: ExplainOptions, media: MediaRef) -> None:
    page = options.html or (None if options.as_json else default_page(media))
    if page is not None:
        write_page(page, explanation_html(explanation))
    if options.as_json:
        print_json_line(explanation.to_json())
    else:
        _print(explanation)
    if page is not None:
        remark(f"The page with the faces is {page}.")


def default_page(media: MediaRef) -> Path:
    """Return a path in the working folder, under the last part of the media's name without what an address may add."""
    name = PurePosixPath(masked(media.media_id).partition("?")[0].partition("#")[0]).name
    return Path((name or "media") + PAGE_SUFFIX)


def _print(explanation: Explanation) -> None:
    if not explanation.tracks:
        out().print("no face was found")
        return
    header = ["track", "who", "score", "threshold", "confidence", "faces", "when"]
    print_table(header, [_row(track) for track in explanation.tracks], right=header[2:6])
    if len(explanation.tracks) > 1:
        return
    (track,) = explanation.tracks
    for sentence in (
        "",
        *said_in_words(track),
        why(track),
        *what_would_change(track, explanation.made_with.calibration),
    ):
        out().print(sentence, markup=False, soft_wrap=True)


def _row(track: ExplainedTrack) -> list[str]:
    used = sum(face.use == "used" for face in track.faces)
    return [
        str(track.track_no),
        shown_as(track),
        score_in_words(track.people[0].score) if track.people else "",
        score_in_words(track.min_score),
        "" if track.label.confidence is None else confidence_in_words(track.label.confidence),
        f"{used} of {len(track.faces)}",
        span_in_words(track.start_ms, track.end_ms),
    ]
