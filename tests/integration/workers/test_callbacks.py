"""Call-backs, from the transaction of a result to a real HTTP server."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select, text, update

from annotator.errors import ConfigError, InputError, TransientError
from annotator.settings import CallbackSettings, RetentionSettings
from annotator.store.columns import utc_now
from annotator.store.connection import reading, writing
from annotator.store.queue.deliveries import bring_back, take_call_backs
from annotator.store.queue.outbox import tell_backlog
from annotator.store.registry import register_network
from annotator.store.tables import outbox, runs, sources
from workers.beat.callbacks import Deliverer
from workers.beat.forgetting import forget_all
from workers.beat.receivers import check_callback_url, sign, sign_as_webhook

SECRET = "a secret that nobody guesses"  # noqa: S105  (of this test)
FORMER = "the secret of last year"
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Seen:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers["Idempotency-Key"]


class ReceiverServer(http.server.ThreadingHTTPServer):
    """Keeps what it is sent; answers as it is told, 200 by default. «Path» decides on special manners."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[Seen] = []
        self.answers: list[int] = []
        self.released = threading.Event()
        self.connections = 0

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ReceiverServer

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(Seen(self.path, dict(self.headers), body))
        if self.path == "/slow":
            self.server.released.wait(TIMEOUT_S)
        if self.path == "/drip":
            self.drip()
            return
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", self.server.url("/elsewhere"))
        answer = b"x" * (1 << 20) if self.path == "/long" else b"thanks"
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def drip(self) -> None:
        try:
            while not self.server.released.wait(0.05):
                self.wfile.write(b"H")
        except OSError:
            pass
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ReceiverServer]:
    made = ReceiverServer()
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.released.set()
    made.shutdown()
    thread.join()
    made.server_close()


class Bench:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.results: list[str] = []
        with writing(engine) as connection:
            self.network_id = register_network(connection, {"name": "fake"})
            connection.execute(insert(sources).values(id=1, uri="s3://clips/"))

    def backlog(self, run_id: int, url: str, *, callbacks: int = 1) -> None:
        """Make a backlog that has something to tell."""
        row = {"id": run_id, "network_id": self.network_id, "source_id": 1, "prefix": "a/", "options": {}}
        with writing(self.engine) as connection:
            connection.execute(insert(runs).values(started_at=utc_now(), callback_url=url, **row))
            tell_backlog(connection, run_id, "backlog.finished", {"done": 3, "failed": 1})
            more = [
                {
                    "run_id": run_id,
                    "event": "media.failed",
                    "idempotency_key": f"{run_id}-{number}",
                    "payload": {"n": 1},
                }
                for number in range(callbacks - 1)
            ]
            if more:
                connection.execute(insert(outbox).values(created_at=utc_now()), more)

    def deliver(self, **settings: Any) -> int:
        chosen = {"allowed_hosts": ("127.0.0.0/8",), "secret": SECRET, **settings}
        deliverer = Deliverer(
            self.engine, CallbackSettings(**chosen), is_stopping=lambda: False, on_result=self.results.append
        )
        return deliverer.run()

    def waits_are_over(self) -> None:
        with writing(self.engine) as connection:
            connection.execute(update(outbox).values(not_before=None))
            connection.execute(update(runs).values(callback_not_before=None))

    def rows(self) -> list[Any]:
        with reading(self.engine) as connection:
            return list(connection.execute(select(outbox).order_by(outbox.c.id)).all())

    def row(self) -> Any:
        (one,) = self.rows()
        return one


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)


def signatures(seen: Seen) -> tuple[str, list[str]]:
    parts = [part.split("=", 1) for part in seen.headers["Annotator-Signature"].split(",")]
    return next(value for name, value in parts if name == "t"), [value for name, value in parts if name == "v1"]


