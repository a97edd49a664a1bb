"""How fast does ``annotate-backlog`` register what a listing says, and what does it cost?

    python benchmarks/registration.py                              # 1,000,000 media, four listers, from a double
    python benchmarks/registration.py --media 200000 --listers 1
    python benchmarks/registration.py --inventory                  # from the files of an S3 Inventory
    python benchmarks/registration.py --pages                      # what reading a page of a real listing costs

It starts its own Postgres from the wheel in a temporary folder (``fsync`` stays on) and runs the producer's own listers
against a double of the bucket, which makes pages of a thousand keys from numbers: what a real bucket's answers cost to
wait for and to parse is not in it. Processor time of the server is that of all its processes, from /proc. Linux only.
"""

import argparse
import contextlib
import gzip
import hashlib
import html
import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from annotator.media import s3_pages
from annotator.media.limits import FetchLimits, S3Access
from annotator.media.s3 import ListedObject, ListedPage, S3Store
from annotator.stack.child import free_port
from annotator.stack.postgres import PostgresChild
from annotator.store import Store, upgrade
from annotator.store.backlog.listing import Wish, begin_run
from annotator.store.backlog.registration import ListingCount
from annotator.store.queue.chunks import ChunkLimits
from workers.backlog.batches import Choice, KeySource
from workers.backlog.bucket import BucketSource
from workers.backlog.inventory import InventorySource, Sink, read_manifest
from workers.backlog.lister import Listing, Pace, Registrar

BUCKET = "archive"
PER_FOLDER = 5000
FILES = 4
TICK = os.sysconf("SC_CLK_TCK")


class Double:
    """A bucket of GIFs whose keys are numbers; its listing costs next to nothing."""

    def __init__(self, media: int) -> None:
        """Hold so many."""
        self._media = media

    def list_page(self, bucket: str, prefix: str, *, after_key: str, max_keys: int = 1000) -> ListedPage:
        """Make the next page."""
        del bucket, prefix
        first = self._following(after_key)
        last = min(first + max_keys, self._media)
        objects = tuple([described(number) for number in range(first, last)])
        return ListedPage(objects, is_last=last == self._media)

    def _following(self, key: str) -> int:
        if not key:
            return 0
        if key.endswith("/"):
            return int(key[:-1]) * PER_FOLDER
        folder, _, name = key.partition("/")
        digits = name.removesuffix(".gif")
        return int(digits) + 1 if digits.isdigit() and len(digits) == 9 else (int(folder) + 1) * PER_FOLDER

    def list_folders(self, bucket: str, prefix: str) -> tuple[tuple[str, ...], bool]:
        """Return the first thousand folders."""
        del bucket, prefix
        folders = -(-self._media // PER_FOLDER)
        return tuple(f"{number:06d}/" for number in range(min(folders, 1000))), folders <= 1000


def described(number: int) -> ListedObject:
    """Return an object: GIFs of 0.3 to 2 MB."""
    key = f"{number // PER_FOLDER:06d}/{number:09d}.gif"
    return ListedObject(key, f'"{number:032x}"', 300_000 + number * 7919 % 1_700_000)


class Files:
    """The objects of an inventory, on the disk."""

    def __init__(self, folder: Path, media: int) -> None:
        """Write them."""
        self._folder = folder
        files = []
        for part in range(FILES):
            path = folder / f"{part}.csv.gz"
            with gzip.open(path, "wt", compresslevel=1) as lines:
                for number in range(part * media // FILES, (part + 1) * media // FILES):
                    key, etag, size_bytes = described(number)
                    lines.write(f'"{BUCKET}","{key}","{size_bytes}","{etag[1:-1]}"\n')
            whole = path.read_bytes()
            files.append({"key": path.name, "size": len(whole), "MD5checksum": hashlib.md5(whole).hexdigest()})  # noqa: S324
        manifest = {
            "sourceBucket": BUCKET,
            "fileFormat": "CSV",
            "fileSchema": "Bucket, Key, Size, ETag",
            "files": files,
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))

    def fetch(self, bucket: str, key: str, *, etag: str | None, sink: Sink) -> None:
        """Read one."""
        del bucket, etag
        with (self._folder / key).open("rb") as file:
            while data := file.read(256 << 10):
                sink.write(data)


def server_cpu_s(pid: int) -> float:
    """Return the processor time of a server: its own, of the processes that it has, and of those that it had."""
    total = 0.0
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in [str(pid), *children]:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(value) for value in fields[11 : 15 if one == str(pid) else 13]) / TICK
    return total


