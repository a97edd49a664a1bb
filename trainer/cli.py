"""The command line: ``trainer``. Each command imports what it needs when it runs: ``--help`` is quick.

A command is one function that is registered with ``@app.command()``, reads its arguments, and calls the module that
does the work. Exit codes: 0 ok, 1 some items failed or something was found, 2 usage: an argument, a setting or data
that cannot be. What is known becomes one line with the remedy; a :class:`~trainer.problems.ProblemsError` becomes one
for each problem.
"""

# ruff: noqa: PLC0415 - see above

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from annotator import __version__
from annotator.cli.options import AsJson
from annotator.errors import AnnotatorError, ConfigError, InputError
from trainer.problems import ProblemsError

if TYPE_CHECKING:
    from trainer.settings import Device, TrainerSettings
    from trainer.workdir import Experiment

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it
DEBUG_OPTION: Final = "--debug"

ExperimentName = Annotated[
    str | None,
    typer.Argument(
        metavar="EXPERIMENT", help="Folder in the work directory.  \\[default: EXPERIMENT_FILENAME]", show_default=False
    ),
]
Workdir = Annotated[
    Path | None,
    typer.Option("--workdir", metavar="DIR", help="The work directory. [default: WORKDIR, else workdir]"),
]

app = typer.Typer(
    name="trainer",
    help="Make a model of your own people from photographs.",
    epilog="The photographs of an experiment lie in WORKDIR/EXPERIMENT/raw_dataset, a folder for each person, beside"
    " labels.csv. Start with: trainer prepare EXPERIMENT --workdir WORKDIR, then trainer doctor EXPERIMENT.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_wanted: bool) -> None:  # noqa: FBT001 - called by the parser
    if is_wanted:
        typer.echo(f"trainer {__version__}")
        raise typer.Exit


@app.callback()
def _everywhere(
    *,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    _debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    pass


@app.command()
def check(
    experiment: ExperimentName = None,
    *,
    workdir: Workdir = None,
    write_labels: Annotated[
        bool, typer.Option("--write-labels", help="Write labels.csv from the folders, where there is none.")
    ] = False,
) -> None:
    """Say all that is wrong with an experiment's folders, labels, photographs and weights, in one go.

    `trainer prepare` does so, too, before it begins. Nothing is changed, and a labels.csv that is there never.

    Examples:
    - `trainer check example_experiment --workdir workdir`
    - `trainer check example_experiment --write-labels` makes a class of each folder of photographs

    """
    from trainer.checking import check_experiment

    check_experiment(_open(experiment, workdir), writes_labels=write_labels)


@app.command("import-giphy")
def import_giphy(
    archive: Annotated[
        Path, typer.Argument(metavar="ARCHIVE", help="GIPHY's resources.tar.gz, or the folder unpacked from it.")
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write; must be new or empty.")] = Path("giphy"),
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The release's labels.csv. [default: that of the archive]")
    ] = None,
) -> None:
    """Import the model of GIPHY's open release, without PyTorch; nothing in it is run.

    Example: `trainer import-giphy resources.tar.gz --out models/giphy`

    """
    from trainer.giphy.importing import import_giphy as run_import

    made = run_import(archive, out, labels=labels)
    typer.echo(f"{made.people} people, the network and its classes are in {made.folder}")


@app.command()
def prepare(  # noqa: PLR0913 - options of a command
    experiment: ExperimentName = None,
    *,
    workdir: Workdir = None,
    crop: Annotated[
        Literal["aligned", "box"],
        typer.Option(help="Faces turned and scaled by their landmarks, or the detector's box stretched to a square."),
    ] = "aligned",
    size: Annotated[int, typer.Option(metavar="PX", min=16, max=1024, help="Side of a crop.")] = 112,
    margin: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Added on each side, as a share of it. [default: 0; 0.1 with box]"),
    ] = None,
    all_faces: Annotated[
        bool, typer.Option("--all-faces", help="Every face of a photograph, not only the person's.")
    ] = False,
    min_face_px: Annotated[int, typer.Option(metavar="PX", min=12, help="Smallest face that is used.")] = 40,
    val_share: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of each person's photographs to evaluate on.")
    ] = 0.1,
    as_json: AsJson = False,
) -> None:
    """Cut the faces out of the photographs, into train_dataset and val_dataset.

    Only new and changed photographs are looked at; after a kill it goes on where it was. Of several faces the one is
    taken that agrees with the person's other photographs. Near-duplicates are never on both sides, and a photograph
    keeps its side (split.csv) whatever is added.

    Examples:
    - `trainer prepare example_experiment --workdir workdir`
    - `trainer prepare example_experiment --crop box --margin 0.1 --size 224` cuts as GIPHY's release does

    """
    from trainer.dataset.command import run_prepare
    from trainer.dataset.cutting import CropParams
    from trainer.dataset.preparing import PrepareParams

    params = PrepareParams(
        crop=CropParams(crop, size, margin if margin is not None else 0.1 if crop == "box" else 0.0),
        takes_all_faces=all_faces,
        min_face_px=min_face_px,
        val_share=val_share,
    )
    run_prepare(_open(experiment, workdir), params, device=_device(), as_json=as_json)


