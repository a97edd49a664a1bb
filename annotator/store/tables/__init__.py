"""The tables: one definition for SQLite and Postgres, laid out for 10^9 media.

On Postgres the big tables are partitioned: LIST by network or labelling (retiring one is a DROP), below it RANGE by
content id (ids ascend: inserts stay local, old partitions freeze). ``annotator.store.partitions`` makes the partitions.
SQLite has the same tables, whole.

Foreign keys stand between the small tables only. A foreign key from a table of 10^9 rows to the one row of a network
would lock that row in every transaction of every worker; there the partition itself refuses an unknown network.
"""

from annotator.store.tables.base import metadata, store_settings
from annotator.store.tables.corrections import (
    corrections,
    overruled_labels,
    review_decisions,
    review_items,
    review_scans,
)
from annotator.store.tables.media import (
    content_families,
    contents,
    fingerprints,
    media,
    media_views,
    missing_media,
    sources,
)
from annotator.store.tables.models import active, labellings, models, networks, promotions, relabellings, retrainings
from annotator.store.tables.people import (
    enrolled_faces,
    identities,
    identity_aliases,
    labelling_identities,
    merges,
    takedowns,
    tombstones,
)
from annotator.store.tables.results import (
    annotations,
    content_labels_by,
    labelled_contents,
    track_embeddings,
    track_labels,
    tracks,
)
from annotator.store.tables.strangers import awaited_tracks, grouped_contents, grouped_tracks, groupings, track_groups
from annotator.store.tables.sums import (
    co_appearances_by,
    identity_counts_by,
    roll_ups,
    stranger_counts_by,
    stranger_roll_ups,
)
from annotator.store.tables.web import (
    web_accounts,
    web_attempts,
    web_audit,
    web_jobs,
    web_sessions,
    web_subjects,
    web_tokens,
)
from annotator.store.tables.work import (
    ChunkState,
    WorkState,
    chunks,
    listing_shards,
    outbox,
    progress,
    runs,
    scaling,
    stale_contents,
    work,
    work_counts,
    work_deltas,
    worker_sessions,
)

__all__ = [
    "ChunkState",
    "WorkState",
    "active",
    "annotations",
    "awaited_tracks",
    "chunks",
    "co_appearances_by",
    "content_families",
    "content_labels_by",
    "contents",
    "corrections",
    "enrolled_faces",
    "fingerprints",
    "grouped_contents",
    "grouped_tracks",
    "groupings",
    "identities",
    "identity_aliases",
    "identity_counts_by",
    "labelled_contents",
    "labelling_identities",
    "labellings",
    "listing_shards",
    "media",
    "media_views",
    "merges",
    "metadata",
    "missing_media",
    "models",
    "networks",
    "outbox",
    "overruled_labels",
    "progress",
    "promotions",
    "relabellings",
    "retrainings",
    "review_decisions",
    "review_items",
    "review_scans",
    "roll_ups",
    "runs",
    "scaling",
    "sources",
    "stale_contents",
    "store_settings",
    "stranger_counts_by",
    "stranger_roll_ups",
    "takedowns",
    "tombstones",
    "track_embeddings",
    "track_groups",
    "track_labels",
    "tracks",
    "web_accounts",
    "web_attempts",
    "web_audit",
    "web_jobs",
    "web_sessions",
    "web_subjects",
    "web_tokens",
    "work",
    "work_counts",
    "work_deltas",
    "worker_sessions",
]
