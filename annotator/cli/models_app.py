"""``annotator models``: the commands, their arguments and their help."""

# ruff: noqa: PLC0415 - each imports what it needs when it runs: --help is quick

from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.options import AsJson, Database

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
