"""Where values come from: options, environment, the file ``.env``, defaults; and what is refused."""

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic_settings import DotEnvSettingsSource, SettingsError

from annotator.errors import ConfigError
from annotator.settings.groups import Group
from annotator.settings.whole import NESTED, PREFIX, Settings

ENV_FILE = Path(".env")

Source = Literal["default", ".env", "environment", "option"]


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One setting as it counts.

    Attributes:
        name: the environment variable, e.g. ``"ANNOTATOR_SAMPLING__FRAMES"``.
        value: as text, secrets masked; None where it is not set.
        source: where it comes from.
        description: what it does.

    """

    name: str
    value: str | None
    source: Source
    description: str


def load_settings(*, env_file: Path | None = ENV_FILE, **options: Any) -> Settings:  # noqa: ANN401 - checked by pydantic
    """Read the settings.

    Args:
        env_file: a file of ``NAME=value`` lines; names without the prefix are left to others; None reads no file.
        options: values of the command line, which go before everything else; groups as dicts, e.g.
            ``sampling={"frames": 10}``. None counts as not given.

    Raises:
        ConfigError: a name that starts with ``ANNOTATOR_`` is unknown, or a value cannot be. Secrets are not shown.

    """
    from_file = _read_env_file(env_file)
    _refuse_unknown(os.environ, "the environment")
    _refuse_unknown(from_file, str(env_file))
    try:
        return Settings(**{"_env_file": env_file, **_without_none(options)})
    except ValidationError as error:
        raise ConfigError(_in_words(error)) from None
    except SettingsError as error:  # a group that is no JSON; the cause would show the value
        raise ConfigError(f"{error}: groups are written as JSON, single values as ANNOTATOR_GROUP__NAME.") from None


def explain_settings(
    settings: Settings, *, env_file: Path | None = ENV_FILE, options: Mapping[str, Any] | None = None
) -> list[EffectiveSetting]:
    """List every setting with the source of its value.

    Args:
        settings: what ``load_settings`` returned.
        env_file: as given to ``load_settings``.
        options: as given to ``load_settings``.

    """
    sources: dict[Source, set[tuple[str, ...]]] = {  # in the order in which they win
        "option": set(_flatten(_without_none(options or {}))),
        "environment": set(_given_paths(os.environ)),
        ".env": set(_given_paths(_read_env_file(env_file))),
    }
    listed = []
    for path, description in _fields(Settings):
        value: Any = settings
        for part in path:
            value = getattr(value, part)
        winners = (source for source, given in sources.items() if path in given or path[:1] in given)
        source: Source = next(winners, "default")
        listed.append(EffectiveSetting(variable_of(path), None if value is None else str(value), source, description))
    return listed


def _fields(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, field in model.model_fields.items():
        path = (*above, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Group):
            yield from _fields(field.annotation, path)
        else:
            yield path, field.description or ""


def variable_of(path: tuple[str, ...]) -> str:
    """Return the environment variable of a setting.

    >>> variable_of(("sampling", "frames"))
    'ANNOTATOR_SAMPLING__FRAMES'
    """
    return PREFIX + NESTED.join(path).upper()


def known_variables() -> dict[str, tuple[str, ...]]:
    """Map every name that is read, whole groups (as JSON) included, to its path."""
    known = {variable_of(path): path for path, _ in _fields(Settings)}
    return known | {variable_of(path[:1]): path[:1] for path in known.values()}


def _refuse_unknown(given: Mapping[str, Any], where: str) -> None:
    known = known_variables()
    for name in given:
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in known:
            near = difflib.get_close_matches(upper, known, n=1, cutoff=0.6)
            remedy = f"did you mean {near[0]}?" if near else "`annotator config` lists all names."
            raise ConfigError(f"{where} sets {name}, which is no setting; {remedy}")


def _given_paths(given: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    known = known_variables()
    return (known[name.upper()] for name, value in given.items() if value and name.upper() in known)


def _read_env_file(env_file: Path | None) -> dict[str, str]:
    """Return the lines of the file that are meant for this program."""
    if env_file is None or not env_file.is_file():
        return {}
    try:
        lines = DotEnvSettingsSource(Settings, env_file=env_file, env_file_encoding="utf-8").env_vars
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{env_file} cannot be read: {error}") from error
    return {name.upper(): value for name, value in lines.items() if value and name.upper().startswith(PREFIX)}


def _without_none(tree: Mapping[str, Any]) -> dict[str, Any]:
    cleaned = {
        name: _without_none(value) if isinstance(value, Mapping) else value
        for name, value in tree.items()
        if value is not None
    }
    return {name: value for name, value in cleaned.items() if value != {}}


def _flatten(tree: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, (*above, name))
        else:
            yield (*above, name)


def _in_words(error: ValidationError) -> str:
    """Say in one sentence what is wrong, without the value: it may be a secret."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = tuple(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{variable_of(path) if path else 'the settings'}: {message[:1].lower()}{message[1:]}."
