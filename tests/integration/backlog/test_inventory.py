"""Inventories: believed only when sizes, digests and every line are as they should be."""

import gzip
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from annotator.errors import AnnotatorError, InputError, SourceChangedError, SourceNotFoundError
from annotator.store.tables import media, runs
from tests.integration.backlog.conftest import Producer
from workers.backlog import inventory

pytestmark = pytest.mark.servers
SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, ETag"


def line(key: str, *, size: object = 7, etag: str = "e1", latest: str = "true", marker: str = "false") -> str:
    return f'"archive","{key}","","{latest}","{marker}","{size}","{etag}"'


def put(producer: Producer, contents: Sequence[Sequence[str]], **changes: Any) -> str:
    """Put an inventory into a bucket; return the address of its manifest."""
    named = []
    for number, lines in enumerate(contents):
        body = gzip.compress("".join(f"{one}\n" for one in lines).encode())
        key = f"inventory/data/{number}.csv.gz"
        producer.client.put_object(Bucket=producer.bucket, Key=key, Body=body)
        named.append({"key": key, "size": len(body), "MD5checksum": hashlib.md5(body).hexdigest()})  # noqa: S324
    manifest = {"sourceBucket": producer.bucket, "fileFormat": "CSV", "fileSchema": SCHEMA, "files": named} | changes
    producer.client.put_object(
        Bucket=producer.bucket, Key="inventory/manifest.json", Body=json.dumps(manifest).encode()
    )
    return f"s3://{producer.bucket}/inventory/manifest.json"


def test_an_inventory_registers_what_its_files_name_in_any_order(producer: Producer) -> None:
    files = [
        [line("gifs/b.gif"), line("gifs/a%2Bb+c%C3%BC.gif"), line("gifs/folder/"), line("elsewhere/x.gif")],
        [
            line("gifs/old.gif", latest="false"),
            line("gifs/deleted.gif", marker="true", size="", etag=""),
            line("gifs/0.gif", size=123, etag="d41d8cd98f00b204e9800998ecf8427e-3"),
        ],
    ]
    total = producer.run("gifs/", inventory=put(producer, files))
    assert (total.listed, total.new, total.queued) == (3, 3, 3)
    assert producer.known() == ["gifs/0.gif", "gifs/a+b cü.gif", "gifs/b.gif"]
    row = producer.rows(select(media.c.etag, media.c.size_bytes).where(media.c.key == "gifs/0.gif"))[0]
    assert tuple(row) == ('"d41d8cd98f00b204e9800998ecf8427e-3"', 123)
    assert [shard.start_key for shard in producer.shards()] == ["inventory/data/0.csv.gz", "inventory/data/1.csv.gz"]
    producer.check()


def test_what_an_inventory_does_not_name_is_not_gone_and_the_same_etag_is_not_changed(producer: Producer) -> None:
    producer.put("gifs/1.gif", "gifs/2.gif")
    producer.run("gifs/")
    etag = hashlib.md5(b"gif").hexdigest()  # noqa: S324
    total = producer.run("gifs/", inventory=put(producer, [[line("gifs/1.gif", size=3, etag=etag)]]))
    assert (total.listed, total.new, total.changed, total.deleted) == (1, 0, 0, 0)
    assert producer.known(gone=True) == []
    producer.check()


def test_a_stopped_inventory_goes_on_behind_the_last_line(producer: Producer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "LINES_PER_BATCH", 10)
    lines = [line(f"{number:03}.gif") for number in range(45)]
    address = put(producer, [lines[:30], lines[30:]])
    stops = 0
    while not (ends := producer.rows(select(runs.c.listed_at))) or ends[0].listed_at is None:
        with producer.open(inventory=address, listers=1) as backlog:
            counts = backlog.listing.counts()
            next(counts, None)
            counts.close()
            stops += 1
    assert 1 < stops < 8
    assert sum(shard.listed for shard in producer.shards()) == 45
    assert len(producer.known()) == 45
    producer.check()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fileFormat": "Parquet"}, "format Parquet, which is not read; configure the inventory as CSV"),
        ({"fileSchema": "Bucket, Key, LastModifiedDate"}, "without the fields Size, ETag"),
        ({"fileSchema": None}, "names no fileSchema"),
        ({"sourceBucket": "another"}, "of the bucket another"),
        ({"files": []}, "names no fileSchema or no files"),
        ({"files": [{"key": "x"}]}, "without key, size and MD5checksum"),
        ({"files": [{"key": "x", "size": 1, "MD5checksum": "a"}] * 2}, "names a file twice"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused_with_the_remedy(
    producer: Producer, changes: dict[str, Any], said: str
) -> None:
    address = put(producer, [[line("a.gif")]], **changes)
    with pytest.raises(InputError, match=said):
        producer.run(inventory=address)
    assert producer.known() == []


@pytest.mark.parametrize("body", [b"no json", b"[1]", b"\xff\xfe"])
def test_what_is_no_manifest_is_refused(producer: Producer, body: bytes) -> None:
    producer.client.put_object(Bucket=producer.bucket, Key="m.json", Body=body)
    with pytest.raises(InputError, match="no manifest"):
        producer.run(inventory=f"s3://{producer.bucket}/m.json")
    with pytest.raises(SourceNotFoundError):
        producer.run(inventory=f"s3://{producer.bucket}/nothing.json")


def test_a_file_that_is_not_the_one_of_the_manifest_registers_nothing(producer: Producer) -> None:
    address = put(producer, [[line("a.gif")]])
    key = "inventory/data/0.csv.gz"
    whole = producer.client.get_object(Bucket=producer.bucket, Key=key)["Body"].read()
    for body in (whole + b"longer", b"short", bytes([*whole[:-1], whole[-1] ^ 1])):
        producer.client.put_object(Bucket=producer.bucket, Key="inventory/data/0.csv.gz", Body=body)
        with pytest.raises(SourceChangedError, match="not the file that the manifest describes"):
            producer.run(inventory=address)
    assert producer.known() == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['"archive","a.gif"'], "a line of 2 fields, not 7"),
        ([line("a.gif", size="-1")], "an object of size"),
        ([line("a.gif", size="9" * 30)], "an object of size"),
        ([line("%FF%FE.gif")], "no UTF-8"),
        ([line("x" * 1100)], "a key of 1100 bytes"),
        ([line("x" * 70_000)], "a line of more than"),
        (['"open'], "no gzip file of comma-separated lines"),
    ],
)
def test_a_line_that_is_none_is_refused(producer: Producer, lines: list[str], said: str) -> None:
    address = put(producer, [[line("good.gif")], lines])
    with pytest.raises(AnnotatorError, match=said):
        producer.run(inventory=address, listers=1)


def test_a_file_that_is_no_gzip_is_refused(producer: Producer) -> None:
    body = b"plain text"
    producer.client.put_object(Bucket=producer.bucket, Key="inventory/data/9.csv.gz", Body=body)
    named = {"key": "inventory/data/9.csv.gz", "size": len(body), "MD5checksum": hashlib.md5(body).hexdigest()}  # noqa: S324
    with pytest.raises(InputError, match="no gzip file"):
        producer.run(inventory=put(producer, [], files=[named]))
