"""The report of the doctor: one HTML file with the pictures inside, which can be sent to somebody."""

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

from annotator.errors import AnnotatorError
from annotator.recognition.photographs import read_picture
from trainer.doctor.findings import KINDS, Diagnosis, Finding, Person, Picture

THUMBNAIL_PX: Final = 180
"""Height of a picture in the report."""

MOST_FACES: Final = 5.0
"""A picture is at most so many faces high; of larger photographs only a part is shown."""

SHOWN_ASPECT: Final = 1.4
"""Width over height of that part."""

MAX_PICTURES: Final = 400
"""In one report; what is beyond is told in words. A picture takes about 12 kB."""

_BOX_COLOUR: Final = (255, 200, 0)
_JPEG_QUALITY: Final = 80

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --error: #c0392b; --warning: #b9770e; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; } td.n { white-space: nowrap; }
td, th { padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line); }
th { text-align: left; } .n { text-align: right; font-variant-numeric: tabular-nums; }
.finding { border-left: 4px solid var(--warning); padding: .1rem 0 .1rem .9rem; margin: 1.2rem 0; }
.finding.error { border-color: var(--error); } .finding p { margin: .2rem 0; }
.accepted .finding { border-color: var(--line); } .accepted figure img { outline: none !important; }
code { font-size: 12px; user-select: all; }
.pictures { display: flex; flex-wrap: wrap; gap: .6rem; } figure { margin: .3rem 0; }
figure img { height: 180px; display: block; border-radius: 3px; }
figure:first-child img { outline: 3px solid var(--warning); }
.error figure:first-child img { outline-color: var(--error); }
figcaption { font-size: 12px; opacity: .75; max-width: 16rem; overflow-wrap: anywhere; }
"""


def report_html(diagnosis: Diagnosis, folder: Path) -> str:
    """Return the report.

    Args:
        diagnosis: what was found.
        folder: the experiment's, for the pictures.

    """
    title = f"Photographs of {escape(diagnosis.experiment)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><h1>{title}</h1>'
        f"{''.join(_summary(diagnosis))}{''.join(_sections(diagnosis, folder))}{''.join(_people(diagnosis.people))}"
        "</body></html>\n"
    )


def _summary(diagnosis: Diagnosis) -> Iterator[str]:
    photographs = sum(person.photographs for person in diagnosis.people)
    usable = sum(person.usable for person in diagnosis.people)
    yield f"<p>{photographs} photographs of {len(diagnosis.people)} people, {usable} of them can be used.</p>"
    if not diagnosis.findings and not diagnosis.accepted:
        yield "<p><strong>Nothing was found.</strong></p>"
        return
    yield "<table><tr><th>found</th><th class=n>how many</th><th>before training</th></tr>"
    for kind, (severity, heading) in KINDS.items():
        count = sum(finding.kind == kind for finding in diagnosis.findings)
        if count:
            what = "put it right" if severity == "error" else "look at it"
            yield f'<tr><td><a href="#{kind}">{heading}</a></td><td class=n>{count}</td><td>{what}</td></tr>'
    if diagnosis.accepted:
        count = len(diagnosis.accepted)
        yield f'<tr><td><a href="#accepted">Accepted</a></td><td class=n>{count}</td><td>nothing</td></tr>'
    yield "</table>"


def _sections(diagnosis: Diagnosis, folder: Path) -> Iterator[str]:
    places = iter(range(MAX_PICTURES))
    for kind, (_, heading) in KINDS.items():
        mine = [finding for finding in diagnosis.findings if finding.kind == kind]
        if mine:
            yield f'<h2 id="{kind}">{heading} ({len(mine)})</h2>'
            yield from _findings(mine, places, folder)
    if diagnosis.accepted:
        yield f'<h2 id="accepted">Accepted ({len(diagnosis.accepted)})</h2>'
        yield "<p>Right as it is, by doctor/accepted.csv: without its line there, it counts again.</p>"
        yield f'<div class="accepted">{"".join(_findings(diagnosis.accepted, places, folder))}</div>'


def _findings(findings: Sequence[Finding], places: Iterator[int], folder: Path) -> Iterator[str]:
    """Yield findings, with pictures as long as there are places for them."""
    for finding in findings:
        shown = [picture for picture, _ in zip(finding.pictures, places, strict=False)]
        yield _finding(finding, shown, folder)
        if len(shown) < len(finding.pictures):
            yield "<p>(Its pictures are left out: the report has enough.)</p>"


def _finding(finding: Finding, pictures: Sequence[Picture], folder: Path) -> str:
    shown = "".join(_figure(picture, folder) for picture in pictures)
    figures = f'<div class="pictures">{shown}</div>' if shown else ""
    name = f"<code>{finding.id}</code> " if finding.is_judged else ""
    return f'<div class="finding {finding.severity}"><p>{name}{escape(finding.what)}.</p>{figures}</div>'


def _figure(picture: Picture, folder: Path) -> str:
    caption = f"<figcaption>{escape(picture.note or picture.path)}</figcaption>"
    content = thumbnail(folder / picture.path, picture.box_xyxy)
    if content is None:
        return f"<figure>(no picture){caption}</figure>"
    coded = base64.b64encode(content).decode("ascii")
    return f'<figure><img alt="{escape(picture.path)}" src="data:image/jpeg;base64,{coded}">{caption}</figure>'


def thumbnail(path: Path, box_xyxy: tuple[float, float, float, float] | None) -> bytes | None:
    """Return a photograph as a small JPEG with a box drawn on it; None where it cannot be read."""
    try:
        image = Image.fromarray(read_picture(path))
    except AnnotatorError:
        return None
    if box_xyxy is not None:
        left, top, right, bottom = _around(box_xyxy, image.width, image.height)
        image = image.crop((left, top, right, bottom))
        box_xyxy = (box_xyxy[0] - left, box_xyxy[1] - top, box_xyxy[2] - left, box_xyxy[3] - top)
    scale = THUMBNAIL_PX / image.height
    small = image.resize((max(1, round(image.width * scale)), THUMBNAIL_PX))
    if box_xyxy is not None:
        x1, y1, x2, y2 = (round(edge * scale) for edge in box_xyxy)
        ImageDraw.Draw(small).rectangle((x1, y1, max(x1, x2), max(y1, y2)), outline=_BOX_COLOUR, width=2)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=_JPEG_QUALITY)
    return stream.getvalue()


def _around(box_xyxy: tuple[float, float, float, float], width: int, height: int) -> tuple[int, int, int, int]:
    """Return the part of a photograph to show: all of it, or the surroundings of a face that is small on it."""
    x1, y1, x2, y2 = box_xyxy
    side = MOST_FACES * max(y2 - y1, 1.0)
    if side >= height:
        return 0, 0, width, height
    left, top = (x1 + x2 - SHOWN_ASPECT * side) / 2, (y1 + y2 - side) / 2
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return round(left), round(top), min(width, round(left + SHOWN_ASPECT * side)), min(height, round(top + side))


def _people(people: Sequence[Person]) -> Iterator[str]:
    yield "<h2>People</h2><table><tr><th>folder</th><th class=n>photographs</th><th class=n>usable</th>"
    yield "<th class=n>agreement</th><th>label</th></tr>"
    for person in people:
        agreement = "" if person.agreement is None else f"{person.agreement:.2f}"
        yield f"<tr><td>{escape(person.name)}</td><td class=n>{person.photographs}</td><td class=n>{person.usable}</td>"
        yield f"<td class=n>{agreement}</td><td>{'yes' if person.has_label else 'none'}</td></tr>"
    yield "</table>"