@app.command()
def collect(
    people: Annotated[
        list[str],
        typer.Argument(metavar="LABELS.csv|NAME…", help="A labels.csv, or names: 'Jane Doe (tennis player)'."),
    ],
    *,
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", metavar="NAME", help="Where to collect. [default: EXPERIMENT_FILENAME]"),
    ] = None,
    workdir: Workdir = None,
    contact: Annotated[
        str | None,
        typer.Option(envvar="TRAINER_CONTACT", help="Your e-mail address or page; Wikimedia asks for it."),
    ] = None,
    most: Annotated[int, typer.Option(metavar="N", min=1, max=500, help="Pictures fetched of one person.")] = 50,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask everything again, also about people who are through.")
    ] = False,
) -> None:
    """Collect photographs for a list of people from Wikidata and Wikimedia Commons, with authors and licences.

    Only the people of the list, and only adult public figures. Stop it at any time: the next run goes on. What is
    refused is in refused.csv with its reason; write your decisions into doubtful.csv and run it again.

    The licences are the photographers'. They are no consent of the people shown to biometric use: see
    docs/collecting.md before you use what you have collected.

    Examples:
    - `trainer collect labels.csv --experiment celebrities --contact jane@museum.nl`
    - `trainer collect "Jane Doe" "John Smith (painter)" --experiment mine --contact https://museum.nl/jane`

    """
    from trainer.collect.command import CollectOptions, collect_photographs
    from trainer.settings import load_trainer_settings
    from trainer.workdir import Experiment

    settings = load_trainer_settings(workdir=workdir)
    name = experiment or settings.experiment
    if name is None or Path(name).name != name or name.startswith("."):
        raise typer.BadParameter("give --experiment with the name of a folder, or set EXPERIMENT_FILENAME")
    options = CollectOptions(contact, most_pictures=most, is_refreshed=refresh)
    if not collect_photographs(people, Experiment(name, settings.workdir), options, device=settings.device):
        raise typer.Exit(FAILED)


@app.command()
def fit(
    experiment: ExperimentName = None,
    *,
    workdir: Workdir = None,
    begin_from: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="PATH", help="Begin with the weights of a .keras or .weights.h5 file, or folder."
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the run that is there, and begin anew.")] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of an operation; all processors by default.", show_default=False)
    ] = None,
    xla: Annotated[
        bool | None, typer.Option("--xla/--no-xla", help="Compile the step. [default: on a GPU]", show_default=False)
    ] = None,
) -> None:
    """Fit the network of experiments/EXPERIMENT.py to the faces that were cut out.

    USE_GPU decides between CPU and all GPUs that are visible. A run that was interrupted, by Ctrl-C, SIGTERM or a kill,
    goes on where its last checkpoint stands, and gives the same numbers as an unbroken one.

    Examples:
    - `trainer fit example_experiment --workdir workdir`
    - `trainer fit example_experiment --from ../before/model` takes the weights that fit, such as all but the head

    """
    from trainer.fitting.command import fit_by_name

    settings = _settings(workdir)
    wanted = experiment or settings.experiment
    if wanted is None:
        raise typer.BadParameter("give EXPERIMENT, or set EXPERIMENT_FILENAME")
    if not fit_by_name(wanted, settings, begin_from=begin_from, is_fresh=fresh, threads=threads, has_xla=xla):
        raise KeyboardInterrupt


