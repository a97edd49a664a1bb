"""`annotator web` as people start it: a process of its own, asked over a socket, stopped by a signal."""

import re
import signal
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from sqlalchemy import select

from annotator.store import Store
from annotator.store.tables import web_attempts
from tests.web_process import ANNOTATOR, copy_database, environment, running


@pytest.fixture
def folder(tmp_path: Path, sqlite_template: Path) -> Path:
    """A folder of data with a database in which nothing is yet."""
    copy_database(sqlite_template, tmp_path)
    return tmp_path


def run(folder: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ANNOTATOR, *arguments],
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment(folder),
        cwd=folder,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_an_address_that_opens_it_and_ends_well_when_told_to(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as (process, address):
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(address, timeout=30) as page:
            assert "Nothing is annotated yet" in page.read().decode()
            assert "server" not in page.headers
        process.send_signal(number)
        told = process.communicate(timeout=30)[1]
        assert process.returncode == 0, told
        assert "stopped" in told


def test_with_an_account_it_asks_for_the_password(folder: Path) -> None:
    added = run(folder, "web", "users", "add", "Eve", "--role", "admin", "--password-stdin", typed="twelve letters\n")
    assert (added.returncode, added.stdout) == (0, "eve may log in as admin\n")
    with running(folder) as (_, address):
        assert "key" not in address
        with urllib.request.build_opener().open(address, timeout=30) as page:
            assert page.url.endswith("/login?next=%2F")
            assert 'autocomplete="current-password"' in page.read().decode()


@pytest.mark.parametrize(
    ("host", "proxies", "told"),
    [
        ("127.0.0.1", "127.0.0.1,::1", "192.0.2.7"),
        ("::1", "127.0.0.1,::1", "192.0.2.7"),
        ("127.0.0.1", "127.0.0.0/8", "192.0.2.7"),
        ("127.0.0.1", "198.51.100.0/24", "127.0.0.1"),
    ],
)
def test_a_proxy_that_is_known_tells_where_somebody_comes_from(
    folder: Path, host: str, proxies: str, told: str
) -> None:
    run(folder, "web", "users", "add", "eve", "--role", "admin", "--password-stdin", typed="twelve letters\n")
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        port = taken.getsockname()[1]
    url = "https://Faces.example:443/"
    with running(folder, port=port, host=host, public_url=url, proxies=proxies) as (_, address):
        assert address == "https://faces.example"
        url = f"http://[{host}]:{port}/login" if ":" in host else f"http://{host}:{port}/login"
        browser = urllib.request.build_opener()
        proxied = {"Host": "faces.example", "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
        asked = urllib.request.Request(url, headers=proxied)  # noqa: S310 - http, as above
        with browser.open(asked, timeout=30) as page:
            text, cookie = page.read().decode(), page.headers["Set-Cookie"].split(";")[0]
        token = re.search(r'name="csrf" value="([^"]+)"', text)
        assert token is not None
        form = urllib.parse.urlencode({"csrf": token[1], "name": "eve", "password": "wrong but long"}).encode()
        sent = proxied | {"Cookie": cookie, "Origin": "https://faces.example"}
        tried = urllib.request.Request(url, data=form, headers=sent)  # noqa: S310
        with pytest.raises(urllib.error.HTTPError) as refused:
            browser.open(tried, timeout=30)
        assert "password" in refused.value.read().decode()
    with Store.open(f"sqlite:///{folder / 'annotations.db'}") as store, store.reading() as connection:
        assert connection.execute(select(web_attempts.c.address)).scalars().all() == [told]


def test_accounts_are_added_listed_changed_and_disabled(folder: Path) -> None:
    for name, role in (("eve", "admin"), ("bob", "reader")):
        run(folder, "web", "users", "add", name, "--role", role, "--password-stdin", typed="twelve letters\n")
    assert run(folder, "web", "users", "role", "bob", "reviewer").stdout == "bob is reviewer now\n"
    assert run(folder, "web", "users", "disable", "eve").stdout == "eve may not log in any more\n"
    listed = run(folder, "web", "users", "list", "--json").stdout.splitlines()
    assert [re.search(r'"name": ?"(\w+)", ?"role": ?"(\w+)"', line)[0] for line in listed]  # type: ignore[index]
    assert "reviewer" in listed[0]
    assert '"disabled_at": null' not in listed[1]


def test_a_token_is_made_shown_once_listed_and_removed(folder: Path) -> None:
    run(folder, "web", "users", "add", "eve", "--password-stdin", typed="twelve letters\n")
    token = run(folder, "web", "tokens", "add", "eve", "--for", "dashboard").stdout.strip()
    assert token.startswith("ann_")
    listed = run(folder, "web", "tokens", "list", "--json").stdout
    assert '"purpose": "dashboard"' in listed
    assert token not in listed
    with running(folder) as (_, address):
        ask = urllib.request.Request(f"{address}/api/v1/people", headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - ours
        with urllib.request.build_opener().open(ask, timeout=30) as answer:
            assert answer.status == 200
    assert run(folder, "web", "tokens", "remove", "1").stdout == "token 1 works no more\n"
    assert "there is no token 1" in run(folder, "web", "tokens", "remove", "1").stderr


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (("web", "users", "add", "eve", "--password-stdin"), "short\n", "12 to 1024 letters"),
        (("web", "users", "add", "eve", "--role", "king", "--password-stdin"), "twelve letters\n", "king is no role"),
        (("web", "users", "add", "e v e", "--password-stdin"), "twelve letters\n", "cannot be the name"),
        (("web", "users", "add", "eve"), "", "--password-stdin"),
        (("web", "--host", "0.0.0.0"), "", "nobody would have to log in at 0.0.0.0"),
        (("web", "--host", "no.such.host.invalid"), "", "nobody would have to log in"),
    ],
)
def test_what_cannot_be_is_one_line_with_the_remedy(
    folder: Path, arguments: tuple[str, ...], typed: str, said: str
) -> None:
    insist_on_refusal(run(folder, *arguments, typed=typed), said)


def test_where_nothing_was_made_yet_there_are_no_accounts_to_list(tmp_path: Path) -> None:
    insist_on_refusal(run(tmp_path, "web", "users", "list"), "there is no database")


def insist_on_refusal(refused: subprocess.CompletedProcess[str], said: str) -> None:
    assert refused.returncode == 2, refused.stderr
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
