"""Annotating and saving, with a real SQLite database and an annotator that draws its results."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from annotator.cli.session import SAVE_AFTER_MEDIA, Saving, annotate_media
from annotator.results import to_json_line
from annotator.store.store import Store
from annotator.types import (
    Candidate,
    ClipReport,
    FaceTrack,
    Identity,
    KnownMedia,
    MediaAnnotation,
    MediaFailure,
    MediaRef,
    TrackEvidence,
    TrackLabel,
)

CHER = Identity("Cher", "/m/01vw20_")
BONO = Identity("Bono")


class DrawnAnnotator:
    """Finds one face in every media, whose embedding says who it is; fails where the name says so."""

    def __init__(self, *people: Identity) -> None:
        self.people = people
        self.model = f"drawn@{len(people)}"
        self.asked: list[str] = []
        self.decoded: list[str] = []

    def identify(self, tracks: Sequence[TrackEvidence]) -> list[TrackLabel]:
        return [self._label(int(track.embeddings[0].argmax())) for track in tracks]

    def _label(self, number: int) -> TrackLabel:
        candidates = [Candidate(person, 0.25, 0.125) for person in self.people]
        if number >= len(self.people):
            return TrackLabel("unknown", tuple(candidates))
        best = Candidate(self.people[number], 0.75, 0.9375)
        return TrackLabel("known", (best, *(one for one in candidates if one.identity != best.identity)))

    def annotate(
        self, media: Iterable[MediaRef], *, is_known: Callable[[str], bool] | None = None
    ) -> Iterator[MediaAnnotation | MediaFailure | KnownMedia]:
        for ref in media:
            self.asked.append(ref.media_id)
            digest = f"{hash(ref.uri) & 0xFFFFFFFF:064x}"
            if is_known is not None and is_known(digest):
                yield KnownMedia(ref, digest)
                continue
            self.decoded.append(ref.media_id)
            if "broken" in ref.media_id:
                yield MediaFailure(ref, self.model, "undecodable", "It is no media.", is_transient=False)
                continue
            track = draw_track(person=int(ref.media_id.split("-")[1]))
            yield MediaAnnotation(
                media=ref,
                model=self.model,
                content_sha256=digest,
                clip=ClipReport(320, 240, 400, 4, 4, None),
                frames_sampled=4,
                faces=2,
                tracks=(track,),
                labels=tuple(self.identify([track.evidence])),
            )


def draw_track(person: int) -> FaceTrack:
    embedding = np.zeros((1, 128), np.float16)
    embedding[0, person] = 1
    one = np.ones(1, np.float16)
    return FaceTrack(
        track_no=0,
        shot_no=0,
        frame_index=np.arange(2, dtype=np.int64),
        pts_ms=np.array([0, 100], np.int64),
        from_ms=np.array([0, 100], np.int64),
        shown_ms=np.array([100, 150], np.int64),
        boxes_xyxy=np.array([[10, 20, 60, 80], [12.5, 20, 62.5, 80]], np.float32),
        scores=np.ones(2, np.float32),
        quality=np.ones(2, np.float32),
        evidence=TrackEvidence(embedding, one * 60, one),
        best_faces=np.zeros((1, 112, 112, 3), np.uint8),
    )


def refs(*names: str) -> list[MediaRef]:
    return [MediaRef(name, f"file:///clips/{name}") for name in names]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "annotations.db") as opened:
        yield opened


def saving(store: Store, annotator: DrawnAnnotator) -> Saving:
    network_id = store.register_network({"network": "drawn"})
    labelling_id = store.register_labelling(
        network_id, model=annotator.model, digest=annotator.model, photographs=dict.fromkeys(annotator.people, 3)
    )
    return Saving(store, network_id, labelling_id)


def lines(
    annotator: DrawnAnnotator, media: list[MediaRef], where: Saving | None, **how: bool
) -> list[dict[str, object]]:
    told = annotate_media(annotator, media, saving=where, **how)  # type: ignore[arg-type]
    return [to_json_line(one.result) for one in told]


MEDIA = refs("a-0", "b-1", "c-7", "broken-0")


def test_the_second_run_prints_the_same_lines_without_decoding(store: Store) -> None:
    annotator = DrawnAnnotator(CHER, BONO)
    where = saving(store, annotator)
    first = lines(annotator, MEDIA, where)
    annotator.decoded.clear()
    assert lines(annotator, MEDIA, where) == first
    assert annotator.decoded == ["broken-0"]
    assert [[label["identity"] for label in line["labels"]] for line in first] == [["Cher"], ["Bono"], [], []]  # type: ignore[attr-defined]


def test_objects_whose_etag_is_known_are_not_even_fetched(store: Store) -> None:
    annotator = DrawnAnnotator(CHER, BONO)
    where = saving(store, annotator)
    media = [MediaRef(name, f"s3://clips/{name}", etag) for name, etag in (("a-0", "one"), ("b-1", "two"))]
    first = lines(annotator, media, where)
    annotator.asked.clear()
    assert lines(annotator, media, where) == first
    assert annotator.asked == []
    changed = [media[0], MediaRef("b-1", media[1].uri, "three")]
    assert len(lines(annotator, changed, where)) == 2
    assert annotator.asked == ["b-1"]


def test_a_new_labelling_names_stored_tracks_without_decoding(store: Store) -> None:
    lines(DrawnAnnotator(CHER), MEDIA[:2], saving(store, DrawnAnnotator(CHER)))
    annotator = DrawnAnnotator(CHER, BONO)
    found = lines(annotator, MEDIA[:2], saving(store, annotator))
    assert annotator.decoded == []
    assert [line["tracks"][0]["identity"] for line in found] == ["Cher", "Bono"]  # type: ignore[index]
    assert {line["model"] for line in found} == {"drawn@2"}


def test_what_needs_faces_is_decoded_again_and_changes_no_row(store: Store) -> None:
    annotator = DrawnAnnotator(CHER, BONO)
    where = saving(store, annotator)
    first = lines(annotator, MEDIA[:2], where)
    annotator.decoded.clear()
    told = list(annotate_media(annotator, MEDIA[:2], saving=where, needs_faces=True))  # type: ignore[arg-type]
    assert all(one.annotation is not None for one in told)
    assert [to_json_line(one.result) for one in told] == first
    assert annotator.decoded == ["a-0", "b-1"]


def test_a_refresh_decodes_again(store: Store) -> None:
    annotator = DrawnAnnotator(CHER, BONO)
    where = saving(store, annotator)
    first = lines(annotator, MEDIA[:1], where)
    annotator.decoded.clear()
    assert lines(annotator, MEDIA[:1], where, is_refreshed=True) == first
    assert annotator.decoded == ["a-0"]


def test_nothing_is_saved_without_a_database() -> None:
    annotator = DrawnAnnotator(CHER)
    assert lines(annotator, MEDIA[:1], None) == lines(annotator, MEDIA[:1], None)
    assert annotator.decoded == ["a-0", "a-0"]


def test_a_failure_is_kept_and_does_not_hold_up_its_siblings(store: Store) -> None:
    annotator = DrawnAnnotator(CHER)
    where = saving(store, annotator)
    assert [line["status"] for line in lines(annotator, MEDIA, where)] == ["annotated"] * 3 + ["failed"]
    assert dict(store.status().failures) == {"undecodable": 1}


def test_many_media_are_saved_in_several_transactions(store: Store) -> None:
    annotator = DrawnAnnotator(CHER)
    where = saving(store, annotator)
    media = refs(*[f"m{number}-0" for number in range(2 * SAVE_AFTER_MEDIA + 1)])
    assert len(lines(annotator, media, where)) == len(media)
    assert store.status().media == len(media)


def test_two_media_with_one_content_are_told_under_their_own_names(store: Store) -> None:
    annotator = DrawnAnnotator(CHER)
    where = saving(store, annotator)
    ref = refs("a-0")[0]
    lines(annotator, [ref], where)
    again = dataclasses.replace(ref, media_id="elsewhere/a-0")
    assert [line["media"] for line in lines(annotator, [again], where)] == ["elsewhere/a-0"]