@contextlib.contextmanager
def server(folder: Path) -> Iterator[tuple[str, int]]:
    """Run Postgres; give its URL and process."""
    child = PostgresChild(folder / "postgres", free_port())
    try:
        upgrade(child.url)
        (pid,) = [int(line) for line in (folder / "postgres/data/postmaster.pid").read_text().splitlines()[:1]]
        yield child.url, pid
    finally:
        child.process.stop(timeout_s=20.0)


def register(
    store: Store, network_id: int, source: KeySource, *, starts: tuple[str, ...], listers: int
) -> ListingCount:
    """List to the end, as the command does."""
    with store.writing() as connection:
        run = begin_run(connection, Wish(network_id, f"s3://{BUCKET}/", prefix="", starts=starts))
    registrar = Registrar(store, run, ChunkLimits())
    total = ListingCount()
    for part in Listing(store, run, source=source, registrar=registrar, pace=Pace(listers=listers)).counts():
        total.add(part)
    return total


class Answer(BaseHTTPRequestHandler):
    """The same page of a thousand objects, again and again."""

    protocol_version = "HTTP/1.1"
    page = (
        "<ListBucketResult><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>"
        + "".join(
            f"<Contents><Key>{quote(one.key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{html.escape(one.etag)}</ETag><Size>{one.size_bytes}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for one in map(described, range(1000))
        )
        + "</ListBucketResult>"
    ).encode()

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def measure_pages(pages: int = 50) -> None:
    """Print the processor time of reading a page, ours and botocore's own; sending it is in both (some 0.5 ms)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    access = S3Access(f"http://127.0.0.1:{server.server_port}", "us-east-1", "bench", "bench")
    for name, event in (("ours", s3_pages.EVENT), ("botocore's", "before-parse.s3.Nothing")):
        s3_pages.EVENT = event  # type: ignore[misc]
        store = S3Store(access, FetchLimits())
        store.list_page(BUCKET, "", after_key="")
        began_s = time.process_time()
        for _ in range(pages):
            store.list_page(BUCKET, "", after_key="")
        print(f"{name}: {(time.process_time() - began_s) / pages * 1000:.1f} ms a page of 1,000 objects")
    server.shutdown()


def main() -> None:
    """Measure, and print a line for new and one for unchanged media."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=int, default=1_000_000)
    parser.add_argument("--listers", type=int, default=4)
    parser.add_argument("--inventory", action="store_true", help="from the files of an inventory")
    parser.add_argument("--pages", action="store_true", help="the cost of a page, without a database")
    options = parser.parse_args()
    if options.pages:
        measure_pages()
        return
    with tempfile.TemporaryDirectory() as name, server(Path(name)) as (url, pid):
        starts: tuple[str, ...] = ("",)
        source: KeySource = BucketSource(Double(options.media), BUCKET, Choice(""))  # type: ignore[arg-type]
        if options.inventory:
            (Path(name) / "inventory").mkdir()
            files = Files(Path(name) / "inventory", options.media)
            manifest = read_manifest(files, "s3://reports/manifest.json", source_bucket=BUCKET)
            source = InventorySource(files, "reports", manifest, Choice(""))
            starts = tuple(one.key for one in manifest.files)
        print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} processors; {options.listers} listers", flush=True)
        with Store.open(url, pool_size=options.listers + 2) as store:
            network_id = store.register_network({"name": "double"})
            for what in ("new", "unchanged"):
                began_s, client_s, server_s = time.perf_counter(), time.process_time(), server_cpu_s(pid)
                total = register(store, network_id, source, starts=starts, listers=options.listers)
                seconds = time.perf_counter() - began_s
                thousands = total.listed / 1000
                print(
                    f"{what:>9}: {total.listed} media ({total.new} new, {total.chunks} chunks) in {seconds:.1f} s,"
                    f" {total.listed / seconds:,.0f}/s; processor time of 1,000:"
                    f" client {(time.process_time() - client_s) / thousands * 1000:.1f} ms,"
                    f" server {(server_cpu_s(pid) - server_s) / thousands * 1000:.1f} ms",
                    flush=True,
                )


if __name__ == "__main__":
    main()
