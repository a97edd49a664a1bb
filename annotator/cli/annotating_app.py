"""``annotator annotate`` and ``annotator explain``: their arguments and their help."""

# ruff: noqa: PLC0415 - each imports what it needs when it runs: --help is quick

from pathlib import Path
from typing import Annotated, Any

import typer

from annotator.cli.arguments import one_sampling
from annotator.cli.options import (
    AllFrames,
    AsJson,
    Database,
    Every,
    Frames,
    MinFacePx,
    MinPrecision,
    Model,
    Prior,
)
from annotator.cli.processor import multiply_in_one_thread


def annotate(  # noqa: PLR0913 - options of a command
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE…", help="Files, folders, http(s) URLs, s3://BUCKET/PREFIX.")
    ],
    *,
    model: Model = None,
    frames: Frames = None,
    every: Every = None,
    all_frames: AllFrames = False,
    min_face_px: MinFacePx = None,
    min_precision: MinPrecision = None,
    prior: Prior = None,
    as_json: AsJson = False,
    render: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each clip again with boxes and names, and a contact sheet."),
    ] = None,
    redact: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|unknown|all",
            help="With --render: hide these faces, and look at every frame for them unless told otherwise; repeatable.",
        ),
    ] = None,
    no_save: Annotated[bool, typer.Option("--no-save", help="Leave the database alone.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Do it again, and replace what is saved.")] = False,
    database: Database = None,
) -> None:
    """Say who is in GIFs, videos and pictures, and when.

    Results are saved; what is annotated already is not decoded again. «unknown» is a normal answer.

    Examples:
    - `annotator annotate clips/` names everybody in a folder and below it
    - `annotator annotate film.mp4 --every 500ms --render out/` looks closer, and draws what it found
    - `annotator annotate film.mp4 --render out/ --redact "Amelia Earhart" --redact unknown` hides her, and strangers
    - `annotator annotate s3://bucket/gifs/ --json > found.jsonl` writes a line per media, for programs
    - `annotator annotate clips/ --min-precision 0.98` gives only names that are so sure

    Exit code: 0, or 1 where some media failed; the others are annotated all the same.

    """
    if redact and render is None:
        raise typer.BadParameter("--redact goes with --render")
    looks_closely = bool(redact) and frames is None and every is None
    sampling = one_sampling(frames, every, is_all=all_frames or looks_closely)
    multiply_in_one_thread()
    from annotator.cli.annotating import AnnotateOptions, annotate_sources

    settings: dict[str, Any] = {"model": model, "database_url": database, "sampling": sampling}
    settings |= {"detection": {"min_face_px": min_face_px}, "prior": prior, "min_precision": min_precision}
    options = AnnotateOptions(
        as_json=as_json,
        render_folder=render,
        redacted=tuple(redact or ()),
        is_saved=not no_save,
        is_refreshed=refresh,
        settings=settings,
    )
    raise typer.Exit(annotate_sources(sources, options))


def explain(  # noqa: PLR0913 - options of a command
    media: Annotated[
        str, typer.Argument(metavar="MEDIA", help="One file, http(s) URL or s3://BUCKET/KEY, as for `annotate`.")
    ],
    *,
    track: Annotated[
        int | None, typer.Option(min=0, help="Only this track, by the number that `annotate --json` gives it.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Where the page goes. [default: NAME.explained.html, none with --json]"),
    ] = None,
    as_json: AsJson = False,
    model: Model = None,
    frames: Frames = None,
    every: Every = None,
    all_frames: AllFrames = False,
    min_face_px: MinFacePx = None,
    min_precision: MinPrecision = None,
    prior: Prior = None,
    no_database: Annotated[
        bool, typer.Option("--no-database", help="Leave the database alone: only the model's own people count.")
    ] = False,
    database: Database = None,
) -> None:
    """Say why each face of a media got its name, or none: a page with the faces, to be looked at or sent.

    It is annotated anew, and nothing is saved. For each track: which faces count and why others do not, the nearest
    people with what their scores are made of, the threshold, the curve from score to confidence, and what would change
    the answer. The people of the database count as they do for `annotate`.

    Examples:
    - `annotator explain clip.gif` writes clip.gif.explained.html
    - `annotator explain film.mp4 --track 3 --html why.html`
    - `annotator explain clip.gif --json | jq '.tracks[].candidates[0]'`

    Exit code: 0, also where no face was found, or 1 where the media cannot be read.

    """
    sampling = one_sampling(frames, every, is_all=all_frames)
    if no_database and database is not None:
        raise typer.BadParameter("give --database or --no-database, not both")
    multiply_in_one_thread()
    from annotator.cli.explaining import ExplainOptions, explain_media

    settings: dict[str, Any] = {"model": model, "database_url": database, "sampling": sampling}
    settings |= {"detection": {"min_face_px": min_face_px}, "prior": prior, "min_precision": min_precision}
    options = ExplainOptions(
        track_no=track, html=html, as_json=as_json, has_database=not no_database, settings=settings
    )
    raise typer.Exit(explain_media(media, options))
