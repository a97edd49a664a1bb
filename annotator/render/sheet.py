"""The contact sheet: each track's best faces beside the nearest people of the gallery."""

from typing import Final

import cv2
import numpy as np

from annotator.render.drawing import (
    BLACK,
    BOLD,
    REGULAR,
    UNKNOWN_COLOUR,
    Colour,
    draw_text,
    shorten,
    text_width_px,
)
from annotator.render.marks import DrawnTrack, drawn_tracks
from annotator.render.redaction import NOTHING_HIDDEN, Redaction
from annotator.results import confidence_in_words, span_in_words, verdict_in_words
from annotator.types import U8, MediaAnnotation, TrackLabel

MAX_TRACKS: Final = 60
MAX_FACES: Final = 5
MAX_CANDIDATES: Final = 4
FACE_PX: Final = 112
GAP_PX: Final = 8
LINE_PX: Final = 19
TEXT_PX: Final = 15
TITLE_PX: Final = 20
HEADER_PX: Final = 64
COLUMN_PX: Final = 380
NAME_PX: Final = 220
BAR_PX: Final = 90
ROW_PX: Final = FACE_PX + 2 * GAP_PX
QUIET: Colour = (90, 90, 90)
HIDDEN: Colour = (205, 205, 205)
RULE: Colour = (225, 225, 225)
BAR: Colour = (190, 205, 225)


def contact_sheet(annotation: MediaAnnotation, *, redaction: Redaction = NOTHING_HIDDEN) -> U8:
    """Draw one row per track, those longest on screen where there are very many.

    Args:
        annotation: a fresh one: rows keep no faces.
        redaction: whose faces and names are left out.

    Returns:
        u8 (H, W, 3), RGB, on white.

    """
    rows = list(zip(drawn_tracks(annotation.tracks, annotation.labels), annotation.labels, strict=True))
    longest = sorted(rows, key=lambda row: -row[0].track.screen_time_ms)[:MAX_TRACKS]
    shown = sorted(longest, key=lambda row: row[0].track.track_no)
    faces = max([1, *(min(MAX_FACES, len(drawn.track.best_faces)) for drawn, _ in shown)])
    width = GAP_PX + faces * (FACE_PX + GAP_PX) + COLUMN_PX
    sheet = np.full((HEADER_PX + max(1, len(shown)) * ROW_PX, width, 3), 255, np.uint8)
    _draw_header(sheet, annotation, left_out=len(rows) - len(shown))
    if not shown:
        draw_text(
            sheet, "no face found", left=GAP_PX, baseline=HEADER_PX + 40, size_px=TITLE_PX, style=(QUIET, REGULAR)
        )
    for number, (drawn, label) in enumerate(shown):
        row = sheet[HEADER_PX + number * ROW_PX :][:ROW_PX]
        if redaction.covers(label):
            _draw_hidden_row(row, drawn, faces=faces)
        else:
            _draw_row(row, drawn, label, faces=faces, left_out=redaction.names)
    return sheet


def _draw_header(sheet: U8, annotation: MediaAnnotation, *, left_out: int) -> None:
    room = sheet.shape[1] - 2 * GAP_PX
    clip = annotation.clip
    facts = [
        f"{clip.width_px}x{clip.height_px}",
        f"{annotation.frames_sampled} frames looked at",
        f"{annotation.faces} faces",
        annotation.model,
    ]
    if clip.duration_ms is not None:
        facts.insert(1, f"{clip.duration_ms / 1000:.1f} s")
    if left_out:
        facts.append(f"{left_out} shorter tracks left out")
    if clip.damage:
        facts.append(f"damaged: {clip.damage}")
    title = shorten(annotation.media.media_id, TITLE_PX, room)
    draw_text(sheet, title, left=GAP_PX, baseline=28, size_px=TITLE_PX, style=(BLACK, BOLD))
    line = shorten(", ".join(facts), TEXT_PX, room, weight=REGULAR)
    draw_text(sheet, line, left=GAP_PX, baseline=51, size_px=TEXT_PX, style=(QUIET, REGULAR))


