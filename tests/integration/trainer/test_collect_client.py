"""How the services are asked: politely, and on guard against what they answer."""

import gzip
import itertools
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator.errors import (
    ForbiddenSourceError,
    MediaTooLargeError,
    SourceNotFoundError,
    SourceUnavailableError,
)
from annotator.media.limits import FetchLimits
from tests.integration.trainer.wikimedia_server import Fault, Wikimedia, WikimediaHandler, answers, serving
from trainer.collect.cache import DiskCache
from trainer.collect.client import Pace, PoliteClient

QUICK = Pace(api_interval_s=0.0, picture_interval_s=0.0, tries=3, first_wait_s=0.02, longest_rest_s=5.0)
QUESTION = {"action": "wbgetentities", "ids": "Q1", "props": "labels"}
AGENT = "CelebrityAnnotatorTrainer/0.1.0 (jane@museum.nl) python-http.client/3.12"


@pytest.fixture
def wikimedia() -> Iterator[Wikimedia]:
    with serving(Wikimedia()) as state:
        state.add_person("Q1", "Jane Doe")
        state.add_file("File:Jane.jpg", b"picture")
        yield state


def client_of(wikimedia: Wikimedia, folder: Path, **changes: object) -> PoliteClient:
    given = {"services": wikimedia.services(), "pace": QUICK, "limits": FetchLimits(max_bytes=100_000, timeout_s=20.0)}
    options = given | changes
    services = options.pop("services")
    return PoliteClient(services, agent=AGENT, cache=DiskCache(folder, max_age_s=100.0), **options)  # type: ignore[arg-type]


def ask(client: PoliteClient) -> object:
    return client.ask(client.services.wikidata_api, QUESTION)


def picture_url(wikimedia: Wikimedia) -> str:
    return str(wikimedia.files["File:Jane.jpg"]["imageinfo"][0]["thumburl"])


def test_every_request_says_who_asks_and_minds_the_lag_of_the_databases(wikimedia: Wikimedia, tmp_path: Path) -> None:
    assert ask(client_of(wikimedia, tmp_path))["entities"]["Q1"]["id"] == "Q1"  # type: ignore[index]
    assert wikimedia.agents == {AGENT}
    assert all("maxlag=5" in path and "formatversion=2" in path for path in wikimedia.asked)


def test_nothing_is_asked_twice_not_even_by_the_next_run(wikimedia: Wikimedia, tmp_path: Path) -> None:
    first = client_of(wikimedia, tmp_path)
    ask(first), ask(first)
    first.picture(picture_url(wikimedia))
    second = client_of(wikimedia, tmp_path)
    ask(second)
    assert second.picture(picture_url(wikimedia)).read_bytes() == b"picture"
    assert len(wikimedia.asked) == 2


def test_an_old_answer_is_asked_again_and_a_picture_is_not(wikimedia: Wikimedia, tmp_path: Path) -> None:
    for _ in range(2):
        client = PoliteClient(wikimedia.services(), agent=AGENT, cache=DiskCache(tmp_path, max_age_s=0.0), pace=QUICK)
        ask(client)
        client.picture(picture_url(wikimedia))
        time.sleep(0.01)
    assert [path.split("/")[1] for path in wikimedia.asked] == ["wikidata", "pictures", "wikidata"]