def test_it_is_delivered_once_and_its_signature_verifies(bench: Bench, server: ReceiverServer) -> None:
    bench.backlog(7, server.url("/hook?key=1"))
    assert bench.deliver() == 1
    assert bench.deliver() == 0
    (seen,) = server.seen
    assert seen.path == "/hook?key=1"
    at, (signature,) = signatures(seen)
    assert abs(int(at) - time.time()) < TIMEOUT_S
    assert signature == hmac.new(SECRET.encode(), f"{at}.".encode() + seen.body, hashlib.sha256).hexdigest()
    told = json.loads(seen.body)
    assert told == {
        "event": "backlog.finished",
        "idempotency_key": seen.key,
        "backlog": {"id": 7, "uri": "s3://clips/a/"},
        "done": 3,
        "failed": 1,
    }
    assert seen.headers["Annotator-Event"] == "backlog.finished"
    assert seen.headers["Content-Type"] == "application/json"
    assert SECRET not in str(seen.headers)
    assert bench.row().delivered_at is not None


def test_while_the_secret_changes_both_sign(bench: Bench, server: ReceiverServer) -> None:
    bench.backlog(7, server.url())
    bench.deliver(previous_secret=FORMER)
    at, found = signatures(server.seen[0])
    body = server.seen[0].body
    assert ",".join(f"v1={one}" for one in found) == sign(body, [SECRET, FORMER], at_s=int(at)).split(",", 1)[1]


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        (SECRET, SECRET.encode()),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
    ],
)
def test_libraries_of_standard_webhooks_can_check_it(
    bench: Bench, server: ReceiverServer, secret: str, key: bytes
) -> None:
    bench.backlog(7, server.url())
    bench.deliver(secret=secret, previous_secret=FORMER)
    (seen,) = server.seen
    webhook_id, at = seen.headers["webhook-id"], seen.headers["webhook-timestamp"]
    assert "." not in webhook_id
    assert abs(int(at) - time.time()) < TIMEOUT_S
    signed = f"{webhook_id}.{at}.".encode() + seen.body
    expected = [base64.b64encode(hmac.new(one, signed, hashlib.sha256).digest()) for one in (key, FORMER.encode())]
    assert seen.headers["webhook-signature"] == " ".join(f"v1,{one.decode()}" for one in expected)


