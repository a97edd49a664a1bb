"""What was looked at last, for the first page."""

from sqlalchemy import update

from annotator.store import Store
from annotator.store.columns import utc_now
from annotator.store.tables import media
from annotator.store.web.overview import newest_media
from tests.store_values import ADA, BEN, PEOPLE, SPEC, annotation, known, ref, track


def test_the_newest_come_first_with_who_is_in_them_once_each_and_without_those_that_are_gone(store: Store) -> None:
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(
        network_id, model="test@1", digest="d", photographs=dict.fromkeys(PEOPLE, 3)
    )
    with store.reading() as connection:
        assert newest_media(connection, limit=4) == []
    labels = [known(BEN, confidence=0.7), known(ADA, confidence=0.9)]
    for number, (key, tracks) in enumerate(
        [("old.gif", [track(0), track(1)]), ("gone.gif", [track(0), track(1)]), ("nobody.gif", []), ("new.gif", [])]
    ):
        one = annotation(ref(key), content=number + 1, tracks=tracks, labels=labels[: len(tracks)])
        store.save([one], network_id=network_id, labelling_id=labelling_id)
    store.save(
        [annotation(ref("new, again.gif"), content=4, tracks=[], labels=[])],
        network_id=network_id,
        labelling_id=labelling_id,
    )
    with store.writing() as connection:
        connection.execute(update(media).where(media.c.key.like("%gone.gif")).values(deleted_at=utc_now()))
    with store.reading() as connection:
        new, nobody, old = newest_media(connection, limit=4)
        assert len(newest_media(connection, limit=1)) == 1
    assert [one.uri for one in (new, nobody, old)] == [ref(key).uri for key in ("new.gif", "nobody.gif", "old.gif")]
    assert (nobody.people, nobody.longest_track) == ((), None)
    assert [confidence for _, confidence in old.people] == [0.9, 0.7]
    assert old.longest_track == 0
