"""Who is in a media, summed up over tracks."""

import numpy as np

from annotator.export.records import ExportedMedia, ExportedName, ExportedTrack
from annotator.store.codec import StoredBoxes
from annotator.types import Identity

ADA, BEN, CY = (Identity(name) for name in ("Ada", "Ben", "Cy"))


def seen(number: int, who: Identity | None, confidence: float, span_ms: tuple[int, int]) -> ExportedTrack:
    start_ms, end_ms = span_ms
    boxes = StoredBoxes(
        frame_index=np.zeros(1, np.int64),
        pts_ms=np.array([start_ms]),
        from_ms=np.array([start_ms]),
        shown_ms=np.array([end_ms - start_ms]),
        boxes_xyxy=np.float32([[0, 0, 9, 9]]),
        scores=np.ones(1, np.float32),
        quality=np.ones(1, np.float32),
    )
    name = None if who is None else ExportedName(len(who.name), who, confidence)
    return ExportedTrack(number, 0, start_ms, end_ms, end_ms - start_ms, boxes, name, ())


def media(*tracks: ExportedTrack) -> ExportedMedia:
    return ExportedMedia(1, "s3://b/x", "00", "annotated", None, None, "m@1", (9, 9), 900, 9, 9, None, tracks)


def test_the_surest_come_first_then_who_appears_first_then_by_name() -> None:
    everybody = [(BEN, 0.9, 5), (CY, 0.8, 0), (Identity("Eva Long"), 0.9, 0), (Identity("Dan L."), 0.9, 0)]
    people = media(*(seen(no, who, sure, (at, 100)) for no, (who, sure, at) in enumerate(everybody))).people()
    assert [one.identity.name for one in people] == ["Dan L.", "Eva Long", "Ben", "Cy"]


def test_two_tracks_of_one_person_are_as_sure_as_the_surer_and_their_time_counts_once() -> None:
    (ada,) = media(
        seen(0, ADA, 0.7, (100, 300)),
        seen(1, ADA, 0.9, (200, 400)),
        seen(2, ADA, 0.8, (600, 700)),
        seen(3, None, 0, (0, 900)),
    ).people()
    assert (ada.confidence, ada.start_ms, ada.end_ms, ada.screen_time_ms) == (0.9, 100, 700, 400)
    assert ada.spans == ((100, 400), (600, 700))
