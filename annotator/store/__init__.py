"""The store: what was found, kept in SQLite or Postgres.

``Store`` is the front. The worker protocol is in ``annotator.store.queue``: ``work`` (claim, finish), ``sessions``
(heartbeat) and ``sweeping``.
"""

from annotator.store.enrolled import EnrolledFaces
from annotator.store.identities import IdentityRecord
from annotator.store.labels import Identify
from annotator.store.queries import Cursor, Found, Page
from annotator.store.queue.status import Status
from annotator.store.reads import KnownContent, StoredAnnotation, StoredTrack
from annotator.store.schema import check, upgrade
from annotator.store.store import Store
from annotator.store.writes import SaveReport

__all__ = [
    "Cursor",
    "EnrolledFaces",
    "Found",
    "Identify",
    "IdentityRecord",
    "KnownContent",
    "Page",
    "SaveReport",
    "Status",
    "Store",
    "StoredAnnotation",
    "StoredTrack",
    "check",
    "upgrade",
]
