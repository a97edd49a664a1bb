"""``celery -A fake_worker_app``: the worker program with an annotator that takes no time and needs no networks."""

import os
import sys

from annotator.settings import Settings, load_settings
from annotator.store.store import Store
from workers.app import create_app
from workers.boot import Parts, prepare_worker
from workers.doubles import FakeAnnotator
from workers.results import StoreRows


def build(_: Settings, store: Store) -> Parts:
    network_id = store.register_network({"name": "fake"})
    labelling_id = store.register_labelling(network_id, model="fake@1", digest="0", photographs={})
    rows = StoreRows(network_id=network_id, labelling_id=labelling_id, identify=lambda _: [])
    annotator = FakeAnnotator(media_s=float(os.environ.get("FAKE_MEDIA_S", "0")))
    return Parts(annotator, rows, lambda sha256: store.is_annotated(network_id, sha256))


app = create_app(load_settings())
app.set_default()
if "worker" in sys.argv:
    prepare_worker(app, build)