def _settings(workdir: Path | None) -> "TrainerSettings":
    from trainer.settings import load_trainer_settings

    return load_trainer_settings(workdir=workdir)


def _open(name: str | None, workdir: Path | None) -> "Experiment":
    """Return the experiment of the arguments, the environment or ``.env``."""
    from trainer.settings import load_trainer_settings
    from trainer.workdir import open_experiment

    settings = load_trainer_settings(workdir=workdir)
    wanted = name or settings.experiment
    if wanted is None:
        raise typer.BadParameter("give EXPERIMENT, or set EXPERIMENT_FILENAME")
    return open_experiment(wanted, settings.workdir)


@app.command()
def doctor(
    experiment: ExperimentName = None,
    *,
    workdir: Workdir = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Move what is wrong into set_aside, with a list of moves; nothing is deleted.")
    ] = False,
    min_photographs: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many photographs of a person are enough.")
    ] = 5,
    min_face_px: Annotated[int, typer.Option(metavar="PX", min=12, help="Smallest face, as given to prepare.")] = 40,
    as_json: AsJson = False,
) -> None:
    """Look for what spoils a model: wrong people, duplicates, leaks, too little; with a report to look at.

    Writes doctor/report.html, with the pictures inside, and doctor/report.json into the experiment's folder.

    Examples:
    - `trainer doctor example_experiment --workdir workdir`
    - `trainer doctor example_experiment --fix` moves wrong, repeated and unreadable photographs aside

    Exit code: 1 where something must be put right before training, else 0; warnings alone are 0.

    """
    from trainer.doctor.command import DoctorParams, run_doctor

    params = DoctorParams(min_face_px=min_face_px, min_photographs=min_photographs, is_fixed=fix)
    is_wrong = run_doctor(_open(experiment, workdir), params, device=_device(), as_json=as_json)
    raise typer.Exit(FAILED if is_wrong else OK)


def _device() -> "Device":
    """Return the device that the one switch, USE_GPU, decides on."""
    from trainer.settings import load_trainer_settings

    return load_trainer_settings().device


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command in this process, as ``trainer ARGUMENTS…`` would.

    Args:
        arguments: without the program's name; those of the process by default.

    Returns:
        The exit code.

    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    is_debugging = DEBUG_OPTION in given[:1]
    try:
        return _run_app(given)
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except ProblemsError as error:
        for problem in error.problems:
            _say(str(problem))
        _say(str(error))
        return USAGE
    except AnnotatorError as error:
        if is_debugging:
            raise
        _say(str(error))
        return USAGE if isinstance(error, InputError | ConfigError) else FAILED
    except Exception as error:
        if is_debugging:
            raise
        _say(f"unexpected {type(error).__name__}: {error} (`trainer --debug …` shows where)")
        return FAILED


def _run_app(arguments: list[str]) -> int:
    try:
        app(args=arguments, prog_name="trainer")
    except SystemExit as left:
        if left.code == INTERRUPTED:  # the parser has taken the KeyboardInterrupt
            raise KeyboardInterrupt from None
        return left.code if isinstance(left.code, int) else OK if left.code is None else USAGE
    return OK


def _say(message: str) -> None:
    """Write one line to stderr; what the terminal has no letter for is escaped."""
    letters = sys.stderr.encoding or "utf-8"
    line = f"trainer: {' '.join(message.split())}\n"
    sys.stderr.write(line.encode(letters, "backslashreplace").decode(letters))
