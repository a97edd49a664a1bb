"""Keys from a bucket's listing: in pages of a thousand, resumed by key, cut into stretches."""

from collections.abc import Iterator, Sequence
from typing import Final

from annotator.errors import ConfigError
from annotator.media.s3 import ListedObject, S3Store
from annotator.store.backlog.gone import KeyRange
from annotator.store.backlog.listing import Shard
from workers.backlog.batches import PAGES_PER_BATCH, Batch, Choice, is_media_key
from workers.backlog.keyspace import find_middle

_MAX_DEPTH: Final = 5


class BucketSource:
    """The objects of a bucket below a prefix. Safe to use from several threads."""

    def __init__(self, store: S3Store, bucket: str, choice: Choice) -> None:
        """List nothing yet.

        Args:
            store: the bucket's server.
            bucket: which bucket.
            choice: which keys are wanted; its prefix is listed.

        """
        self._store = store
        self._bucket = bucket
        self._prefix = choice.prefix
        self._choice = None if choice.takes_all else choice

    def check(self) -> None:
        """Look whether the bucket can be listed, before a backlog of it is begun.

        Raises:
            SourceNotFoundError: no such bucket.
            ForbiddenSourceError: no permission.
            SourceUnavailableError: the server does not answer.
            ConfigError: no credentials.

        """
        self._store.list_page(self._bucket, self._prefix, after_key="", max_keys=1)

    def plan(self, shard: Shard, *, shards: int) -> Sequence[str]:
        """Return keys of folders at which the listing is cut; a lone folder is looked into."""
        del shard  # the whole prefix
        prefix = self._prefix
        for _ in range(_MAX_DEPTH):
            folders, is_all = self._store.list_folders(self._bucket, prefix)
            if len(folders) != 1 or not is_all:
                step = -(-len(folders) // shards)
                return folders[step::step] if folders else ()
            prefix = folders[0]
        return ()

    def batches(self, shard: Shard, *, most: int | None) -> Iterator[Batch]:
        """Yield what lies behind the cursor of a shard, some pages at a time."""
        objects: list[ListedObject] = []
        pages = left_out = 0
        begin = cursor = shard.cursor
        while True:
            listed, is_last = self._page(shard, cursor)
            wanted = self._wanted(listed)
            room = None if most is None else most - len(objects)
            is_cut = room is not None and len(wanted) > room
            if is_cut:
                wanted = wanted[:room]
                listed = [one for one in listed if one.key <= wanted[-1].key] if wanted else []
            objects += wanted
            if len(wanted) < len(listed):
                left_out += sum(not one.key.endswith("/") for one in listed) - len(wanted)
            cursor = listed[-1].key if listed else cursor
            pages += 1
            is_end = is_last and not is_cut
            is_full = most is not None and len(objects) >= most
            if is_end or is_full or pages == PAGES_PER_BATCH:
                told = KeyRange(self._prefix, begin, shard.end_key if is_end else cursor, self._choice)
                yield Batch(objects, cursor, pages, is_end=is_end, told=told, left_out=left_out)
                if is_end or is_full:
                    return
                most = None if most is None else most - len(objects)
                objects, pages, left_out, begin = [], 0, 0, cursor

    def _page(self, shard: Shard, cursor: str) -> tuple[Sequence[ListedObject], bool]:
        """Return the next page of a shard, and whether it is its last one."""
        page = self._store.list_page(self._bucket, self._prefix, after_key=cursor)
        keys = [one.key for one in page.objects]
        if keys and (keys[0] <= cursor or keys != sorted(keys)):
            raise ConfigError(
                f"s3://{self._bucket} does not list its keys in order (is it a directory bucket?);"
                " register it from an inventory: --inventory s3://…/manifest.json"
            )
        if shard.end_key is not None and keys and keys[-1] > shard.end_key:
            end_key = shard.end_key
            return [one for one in page.objects if one.key <= end_key], True
        return page.objects, page.is_last

    def _wanted(self, listed: Sequence[ListedObject]) -> Sequence[ListedObject]:
        choice = self._choice
        return [one for one in listed if is_media_key(one.key) and (choice is None or choice(one.key))]

    def split(self, shard: Shard) -> str | None:
        """Probe for a key in the middle of what is left."""

        def has_key(middle: str) -> bool:
            found = self._store.list_page(self._bucket, self._prefix, after_key=middle, max_keys=1).objects
            return bool(found) and (shard.end_key is None or found[0].key <= shard.end_key)

        return find_middle(shard.cursor, shard.end_key, self._prefix, has_key=has_key)
