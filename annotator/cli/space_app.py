"""``annotator space``: the commands, their arguments and their help."""

# ruff: noqa: PLC0415 - each imports what it needs when it runs: --help is quick

from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.options import Database, Model
from annotator.cli.processor import multiply_in_one_thread
from annotator.space import USUAL_FACES

space_app = typer.Typer(
    help="People and faces as points in three dimensions: for `annotator web`, and for the projector of TensorBoard.",
    no_args_is_help=True,
)


@space_app.command("build")
def build(
    *,
    faces: Annotated[int, typer.Option(min=0, max=200_000, help="Tracks of the sample, at most.")] = USUAL_FACES,
    model: Model = None,
    database: Database = None,
) -> None:
    """Compute the map that the page Space of `annotator web` shows: all people, and a sample of the tracks.

    Call it again after new labels: names of faces are as of then. The same database gives the same map. Nothing is
    decoded, and the database is only read; the map lies in the cache, so call it on the machine of `annotator web`.

    Example: `annotator space build` and then `annotator web`

    """
    multiply_in_one_thread()
    from annotator.cli.space import build_space

    build_space(faces=faces, settings={"model": model, "database_url": database})


@space_app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    *,
    faces: Annotated[int, typer.Option(min=0, max=200_000, help="Tracks of the sample, at most.")] = 5_000,
    model: Model = None,
    database: Database = None,
) -> None:
    """Write people and faces, in all their dimensions, for the projector of TensorBoard, which has UMAP and t-SNE.

    The folder holds embeddings of faces with names: keep it as you keep the database.

    Example: `annotator space export points/` and then `tensorboard --logdir points/`

    """
    multiply_in_one_thread()
    from annotator.cli.space import export_space

    export_space(folder, faces=faces, settings={"model": model, "database_url": database})