def test_a_signature_is_that_of_the_specification() -> None:
    # The example of the specification's libraries.
    headers = sign_as_webhook(
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        key="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at_s=1614265330,
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_that_cannot_be_read_is_refused() -> None:
    settings = CallbackSettings(allowed_hosts=("hooks.example.com",), secret="whsec_no base64 at all!")  # type: ignore[arg-type]  # noqa: S106
    with pytest.raises(ConfigError, match="is no base64"):
        check_callback_url("https://hooks.example.com/", settings)


def test_an_error_is_tried_again_with_the_same_key(bench: Bench, server: ReceiverServer) -> None:
    bench.backlog(7, server.url())
    server.answers = [500]
    assert bench.deliver() == 0
    row = bench.row()
    assert (row.attempts, row.delivered_at, row.given_up_at) == (1, None, None)
    assert row.message == "the receiver answers 500"
    assert bench.deliver() == 0, "it waits"
    bench.waits_are_over()
    assert bench.deliver() == 1
    first, second = server.seen
    assert (first.key, first.body) == (second.key, second.body)


@pytest.mark.parametrize("status", [401, 403, 404, 405, 429, 503])
def test_a_receiver_whose_key_or_address_is_wrong_rests_as_a_whole(
    bench: Bench, server: ReceiverServer, status: int
) -> None:
    bench.backlog(7, server.url(), callbacks=20)
    server.answers = [status] * 20
    assert bench.deliver() == 0
    assert len(server.seen) <= 4, "one for each connection; the others are not tried against it"
    assert sum(one.attempts for one in bench.rows()) == len(server.seen)
    server.answers = []
    bench.waits_are_over()
    assert bench.deliver() == 20


def test_a_redirect_is_not_followed(bench: Bench, server: ReceiverServer) -> None:
    bench.backlog(7, server.url())
    server.answers = [307]
    assert bench.deliver() == 0
    assert [one.path for one in server.seen] == ["/hook"]
    assert bench.row().message == "the receiver answers 307; redirects are not followed"


def test_a_receiver_that_is_gone_is_believed_at_once(bench: Bench, server: ReceiverServer) -> None:
    bench.backlog(7, server.url())
    server.answers = [410]
    bench.deliver()
    assert bench.row().given_up_at is not None
    bench.waits_are_over()
    assert bench.deliver() == 0
    assert len(server.seen) == 1


def test_it_is_given_up_after_its_last_try_and_may_be_brought_back(bench: Bench, server: ReceiverServer) -> None:
    bench.backlog(7, server.url())
    server.answers = [404] * 9
    for _ in range(12):
        bench.deliver()
        bench.waits_are_over()
    assert len(server.seen) == 9
    assert bench.row().given_up_at is not None
    with writing(bench.engine) as connection:
        assert bring_back(connection) == 1
    assert bench.deliver() == 1
    assert len({one.key for one in server.seen}) == 1


@pytest.mark.parametrize(
    ("allowed", "trouble"),
    [
        ((), "127.0.0.1 is not among ANNOTATOR_CALLBACKS__ALLOWED_HOSTS"),
        (("hooks.example.com", "10.0.0.0/8"), "127.0.0.1 is not among ANNOTATOR_CALLBACKS__ALLOWED_HOSTS"),
    ],
)
def test_a_host_that_is_not_allowed_is_not_called(
    bench: Bench, server: ReceiverServer, allowed: tuple[str, ...], trouble: str
) -> None:
    bench.backlog(7, server.url())
    assert bench.deliver(allowed_hosts=allowed) == 0
    assert server.seen == []
    assert server.connections == 0
    assert bench.row().message == trouble


def test_an_allowed_name_with_a_private_address_needs_its_network_allowed(bench: Bench, server: ReceiverServer) -> None:
    bench.backlog(7, server.url().replace("127.0.0.1", "localhost"))
    assert bench.deliver(allowed_hosts=("localhost",)) == 0
    assert server.connections == 0
    assert "has the private address" in bench.row().message
    bench.waits_are_over()
    assert bench.deliver(allowed_hosts=("localhost", "127.0.0.0/8", "::1")) == 1


def test_who_asks_for_call_backs_is_told_at_once_what_is_missing() -> None:
    allowed = CallbackSettings(allowed_hosts=("*.example.com",), secret=SECRET)
    assert check_callback_url("https://a.example.com/x", allowed) == "https://a.example.com/x"
    for url in ("ftp://a.example.com", "https://", "https://me:pw@a.example.com/", "https://a.example.com:x/", "a b"):
        with pytest.raises(InputError, match="cannot be called back"):
            check_callback_url(url, allowed)
    with pytest.raises(InputError, match=r"example.org may not be called back; name it in ANNOTATOR_CALLBACKS__"):
        check_callback_url("https://example.org/x", allowed)
    with pytest.raises(ConfigError, match="set ANNOTATOR_CALLBACKS__SECRET"):
        check_callback_url("https://a.example.com/x", CallbackSettings(allowed_hosts=("a.example.com",)))


def test_without_a_secret_nothing_is_sent(bench: Bench, server: ReceiverServer) -> None:
    bench.backlog(7, server.url())
    with pytest.raises(TransientError, match="set ANNOTATOR_CALLBACKS__SECRET"):
        bench.deliver(secret=None)
    assert server.seen == []


def test_killed_between_delivery_and_note_it_is_delivered_again_with_the_same_key(
    bench: Bench, server: ReceiverServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.backlog(7, server.url())

    class KilledError(BaseException):
        pass

    def die(*_: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr("workers.beat.callbacks.mark_delivered", die)
        with pytest.raises(KilledError):
            bench.deliver()
    assert bench.deliver() == 0, "the dead one still holds it"
    bench.waits_are_over()
    assert bench.deliver() == 1
    first, second = server.seen
    assert first.key == second.key


def test_what_one_process_delivers_no_other_takes_meanwhile(bench: Bench, server: ReceiverServer) -> None:
    bench.backlog(7, server.url())
    with writing(bench.engine) as connection:
        assert len(take_call_backs(connection, 7, limit=9)) == 1
    with writing(bench.engine) as connection:
        assert take_call_backs(connection, 7, limit=9) == []
    assert bench.deliver() == 0


def test_a_slow_receiver_does_not_hold_up_the_others(bench: Bench, server: ReceiverServer) -> None:
    bench.backlog(1, server.url("/slow"), callbacks=50)
    bench.backlog(2, server.url("/quick"), callbacks=300)
    delivering = threading.Thread(target=bench.deliver)
    delivering.start()
    wait_until(lambda: sum(one.path == "/quick" for one in server.seen) == 300)
    assert sum(one.path == "/slow" for one in server.seen) <= 4
    server.released.set()
    delivering.join(TIMEOUT_S)
    assert not delivering.is_alive()
    assert all(row.delivered_at is not None for row in bench.rows())
    assert server.connections < 60, "a connection carries many"


def test_a_dead_receiver_is_left_alone_and_costs_one_try_at_a_time(bench: Bench, server: ReceiverServer) -> None:
    bench.backlog(1, server.url(), callbacks=50)
    server.answers = [503] * 4
    bench.deliver()
    tried = len(server.seen)
    assert tried <= 4
    assert bench.deliver() == 0
    assert len(server.seen) == tried
    with writing(bench.engine) as connection:
        connection.execute(update(runs).values(callback_not_before=None))
    server.answers = [503]
    bench.deliver()
    assert len(server.seen) == tried + 1
    bench.waits_are_over()
    server.answers = []
    assert bench.deliver() == 50


def test_what_a_dead_receiver_has_not_taken_for_two_days_is_given_up(
    bench: Bench, server: ReceiverServer, caplog: pytest.LogCaptureFixture
) -> None:
    bench.backlog(1, server.url(), callbacks=20)
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE outbox SET created_at = '2001-01-01 00:00:00.000000' WHERE id <= 15"))
    server.answers = [503] * 4
    bench.deliver()
    assert sum(row.given_up_at is not None for row in bench.rows()) >= 10
    assert sum(row.given_up_at is None for row in bench.rows()) >= 5
    given_up = sum(row.given_up_at is not None for row in bench.rows())
    assert bench.results.count("given_up") == given_up, "each is counted"
    assert "call-backs of backlog 1 are given up" in caplog.text


@pytest.mark.parametrize("path", ["/slow", "/drip"])
def test_a_receiver_that_never_answers_is_cut_off(bench: Bench, server: ReceiverServer, path: str) -> None:
    bench.backlog(1, server.url(path))
    began_s = time.monotonic()
    assert bench.deliver(timeout_s=0.5) == 0
    assert time.monotonic() - began_s < TIMEOUT_S / 2
    assert "takes longer than 0.5 s" in bench.row().message


def test_a_long_answer_is_not_read(bench: Bench, server: ReceiverServer) -> None:
    bench.backlog(1, server.url("/long"), callbacks=3)
    assert bench.deliver() == 3
    assert server.connections == 3


def test_nobody_listens(bench: Bench) -> None:
    bench.backlog(1, "http://127.0.0.1:9/")
    assert bench.deliver() == 0
    assert bench.row().message == "the receiver cannot be reached (ConnectionRefusedError)"


def test_call_backs_are_forgotten_a_week_after_delivery_and_a_month_after_they_were_given_up(
    bench: Bench, server: ReceiverServer
) -> None:
    bench.backlog(1, server.url(), callbacks=2)
    bench.deliver()
    assert forget_all(bench.engine, RetentionSettings()) == 0
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE outbox SET delivered_at = '2001-01-01 00:00:00.000000' WHERE id = 1"))
    assert forget_all(bench.engine, RetentionSettings()) == 1
    with reading(bench.engine) as connection:
        assert connection.execute(select(func.count()).select_from(outbox)).scalar_one() == 1
    with writing(bench.engine) as connection:
        connection.execute(update(outbox).values(delivered_at=None, given_up_at=utc_now()))
    assert forget_all(bench.engine, RetentionSettings()) == 0
    with writing(bench.engine) as connection:
        connection.execute(text("UPDATE outbox SET given_up_at = '2001-01-01 00:00:00.000000'"))
    assert forget_all(bench.engine, RetentionSettings()) == 1


def wait_until(holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < until_s, "it never came"
        time.sleep(0.01)
