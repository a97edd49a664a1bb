"""``report.json``: what an evaluation has shown, and what was said of every face, so that two can be compared."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Final

from annotator.errors import ConfigError, InputError
from trainer.evaluation.measures import summarise
from trainer.evaluation.recognisers import Answer
from trainer.evaluation.trial import Outcome, Trial

FORMAT: Final = 1
REPORT_FILE: Final = "report.json"

MAX_REPORT_BYTES: Final = 512 * 1024**2
"""Room for a million faces; a report may come from elsewhere."""


@dataclass(frozen=True, slots=True)
class Report:
    """An evaluation.

    Attributes:
        trial: what was said of all faces.
        measures: see :func:`~trainer.evaluation.measures.summarise`.
        clips: see :mod:`~trainer.evaluation.clips`; None where none were shown.
        remarks: what a reader must know to judge the numbers.

    """

    trial: Trial
    measures: Mapping[str, Any]
    clips: Mapping[str, Any] | None = None
    remarks: Sequence[str] = field(default_factory=tuple)

    @classmethod
    def of(cls, trial: Trial, *, clips: Mapping[str, Any] | None = None, remarks: Sequence[str] = ()) -> "Report":
        """Measure a trial."""
        return cls(trial, summarise(trial), clips, tuple(remarks))

    def to_json(self) -> dict[str, Any]:
        """Return the whole as JSON values."""
        return {
            "format": FORMAT,
            "recogniser": {"name": self.trial.name, "kind": self.trial.kind, "people": self.trial.people},
            "remarks": list(self.remarks),
            "measures": dict(self.measures),
            "clips": None if self.clips is None else dict(self.clips),
            "outcomes": [_told(one) for one in self.trial.outcomes],
            "strangers": [_told(one) for one in self.trial.strangers],
        }

    def text(self) -> str:
        """Return the text of ``report.json``: a line for each face, so that two can be held side by side."""
        document = self.to_json()
        faces = {name: document.pop(name) for name in ("outcomes", "strangers")}
        head = json.dumps(document, ensure_ascii=False, indent=1)[: -len("\n}")]
        rows = [
            f' "{name}": [\n' + ",\n".join(json.dumps(row, ensure_ascii=False) for row in its) + "\n ]"
            for name, its in faces.items()
        ]
        return f"{head},\n" + ",\n".join(rows) + "\n}\n"


def read_report(path: Path) -> Report:
    """Read a ``report.json``, or the one of a folder.

    Its measures are made anew from the faces: nothing in the file is taken on trust.

    Raises:
        ConfigError: there is none.
        InputError: it is too large, or not as it was written.

    """
    file = path / REPORT_FILE if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(f"there is no report {file}: run `trainer evaluate` first")
    if file.stat().st_size > MAX_REPORT_BYTES:
        raise InputError(f"{file} is too large for a report: it is not read")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise InputError(f"{file} has the format {document['format']!r}, not {FORMAT}: evaluate anew")
        trial = _trial(document)
        clips = None if document["clips"] is None else {**document["clips"]}
        remarks = tuple(str(one) for one in document["remarks"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{file} is no report of an evaluation ({type(error).__name__}): evaluate anew") from error
    return Report.of(trial, clips=clips, remarks=remarks)


def _trial(document: Mapping[str, Any]) -> Trial:
    recogniser = document["recogniser"]
    outcomes, strangers = (tuple(_outcome(row) for row in document[name]) for name in ("outcomes", "strangers"))
    keys = [one.key for one in (*outcomes, *strangers)]
    if len(set(keys)) < len(keys):
        raise ValueError("a photograph stands in it twice")
    return Trial(str(recogniser["name"]), str(recogniser["kind"]), int(recogniser["people"]), outcomes, strangers)


def _told(one: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = {
        "photograph": one.key,
        "person": one.person,
        "family": one.family,
        "face_px": round(one.face_px, 1),
        "names": list(one.answer.names),
        "scores": [round(score, 6) for score in one.answer.scores],
        "is_named": one.answer.is_named,
    }
    for name, answer in (("as_known", one.as_known), ("as_stranger", one.as_stranger)):
        row[name] = None if answer is None else [*answer.names[:1], *(round(score, 6) for score in answer.scores[:1])]
    return row


def _outcome(row: Mapping[str, Any]) -> Outcome:
    is_named = row["is_named"]
    if is_named is not None and not isinstance(is_named, bool):
        raise ValueError("is_named")
    return Outcome(
        key=_text(row["photograph"]),
        person=None if row["person"] is None else _text(row["person"]),
        family=_text(row["family"]),
        face_px=float(row["face_px"]),
        answer=_answer(row["names"], row["scores"], is_named),
        as_known=_first(row["as_known"]),
        as_stranger=_first(row["as_stranger"]),
    )


def _first(value: Sequence[Any] | None) -> Answer | None:
    return None if value is None else _answer(value[:1], value[1:], None)


def _answer(names: Sequence[Any], scores: Sequence[Any], is_named: bool | None) -> Answer:  # noqa: FBT001 - a field
    if not (isinstance(names, list) and isinstance(scores, list) and len(names) == len(scores)):
        raise TypeError("names and scores")
    exact = tuple(float(score) for score in scores)
    if not all(isfinite(score) for score in exact):
        raise ValueError("scores")
    return Answer(tuple(_text(name) for name in names), exact, is_named)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value
