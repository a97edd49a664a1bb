"""What an evaluation on photographs has found of a model beside the one that is shown, read from a file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.errors import InputError

MAX_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The verdict of a comparison of two models on the same photographs.

    Attributes:
        is_not_worse: whether the model is not worse than the other one.
        worse: what is worse, in words.

    """

    is_not_worse: bool
    worse: tuple[str, ...]


def read_evaluation(path: Path) -> Evaluation:
    """Read ``comparison.json``, which ``trainer compare`` writes: ``is_not_worse`` and ``worse`` count.

    Raises:
        InputError: the file cannot be read, is too large, or is something else.

    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES} bytes: it is no comparison of `trainer compare`")
        told = json.loads(content)
    except (OSError, ValueError, RecursionError) as exc:
        raise InputError(f"{path} cannot be read as a comparison of `trainer compare`: {exc}") from exc
    verdict, worse = (told.get("is_not_worse"), told.get("worse")) if isinstance(told, dict) else (None, None)
    if not isinstance(verdict, bool) or not isinstance(worse, list):
        raise InputError(f"{path} is no comparison of `trainer compare`: it must say is_not_worse and worse")
    return Evaluation(verdict, tuple(str(reason) for reason in worse))
