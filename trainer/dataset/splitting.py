"""Which photographs are trained on and which are evaluated on: by family, fixed by content, kept in a file.

Once a photograph has a side it keeps it, whatever is added, renamed or removed: a model may be compared with last
year's on the same photographs. Only where a new photograph joins two families of different sides do those of the
evaluation go over to training; what was trained on never becomes evaluation.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from trainer.problems import Problem, ProblemsError
from trainer.tables import read_table, table_text

Side = Literal["train", "val"]
HEADER: Final = ("sha256", "side")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

MIN_EVALUATED_FAMILIES: Final = 3
"""Who has fewer is trained on only: half of two photographs is too much to give away."""


@dataclass(frozen=True, slots=True)
class Family:
    """Photographs that look the same.

    Attributes:
        contents: their sha256, ascending.
        people: whose folders they are in, ascending.

    """

    contents: tuple[str, ...]
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """Which content is on which side.

    Attributes:
        sides: by sha256; those of photographs that are gone are kept, too.
        moved: sha256 of what had to go from evaluation over to training, ascending.

    """

    sides: Mapping[str, Side]
    moved: tuple[str, ...] = ()


def split_families(families: Sequence[Family], *, val_share: float, kept: Mapping[str, Side]) -> Split:
    """Give every family a side.

    Of each person's families, those with the lowest sha256 are evaluated on, until they hold the share of the person's
    photographs that is asked for, one photograph at least; a family that is larger than what is still wanted goes to
    training. Names and order of files play no part.

    Args:
        families: of all photographs.
        val_share: share of photographs to evaluate on, in [0, 1).
        kept: the sides that are given already.

    Returns:
        The sides of all.

    """
    sides, moved = dict(kept), set()
    for family in families:
        given = {kept[content] for content in family.contents if content in kept}
        if given:
            side: Side = "train" if "train" in given else "val"
            moved |= {content for content in family.contents if kept.get(content, side) != side}
            sides.update(dict.fromkeys(family.contents, side))
    for person in sorted({person for family in families for person in family.people}):
        _split_person([family for family in families if person in family.people], sides, val_share)
    return Split(sides, tuple(sorted(moved)))


def read_sides(path: Path) -> dict[str, Side]:
    """Read the sides that are given already; none where the file is not there.

    Raises:
        ProblemsError: lines are not as they were written; all of them are listed.

    """
    if not path.exists():
        return {}
    sides: dict[str, Side] = {}
    problems: list[Problem] = []
    for line, (content, side) in read_table(path, HEADER, problems):
        if _SHA256.fullmatch(content) and side in ("train", "val"):
            sides[content] = "val" if side == "val" else "train"
        else:
            problems.append(Problem(path, "it must be a sha256 and train or val: put the line right", line))
    if problems:
        raise ProblemsError(problems)
    return sides


def sides_text(sides: Mapping[str, Side]) -> str:
    """Return the text of the file of sides, sorted."""
    return table_text(HEADER, sorted(sides.items()))


def _split_person(families: Sequence[Family], sides: dict[str, Side], val_share: float) -> None:
    """Give a side to the families of one person that have none."""
    photographs = sum(len(family.contents) for family in families)
    wanted = max(1, round(val_share * photographs)) if val_share and len(families) >= MIN_EVALUATED_FAMILIES else 0
    wanted -= sum(len(family.contents) for family in families if sides.get(family.contents[0]) == "val")
    free = sorted((one for one in families if one.contents[0] not in sides), key=lambda one: one.contents[0])
    spare = sum(sides.get(family.contents[0]) != "val" for family in families) - 1
    for family in free:
        is_val = spare > 0 and len(family.contents) <= wanted
        sides.update(dict.fromkeys(family.contents, "val" if is_val else "train"))
        if is_val:
            wanted, spare = wanted - len(family.contents), spare - 1
