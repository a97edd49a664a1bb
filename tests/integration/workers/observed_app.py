"""``celery -A observed_app``: a worker with a double of the annotator; some media fail with a secret in the text."""

import sys

from annotator.errors import SourceUnavailableError, UndecodableMediaError
from annotator.settings import Settings, load_settings
from annotator.store.store import Store
from annotator.types import MediaFailure, MediaRef
from workers.annotating.doubles import FakeAnnotator
from workers.annotating.results import StoreRows
from workers.app import create_app
from workers.boot import Parts, prepare_worker


def failure(key: str, error: type[Exception], message: str, *, is_transient: bool) -> MediaFailure:
    reason: str = error.reason  # type: ignore[attr-defined]
    return MediaFailure(MediaRef(key, f"s3://clips/{key}", "1"), "fake@1", reason, message, is_transient=is_transient)


def build(settings: Settings, store: Store) -> Parts:
    network_id = store.register_network({"name": "fake"})
    labelling_id = store.register_labelling(network_id, model="fake@1", digest="0", photographs={})
    rows = StoreRows(network_id=network_id, labelling_id=labelling_id, identify=lambda _: [])
    broker = settings.broker_url.get_secret_value() if settings.broker_url else ""
    presigned = "https://s3.example/1.gif?X-Amz-Credential=AKIA&X-Amz-Signature=s1gnature"
    scripted: dict[str, Exception | MediaFailure] = {
        "s3://clips/1.gif": failure("1.gif", UndecodableMediaError, f"no media: {presigned}", is_transient=False),
        "s3://clips/2.gif": failure("2.gif", SourceUnavailableError, f"away: {broker}", is_transient=True),
    }
    return Parts(FakeAnnotator(scripted=scripted), rows, None)


app = create_app(load_settings())
app.set_default()
if "worker" in sys.argv:
    prepare_worker(app, build)