def _draw_hidden_row(row: U8, drawn: DrawnTrack, *, faces: int) -> None:
    """Say when a hidden face is seen; grey squares stand for its pictures."""
    row[0] = RULE
    _draw_faces(row, np.broadcast_to(np.array(HIDDEN, np.uint8), (*drawn.track.best_faces.shape[:3], 3)))
    left = GAP_PX + faces * (FACE_PX + GAP_PX) + GAP_PX // 2
    _line(row, 0, f"{drawn.track.track_no}  redacted", left, weight=BOLD)
    _line(row, 1, span_in_words(drawn.track.start_ms, drawn.track.end_ms), left, colour=QUIET)


def _draw_faces(row: U8, crops: U8) -> None:
    for number, face in enumerate(crops[:MAX_FACES]):
        left = GAP_PX + number * (FACE_PX + GAP_PX)
        row[GAP_PX : GAP_PX + FACE_PX, left : left + FACE_PX] = face


def _draw_row(
    row: U8, drawn: DrawnTrack, label: TrackLabel, *, faces: int, left_out: frozenset[str] = frozenset()
) -> None:
    row[0] = RULE
    track = drawn.track
    _draw_faces(row, track.best_faces)
    left = GAP_PX + faces * (FACE_PX + GAP_PX)
    row[GAP_PX : GAP_PX + FACE_PX, left - GAP_PX // 2 - 2 : left - GAP_PX // 2 + 2] = drawn.colour
    left += GAP_PX // 2
    title = drawn.text if drawn.colour != UNKNOWN_COLOUR else verdict_in_words(label)
    _line(row, 0, f"{track.track_no}  {title}", left, weight=BOLD)
    size = f", faces of {np.median(track.evidence.face_px):.0f} px" if len(track.evidence) else ""
    span = span_in_words(track.start_ms, track.end_ms)
    _line(row, 1, f"{span}, {track.screen_time_ms / 1000:.1f} s on screen{size}", left, colour=QUIET)
    _draw_candidates(row, label, left, left_out=left_out)


def _draw_candidates(row: U8, label: TrackLabel, left: int, *, left_out: frozenset[str]) -> None:
    """Draw the nearest names, each with its score as a bar and as numbers."""
    candidates = [one for one in label.candidates if one.identity.name not in left_out][:MAX_CANDIDATES]
    scores = [max(0.0, one.score) for one in candidates]
    full = max([1.0, *scores])
    for number, (one, score) in enumerate(zip(candidates, scores, strict=True)):
        top = GAP_PX + (2 + number) * LINE_PX + 1
        bar_left = left + NAME_PX
        corner = (bar_left + round(BAR_PX * score / full), top + LINE_PX - 6)
        cv2.rectangle(row, (bar_left, top + 2), corner, BAR, cv2.FILLED)
        name = shorten(one.identity.name, TEXT_PX, NAME_PX - GAP_PX, weight=REGULAR)
        _line(row, 2 + number, name, left, colour=QUIET)
        _line(row, 2 + number, f"{one.score:.2f}", bar_left + 4, colour=QUIET)
        _line(row, 2 + number, confidence_in_words(one.confidence), bar_left + BAR_PX + GAP_PX, colour=QUIET)


def _line(row: U8, number: int, text: str, left: int, *, weight: int = REGULAR, colour: Colour = BLACK) -> None:
    room = row.shape[1] - left - GAP_PX
    fitting = shorten(text, TEXT_PX, room, weight=weight) if text_width_px(text, TEXT_PX) > room else text
    baseline = GAP_PX + number * LINE_PX + TEXT_PX
    draw_text(row, fitting, left=left, baseline=baseline, size_px=TEXT_PX, style=(colour, weight))
