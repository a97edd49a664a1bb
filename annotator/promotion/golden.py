"""Golden clips: clips of which somebody knows who is in them, and how two models do on them.

What is found on a clip is kept in a database of its own, by the clip's bytes: it is decoded once, and tried from its
embeddings with every further model over the same network.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from annotator.build import register_model
from annotator.errors import InputError
from annotator.media.reader import file_etag
from annotator.pipeline import Annotator
from annotator.store.identities import name_key
from annotator.store.relabelling.running import relabel_archive
from annotator.store.store import Store
from annotator.types import MediaRef

FILE: Final = "file"
PEOPLE: Final = "people"
MAX_CLIPS: Final = 100_000
_SAVED_AT_ONCE: Final = 32

FoundName = tuple[str, str]
"""A clip and a person."""


@dataclass(frozen=True, slots=True)
class GoldenClip:
    """A clip and who is in it.

    Attributes:
        file: its path below the folder of the clips.
        people: who is in it; empty where nobody knows for certain, so that no name counts as wrong.

    """

    file: str
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GoldenTrial:
    """How a model does.

    Attributes:
        model: which model.
        right: people it found who are there.
        wrong: people it named who are not.

    """

    model: str
    right: frozenset[FoundName]
    wrong: frozenset[FoundName]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON: how many names of each kind."""
        return {"model": self.model, "right": len(self.right), "wrong": len(self.wrong)}


@dataclass(frozen=True, slots=True)
class GoldenComparison:
    """How two models do on the same clips.

    Attributes:
        clips: how many there are.
        people: how many people are in them, each clip counted.
        former: the model that is shown; None in an empty archive.
        candidate: the other one.

    """

    clips: int
    people: int
    former: GoldenTrial | None
    candidate: GoldenTrial

    @property
    def lost(self) -> list[FoundName]:
        """Whom only the former model finds."""
        return sorted(self._former_right - self.candidate.right)

    @property
    def won(self) -> list[FoundName]:
        """Whom only the candidate finds."""
        return sorted(self.candidate.right - self._former_right)

    @property
    def wrong_anew(self) -> list[FoundName]:
        """Wrong names of the candidate that the former model does not give."""
        return sorted(self.candidate.wrong - (frozenset() if self.former is None else self.former.wrong))

    @property
    def _former_right(self) -> frozenset[FoundName]:
        return frozenset() if self.former is None else self.former.right

    def to_json(self, *, most: int) -> dict[str, Any]:
        """Return it as JSON, with at most so many names of each kind one by one."""
        trials = {
            "former": None if self.former is None else self.former.to_json(),
            "candidate": self.candidate.to_json(),
        }
        told = {"lost": self.lost, "won": self.won, "wrong_anew": self.wrong_anew}
        return {"clips": self.clips, "people": self.people, **trials} | {
            name: [{"file": file, "identity": person} for file, person in found[:most]] for name, found in told.items()
        }


def read_golden(path: Path, folder: Path) -> list[GoldenClip]:
    """Read a list of clips: columns ``file`` and ``people`` (names with semicolons); others are left alone.

    Args:
        path: the list, as CSV with a header.
        folder: where the clips are.

    Raises:
        InputError: the list cannot be read, or names what is not there; ``details`` has every line that is wrong.

    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not {FILE, PEOPLE} <= set(reader.fieldnames or ()):
                raise InputError(f"{path} needs a header with the columns {FILE} and {PEOPLE}")
            rows = [(reader.line_num, row) for _, row in zip(range(MAX_CLIPS + 1), reader, strict=False)]
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise InputError(f"{path} cannot be read as a list of clips: {exc}") from exc
    clips = [GoldenClip((row[FILE] or "").strip(), _names(row[PEOPLE] or "")) for _, row in rows]
    wrong = [
        f"{path}:{number}: {why}"
        for (number, _), clip in zip(rows, clips, strict=True)
        if (why := _what_is_wrong(clip, folder)) is not None
    ]
    if len(clips) > MAX_CLIPS:
        wrong.append(f"{path}: more than {MAX_CLIPS:,} clips: take a part of them")
    if not clips:
        wrong.append(f"{path}: it names no clip")
    if wrong:
        error = InputError(f"{path}: {len(wrong)} lines are wrong: put them right")
        error.details = tuple(wrong)
        raise error
    return clips


def _names(written: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in written.split(";") if name.strip())


def _what_is_wrong(clip: GoldenClip, folder: Path) -> str | None:
    parts = PurePosixPath(clip.file)
    if not clip.file or parts.is_absolute() or ".." in parts.parts:
        return f"{clip.file!r} is no path below {folder}"
    return None if (folder / clip.file).is_file() else f"there is no {folder / clip.file}"


def try_model(annotator: Annotator, clips: Sequence[GoldenClip], folder: Path, *, kept: Store) -> GoldenTrial:
    """Annotate golden clips and compare the names with what is known; a clip that fails finds nobody.

    Args:
        annotator: of the model.
        clips: as of :func:`read_golden`.
        folder: where they are.
        kept: the database that keeps what was found on them.

    """
    registered = register_model(kept, annotator)
    refs = [_ref(folder / clip.file) for clip in clips]
    known = kept.known_contents(registered.network_id, refs)
    fresh = [ref for ref in refs if ref.uri not in known or not known[ref.uri].is_annotated]
    waiting = []
    outcomes = annotator.annotate(fresh, is_known=lambda sha256: kept.is_annotated(registered.network_id, sha256))
    for outcome in outcomes:
        waiting.append(outcome)
        if len(waiting) == _SAVED_AT_ONCE:
            kept.save(waiting, network_id=registered.network_id, labelling_id=registered.labelling_id)
            waiting = []
    kept.save(waiting, network_id=registered.network_id, labelling_id=registered.labelling_id)
    relabel_archive(kept.engine, annotator.identifier, registered.labelling_id)
    rows = kept.load_annotations(registered.labelling_id, refs)
    found = {
        clip.file: {label.identity.name for label in rows[ref.uri].result.labels} if ref.uri in rows else set()
        for clip, ref in zip(clips, refs, strict=True)
    }
    return score_names(annotator.model, clips, found)


def score_names(model: str, clips: Sequence[GoldenClip], found: Mapping[str, set[str]]) -> GoldenTrial:
    """Compare names with what is known of the clips; case and accents do not matter.

    Args:
        model: which model gave the names.
        clips: who is in them.
        found: the names, by file.

    """
    right, wrong = set(), set()
    for clip in clips:
        there = {name_key(name): name for name in clip.people}
        named = {name_key(name): name for name in found[clip.file]}
        right |= {(clip.file, there[key]) for key in there.keys() & named.keys()}
        if there:
            wrong |= {(clip.file, named[key]) for key in named.keys() - there.keys()}
    return GoldenTrial(model, frozenset(right), frozenset(wrong))


def _ref(path: Path) -> MediaRef:
    return MediaRef(path.name, path.resolve().as_uri(), file_etag(path.stat()))
