"""Where and when single tracks were seen, for pictures of their faces, on both databases."""

from annotator.store import Store
from annotator.store.registry import find_media
from annotator.store.web.faces import find_boxes, load_boxes_around
from tests.store_values import ADA, SPEC, annotation, known, ref, track


def test_a_track_is_found_by_its_number_and_those_around_a_time_come_nearest_first(store: Store) -> None:
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(network_id, model="test@1", digest="d", photographs={ADA: 3})
    # Seen for 300 ms each, the last one for three seconds, around all of them.
    tracks = [track(number, start_ms=start_ms) for number, start_ms in enumerate((1000, 2000, 200, 1300))]
    tracks.append(track(4, start_ms=0, times=30))
    others = [annotation(ref("other.gif"), content=2, tracks=tracks[:1], labels=[known(ADA)])]
    read = annotation(ref(), tracks=tracks, labels=[known(ADA)] * len(tracks))
    store.save([read, *others], network_id=network_id, labelling_id=labelling_id)
    with store.reading() as connection:
        (row,) = find_media(connection, [ref()]).values()
        assert row.content_id is not None
        boxes = find_boxes(connection, network_id, row.content_id, 1)
        assert boxes is not None
        assert boxes.pts_ms.tolist() == [2000, 2100, 2200]
        for missing in (5, 2**15, 2**70):
            assert find_boxes(connection, network_id, row.content_id, missing) is None

        def around(span_ms: tuple[int, int], *, limit: int = 10) -> list[int]:
            found = load_boxes_around(
                connection, network_id, row.content_id or 0, span_ms=span_ms, around_ms=1100, limit=limit
            )
            return list(found)

        assert around((0, 5000)) == [0, 3, 4, 2, 1]
        assert around((0, 5000), limit=2) == [0, 3]
        assert around((1000, 2000)) == [0, 3, 4]
        assert around((1500, 2001)) == [3, 4, 1]
        assert around((3500, 5000)) == []
