"""A real S3 endpoint, both databases, and a producer on them whose networks are not loaded."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from annotator.media.limits import FetchLimits, S3Access
from annotator.media.s3 import S3Store
from annotator.settings import load_settings
from annotator.store import Store
from annotator.store.backlog.registration import ListingCount
from annotator.store.queue.counts import recount
from annotator.store.tables import chunks, listing_shards, media, runs, work
from workers.backlog.options import Request
from workers.backlog.running import Backlog, open_backlog

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class SmallPages(S3Store):
    """A server whose pages hold a few objects, so that few objects are many pages."""

    page_keys = 1000

    def list_page(self, bucket: str, prefix: str, *, after_key: str, max_keys: int = 1000) -> Any:
        return super().list_page(bucket, prefix, after_key=after_key, max_keys=min(max_keys, self.page_keys))


@dataclass
class Producer:
    """``annotate-backlog`` without its command line."""

    client: "S3Client"
    bucket: str
    server: SmallPages
    store: Store
    settings: Any
    network_id: int
    backlogs: list[Backlog] = field(default_factory=list)

    def put(self, *keys: str, body: bytes = b"gif") -> None:
        for key in keys:
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def open(self, prefix: str = "", *, stdin: bytes = b"", **options: Any) -> Any:
        request = Request(f"s3://{self.bucket}/{prefix}", **options)
        return open_backlog(
            self.store,
            self.server,
            request,
            network_id=self.network_id,
            settings=self.settings,
            stdin=io.BytesIO(stdin),
        )

    def run(self, prefix: str = "", **options: Any) -> ListingCount:
        """List to the end."""
        total = ListingCount()
        with self.open(prefix, **options) as backlog:
            self.backlogs.append(backlog)
            for part in backlog.listing.counts():
                total.add(part)
        return total

    def rows(self, statement: Any) -> Sequence[Any]:
        with self.store.reading() as connection:
            return connection.execute(statement).all()

    def known(self, *, gone: bool = False) -> list[str]:
        is_gone = media.c.deleted_at.is_not(None)
        found = self.rows(select(media.c.key).where(is_gone if gone else ~is_gone).order_by(media.c.key))
        return [row.key for row in found]

    def queued(self) -> list[list[str]]:
        """The keys of each chunk, in the order in which chunks go out."""
        names = {row.id: row.key for row in self.rows(select(media.c.id, media.c.key))}
        ordered = select(chunks.c.media_ids).order_by(chunks.c.priority.desc(), chunks.c.id)
        return [[names[one] for one in row.media_ids] for row in self.rows(ordered)]

    def shards(self) -> list[Any]:
        return list(self.rows(select(listing_shards).order_by(listing_shards.c.run_id, listing_shards.c.start_key)))

    def check(self) -> None:
        """What always holds: counters say what rows say, what is pending travels, listings have an end."""
        with self.store.writing() as connection:
            assert recount(connection) == []
        pending = {row.media_id for row in self.rows(select(work.c.media_id).where(work.c.state == 0))}
        travels = {one for row in self.rows(select(chunks.c.media_ids)) for one in row.media_ids}
        assert pending <= travels
        assert self.rows(select(func.count()).where(runs.c.listed_at.is_(None)))[0][0] == 0


@pytest.fixture
def producer(client: "S3Client", access: S3Access, store: Store, *, database_url: str, tmp_path: Path) -> Producer:
    bucket = f"bucket-{uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    settings = load_settings(env_file=None, database_url=database_url, data_dir=tmp_path)
    network_id = store.register_network({"name": "double"})
    return Producer(client, bucket, SmallPages(access, FetchLimits()), store, settings, network_id)
