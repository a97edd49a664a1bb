"""docs/settings.md and the code name the same settings, with the same defaults."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from annotator.settings import PREFIX, Settings
from annotator.settings.groups import Group
from annotator.settings.loading import variable_of

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
ROW = re.compile(rf"^\| `({PREFIX}\w+)` \| (.+?) \| (.+) \|$", re.MULTILINE)
DEPENDS_ON_THE_MACHINE = {"ANNOTATOR_DATA_DIR", "ANNOTATOR_CACHE_DIR", "ANNOTATOR_DATABASE_URL"} | {
    "ANNOTATOR_WORKER__ALIVE_FILE"
}


def fields(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, FieldInfo]]:
    groups = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Group):
            groups.append((field.annotation, (*above, name)))
        else:
            yield variable_of((*above, name)), field
    for group, path in groups:
        yield from fields(group, path)


def written(default: object) -> str:
    """Return a default as somebody would write it into the environment."""
    if default in (None, ()):
        return "none"
    if isinstance(default, tuple):
        return f"`{','.join(default)}`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def choices(annotation: object) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in choices(part))


def told_default(field: FieldInfo) -> str:
    others = [f"`{choice}`" for choice in choices(field.annotation) if choice != field.default]
    return written(field.default) + (f" (or {', '.join(others)})" if others else "")


def test_every_setting_is_in_the_document_with_its_default_and_what_it_does_and_no_other() -> None:
    told = [(name, default, described) for name, default, described in ROW.findall(DOCUMENT)]
    wanted = []
    for (name, field), row in zip(fields(Settings), told, strict=True):
        default = row[1] if name in DEPENDS_ON_THE_MACHINE else told_default(field)
        wanted.append((name, default, field.description))
    assert len(told) > 50
    assert told == wanted


def test_only_defaults_that_the_code_reckons_are_told_in_words() -> None:
    reckoned = {name for name, field in fields(Settings) if field.default_factory is not None}
    assert reckoned == DEPENDS_ON_THE_MACHINE
