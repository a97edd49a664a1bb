"""What the pipeline lets pass is found again, each face in its track."""

from dataclasses import replace

import numpy as np
import pytest

from annotator.explaining.watching import SeenFaces, embedded_places
from tests.explained_media import MEDIA, Placed, annotated, explained


def test_the_faces_of_a_track_are_found_in_their_order() -> None:
    seen = SeenFaces()
    annotation = annotated(seen=seen)
    for track in annotation.tracks:
        faces = seen.of_track(annotation.media, track)
        assert len(faces) == len(track.pts_ms)
        places = embedded_places(track, faces)
        assert len(set(places)) == len(track.evidence)
        for place, crop in zip(places, track.best_faces, strict=True):
            np.testing.assert_array_equal(faces[place].crop, crop)
        np.testing.assert_array_equal(track.quality[places].astype(np.float16), track.evidence.quality)


def test_faces_that_are_alike_in_every_pixel_are_told_apart() -> None:
    still = Placed(3, 0, range(4), [100] * 4, [1.0] * 4)
    seen = SeenFaces()
    annotation = annotated([still], seen=seen)
    (track,) = annotation.tracks
    alike = replace(
        track,
        best_faces=np.stack([track.best_faces[0]] * 4),
        quality=np.full(4, track.evidence.quality[0], np.float32),
        evidence=replace(track.evidence, quality=np.full(4, track.evidence.quality[0], np.float16)),
    )
    faces = seen.of_track(annotation.media, track)
    best = faces[embedded_places(track, faces)[0]]
    assert sorted(embedded_places(alike, [best] * 4)) == [0, 1, 2, 3]
    qualities = np.array([0.4, 0.8, 0.6, 0.7], np.float32)
    best_first = replace(alike.evidence, quality=np.sort(qualities)[::-1].astype(np.float16))
    assert embedded_places(replace(alike, quality=qualities, evidence=best_first), [best] * 4) == [1, 3, 2, 0]


def test_only_so_many_crops_are_kept_and_the_embedded_ones_are_there_all_the_same() -> None:
    first, *others = explained(most_crops=1).tracks
    left_out = [face for track in (first, *others) for face in track.faces if face.use == "not_best"]
    assert [face.crop is not None for face in left_out] == [True, False, False]
    assert all(face.crop is not None for track in (first, *others) for face in track.faces if face.use != "not_best")


def test_a_track_without_its_crops_cannot_be_explained() -> None:
    seen = SeenFaces()
    annotation = annotated(MEDIA[:1], seen=seen, keep_faces=False)
    (track,) = annotation.tracks
    with pytest.raises(LookupError, match="keep_faces=True"):
        embedded_places(track, seen.of_track(annotation.media, track))


def test_crops_of_other_faces_are_noticed() -> None:
    seen = SeenFaces()
    annotation = annotated(MEDIA[:1], seen=seen)
    (track,) = annotation.tracks
    other = replace(track, best_faces=255 - track.best_faces)
    with pytest.raises(LookupError, match="other faces"):
        embedded_places(other, seen.of_track(annotation.media, track))


def test_faces_that_were_not_seen_are_not_made_up() -> None:
    annotation = annotated(MEDIA[:1])
    with pytest.raises(LookupError):
        SeenFaces().of_track(annotation.media, annotation.tracks[0])
