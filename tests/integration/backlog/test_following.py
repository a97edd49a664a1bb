"""Backlogs that follow their bucket: notifications through a real SQS endpoint, listings, both databases."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from sqlalchemy import func, select, text, update

from annotator.errors import AnnotatorError, BacklogStoppedError, ForbiddenSourceError, SourceUnavailableError
from annotator.media.limits import S3Access
from annotator.media.s3 import ListedObject
from annotator.settings import load_settings
from annotator.stack.child import free_port
from annotator.store.backlog.ending import end_backlogs, stop_backlog
from annotator.store.columns import utc_now
from annotator.store.queue.counts import read_counts
from annotator.store.registry import link_media, register_contents
from annotator.store.tables import annotations, chunks, media, runs, work
from annotator.store.upkeep import read_upkeep
from annotator.types import MediaRef
from tests.integration.backlog.conftest import Producer
from tests.store_values import ADA, annotation, known, track
from workers.backlog import bucket as bucket_module
from workers.backlog import follow
from workers.backlog.batches import Batch
from workers.backlog.follow import Follower, Step, be_patient
from workers.backlog.options import Request
from workers.backlog.running import open_followed
from workers.backlog.sqs import Message, NotificationQueue

pytestmark = pytest.mark.servers
APP = Path(__file__).parent / "producer_app.py"
ROOT = Path(__file__).parents[3]
TIMEOUT_S = 60.0
ODD = "später/a+b c%41.gif"


class KilledError(BaseException):
    """The end of a process."""


class Queue(NotificationQueue):
    """The queue of a test: messages in hand can be let go at once, and deleting may be the end."""

    def __init__(self, url: str, access: S3Access) -> None:
        super().__init__(url, access)
        self.is_killed_at_delete = False
        self.in_hand: list[Message] = []

    def receive(self, *, wait_s: int) -> list[Message]:
        some = super().receive(wait_s=wait_s)
        self.in_hand += some
        return some

    def delete(self, messages: Sequence[Message]) -> None:
        if self.is_killed_at_delete and messages:
            self.is_killed_at_delete = False
            raise KilledError
        super().delete(messages)

    def let_go(self) -> None:
        """What was received and not deleted comes back now instead of in two minutes."""
        for message in self.in_hand:
            try:
                self._client.change_message_visibility(
                    QueueUrl=self._url, ReceiptHandle=message.receipt, VisibilityTimeout=0
                )
            except self._client.exceptions.ClientError:  # it is deleted
                continue
        self.in_hand = []

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self._client.send_message(QueueUrl=self._url, MessageBody=body)

    def count(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"]
        return sum(int(told[name]) for name in names)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_WAIT_S", 1)


@pytest.fixture
def aws(access: S3Access) -> Iterator[Callable[[str], Any]]:
    made = []

    def client(service: str) -> Any:
        made.append(
            boto3.client(  # type: ignore[call-overload]  # any service
                service,
                endpoint_url=access.endpoint_url,
                region_name=access.region,
                aws_access_key_id=access.access_key_id,
                aws_secret_access_key=access.secret_access_key,
            )
        )
        return made[-1]

    yield client
    for one in made:
        one.close()


@pytest.fixture
def queue(aws: Callable[[str], Any], access: S3Access, producer: Producer) -> Queue:
    """A queue that the bucket notifies."""
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName=producer.bucket)["QueueUrl"]
    notify(aws, producer, {"QueueConfigurations": [{"QueueArn": arn(sqs, url), "Events": ["s3:Object*"]}]})
    return Queue(url, access)


def arn(sqs: Any, url: str) -> str:
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])


def notify(aws: Callable[[str], Any], producer: Producer, configuration: dict[str, Any]) -> None:
    for one in configuration.get("QueueConfigurations", []) + configuration.get("TopicConfigurations", []):
        one["Events"] = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    aws("s3").put_bucket_notification_configuration(Bucket=producer.bucket, NotificationConfiguration=configuration)


class Following:
    """``annotate-backlog --follow`` without its process, a step at a time."""

    def __init__(self, producer: Producer, queue: Queue | None = None, *, every: float = 86400.0, **wish: Any) -> None:
        changed = {"poll_every_s": every, "sqs_url": None if queue is None else queue._url}
        url = producer.settings.database_url.get_secret_value()
        settings = load_settings(env_file=None, database_url=url, data_dir=producer.settings.data_dir, backlog=changed)
        request = Request(f"s3://{producer.bucket}/{wish.pop('prefix', '')}", follow=True, **wish)
        self.followed = open_followed(
            producer.store, producer.server, request, network_id=producer.network_id, settings=settings
        )
        self.leave = threading.Event()
        self.follower = Follower(producer.store, self.followed, notifications=queue, leave=self.leave)
        self._steps = self.follower.steps()
        self._ahead: list[Step] = []

    def list(self) -> int:
        """Go on until the listing under way has ended; return how many objects were listed."""
        total = 0
        for step in self._steps:
            total += step.count.listed if step.by == "listing" else 0
            with self.follower._store.reading() as connection:
                listed_at = select(runs.c.listed_at).where(runs.c.id == self.followed.run.id)
                if connection.execute(listed_at).scalar_one() is not None:
                    break
        return total

    def step(self) -> Step:
        return next(self._steps)

    def end(self) -> None:
        self.leave.set()
        assert [step for step in self._steps if step.count.new] == []


def works(producer: Producer) -> dict[str, tuple[int, int]]:
    """State and attempts by key."""
    rows = select(media.c.key, work.c.state, work.c.attempts).join_from(media, work, media.c.id == work.c.media_id)
    return {row.key: (row.state, row.attempts) for row in producer.rows(rows)}


def everything(producer: Producer) -> list[Any]:
    """What must not be doubled."""
    counted = [func.count().label("n")]
    whole = [producer.rows(select(*counted).select_from(table))[0].n for table in (media, work, chunks)]
    return [works(producer), producer.queued(), *whole]


def test_objects_are_queued_as_they_come_and_change_and_are_forgotten_as_they_go(
    producer: Producer, queue: Queue
) -> None:
    producer.put("old.gif")
    following = Following(producer, queue)
    assert following.list() == 1
    following.step()  # of old.gif, which the listing has found already
    producer.put(ODD, "new.gif", "folder/")
    step = following.step()
    assert (step.by, step.count.new, step.count.queued, step.unknown) == ("notifications", 2, 2, 0)
    assert works(producer) == dict.fromkeys(("old.gif", "new.gif", ODD), (0, 0))
    producer.put(ODD, body=b"another")
    step = following.step()
    assert (step.count.new, step.count.changed, step.count.queued) == (0, 1, 1)
    assert works(producer)[ODD] == (0, 1)  # whoever had it in hand is fenced out
    producer.delete(ODD)
    assert following.step().count.deleted == 1
    assert producer.known(gone=True) == [ODD]
    assert sorted(works(producer)) == ["new.gif", "old.gif"]
    producer.put(ODD)
    assert following.step().count.queued == 1
    assert sorted(works(producer)) == ["new.gif", "old.gif", ODD]
    assert queue.count() == 0
    producer.check()
    following.end()


def test_the_labels_of_a_deleted_object_leave_the_view_and_its_history_stays(producer: Producer, queue: Queue) -> None:
    producer.put("a.gif")
    following = Following(producer, queue)
    following.list()
    following.step()
    etag = producer.rows(select(media.c.etag))[0].etag
    ref = MediaRef("a.gif", f"s3://{producer.bucket}/a.gif", etag)
    labelling_id = producer.store.register_labelling(
        producer.network_id, model="test@1", digest="1", photographs={ADA: 3}
    )
    shown = [annotation(ref, tracks=[track(0)], labels=[known(ADA)])]
    producer.store.save(shown, network_id=producer.network_id, labelling_id=labelling_id)
    assert [row.identity for row in producer.rows(text("SELECT identity FROM content_labels"))] == [ADA.name]
    producer.delete("a.gif")
    following.step()
    assert producer.rows(text("SELECT identity FROM content_labels")) == []
    assert len(producer.rows(select(annotations))) == 1
    producer.check()
    following.end()


def test_what_is_deleted_while_a_worker_has_it_in_hand_stays_deleted(producer: Producer, queue: Queue) -> None:
    producer.put("a.gif")
    following = Following(producer, queue)
    following.list()
    row = producer.rows(select(media.c.id, media.c.etag))[0]
    producer.delete("a.gif")
    following.step()
    ref = MediaRef("a.gif", f"s3://{producer.bucket}/a.gif", row.etag)
    with producer.store.writing() as connection:
        content_ids = register_contents(connection, {"0" * 64})
        link_media(connection, [ref], media_ids={ref.uri: row.id}, content_ids={ref.uri: content_ids["0" * 64]})
    assert producer.known(gone=True) == ["a.gif"]
    following.end()


def test_duplicates_and_another_order_change_nothing(producer: Producer, queue: Queue) -> None:
    following = Following(producer, queue)
    following.list()
    producer.put("a.gif")
    producer.put("b.gif")
    producer.delete("a.gif")
    told = queue.receive(wait_s=1)
    assert len(told) == 4  # the first only tries the queue
    queue.let_go()
    queue.send(*(message.body for message in reversed(told * 3)))
    while queue.count():
        following.step()
    assert works(producer) == {"b.gif": (0, 0)}
    assert producer.queued() == [["b.gif"]]
    producer.check()
    following.end()


def test_a_process_that_is_killed_before_it_deletes_its_messages_doubles_nothing(
    producer: Producer, queue: Queue
) -> None:
    following = Following(producer, queue)
    following.list()
    producer.put("a.gif", "b.gif")
    queue.is_killed_at_delete = True
    with pytest.raises(KilledError):
        following.step()
    before = everything(producer)
    assert sorted(works(producer)) == ["a.gif", "b.gif"]
    assert queue.count() == 3  # one that only tries the queue is among them
    queue.let_go()
    again = Following(producer, queue)
    assert again.followed.run.id == following.followed.run.id
    step = again.step()
    assert (step.by, step.count.listed, step.count.queued) == ("notifications", 2, 0)
    assert queue.count() == 0
    assert everything(producer) == before
    producer.check()
    again.end()


def test_messages_of_others_are_left_to_the_queue_and_those_of_no_interest_are_deleted(
    producer: Producer, queue: Queue
) -> None:
    following = Following(producer, queue, prefix="gifs/", include=("*.gif",))
    following.list()
    tried = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": producer.bucket})
    producer.put("elsewhere.gif", "gifs/a.txt", "gifs/a.gif")
    others = {"Records": [{"s3": {"bucket": {"name": "others"}, "object": {"key": "gifs/b.gif"}}}]}
    queue.send(tried, "<no json>", json.dumps(others))
    unknown = new = 0  # each message is seen once, and then not for two minutes
    while queue.count() > 2:
        step = following.step()
        unknown, new = unknown + step.unknown, new + step.count.new
    assert (unknown, new) == (2, 1)
    assert producer.known() == ["gifs/a.gif"]
    following.end()


@pytest.mark.parametrize("error", [ForbiddenSourceError("no"), SourceUnavailableError("slow down")])
def test_an_object_that_cannot_be_looked_at_is_left_to_the_queue(
    producer: Producer, queue: Queue, monkeypatch: pytest.MonkeyPatch, error: AnnotatorError
) -> None:
    following = Following(producer, queue)
    following.list()
    find = producer.server.find_object

    def refuse(name: str, key: str) -> ListedObject | None:
        if key == "secret.gif":
            raise error
        return find(name, key)

    monkeypatch.setattr(producer.server, "find_object", refuse)
    producer.put("secret.gif", "a.gif")
    assert following.step().unknown == 1
    assert producer.known() == ["a.gif"]
    assert queue.count() == 1
    following.end()


def test_where_the_server_answers_for_nothing_it_is_tried_again_later(
    producer: Producer, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = Following(producer, queue)
    following.list()
    producer.put("a.gif", "b.gif")
    monkeypatch.setattr(producer.server, "find_object", _away)
    with pytest.raises(SourceUnavailableError):
        following.step()
    following.end()


def _away(*_: object) -> None:
    raise SourceUnavailableError("it does not answer")


@pytest.mark.parametrize("way", ["sns", "event bridge"])
def test_notifications_come_through_other_services_too(
    producer: Producer, access: S3Access, aws: Callable[[str], Any], way: str
) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName=f"{producer.bucket}-other")["QueueUrl"]
    if way == "sns":
        topic = aws("sns").create_topic(Name=producer.bucket)["TopicArn"]
        aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn(sqs, url))
        notify(aws, producer, {"TopicConfigurations": [{"TopicArn": topic}]})
    else:
        pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [producer.bucket]}}}
        aws("events").put_rule(Name=producer.bucket, EventPattern=json.dumps(pattern))
        aws("events").put_targets(Rule=producer.bucket, Targets=[{"Id": "1", "Arn": arn(sqs, url)}])
        notify(aws, producer, {"EventBridgeConfiguration": {}})
    following = Following(producer, Queue(url, access))
    following.list()
    producer.put(ODD)
    while ODD not in works(producer):
        assert following.step().unknown == 0
    following.end()


def test_without_notifications_the_bucket_is_listed_again_and_again(producer: Producer) -> None:
    producer.put("a.gif", "b.gif")
    following = Following(producer, every=0.01)
    assert following.list() == 2
    producer.put("c.gif", "a.gif", body=b"another")
    producer.delete("b.gif")
    assert following.list() == 2
    assert producer.known() == ["a.gif", "c.gif"]
    assert producer.known(gone=True) == ["b.gif"]
    assert works(producer) == {"a.gif": (0, 1), "c.gif": (0, 0)}
    producer.check()
    following.end()


def test_a_listing_that_was_interrupted_is_gone_on_with_and_one_that_is_not_due_is_not_begun(
    producer: Producer, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_module, "PAGES_PER_BATCH", 1)
    producer.server.page_keys = 2
    producer.put(*(f"{number}.gif" for number in range(6)))
    following = Following(producer, queue, listers=1)
    following.step()
    following.end()
    listed = len(producer.known())
    assert 2 <= listed < 6
    again = Following(producer, queue, listers=1)
    assert again.list() == 6 - listed
    again.end()
    third = Following(producer, queue)
    assert third.followed.run.id == following.followed.run.id
    assert third.step().by == "notifications"
    third.end()
    assert len(producer.rows(select(runs))) == 1
    producer.check()


def test_what_comes_while_the_bucket_is_listed_beside_notifications_is_not_taken_for_gone(
    producer: Producer, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer.put("a.gif")
    following = Following(producer, queue, every=0.01)
    following.list()
    source: Any = following.followed.source
    batches = source.batches

    def slowly(*args: Any, **options: Any) -> Iterator[Batch]:
        for batch in batches(*args, **options):
            producer.put("meanwhile.gif")  # behind what was read, before it is written
            yield batch

    monkeypatch.setattr(source, "batches", slowly)
    while following.step().by != "listing":
        pass
    assert following.step().by == "notifications"
    assert producer.known() == ["a.gif", "meanwhile.gif"]
    following.list()
    assert producer.known() == ["a.gif", "meanwhile.gif"]
    following.end()


def test_it_never_finishes_until_it_is_stopped(producer: Producer, queue: Queue) -> None:
    following = Following(producer, queue)
    following.list()
    with producer.store.writing() as connection:
        assert end_backlogs(connection, read_counts(connection), stopped=[]) == []
        assert stop_backlog(connection, following.followed.run.id, "asked")
    with pytest.raises(BacklogStoppedError, match=r"was stopped \(asked\)"):
        following.step()
    with producer.store.writing() as connection:
        ended = end_backlogs(connection, read_counts(connection), stopped=[following.followed.run.id])
        assert [end.run_id for end in ended] == [following.followed.run.id]
    assert Following(producer, queue).followed.run.id != following.followed.run.id


def noted_s(producer: Producer) -> float:
    with producer.store.reading() as connection:
        (followed,) = read_upkeep(connection).followed
        return followed.age_s


def forget_notes(producer: Producer) -> None:
    """As if nobody had got on for an hour."""
    with producer.store.writing() as connection:
        hour_ago = connection.execute(select(utc_now())).scalar_one() - timedelta(hours=1)
        connection.execute(text("DELETE FROM store_settings WHERE name LIKE 'went well: %'"))
        connection.execute(update(runs).values(listed_at=hour_ago))


def test_it_notes_that_it_gets_on_and_does_not_while_the_queue_is_away(
    producer: Producer, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_NOTE_EVERY_S", 0.0)
    producer.put("a.gif")
    following = Following(producer, queue)
    following.step()
    assert noted_s(producer) < 60
    following.list()
    forget_notes(producer)
    assert noted_s(producer) > 3000
    while following.step().by != "notifications":
        forget_notes(producer)
    assert noted_s(producer) < 60

    def away(**_: int) -> list[Message]:
        forget_notes(producer)
        raise SourceUnavailableError("the queue does not answer")

    monkeypatch.setattr(queue, "receive", away)
    with pytest.raises(SourceUnavailableError):
        following.step()
    assert noted_s(producer) > 3000


def test_it_notes_that_it_gets_on_while_nothing_is_due(producer: Producer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_NOTE_EVERY_S", 0.0)
    producer.put("a.gif")
    following = Following(producer)
    following.list()
    noted = text("SELECT name FROM store_settings WHERE name LIKE 'went well: %'")

    class LeavesAfterItsWait(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            del timeout
            with producer.store.writing() as connection:
                connection.execute(text("DELETE FROM store_settings WHERE name LIKE 'went well: %'"))
            self.set()
            return True

    following.follower._leave = LeavesAfterItsWait()
    assert all(step.count.listed == 0 for step in following._steps)
    assert [row.name for row in producer.rows(noted)] == [f"went well: follower of backlog {following.followed.run.id}"]


def test_what_is_refused_from_the_start_is_said_at_once_and_what_is_refused_later_is_waited_for() -> None:
    refused = ForbiddenSourceError("s3://clips/ may not be read; check the credentials.")
    leave, got_on, said, tries = threading.Event(), threading.Event(), [], []

    def attempt() -> None:
        tries.append(1)
        if len(tries) > 2:
            raise BacklogStoppedError("backlog 1 was stopped")
        raise refused

    with pytest.raises(ForbiddenSourceError):
        be_patient(attempt, leave=leave, warn=said.append, got_on=got_on)
    assert (len(tries), said) == (1, [])
    got_on.set()

    class Impatient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            del timeout
            return False

    with pytest.raises(BacklogStoppedError):
        be_patient(attempt, leave=Impatient(), warn=said.append, got_on=got_on)
    assert said == ["s3://clips/ may not be read; check the credentials; tries again in 1 s"]


def test_trouble_that_passes_is_waited_out_longer_each_time() -> None:
    leave, said, tries = threading.Event(), [], []

    def attempt() -> None:
        tries.append(1)
        if len(tries) < 4:
            raise SourceUnavailableError("the queue does not answer; try again.")

    def hurry(words: str) -> None:
        said.append(words)

    class Impatient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            return False

    waited: list[float | None] = []
    leave = Impatient()
    be_patient(attempt, leave=leave, warn=hurry)
    assert waited == [1.0, 2.0, 4.0]
    assert said[0] == "the queue does not answer; tries again in 1 s"


def started(producer: Producer, queue_url: str, **environment: str) -> "subprocess.Popen[str]":
    access = producer.server._access
    whole = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "ANNOTATOR_DATABASE_URL": producer.settings.database_url.get_secret_value(),
        "ANNOTATOR_S3_ENDPOINT_URL": str(access.endpoint_url),
        "ANNOTATOR_S3_REGION": str(access.region),
        "ANNOTATOR_S3_ACCESS_KEY_ID": str(access.access_key_id),
        "ANNOTATOR_S3_SECRET_ACCESS_KEY": str(access.secret_access_key),
        "PYTHONUNBUFFERED": "1",
        **environment,
    }
    options = ["--follow", "--sqs", queue_url, "--json"]
    command = [sys.executable, str(APP), str(producer.network_id), f"s3://{producer.bucket}/", *options]
    return subprocess.Popen(command, env=whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_tells_each_change_and_leaves_cleanly_on_a_signal(
    producer: Producer, queue: Queue, number: signal.Signals
) -> None:
    producer.put("a.gif")
    process = started(producer, queue._url)
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert (first["by"], first["new"], first["queued"]) == ("listing", 1, 1)
    producer.put("b.gif")
    second = json.loads(process.stdout.readline())
    assert (second["by"], second["new"], second["queued"]) == ("notifications", 1, 1)
    process.send_signal(number)
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    assert f"follows s3://{producer.bucket}/" in err
    producer.check()


@pytest.mark.parametrize("away", ["queue", "bucket", "database"])
def test_a_service_that_is_away_is_waited_for(producer: Producer, queue: Queue, away: str) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    changed = {
        "queue": {"ANNOTATOR_BACKLOG__SQS_ENDPOINT_URL": f"http://{nowhere}"},
        "bucket": {"ANNOTATOR_S3_ENDPOINT_URL": f"http://{nowhere}", "ANNOTATOR_BACKLOG__ATTEMPTS": "1"},
        "database": {"ANNOTATOR_DATABASE_URL": f"postgresql://nobody@{nowhere}/nothing"},
    }[away]
    process = started(producer, queue._url, **changed)
    assert process.stderr is not None
    said = next(line for line in process.stderr if "tries again in" in line)
    assert said.startswith("annotate-backlog: ")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, out) == (0, ""), err


def test_a_queue_that_does_not_exist_is_a_mistake(producer: Producer, queue: Queue) -> None:
    process = started(producer, f"{queue._url}-nowhere")
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 2
    assert "there is no queue" in err
    assert "check --sqs" in err
