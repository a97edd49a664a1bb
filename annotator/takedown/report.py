"""What is said of a takedown, for the record: what went and when, and no word of who it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotator.store.takedowns.listing import KnownTakedown


@dataclass(frozen=True, slots=True)
class TakedownReport:
    """A takedown, done or looked at only.

    Attributes:
        takedown: its number in the database; None where nothing was done.
        started_at: ISO 8601, UTC; None where nothing was done.
        finished_at: the same, of its end.
        is_done: False for a dry run.
        is_resumed: whether it went on with one that was killed.
        tombstones: of the person, hexadecimal: whoever knows the name and the database can reckon them anew.
        steps: how much went in each step, or would go.
        left: what a person has to do, a sentence each.
        names: of the person; only where somebody asked for them.
        places: of a dry run, which models would be written anew and which files of the cache would go, by step. None is
            called after the person. They are told to whoever asks, and kept nowhere.
        warnings: of a dry run, what of that somebody else relies on, a sentence each.

    """

    takedown: int | None
    started_at: str | None
    is_done: bool
    is_resumed: bool
    tombstones: Sequence[str]
    steps: Mapping[str, Mapping[str, int]]
    left: Sequence[str] = ()
    names: Sequence[str] = ()
    places: Mapping[str, Sequence[str]] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    finished_at: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found of the person; what is in the cache is of nobody in particular."""
        return not any(any(counts.values()) for step, counts in self.steps.items() if step != "cache")

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        told: dict[str, Any] = {"names": list(self.names)} if self.names else {}
        if self.takedown is None:
            told["places"] = {step: list(places) for step, places in self.places.items()}
            told["warnings"] = list(self.warnings)
        return told | {
            "takedown": self.takedown,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "done": self.is_done,
            "resumed": self.is_resumed,
            "tombstones": list(self.tombstones),
            "steps": {step: dict(counts) for step, counts in self.steps.items()},
            "left": list(self.left),
        }

    def to_text(self) -> str:
        """Return it as lines to be read."""
        lines = [
            f"takedown {self.takedown}, begun {self.started_at}" if self.is_done else "dry run: nothing was changed"
        ]
        lines += [f"names: {', '.join(self.names)}"] if self.names else []
        lines += [f"tombstone {one}" for one in self.tombstones]
        verb = "went" if self.is_done else "would go"
        for step, counts in self.steps.items():
            told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
            lines.append(f"{step}: {told or 'nothing'} {verb}")
            lines += [f"    {place}" for place in self.places.get(step, ())]
        lines += [f"mind: {one}" for one in self.warnings]
        lines += [f"left to do: {one}" for one in self.left]
        return "\n".join(lines) + "\n"


def report_of(takedown: KnownTakedown) -> TakedownReport:
    """Return the report of a takedown as it is kept."""
    finished_at = takedown.finished_at
    return TakedownReport(
        takedown=takedown.takedown_id,
        started_at=takedown.started_at.isoformat(),
        is_done=finished_at is not None,
        is_resumed=takedown.is_resumed,
        tombstones=takedown.tombstones,
        steps=takedown.steps,
        left=takedown.left,
        finished_at=None if finished_at is None else finished_at.isoformat(),
    )
