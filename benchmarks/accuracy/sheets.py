"""Pictures of what went wrong, to be looked at: who was drawn, and whom the nearest person's photographs show."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

from annotator.accuracy.judging import log_ratio_of
from annotator.accuracy.trial import Trial, quality_of, size_of
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery

MOST: Final = 60
RATE: Final = 0.001
_SIDE: Final = 112
_LINE: Final = 30
_COLUMNS: Final = 10


def write_sheets(folder: Path, trial: Trial, limits: Mapping[float, float]) -> None:
    """Write ``wrong.png`` and ``missed.png``.

    Args:
        folder: made if missing.
        trial: whose tracks.
        limits: thresholds by rate; those of ``RATE`` count.

    """
    folder.mkdir(parents=True, exist_ok=True)
    identifier = Identifier(Gallery.from_bundle(trial.held.bundle))
    labels = identifier.identify([track.evidence for track in trial.tracks])
    wrong, missed = [], []
    for track, label in zip(trial.tracks, labels, strict=True):
        if track.kind != "live" or track.photograph is None or not label.candidates:
            continue
        subject, first = trial.subject(track), label.candidates[0]
        ratio = log_ratio_of(label, identifier.prior)
        told = f"{first.score:.2f} {size_of(track):.0f} px q {quality_of(track):.2f}"
        if first.identity.name != subject.person and ratio > limits[RATE]:
            wrong.append((ratio, track.photograph, f"{told}\n{first.identity.name}"))
        elif subject.person and (first.identity.name != subject.person or ratio <= limits[RATE]):
            missed.append((ratio, track.photograph, f"{told}\n{subject.person}"))
    for name, found in (("wrong", wrong), ("missed", missed)):
        found.sort(reverse=name == "wrong")
        step = max(1, len(found) // MOST)
        _sheet(folder / f"{name}.png", [one[1:] for one in found[::step][:MOST]], trial.held.photographs)


def _sheet(path: Path, shown: Sequence[tuple[int, str]], photographs: Mapping[int, Path]) -> None:
    rows = max(1, -(-len(shown) // _COLUMNS))
    sheet = Image.new("RGB", (_COLUMNS * _SIDE, rows * (_SIDE + _LINE)))
    pen = ImageDraw.Draw(sheet)
    for place, (photograph, text) in enumerate(shown):
        x, y = place % _COLUMNS * _SIDE, place // _COLUMNS * (_SIDE + _LINE)
        sheet.paste(Image.open(photographs[photograph]).convert("RGB").resize((_SIDE, _SIDE)), (x, y))
        pen.multiline_text((x + 2, y + _SIDE), text, fill="white", spacing=1)
    sheet.save(path)
