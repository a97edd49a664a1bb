"""A small archive for tests of the web application: three clips, of two people and a stranger."""

from annotator.store import Store
from annotator.store.rollups import roll_up
from annotator.store.web.media import list_media
from annotator.types import MediaRef
from tests.store_values import ADA, BEN, PEOPLE, SPEC, annotation, known, ref, track, unknown


def fill(store: Store, *, media: tuple[MediaRef, ...] = ()) -> dict[str, int]:
    """Fill a store and return media ids by name.

    ``both.gif``: Ada and Ben in one shot; ``apart.gif``: both, in two shots; ``ada.mp4``: Ada, less sure, and a
    stranger.

    Args:
        store: an empty one.
        media: where these three are instead of in a bucket that is not there.

    """
    both, apart, ada = media or (ref("both.gif"), ref("apart.gif"), ref("ada.mp4"))
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(
        network_id, model="test@1", digest="d", photographs=dict.fromkeys(PEOPLE, 3)
    )
    second = track(1, start_ms=400)
    elsewhere = type(second)(**{name: getattr(second, name) for name in second.__slots__} | {"shot_no": 1})
    store.save(
        [
            annotation(
                both,
                content=1,
                tracks=[track(0), second],
                labels=[known(ADA, confidence=0.99), known(BEN, confidence=0.9)],
            ),
            annotation(
                apart,
                content=2,
                tracks=[track(0), elsewhere],
                labels=[known(ADA, confidence=0.95), known(BEN, confidence=0.97)],
            ),
            annotation(ada, content=3, tracks=[track(0), track(1)], labels=[known(ADA, confidence=0.6), unknown(BEN)]),
        ],
        network_id=network_id,
        labelling_id=labelling_id,
    )
    roll_up(store.engine)
    with store.reading() as connection:
        ids = {row.ref.uri: row.media_id for row in list_media(connection, limit=10)}
    return {"both": ids[both.uri], "apart": ids[apart.uri], "ada": ids[ada.uri]}
