"""WebVTT: who is seen when, for any player and browser.

The format: https://www.w3.org/TR/webvtt1/
"""

from collections.abc import Iterator, Sequence
from typing import Final

from annotator.export.paths import path_of
from annotator.export.records import ExportedMedia, ExportedPerson
from annotator.export.spans import Span, clock, seen_at_once

SUFFIX: Final = ".vtt"
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "�"})


def webvtt_files(media: ExportedMedia) -> Iterator[tuple[str, str]]:
    """Yield the tracks of one media: names as captions, then the appearances of each person as chapters, surest first.

    Yields:
        What the file is called after the media (``""`` or the person's name), and its text. Nothing for a media without
        duration: a still picture, or one that has failed.

    """
    if media.duration_ms is None:
        return
    people = media.people()
    yield "", captions(media, people)
    for person in people:
        yield person.identity.name, chapters(media, person)


def captions(media: ExportedMedia, people: Sequence[ExportedPerson]) -> str:
    """Return a text track: a cue for each span in which the same people are seen, with their names, surest first."""
    cues = [
        (span, ", ".join(people[place].identity.name for place in seen))
        for span, seen in seen_at_once([person.spans for person in people])
    ]
    return _document(f"Who is seen in {_title(media)}, by {media.model}", cues)


def chapters(media: ExportedMedia, person: ExportedPerson) -> str:
    """Return a text track: a cue for each span in which a person is seen, to be jumped to."""
    name = person.identity.name
    return _document(f"{name} in {_title(media)}, by {media.model}", [(span, name) for span in person.spans])


def _title(media: ExportedMedia) -> str:
    """Return what it is called, else the last part of the address: what a query may hold need not be published."""
    return media.given_name or path_of(media.uri).name


def _document(note: str, cues: Sequence[tuple[Span, str]]) -> str:
    blocks = ["WEBVTT", f"NOTE {_text(note)}"]
    blocks += [f"{clock(start_ms)} --> {clock(end_ms)}\n{_text(words)}" for (start_ms, end_ms), words in cues]
    return "\n\n".join(blocks) + "\n"


def _text(words: str) -> str:
    r"""Return words as one line that is text and nothing else.

    >>> _text("A --> <b>B</b> &\n\n00:00.000 --> 00:01.000")
    'A --&gt; &lt;b&gt;B&lt;/b&gt; &amp; 00:00.000 --&gt; 00:01.000'
    """
    return " ".join(words.split()).translate(_ESCAPES)
