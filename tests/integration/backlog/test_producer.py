"""The producer on a real S3 endpoint and both databases: what it registers, in parts, again, and after a stop."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select, text, update

from annotator.errors import AnnotatorError, BacklogStoppedError, ForbiddenSourceError, SourceNotFoundError
from annotator.store.known import KnownContents
from annotator.store.queue.chunks import USUAL_LIMITS
from annotator.store.queue.sessions import open_session
from annotator.store.queue.work import Deadlines, claim
from annotator.store.tables import annotations, media, runs, stale_contents, work
from annotator.store.writes import write_outcomes
from annotator.types import ClipReport, KnownMedia, MediaAnnotation, MediaRef
from tests.integration.backlog.conftest import Producer
from workers.backlog import ids as listed_ids
from workers.backlog.lister import Listing, Pace, Registrar
from workers.backlog.views import ViewsFile
from workers.beat.runs import look_after_backlogs

pytestmark = pytest.mark.servers
ODD_KEYS = [
    "a b+c%20.gif",
    "tab\there.gif",
    "back\\slash.gif",
    "ü/日本.gif",
    "\x01control.gif",
    "\U0001f600.gif",
]


def test_every_key_that_s3_allows_is_registered_as_it_is(producer: Producer) -> None:
    producer.put(*ODD_KEYS, "folder/")
    total = producer.run()
    assert (total.listed, total.new, total.left_out) == (len(ODD_KEYS), len(ODD_KEYS), 0)
    assert producer.known() == sorted(ODD_KEYS)
    again = producer.run()
    assert (again.listed, again.new, again.changed, again.deleted) == (len(ODD_KEYS), 0, 0, 0)
    producer.check()


def test_folders_become_shards_that_cover_every_key_once(producer: Producer) -> None:
    keys = [f"top/{folder}/{number}.gif" for folder in "abcdefgh" for number in range(3)]
    producer.put("top/0.gif", *keys, "top/~.gif")
    total = producer.run("top/", listers=2)
    assert total.new == len(keys) + 2
    ends = [(shard.start_key, shard.end_key) for shard in producer.shards()]
    assert len(ends) > 2
    assert ends[0][0] == ""
    assert ends[-1][1] is None
    assert all(one[1] == following[0] for one, following in pairwise(ends))
    assert producer.known() == sorted(["top/0.gif", *keys, "top/~.gif"])
    producer.check()


def test_a_busy_shard_is_cut_in_the_middle_and_nothing_is_lost_or_doubled(producer: Producer) -> None:
    keys = [f"{number:04}.gif" for number in range(150)]
    producer.put(*keys)
    producer.server.page_keys = 3
    with producer.open() as backlog:
        registrar = Registrar(producer.store, backlog.run, limits=USUAL_LIMITS)
        pace = Pace(listers=3, pages_until_split=10)
        listing = Listing(producer.store, backlog.run, source=backlog.source, registrar=registrar, pace=pace)
        assert sum(part.new for part in listing.counts()) == len(keys)
    assert len(producer.shards()) > 2
    assert all(shard.done for shard in producer.shards())
    assert sum(shard.listed for shard in producer.shards()) == len(keys)
    assert producer.known() == keys
    producer.check()


def test_a_listing_that_is_stopped_anywhere_goes_on_and_ends_like_an_undisturbed_one(producer: Producer) -> None:
    keys = [f"{folder}/{number:03}.gif" for folder in "abc" for number in range(40)]
    producer.put(*keys)
    producer.server.page_keys = 2
    stops = 0
    while True:
        with producer.open(listers=2) as backlog:
            assert backlog.run.is_resumed == (stops > 0)
            counts = backlog.listing.counts()
            if next(counts, None) is None:
                break
            counts.close()  # what is under way is registered or not; both are fine
            stops += 1
        if producer.rows(select(runs.c.listed_at))[0].listed_at is not None:
            break
    assert stops > 1
    assert producer.known() == sorted(keys)
    assert sorted(key for chunk in producer.queued() for key in chunk) == sorted(keys)
    assert sum(shard.listed for shard in producer.shards()) == len(keys)
    producer.check()


def test_what_is_gone_is_marked_shard_by_shard_also_a_whole_folder(producer: Producer) -> None:
    producer.put("a/1.gif", "a/2.gif", "b/1.gif", "c/1.gif", "c/2.gif")
    producer.run()
    producer.delete("a/2.gif", "b/1.gif", "c/2.gif")
    total = producer.run()
    assert total.deleted == 3
    assert producer.known(gone=True) == ["a/2.gif", "b/1.gif", "c/2.gif"]
    states = producer.rows(select(work.c.media_id))
    assert len(states) == 2  # what was pending of them is no longer work
    producer.put("b/1.gif")
    assert producer.run().queued == 1
    assert producer.known(gone=True) == ["a/2.gif", "c/2.gif"]
    producer.check()


def test_a_limit_takes_the_first_and_says_nothing_of_the_rest(producer: Producer) -> None:
    keys = [f"a/{number}.gif" for number in range(6)]
    producer.put(*keys)
    producer.run()
    producer.delete("a/5.gif")
    assert producer.run(limit=4).listed == 4
    assert producer.known(gone=True) == []
    run = producer.backlogs[-1].run
    for _ in range(2):
        look_after_backlogs(producer.store.engine, session_timeout_s=45.0)
    (row,) = producer.rows(select(runs).where(runs.c.id == run.id))
    assert (row.finished_at, row.worker_s_at) == (None, None), "it stays open, and beat writes nothing to it"
    assert producer.run(limit=4).listed == 1  # it goes on, to the end
    assert producer.known(gone=True) == ["a/5.gif"]
    producer.check()


def test_what_a_filter_refuses_is_neither_registered_nor_marked_as_gone(producer: Producer) -> None:
    producer.put("a/1.gif", "a/2.txt", "a/3.gif", "a/drafts/4.gif")
    producer.run()
    producer.delete("a/2.txt", "a/3.gif", "a/drafts/4.gif")
    producer.put("a/5.gif", "a/6.txt")
    total = producer.run("a/", include=("*.gif",), exclude=("drafts/*",))
    assert (total.listed, total.new, total.deleted, total.left_out) == (2, 1, 1, 1)
    assert producer.known(gone=True) == ["a/3.gif"]
    assert "a/6.txt" not in producer.known()
    producer.check()


def test_a_list_takes_its_keys_alone_and_tells_what_is_not_there(producer: Producer) -> None:
    producer.put("a/1.gif", "a/2.gif", "b/3.gif", "#hash.gif")
    lines = f"a/1.gif\n\n# a remark\ns3://{producer.bucket}/b/3.gif\r\nno/such.gif\ns3://other/x.gif\na/1.gif\n"
    lines += f"s3://{producer.bucket}/#hash.gif\n"
    total = producer.run(ids="-", stdin=lines.encode())
    assert total.new == 3
    assert producer.known() == ["#hash.gif", "a/1.gif", "b/3.gif"]
    assert producer.backlogs[-1].unknown == (2, ["no/such.gif", "s3://other/x.gif"])
    assert producer.run(ids="-", stdin=lines.encode()).queued == 0
    producer.check()


def test_a_higher_priority_raises_what_is_pending_and_a_lower_one_leaves_it(producer: Producer) -> None:
    producer.put("a/1.gif", "a/2.gif", "a/3.gif")
    producer.run()
    assert producer.run(priority=-1).queued == 0
    total = producer.run(ids="-", stdin=b"a/3.gif\n", priority=5)
    assert (total.new, total.queued, total.chunks) == (0, 1, 1)
    assert producer.queued()[0] == ["a/3.gif"]
    asked = dict(producer.rows(select(media.c.key, work.c.run_id).join(work, work.c.media_id == media.c.id)))
    assert asked["a/1.gif"] == asked["a/2.gif"] == producer.backlogs[0].run.id
    assert asked["a/3.gif"] == producer.backlogs[-1].run.id
    producer.check()


def test_a_claimed_media_is_not_raised(producer: Producer) -> None:
    producer.put("a/1.gif")
    producer.run()
    with producer.store.writing() as connection:
        session = open_session(connection, worker="host:1")
        ids = [row.id for row in connection.execute(select(media.c.id))]
        claim(
            connection,
            network_id=producer.network_id,
            media_ids=ids,
            session_id=session,
            deadlines=Deadlines(),
        )
    assert producer.run(priority=5).queued == 0
    producer.check()


def annotated(producer: Producer, keys: list[str], *, frames: int) -> None:
    """What a worker does: ask for each media whether its bytes are known, and write what it has found.

    The media a/1.gif and a/2.gif hold the same bytes.
    """
    labelling_id = producer.store.register_labelling(producer.network_id, model="m@1", digest="0", photographs={})
    known = KnownContents(producer.store.engine, producer.network_id)
    for key in keys:
        ref = MediaRef(key, f"s3://{producer.bucket}/{key}", f'"{hashlib.md5(b"gif").hexdigest()}"')  # noqa: S324
        digest = hashlib.sha256(key.replace("2", "1").encode()).hexdigest()
        outcome: MediaAnnotation | KnownMedia = KnownMedia(ref, digest)
        if not known(digest):
            clip = ClipReport(1, 1, None, 1, frames, None)
            outcome = MediaAnnotation(ref, "m@1", digest, clip, frames_sampled=frames, faces=0, tracks=(), labels=())
        with producer.store.writing() as connection:
            write_outcomes(connection, [outcome], network_id=producer.network_id, labelling_id=labelling_id)


def frames_of(producer: Producer) -> list[int]:
    return [row[0] for row in producer.rows(select(annotations.c.frames_sampled).order_by(annotations.c.content_id))]


def test_refreshing_replaces_each_content_once_and_until_then_the_old_results_stay(producer: Producer) -> None:
    keys = ["a/1.gif", "a/2.gif", "a/3.gif"]
    producer.put(*keys)
    producer.run()
    annotated(producer, keys, frames=1)
    assert producer.run().queued == 0
    assert frames_of(producer) == [1, 1]
    total = producer.run(refresh=True)
    assert (total.new, total.changed, total.queued) == (0, 0, 3)
    assert frames_of(producer) == [1, 1]
    annotated(producer, keys[:1], frames=2)
    assert frames_of(producer) == [2, 1]
    annotated(producer, keys[1:], frames=3)  # the bytes of a/2.gif are those of a/1.gif
    assert frames_of(producer) == [2, 3]
    assert producer.rows(select(stale_contents)) == []
    annotated(producer, keys, frames=4)
    assert frames_of(producer) == [2, 3]
    producer.check()


def test_the_most_viewed_go_first(producer: Producer, tmp_path: Any) -> None:
    keys = [f"a/{number:03}.gif" for number in range(150)]
    producer.put(*keys)
    table = tmp_path / "views.csv"
    table.write_text(
        "key,views\n" + "".join(f"s3://{producer.bucket}/{key},{int(key[2:5]) * 10}\n" for key in keys[:100])
    )
    total = producer.run(views=str(table), listers=2)
    assert total.queued == 150
    order = [key for chunk in producer.queued() for key in chunk]
    assert order[:100] == keys[99::-1]
    assert sorted(order[100:]) == keys[100:]
    producer.check()


def test_while_views_are_read_the_backlog_is_nobodys(producer: Producer, monkeypatch: pytest.MonkeyPatch) -> None:
    producer.put("a/1.gif", "a/2.gif")
    read = 0

    def rows(_: ViewsFile) -> Iterator[tuple[str, float]]:
        nonlocal read
        for key, views in (("a/1.gif", 1.0), ("a/2.gif", 2.0)):
            with producer.store.writing() as connection:  # beat charges, somebody stops it
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SET LOCAL lock_timeout = '2s'"))
                connection.execute(update(runs).values(worker_s=1.0))
            read += 1
            yield key, views

    monkeypatch.setattr(ViewsFile, "check", lambda _: None)
    monkeypatch.setattr(ViewsFile, "rows", rows)
    assert producer.run(views="views.csv").queued == 2
    assert read == 2
    assert [key for chunk in producer.queued() for key in chunk] == ["a/2.gif", "a/1.gif"]
    producer.check()


def test_views_may_come_from_a_query_that_cannot_write(producer: Producer) -> None:
    producer.put("a/1.gif", "a/2.gif", "a/3.gif")
    keys = "SELECT 'a/1.gif' AS key UNION SELECT 'a/2.gif'"
    order = f"SELECT key, CASE key WHEN 'a/2.gif' THEN 5 ELSE 1 END FROM ({keys}) AS both_of_them"
    producer.run(views_query=order)
    assert [key for chunk in producer.queued() for key in chunk] == ["a/2.gif", "a/1.gif", "a/3.gif"]
    for harmful in ("DELETE FROM media RETURNING key, id", "SELECT 1", "SELECT nothing FROM nowhere"):
        with pytest.raises(AnnotatorError):
            producer.run(views_query=harmful)
    assert len(producer.known()) == 3


def test_no_bucket_and_no_permission_are_said(producer: Producer, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, producer.bucket = producer.bucket, "no-such-bucket-at-all"
    with pytest.raises(SourceNotFoundError):
        producer.run()
    assert producer.rows(select(runs.c.id)) == []  # no backlog that would never end
    producer.bucket = bucket
    monkeypatch.setattr(type(producer.server), "list_page", _refused)
    with pytest.raises(ForbiddenSourceError):
        producer.run()


def test_keys_that_may_not_be_looked_at_hold_up_no_others_of_a_list(
    producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer.put("a.gif", "secret.gif")
    find = producer.server.find_object

    def refuse(bucket: str, key: str) -> Any:
        return _refused() if key == "secret.gif" else find(bucket, key)

    monkeypatch.setattr(producer.server, "find_object", refuse)
    assert producer.run(ids="-", stdin=b"a.gif\nsecret.gif\n").queued == 1
    assert producer.backlogs[-1].unknown == (1, ["secret.gif"])
    monkeypatch.setattr(listed_ids, "_LINES_PER_BATCH", 1)
    assert producer.run(ids="-", stdin=b"a.gif\nsecret.gif\n", refresh=True).queued == 1
    assert producer.backlogs[-1].unknown == (1, ["secret.gif"]), "alone in the last batch"
    with pytest.raises(ForbiddenSourceError):
        producer.run(ids="-", stdin=b"secret.gif\n")


def _refused(*_: Any, **__: Any) -> Any:
    raise ForbiddenSourceError("it may not be read (AccessDenied); check the credentials.")


def test_an_empty_prefix_is_listed(producer: Producer) -> None:
    assert producer.run("nothing/here/").listed == 0
    producer.check()


def test_a_stopped_backlog_registers_nothing_more(producer: Producer) -> None:
    producer.put(*[f"{number}.gif" for number in range(4)])
    with producer.open() as backlog:
        with producer.store.writing() as connection:
            connection.execute(update(runs).values(stopped_at=datetime.now(UTC), stop_reason="by hand"))
        with pytest.raises(BacklogStoppedError, match="by hand"):
            list(backlog.listing.counts())
    assert producer.known() == []
    assert producer.run().new == 4  # a new one
    with producer.open() as backlog:
        assert not backlog.run.is_resumed
