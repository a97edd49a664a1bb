"""Which track stands for a person in a media, on both databases."""

from annotator.store import Store
from annotator.store.identities import ids_of
from annotator.store.registry import find_media
from annotator.store.web.best_tracks import best_tracks
from tests.store_values import ADA, BEN, PEOPLE, SPEC, annotation, known, ref, track


def test_the_surest_track_stands_for_a_person_and_for_who_was_merged_into_the_person(store: Store) -> None:
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(
        network_id, model="test@1", digest="d", photographs=dict.fromkeys(PEOPLE, 3)
    )
    tracks = [track(0), track(1, start_ms=400), track(2, start_ms=900)]
    labels = [known(ADA, confidence=0.7), known(ADA, confidence=0.9), known(BEN, confidence=0.8)]
    store.save([annotation(ref(), tracks=tracks, labels=labels)], network_id=network_id, labelling_id=labelling_id)
    with store.reading() as connection:
        (row,) = find_media(connection, [ref()]).values()
        ids = ids_of(connection, [ADA.name, BEN.name])
        ada, ben, content_id = ids[ADA.name], ids[BEN.name], row.content_id
        assert content_id is not None
        assert best_tracks(connection, [content_id], [ada, ben]) == {(content_id, ada): 1, (content_id, ben): 2}
        assert best_tracks(connection, [content_id], [ben]) == {(content_id, ben): 2}
        assert best_tracks(connection, [], [ada]) == {}
    store.merge(ADA.name, BEN.name)
    with store.reading() as connection:
        assert best_tracks(connection, [content_id], [ben])[content_id, ben] == 1
