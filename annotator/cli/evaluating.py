"""``annotator evaluate``."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from annotator.accuracy import tables
from annotator.accuracy.evaluation import is_bound_only, tables_of, thresholds
from annotator.accuracy.kept import KeptClips
from annotator.accuracy.measures import RATES
from annotator.accuracy.subjects import PARTS, HeldOut, photographed
from annotator.accuracy.trial import Trial, plan_clips
from annotator.build import build_annotator, build_gallery
from annotator.cli.output import err, out, progress, remark
from annotator.errors import ConfigError, LocalDiskError
from annotator.recognition.labels import parse_label
from annotator.settings import load_settings

REPORT: Final = "report.md"
VALUES: Final = "report.json"
KEPT: Final = "accuracy/clips"
"""Folder in the cache."""

_NAME: Final = "name"


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """The options of ``annotator evaluate``.

    Attributes:
        people: aligned crops, a folder for each person.
        strangers: aligned crops of others.
        groups: a CSV with ``name`` and by what people are grouped; None without.
        output: the folder of the report.
        clips: of each part of the people, at most; None for as many as show every photograph once.
        is_fresh: draw and annotate all clips anew, also those that an earlier run has kept.
        as_json: the measures as a line of JSON, instead of a table.
        settings: values for ``load_settings``.

    """

    people: Path
    strangers: Path
    groups: Path | None = None
    output: Path = Path("evaluation")
    clips: int | None = None
    is_fresh: bool = False
    as_json: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


def evaluate(options: EvaluateOptions) -> None:
    """Draw clips of photographs, annotate them, and write how right the names are.

    Raises:
        ConfigError: a folder is missing, or it has too few people of either part.
        LocalDiskError: the report, or what is kept meanwhile, cannot be written.

    """
    settings = load_settings(**options.settings)
    groups = _read_groups(options.groups) if options.groups is not None else None
    with err().status("loading the model"):
        held = photographed(options.people, options.strangers, bundle=build_gallery(settings, store=None).bundle)
        annotator = build_annotator(settings)
    _check(held)
    planned = {part: plan_clips(held, part, sources=_sources(held), seed=0, most=options.clips) for part in PARTS}
    kept = KeptClips(settings.cache_dir / KEPT, is_fresh=options.is_fresh)
    remark(f"What is drawn and found is kept in {kept.folder}: a run that is interrupted goes on there.")
    with progress("drawing and annotating clips", total=sum(map(len, planned.values()))) as advance:
        found = {
            part: Trial(held, kept.show(scenes, held.photographs, annotator, advance=advance))
            for part, scenes in planned.items()
        }
    with err().status("measuring"):
        limits = thresholds(found["development"])
        told = tables_of(found["test"], limits, groups=groups)
    values: dict[str, Any] = {
        "model": held.bundle.model,  # wishes for another prior, or for surer names, are in none of the figures
        "thresholds": {f"{rate:g}": limit for rate, limit in limits.items()},
        "clips": {part: len(trial.clips) for part, trial in found.items()},
        **{name: [row.to_json() for row in rows] for name, rows in told.items()},
    }
    _write(options.output, values)
    if options.as_json:
        out().print_json(json.dumps(values))
    else:
        out().print(tables.precision(values["precision"]), markup=False, soft_wrap=True)
    if groups and not told["groups"]:
        remark(f"Nobody in {options.groups} is among the people who were drawn: names must be those of the folders.")
    few = [f"{rate:.1%}" for rate in RATES if is_bound_only(found["test"].folds, rate)]
    if few:
        remark(f"Strangers are few: rates of {', '.join(few)} are those of fewer than ten of them.")
    remark(f"The report is {options.output / REPORT}; numbers for programs are in {options.output / VALUES}.")


def _sources(held: HeldOut) -> list[str]:
    return sorted({subject.source for subject in held.subjects.values()})


def _check(held: HeldOut) -> None:
    for part in PARTS:
        mine = [subject for subject in held.subjects.values() if subject.part == part]
        known = {subject.key for subject in mine if subject.person is not None}
        others = {subject.key for subject in mine if subject.person is None}
        if not known or not others:
            raise ConfigError(
                f"of the {part} people, which are about half of all by their names, the model knows {len(known)} and "
                f"does not know {len(others)}: photographs of more people are needed, and of more strangers"
            )


def _read_groups(path: Path) -> dict[str, dict[str, str]]:
    """Return by what people are grouped, and the group of each."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"the groups in {path} cannot be read: {error}") from error
    columns = [column for column in (rows[0] if rows else {}) if column and column != _NAME]
    if not columns or any(not row.get(_NAME) for row in rows):
        raise ConfigError(f"{path} must have a column {_NAME} and one at least by which people are grouped")
    return {column: {parse_label(row[_NAME]).name: row[column] for row in rows if row[column]} for column in columns}


def _write(folder: Path, values: Mapping[str, Any]) -> None:
    clips = values["clips"]
    measured = (
        f"{clips['test']} clips with known truth were drawn of photographs of people and of strangers, and "
        f"{clips['development']} of other people for the thresholds. Shares are in per cent, intervals of 95 %."
    )
    parts = [
        f"# How sure the names of {values['model']} are",
        measured,
        "## What a confidence is worth",
        tables.precision(values["precision"]),
        "Expected calibration error by the size of the face, in per cent:",
        tables.shares(values["calibration"], tuple(values["calibration"][0]["values"]), "tracks of"),
        "## Who is found",
        tables.recognition([*values["recognition"], *values.get("groups", [])]),
        "## Faces found",
        tables.shares(values["detection"], ("found",), "faces drawn in"),
        "## Clips: who, and when",
        tables.figures([*values["names and times"], *values["confusion"]]),
        "## What is no live person: names given",
        tables.shares(values["not live"], ("named",), ""),
        "## When the gallery grows",
        tables.gallery(values["gallery"]),
    ]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
        (folder / VALUES).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise LocalDiskError(f"the report cannot be written to {folder}: {error}") from error
