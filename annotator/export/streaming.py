"""An export as a stream of bytes, or as files of each media: what the command line and programs call."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine

from annotator.errors import ConfigError
from annotator.export import json_lines, rekognition, video_indexer, video_intelligence, webvtt
from annotator.export.files import write_folder
from annotator.export.parquet import parquet_pieces
from annotator.export.reading import read_media
from annotator.export.records import ExportedMedia
from annotator.export.rows import RowKind, csv_lines
from annotator.export.selection import Selection

# What is written of each media: for which person, "" for all, and the text.
_Files = Callable[[ExportedMedia], Iterator[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Form:
    """A form of export.

    Attributes:
        suffix: of its files.
        encode: media to bytes; None where there is no form of many media in one file.
        files: the files of one media; None where there is none.

    """

    suffix: str
    encode: Callable[[Iterable[ExportedMedia], RowKind], Iterator[bytes]] | None
    files: _Files | None


def _lines_of(document: Callable[[ExportedMedia], dict[str, Any]]) -> Callable[..., Iterator[bytes]]:
    def encode(media: Iterable[ExportedMedia], _kind: RowKind) -> Iterator[bytes]:
        for one in media:
            yield json.dumps(document(one), ensure_ascii=False).encode() + b"\n"

    return encode


def _file_of(document: Callable[[ExportedMedia], dict[str, Any]]) -> _Files:
    def files(media: ExportedMedia) -> Iterator[tuple[str, str]]:
        yield "", json.dumps(document(media), ensure_ascii=False, indent=1) + "\n"

    return files


def _json_form(document: Callable[[ExportedMedia], dict[str, Any]]) -> Form:
    return Form(".json", _lines_of(document), _file_of(document))


def _csv(media: Iterable[ExportedMedia], kind: RowKind) -> Iterator[bytes]:
    return (piece.encode() for piece in csv_lines(media, kind))


FORMS: Final[dict[str, Form]] = {
    "jsonl": _json_form(json_lines.to_line),
    "csv": Form(".csv", _csv, None),
    "parquet": Form(".parquet", parquet_pieces, None),
    "webvtt": Form(webvtt.SUFFIX, None, webvtt.webvtt_files),
    "rekognition": _json_form(rekognition.to_response),
    "video-intelligence": _json_form(video_intelligence.to_response),
    "video-indexer": _json_form(video_indexer.to_insights),
}


def stream(
    engine: Engine,
    form: str,
    selection: Selection,
    *,
    rows: RowKind = "people",
    on_media: Callable[[], None] = lambda: None,
) -> Iterator[bytes]:
    """Yield an export piece by piece, in little memory however much is exported.

    Args:
        engine: of the database.
        form: one of ``FORMS`` that has an ``encode``.
        selection: what is exported.
        rows: what a row of a table is.
        on_media: called for each media.

    Raises:
        ConfigError: there is no such form of many media, nothing is annotated yet, or there is no such model.
        AnnotatorError: as of ``annotator.export.reading.read_media``.

    """
    encode = _form(form).encode
    if encode is None:
        raise ConfigError(f"{form} has files for each media: --output must be a folder")
    return encode(_watched(read_media(engine, selection), on_media), rows)


def write_files(
    engine: Engine, form: str, selection: Selection, folder: Path, *, on_media: Callable[[], None] = lambda: None
) -> int:
    """Write files of each media into a new folder, which appears when all are there.

    Args:
        engine: of the database.
        form: one of ``FORMS`` that has ``files``.
        selection: what is exported.
        folder: must not be there, or be empty.
        on_media: called for each media.

    Returns:
        How many files.

    Raises:
        ConfigError: there is no such form of single media, the folder holds something, or as of :func:`stream`.
        LocalDiskError: it cannot be written there.
        AnnotatorError: as of ``annotator.export.reading.read_media``.

    """
    chosen = _form(form)
    files = chosen.files
    if files is None:
        raise ConfigError(f"{form} is one file for all media: --output must not be a folder")
    media = _watched(read_media(engine, selection), on_media)
    return write_folder(folder, ((one, name, chosen.suffix, text) for one in media for name, text in files(one)))


def _form(name: str) -> Form:
    if name not in FORMS:
        raise ConfigError(f"there is no form {name}: give one of {', '.join(FORMS)}")
    return FORMS[name]


def _watched(media: Iterable[ExportedMedia], on_media: Callable[[], None]) -> Iterator[ExportedMedia]:
    for one in media:
        yield one
        on_media()
