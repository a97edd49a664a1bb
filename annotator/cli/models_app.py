"""``annotator models``: the commands, their arguments and their help."""

# ruff: noqa: PLC0415 - each imports what it needs when it runs: --help is quick

from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.options import AsJson, Database
from annotator.cli.processor import multiply_in_one_thread

models_app = typer.Typer(help="The models: whom they know, and where they come from.", no_args_is_help=True)


@models_app.command("list")
def list_models(*, as_json: AsJson = False, database: Database = None) -> None:
    """List the models that can be used by name, and say whose names are shown."""
    from annotator.cli.models import list_bundles

    list_bundles(as_json=as_json, settings={"database_url": database})


@models_app.command("install")
def install_model(
    source: Annotated[str, typer.Argument(metavar="FOLDER|s3://…", help="The bundle: a folder, or one in a bucket.")],
    *,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """Check a model whole and keep it under its name and version, for every machine.

    It goes to the folder or bucket of `ANNOTATOR_MODELS_URI`, and its manifest into the table `models`. What is
    installed is never replaced: another content needs a higher version. What is shown stays as it is.

    Examples:
    - `annotator models install my-model/` and then `annotator annotate clips/ --model mine@1`
    - `ANNOTATOR_MODELS_URI=s3://models/annotator annotator models install my-model/`

    """
    from annotator.cli.installing import install_bundle

    install_bundle(source, as_json=as_json, settings={"database_url": database})


@models_app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="Name or folder of a model.")] = "starter",
    *,
    people: Annotated[bool, typer.Option("--people", help="List whom it knows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a model: whom it knows, how it was made, what it must not be used for."""
    from annotator.cli.models import show_bundle

    show_bundle(name, with_people=people, as_json=as_json)


Flips = Annotated[
    int, typer.Option(min=0, help="How many of the names that change to another one are told one by one.")
]
Views = Annotated[
    Path | None,
    typer.Option(metavar="FILE.csv", help="Lines of key,views: the most viewed first. [default: longest on screen]"),
]
Html = Annotated[
    Path | None, typer.Option(metavar="FILE.html", help="Write a report with the faces of those whose names change.")
]


@models_app.command("diff")
def diff_models(  # noqa: PLR0913 - options of a command
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model that has labelled the archive: mine@3.")],
    other: Annotated[
        str | None,
        typer.Argument(
            metavar="OTHER", help="What is compared with it. [default: MODEL is compared with what is shown]"
        ),
    ] = None,
    *,
    flips: Flips = 50,
    views: Views = None,
    html: Html = None,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """Say what one model changes against another on your own archive: names added, dropped, and changed to another.

    Both must have labelled it: `annotator relabel --model MODEL` does so from stored embeddings, and changes nothing
    that is shown. What is counted are tracks: a face that is followed through a shot.

    Examples:
    - `annotator models diff mine@3` against what is shown now
    - `annotator models diff mine@2 mine@3 --views views.csv --html diff.html`

    """
    multiply_in_one_thread()
    from annotator.cli.promoting import ComparisonOptions, show_diff

    settings = {"database_url": database}
    told = ComparisonOptions(flips=flips, views=views, html=html, as_json=as_json, settings=settings)
    show_diff(model, other, told)


@models_app.command("promote")
def promote_model(  # noqa: PLR0913 - options of a command
    model: Annotated[str, typer.Argument(metavar="MODEL", help="An installed model: mine@3.")],
    *,
    golden: Annotated[
        Path | None,
        typer.Option(metavar="CLIPS.csv", help="Clips and who is in them: columns file and people (names with ;)."),
    ] = None,
    clips: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where these clips are. [default: beside the list]")
    ] = None,
    comparison: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json", help="What `trainer compare` has found on photographs: it must not be worse."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what the gate finds; note and show nothing.")] = False,
    force: Annotated[
        str | None, typer.Option(metavar="REASON", help="Promote it even if the gate refuses; the reason is noted.")
    ] = None,
    flips: Flips = 50,
    views: Views = None,
    html: Html = None,
    as_json: AsJson = False,
    database: Database = None,
) -> None:
    """Show the names of a model instead of those that are shown now, if it passes the gate.

    It is tried on golden clips, and on the whole archive, which gets its labels from stored embeddings meanwhile. Names
    that change to another one, names that are lost, and people who lose theirs are held against the settings
    ANNOTATOR_GATE__…. Searches and views change over at once, at the end; a kill before that changes nothing.

    Examples:
    - `annotator models promote mine@3 --golden golden.csv --clips golden/ --html report.html`
    - `annotator models promote mine@3 --force "Ada Lovelace was removed on request"`

    Exit code: 0, or 3 where the gate refuses or what is shown has changed meanwhile; 75 where somebody else installs or
    promotes a model just now.

    """
    if force is not None and not force.strip():
        raise typer.BadParameter("--force needs a reason")
    if clips is not None and golden is None:
        raise typer.BadParameter("--clips goes with --golden")
    multiply_in_one_thread()
    from annotator.cli.promoting import ComparisonOptions, PromotionOptions
    from annotator.cli.promoting import promote_model as promote

    told = ComparisonOptions(flips=flips, views=views, html=html, as_json=as_json, settings={"database_url": database})
    options = PromotionOptions(golden=golden, clips=clips, comparison=comparison, forced=force, is_tried_only=dry_run)
    raise typer.Exit(promote(model, options, told))


@models_app.command("rollback")
def roll_back_model(*, as_json: AsJson = False, database: Database = None) -> None:
    """Show the names that were shown before the last promotion, at once: their labels are still there.

    Again, it goes one step further back. The view `model_history` has every step.

    """
    from annotator.cli.promoting import roll_back_model as roll_back

    roll_back(as_json=as_json, settings={"database_url": database})


@models_app.command("build")
def build_model(  # noqa: PLR0913 - options of a command
    output: Annotated[Path, typer.Argument(help="Folder of the new model.")],
    *,
    people: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Aligned crops of 112 x 112, a folder for each person. Repeatable."),
    ] = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Whole photographs, a folder for each person. Repeatable."),
    ] = None,
    strangers: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Aligned crops of people who are in none of these folders.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the model is called.")] = "mine",
    version: Annotated[int, typer.Option(min=1, help="Counts up.")] = 1,
    starter: Annotated[
        Path | None, typer.Option("--starter", metavar="DATA", help="Instead: the starter model from its data.")
    ] = None,
) -> None:
    """Build a model from pictures of people, calibrated on strangers.

    Examples:
    - `annotator models build my-model --people crops/ --strangers others/ --name mine`
    - `annotator models build annotator/starter/bundle --starter ../shared/data`

    """
    from annotator.cli.models import BuildOptions, build_bundle

    options = BuildOptions(
        output=output,
        starter_data=starter,
        people=tuple(people or ()),
        photographs=tuple(photos or ()),
        strangers=strangers,
        name=name,
        version=version,
    )
    build_bundle(options)