def test_a_spoilt_answer_in_the_cache_is_asked_again(wikimedia: Wikimedia, tmp_path: Path) -> None:
    ask(client_of(wikimedia, tmp_path))
    (kept,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    kept.write_bytes(b'{"entities": ')
    assert "entities" in ask(client_of(wikimedia, tmp_path))  # type: ignore[operator]


def test_never_more_than_two_connections_and_one_to_the_api(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.slowness_s = 0.05
    client = client_of(wikimedia, tmp_path)
    for number in range(6):
        wikimedia.add_file(f"File:{number}.jpg", b"x")
    urls = [one["imageinfo"][0]["thumburl"] for one in wikimedia.files.values()]
    threads = [threading.Thread(target=client.picture, args=[url]) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wikimedia.most_at_once == 2
    wikimedia.most_at_once = 0
    questions = [QUESTION | {"ids": f"Q{number}"} for number in range(1, 6)]
    threads = [threading.Thread(target=client.ask, args=[client.services.wikidata_api, one]) for one in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wikimedia.most_at_once == 1


def test_requests_keep_their_distance(wikimedia: Wikimedia, tmp_path: Path) -> None:
    client = client_of(wikimedia, tmp_path, pace=Pace(api_interval_s=0.4))
    for number in range(3):
        client.ask(client.services.wikidata_api, QUESTION | {"ids": f"Q{number + 1}"})
    # A busy machine may bring the first one late to the server, and so nearer to the second.
    assert all(later - earlier > 0.2 for earlier, later in itertools.pairwise(wikimedia.times_s))


def lags(handler: WikimediaHandler) -> None:
    error = {"code": "maxlag", "info": "Waiting for 10.64.32.7: 6.1 seconds lagged", "lag": 0.3}
    handler.send_json({"error": error, "servedby": "mw1"})


def breaks_off(handler: WikimediaHandler) -> None:
    handler.send(200, b'{"entities"', "application/json", length="500")


def breaks_off_packed(handler: WikimediaHandler) -> None:
    body = gzip.compress(json.dumps({"entities": {str(n): n for n in range(999)}}).encode())[:300]
    handler.send(200, body, "application/json", Content_Encoding="gzip")


def hangs_up(handler: WikimediaHandler) -> None:
    handler.connection.close()


@pytest.mark.parametrize(
    "fault",
    [
        answers(503),
        answers(500),
        answers(504),
        answers(429),
        answers(200, b"<html>busy</html>"),
        answers(200, b"[1, 2]", "application/json"),
        answers(200, b"[" * 90_000, "application/json"),
        answers(200, b"\xff\xfe\x00", "application/json"),
        answers(200, b'{"error": {"code": "ratelimited", "info": "too fast"}}', "application/json"),
        answers(200, b'{"error": {"code": "internal_api_error_DBQueryError"}}', "application/json"),
        answers(200, b"{}", "application/json", Content_Encoding="br"),
        answers(200, b"no gzip", "application/json", Content_Encoding="gzip"),
        lags,
        breaks_off,
        breaks_off_packed,
        hangs_up,
    ],
    ids=lambda fault: getattr(fault, "__name__", ""),
)
def test_a_passing_fault_is_waited_for(wikimedia: Wikimedia, tmp_path: Path, fault: Fault) -> None:
    wikimedia.faults = [("wikidata", fault), ("wikidata", fault)]
    assert "entities" in ask(client_of(wikimedia, tmp_path))  # type: ignore[operator]
    assert len(wikimedia.asked) == 3


def test_a_picture_that_breaks_off_is_fetched_again(wikimedia: Wikimedia, tmp_path: Path) -> None:
    def breaks_off_early(handler: WikimediaHandler) -> None:
        handler.send(200, b"pict", "image/jpeg", length="500")

    wikimedia.faults = [("pictures", breaks_off_early)]
    assert client_of(wikimedia, tmp_path).picture(picture_url(wikimedia)).read_bytes() == b"picture"
    assert len(wikimedia.asked) == 2


def test_a_server_that_is_silent_is_given_up_after_the_tries(wikimedia: Wikimedia, tmp_path: Path) -> None:
    released = threading.Event()
    wikimedia.faults = [("wikidata", lambda _: released.wait(20) and None)] * 3
    began_s = time.monotonic()
    limits = FetchLimits(max_bytes=1000, timeout_s=0.3, read_timeout_s=0.2)
    with pytest.raises(SourceUnavailableError, match="3 tries"):
        ask(client_of(wikimedia, tmp_path, limits=limits))
    assert time.monotonic() - began_s < 2.0
    released.set()


def test_one_byte_at_a_time_does_not_outlast_the_time(wikimedia: Wikimedia, tmp_path: Path) -> None:
    def drips(handler: WikimediaHandler) -> None:
        handler.send(200, b"", "application/json", length="1000")
        for _ in range(200):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)

    wikimedia.faults = [("wikidata", drips)] * 3
    began_s = time.monotonic()
    with pytest.raises(SourceUnavailableError, match="too long"):
        ask(client_of(wikimedia, tmp_path, limits=FetchLimits(timeout_s=0.3)))
    assert time.monotonic() - began_s < 3.0


@pytest.mark.parametrize("kind", ["wikidata", "pictures"])
def test_the_wait_that_the_server_asks_for_is_kept(wikimedia: Wikimedia, tmp_path: Path, kind: str) -> None:
    wikimedia.faults = [(kind, answers(429, b"slow down", Retry_After="1"))]
    client = client_of(wikimedia, tmp_path)
    if kind == "wikidata":
        ask(client)
    else:
        client.picture(picture_url(wikimedia))
    assert wikimedia.times_s[1] - wikimedia.times_s[0] >= 1.0


def test_without_a_word_of_the_server_waits_of_our_own_grow(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.faults = [("pictures", answers(429))] * 2
    waits: list[float] = []
    pace = Pace(api_interval_s=0, picture_interval_s=0, tries=3, first_wait_s=0.2)
    client = client_of(wikimedia, tmp_path, pace=pace, on_wait=lambda _why, wait_s: waits.append(wait_s))
    client.picture(picture_url(wikimedia))
    assert 0.15 <= waits[0] <= 0.2
    assert 0.3 <= waits[1] <= 0.4
    assert wikimedia.times_s[2] - wikimedia.times_s[1] >= 0.3


def test_the_lag_that_the_database_tells_is_waited(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.faults = [("wikidata", lags)]
    ask(client_of(wikimedia, tmp_path))
    assert wikimedia.times_s[1] - wikimedia.times_s[0] >= 0.3


def test_while_one_waits_nobody_else_asks_the_host(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.add_file("File:Joe.jpg", b"joe")
    wikimedia.faults = [("pictures", answers(429, Retry_After="1"))]
    waiting = threading.Event()
    client = client_of(wikimedia, tmp_path, on_wait=lambda _why, _wait_s: waiting.set())
    thread = threading.Thread(target=client.picture, args=[picture_url(wikimedia)])
    thread.start()
    assert waiting.wait(20)
    client.picture(wikimedia.files["File:Joe.jpg"]["imageinfo"][0]["thumburl"])
    thread.join()
    assert all(later - wikimedia.times_s[0] >= 1.0 for later in wikimedia.times_s[1:])


def test_a_rest_of_hours_ends_the_question_at_once(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.faults = [("wikidata", answers(429, Retry_After="7200"))]
    began_s = time.monotonic()
    with pytest.raises(SourceUnavailableError, match="left alone for 120 minutes"):
        ask(client_of(wikimedia, tmp_path))
    assert time.monotonic() - began_s < 1.0


def test_whoever_waits_is_woken_when_the_client_is_closed(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.faults = [("wikidata", answers(503, Retry_After="4"))]
    client = client_of(wikimedia, tmp_path)
    threading.Timer(0.2, client.close).start()
    began_s = time.monotonic()
    with pytest.raises(SourceUnavailableError, match="told to end"):
        ask(client)
    assert time.monotonic() - began_s < 2.0


@pytest.mark.parametrize("status", [400, 429])
def test_a_width_that_is_not_served_is_not_asked_again(wikimedia: Wikimedia, tmp_path: Path, status: int) -> None:
    text = b"<html>Use thumbnail sizes listed on https://w.wiki/GHai. Please contact noc@wikimedia.org</html>"
    wikimedia.faults = [("pictures", answers(status, text))]
    with pytest.raises(SourceNotFoundError, match="width is not served"):
        client_of(wikimedia, tmp_path).picture(picture_url(wikimedia))
    assert len(wikimedia.asked) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (answers(404), "answers 404"),
        (answers(200, b"<html>sorry</html>"), "no picture"),
        (answers(200, b"", "image/jpeg"), "empty"),
    ],
)
def test_a_picture_that_is_none_is_refused_and_not_kept(
    wikimedia: Wikimedia, tmp_path: Path, fault: Fault, said: str
) -> None:
    wikimedia.faults = [("pictures", fault)]
    client = client_of(wikimedia, tmp_path)
    with pytest.raises((SourceNotFoundError, MediaTooLargeError), match=said):
        client.picture(picture_url(wikimedia))
    assert client.picture(picture_url(wikimedia)).read_bytes() == b"picture"


@pytest.mark.parametrize(
    "fault",
    [
        answers(200, b"x" * 200_000, "image/jpeg"),
        answers(200, gzip.compress(b"0" * 50_000_000), "image/jpeg", Content_Encoding="gzip"),
    ],
    ids=["long", "bomb"],
)
def test_a_body_without_end_is_cut(wikimedia: Wikimedia, tmp_path: Path, fault: Fault) -> None:
    wikimedia.faults = [("pictures", fault)]
    with pytest.raises(MediaTooLargeError):
        client_of(wikimedia, tmp_path).picture(picture_url(wikimedia))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_question_that_the_api_refuses_is_not_asked_again(wikimedia: Wikimedia, tmp_path: Path) -> None:
    body = b'{"error": {"code": "no-such-entity", "info": "<b>Could not</b> find\\u001b[2J it"}}'
    wikimedia.faults = [("wikidata", answers(200, body, "application/json"))]
    with pytest.raises(SourceNotFoundError, match=r"no-such-entity: Could not find \[2J it"):
        ask(client_of(wikimedia, tmp_path))
    assert len(wikimedia.asked) == 1


@pytest.mark.parametrize(
    "target",
    [
        "http://localhost:{port}/pictures/Jane.jpg/960px-Jane.jpg",
        "http://127.0.0.1:1/secret",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "//evil.test/picture.jpg",
        "http://user:word@127.0.0.1:{port}/pictures/Jane.jpg/960px-Jane.jpg",
        "http://127.0.0.1:99999999/",
    ],
)
def test_a_redirect_elsewhere_is_not_followed(wikimedia: Wikimedia, tmp_path: Path, target: str) -> None:
    wikimedia.faults = [("pictures", answers(302, Location=target.format(port=wikimedia.port)))]
    with pytest.raises(ForbiddenSourceError):
        client_of(wikimedia, tmp_path).picture(picture_url(wikimedia))
    assert len(wikimedia.asked) == 1


def test_a_redirect_on_the_same_host_is_followed_and_a_loop_is_not(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.faults = [("first", answers(301, Location="/pictures/Jane.jpg/960px-Jane.jpg"))]
    host = f"http://127.0.0.1:{wikimedia.port}"
    client = client_of(wikimedia, tmp_path)
    assert client.picture(f"{host}/first").read_bytes() == b"picture"
    wikimedia.faults = [("loop", answers(302, Location="/loop"))] * 20
    with pytest.raises(SourceUnavailableError, match="redirects"):
        client.picture(f"{host}/loop")


def test_a_name_of_the_list_with_a_private_address_is_not_asked(wikimedia: Wikimedia, tmp_path: Path) -> None:
    services = wikimedia.services(
        wikidata_api=f"https://localhost:{wikimedia.port}/wikidata/api.php", allow_private=False
    )
    with pytest.raises(ForbiddenSourceError, match="not public"):
        ask(client_of(wikimedia, tmp_path, services=services))
    assert wikimedia.asked == []
