"""``celery -A fake_worker_app``: the worker program with an annotator that takes no time and needs no networks.

Variables of the environment say how it behaves: ``FAKE_MEDIA_S``, and the keys of media (with commas between) that kill
the process as the kernel does when memory runs out (``FAKE_KILLERS``) or from which it never returns (``FAKE_HANGS``).
"""

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from annotator.settings import Settings, load_settings
from annotator.store.store import Store
from annotator.types import MediaRef
from workers.annotating.doubles import FakeAnnotator
from workers.annotating.engine import Outcome
from workers.annotating.results import StoreRows
from workers.app import create_app
from workers.boot import Parts, prepare_worker


def keys(variable: str) -> frozenset[str]:
    return frozenset(os.environ.get(variable, "").split(","))


# Real networks run in threads of pools, too, which the interpreter waits for at its end.
_NETWORKS = ThreadPoolExecutor(1)


class DangerousAnnotator(FakeAnnotator):
    """Does to the process what some media do."""

    def _outcome(self, one: MediaRef, is_known: Any) -> Outcome:
        if one.media_id in keys("FAKE_KILLERS"):
            os.kill(os.getpid(), signal.SIGKILL)
        if one.media_id in keys("FAKE_HANGS"):
            sys.stderr.write(f"The networks are at {one.media_id} for ever.\n")
            _NETWORKS.submit(threading.Event().wait).result()
        return super()._outcome(one, is_known)


def build(_: Settings, store: Store) -> Parts:
    network_id = store.register_network({"name": "fake"})
    labelling_id = store.register_labelling(network_id, model="fake@1", digest="0", photographs={})
    rows = StoreRows(network_id=network_id, labelling_id=labelling_id, identify=lambda _: [])
    annotator = DangerousAnnotator(media_s=float(os.environ.get("FAKE_MEDIA_S", "0")))
    return Parts(annotator, rows, lambda sha256: store.is_annotated(network_id, sha256), "cpu")


app = create_app(load_settings())
app.set_default()
if "worker" in sys.argv:
    prepare_worker(app, build)
