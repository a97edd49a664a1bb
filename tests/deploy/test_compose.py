"""docker-compose.yml: valid, closed, pinned, watched; and each check sees a breach."""

import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest
import redis
import yaml
from sqlalchemy import make_url

from annotator.settings import PREFIX
from annotator.settings.loading import known_variables
from annotator.stack.broker import _binary as valkey_binary
from annotator.stack.child import free_port
from annotator.stack.postgres import PostgresChild, binaries
from annotator.store import Store
from annotator.store.roles import set_up_roles
from annotator.store.schema import upgrade
from annotator.store.web.accounts import Role
from tests.deploy import compose_checks as checks
from tests.deploy.compose_checks import COMPOSE, ROOT, Compose
from tests.web_client import PASSWORD, WebForTests

_WITH_DEFAULT = re.compile(r"\$\{([A-Z0-9_]+):-((?:[^${}]|\$\{[^}]*\})*)\}")

CHECKS: list[Callable[[Compose], list[str]]] = [
    checks.ports_of_other_machines,
    checks.literal_secrets,
    checks.unpinned_images,
    checks.unwatched_services,
    checks.unneeded_privileges,
    checks.open_networks,
    checks.unknown_commands,
    checks.missing_files,
    checks.starts_too_soon,
]


# Secrets that older installations lack. Compose asks for them whatever the profile, so they must not be required.
LATER = {"WEB_PASSWORD"}


def validate(file: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("check-jsonschema")
    return subprocess.run(
        [program, "--builtin-schema", "vendor.compose-spec", file],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_follows_the_specification_of_compose(tmp_path: Path) -> None:
    assert validate(COMPOSE).returncode == 0
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(COMPOSE.read_text().replace("read_only: true", "read_onely: true"))
    done = validate(broken)
    assert done.returncode == 1
    assert "read_onely" in done.stdout


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps(check: Callable[[Compose], list[str]]) -> None:
    assert check(checks.read_compose()) == []


def test_the_settings_of_each_service_are_known_and_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    compose = checks.read_compose()
    assert checks.refused_settings(compose, monkeypatch.setenv, monkeypatch.delenv) == []
    compose["services"]["beat"]["environment"]["ANNOTATOR_METRIKS__PORT"] = "9100"
    compose["services"]["cpu-worker"]["environment"]["ANNOTATOR_METRICS__PORT"] = "many"
    refused = " ".join(checks.refused_settings(compose, monkeypatch.setenv, monkeypatch.delenv))
    assert "beat: the environment sets ANNOTATOR_METRIKS__PORT, which is no setting" in refused
    assert "cpu-worker: ANNOTATOR_METRICS__PORT" in refused


def test_what_the_file_is_filled_in_from_may_be_exported_beside_the_programs_settings() -> None:
    read = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert "IMAGE_VERSION" in read
    assert {name for name in read if name.startswith(PREFIX)} <= set(known_variables())


def _break(service: str, **changes: object) -> Callable[[Compose], None]:
    def change(compose: Compose) -> None:
        for key, value in changes.items():
            if value is None:
                del compose["services"][service][key]
            else:
                compose["services"][service][key] = value

    return change


def _lead_out(compose: Compose) -> None:
    compose["networks"]["data"] = {"internal": False}


BREACHES: list[tuple[Callable[[Compose], list[str]], Callable[[Compose], None]]] = [
    (checks.ports_of_other_machines, _break("grafana", ports=["3000:3000"])),
    (checks.ports_of_other_machines, _break("s3", ports=["0.0.0.0:3900:3900"])),
    (checks.ports_of_other_machines, _break("postgres", ports=["${BIND:-0.0.0.0}:5432:5432"])),
    (checks.literal_secrets, _break("postgres", environment={"POSTGRES_PASSWORD": "postgres"})),
    (checks.literal_secrets, _break("postgres", environment={"POSTGRES_PASSWORD": "${POSTGRES_PASSWORD:-postgres}"})),
    (checks.literal_secrets, _break("postgres", environment={"POSTGRES_PASSWORD": "${POSTGRES_PASSWORD}"})),
    (checks.literal_secrets, _break("beat", environment={"ANNOTATOR_BROKER_URL": "redis://:secret@valkey:6379/0"})),
    (checks.literal_secrets, _break("valkey", command=["valkey-server", "--requirepass", "${VALKEY_PASSWORD:?}"])),
    (checks.unpinned_images, _break("valkey", image="docker.io/valkey/valkey:9.1.2")),
    (checks.unpinned_images, _break("valkey", image="valkey/valkey@sha256:" + "0" * 64)),
    (checks.unpinned_images, _break("beat", build=None)),
    (checks.unwatched_services, _break("beat", healthcheck=None)),
    (checks.unwatched_services, _break("cpu-worker", healthcheck={"disable": True})),
    (checks.unwatched_services, _break("valkey", restart="on-failure")),
    (checks.unneeded_privileges, _break("beat", user="0:0")),
    (checks.unneeded_privileges, _break("beat", read_only=False)),
    (checks.unneeded_privileges, _break("s3", cap_drop=["NET_RAW"])),
    (checks.unneeded_privileges, _break("s3", security_opt=None)),
    (checks.unneeded_privileges, _break("gpu-worker", privileged=True)),
    (checks.unneeded_privileges, _break("gpu-worker", network_mode="host")),
    (checks.unneeded_privileges, _break("prometheus", init=None)),
    (checks.unneeded_privileges, _break("prometheus", deploy=None)),
    (checks.unneeded_privileges, _break("prometheus", volumes=["/var/run/docker.sock:/var/run/docker.sock:ro"])),
    (checks.unneeded_privileges, _break("cpu-worker", stop_grace_period="10s")),
    (checks.open_networks, _break("cpu-worker", networks=["data", "published"])),
    (checks.open_networks, _lead_out),
    (checks.unknown_commands, _break("beat", command=["celery", "-A", "workers", "beet"])),
    (checks.unknown_commands, _break("migrate", command=["sh", "-ec", "annotator db upgrade && annotator db rolls"])),
    (checks.unknown_commands, _break("cpu-worker", healthcheck={"test": ["CMD", "annotator", "worker", "healthy"]})),
    (checks.missing_files, _break("grafana", volumes=["./deploy/nowhere:/etc/grafana:ro"])),
    (checks.missing_files, _break("grafana", volumes=["./deploy:/etc/grafana"])),
    (checks.missing_files, _break("beat", volumes=["cash:/var/cache/annotator"])),
    (checks.missing_files, _break("beat", volumes=["${LOCAL_WORKDIR:-./workdir}:/workdir"])),
    (checks.missing_files, _break("trainer", volumes=["./experiments:/var/lib/annotator/experiments"])),
    (checks.unknown_commands, _break("tensorboard", command=["trainer", "bord"])),
    (checks.unwatched_services, _break("tensorboard", healthcheck={"disable": True})),
    (checks.ports_of_other_machines, _break("tensorboard", ports=["${TENSORBOARD_PORT:-5055}:5055"])),
    (checks.ports_of_other_machines, _break("web", ports=["8765:8765"])),
    (checks.unknown_commands, _break("web", command=["annotator", "wed"])),
    (checks.unwatched_services, _break("web", healthcheck=None)),
    (checks.starts_too_soon, _break("beat", depends_on={"postgres": {"condition": "service_healthy"}})),
]


@pytest.mark.parametrize(("check", "spoil"), BREACHES, ids=[f"{n}-{c.__name__}" for n, (c, _) in enumerate(BREACHES)])
def test_a_breach_is_seen(check: Callable[[Compose], list[str]], spoil: Callable[[Compose], None]) -> None:
    compose = checks.read_compose()
    spoil(compose)
    assert check(compose) != []


def test_a_worker_on_a_gpu_is_asked_for_by_a_profile_and_gets_one_gpu() -> None:
    service = checks.read_compose()["services"]["gpu-worker"]
    assert service["profiles"] == ["gpu"]
    assert service["deploy"]["resources"]["reservations"]["devices"] == [
        {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    ]


def test_the_web_application_is_asked_for_by_a_profile_reached_from_this_machine_and_watched() -> None:
    service = checks.read_compose()["services"]["web"]
    assert service["profiles"] == ["web"]
    assert service["ports"] == ["127.0.0.1:${WEB_PORT:-8765}:8765"]
    assert "http://127.0.0.1:8765/healthz" in service["healthcheck"]["test"][-1]
    assert service["environment"]["ANNOTATOR_WEB__HOST"] == "0.0.0.0"
    assert service["environment"]["ANNOTATOR_DATABASE_URL"].startswith("postgresql://web:")


@pytest.mark.parametrize("name", ["cpu-worker", "gpu-worker", "web", "trainer"])
def test_networks_use_as_many_threads_as_their_service_may_have_processors(name: str) -> None:
    service = checks.read_compose()["services"][name]
    assert service["environment"]["ANNOTATOR_THREADS"] == service["deploy"]["resources"]["limits"]["cpus"]


def test_the_trainer_runs_by_profile_with_shared_memory_and_one_switch_decides_cpu_or_gpu() -> None:
    services = checks.read_compose()["services"]
    on_cpu, on_gpu, board = (services[name] for name in ("trainer", "trainer-gpu", "tensorboard"))
    assert [one["profiles"] for one in (on_cpu, on_gpu, board)] == [
        ["trainer"],
        ["trainer-gpu"],
        ["trainer", "trainer-gpu"],
    ]
    assert (on_cpu["shm_size"], on_gpu["shm_size"]) == ("2g", "2g")
    assert (on_cpu["environment"]["USE_GPU"], on_gpu["environment"]["USE_GPU"]) == ("false", "true")
    assert "reservations" not in on_cpu["deploy"]["resources"]
    assert on_gpu["deploy"]["resources"]["reservations"]["devices"] == [
        {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    ]


def test_the_example_names_every_secret_and_holds_none() -> None:
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if not line.startswith("#")]
    assert {line.removesuffix("=") for line in lines} == checks.required_variables(COMPOSE.read_text()) | LATER
    assert all(line.endswith("=") for line in lines)


def test_whatever_may_be_set_is_in_the_example_with_its_default_and_explained() -> None:
    files = "".join(path.read_text() for path in (COMPOSE, *sorted((ROOT / "deploy" / "compose").glob("*.yml"))))
    defaults = {name: checks.interpolated(default) for name, default in _WITH_DEFAULT.findall(files)}
    asked_for = set(re.findall(r"\$\{([A-Z0-9_]+)", files))
    lines = (ROOT / ".env.example").read_text().splitlines()
    given = dict(line.removeprefix("# ").split("=", 1) for line in lines if re.match(r"(# )?[A-Z0-9_]+=", line))
    assert asked_for <= set(given)
    assert {name: given[name] for name in defaults} == defaults
    explained = set(re.findall(r"`([A-Z0-9_]+)`", (ROOT / "docs" / "operations.md").read_text()))
    assert asked_for - checks.required_variables(COMPOSE.read_text()) - LATER <= explained


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The files of compose, in a folder without .env."""
    for name in ("docker-compose.yml", ".env.example"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "deploy" / "compose", tmp_path / "deploy" / "compose")
    return tmp_path


def make_env(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "deploy" / "compose" / "make-env"], capture_output=True, text=True, timeout=30, check=False
    )


def test_make_env_writes_other_secrets_each_time_for_the_owner_only_and_never_twice(copied: Path) -> None:
    seen = set()
    for _ in range(2):
        (copied / ".env").unlink(missing_ok=True)
        assert make_env(copied).returncode == 0
        assert stat.S_IMODE((copied / ".env").stat().st_mode) == 0o600
        values = dict(line.split("=") for line in (copied / ".env").read_text().splitlines() if "=" in line)
        assert set(values) == checks.required_variables(COMPOSE.read_text()) | LATER
        for name, value in values.items():
            digits = value.removeprefix("GK") if name == "S3_ACCESS_KEY_ID" else value
            assert len(digits) == (24 if name == "S3_ACCESS_KEY_ID" else 64)
            int(digits, 16)
        seen |= set(values.values())
    assert len(seen) == 2 * len(values)
    before = (copied / ".env").read_text()
    again = make_env(copied)
    assert (again.returncode, "has all secrets already" in again.stderr) == (0, True)
    assert (copied / ".env").read_text() == before


def test_make_env_adds_what_an_older_file_lacks_and_changes_nothing_in_it(copied: Path) -> None:
    assert make_env(copied).returncode == 0
    made = (copied / ".env").read_text()
    older = "".join(line for line in made.splitlines(keepends=True) if not line.startswith("WEB_PASSWORD="))
    older += "# WEB_PASSWORD=no\nOIDC_CLIENT_SECRET='a b'"  # and no end of the line
    (copied / ".env").write_text(older)
    (copied / ".env").chmod(0o640)
    done = make_env(copied)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().endswith("also: WEB_PASSWORD=")
    assert re.fullmatch(re.escape(older) + r"\nWEB_PASSWORD=[0-9a-f]{64}\n", (copied / ".env").read_text())
    assert stat.S_IMODE((copied / ".env").stat().st_mode) == 0o640


def test_what_came_later_is_asked_for_by_no_service_that_was_there_before() -> None:
    for name in LATER:
        assert f"${{{name}:?" not in COMPOSE.read_text()


def test_at_another_port_the_web_application_is_at_that_port_for_itself_too() -> None:
    told = checks.read_compose()["services"]["web"]["environment"]["ANNOTATOR_WEB__PUBLIC_URL"]
    assert told == "${WEB_PUBLIC_URL:-http://127.0.0.1:${WEB_PORT:-8765}}"
    assert checks.interpolated(told) == "http://127.0.0.1:8765"


def test_the_file_with_the_secrets_is_never_committed() -> None:
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()


def compose_program() -> list[str]:
    for program in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(program[0]):
            found = subprocess.run([*program, "version"], capture_output=True, timeout=30, check=False)
            if found.returncode == 0:
                return program
    pytest.skip("docker compose is not installed: the schema and the project's own checks stand in for it")


def test_compose_itself_accepts_it_with_secrets_and_refuses_it_without(copied: Path) -> None:
    command = [*compose_program(), "--profile", "*", "config"]
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

    def config() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=copied, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    refused = config()
    assert refused.returncode != 0
    assert "run deploy/compose/make-env" in refused.stderr
    make_env(copied)
    done = config()
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) == set(checks.read_compose()["services"])
    assert {port["host_ip"] for service in services.values() for port in service.get("ports", [])} == {"127.0.0.1"}


@pytest.mark.servers
def test_the_broker_starts_with_its_password_which_no_command_line_shows(tmp_path: Path) -> None:
    shell, flags, script = checks.read_compose()["services"]["valkey"]["command"]
    port = free_port()
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "valkey-server").symlink_to(valkey_binary())
    script = script.replace("$$", "$").replace("--dir /data", f"--dir {tmp_path} --bind 127.0.0.1 --port {port}")
    password = "5ecret" * 8
    environment = {"PATH": f"{bin_dir}:{os.environ['PATH']}", "VALKEY_PASSWORD": password}
    with subprocess.Popen([shell, flags, script], env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            client = redis.Redis(port=port, password=password)
            deadline = time.monotonic() + 30
            while not _answers(client) and time.monotonic() < deadline and server.poll() is None:
                time.sleep(0.05)
            wanted = {"maxmemory-policy": "noeviction", "appendonly": "yes", "maxmemory": str(512 * 1024 * 1024)}
            for name, value in wanted.items():
                assert client.config_get(name) == {name: value}
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(port=port).ping()
            assert password.encode() not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
            # While a password is changed, both are good: docs/operations.md.
            second = "another" * 4
            client.execute_command("ACL", "SETUSER", "default", f">{second}")
            assert redis.Redis(port=port, password=second).ping()
            assert redis.Redis(port=port, password=password).ping()
            client.execute_command("ACL", "SETUSER", "default", f"<{password}")
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(port=port, password=password).ping()
        finally:
            server.terminate()
            server.wait(timeout=15)


@pytest.mark.servers
def test_the_logins_of_the_database_are_members_of_their_roles_and_change_without_a_gap(tmp_path: Path) -> None:
    server = PostgresChild(tmp_path, free_port())
    try:
        environment = {**os.environ, "WORKER_PASSWORD": "f0" * 32, "PRODUCER_PASSWORD": "0f" * 32}
        environment["WEB_PASSWORD"] = "ab" * 32
        script = ROOT / "deploy" / "compose" / "logins.sql"
        psql = [binaries() / "psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--dbname={server.url}"]
        done = subprocess.run(
            [*psql, f"--file={script}"], env=environment, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        with psycopg2.connect(_as(server.url, "worker", "f0" * 32)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_has_role('annotator_worker', 'USAGE'), pg_has_role('annotator_producer', 'USAGE'),"
                " bool_or(rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)"
                " FROM pg_roles WHERE rolname IN ('worker', 'producer', 'annotator_worker', 'annotator_producer')"
            )
            assert cursor.fetchone() == (True, False, False)
        connection.close()
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(_as(server.url, "producer", "f0" * 32))
        upgrade(server.url)
        owner = Store.open(server.url)
        set_up_roles(owner.engine)
        owner.close()
        with Store.open(_as(server.url, "web", "ab" * 32)) as store:
            WebForTests(store).account(Role.ADMIN, "eve")
            browser = WebForTests(store, host="0.0.0.0", public_url="http://127.0.0.1:8765").browser()
            assert browser.post("/login", {"name": "eve", "password": PASSWORD}).status_code == 303
        page = (ROOT / "docs" / "operations.md").read_text()
        changed = re.search(r"^```sql\n(CREATE ROLE .*?)^```$", page, re.MULTILINE | re.DOTALL)
        assert changed is not None
        subprocess.run([*psql, f"--command={changed[1]}"], capture_output=True, timeout=30, check=True)
        psycopg2.connect(_as(server.url, "worker_2", "NEW")).close()
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(_as(server.url, "worker", "f0" * 32))
    finally:
        server.process.stop(timeout_s=15.0)


@pytest.mark.servers
def test_a_database_of_before_the_web_application_gets_its_login_as_documented(tmp_path: Path) -> None:
    server = PostgresChild(tmp_path, free_port())
    try:
        environment = {**os.environ, "WORKER_PASSWORD": "f0" * 32, "PRODUCER_PASSWORD": "0f" * 32, "WEB_PASSWORD": ""}
        psql = [binaries() / "psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--dbname={server.url}"]
        script = ROOT / "deploy" / "compose" / "logins.sql"
        subprocess.run([*psql, f"--file={script}"], env=environment, capture_output=True, timeout=30, check=True)
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(_as(server.url, "web", "ab" * 32))
        page = (ROOT / "docs" / "operations.md").read_text()
        documented = re.search(r"^```sql\n(\\getenv .*?)^```$", page, re.MULTILINE | re.DOTALL)
        assert documented is not None
        environment["WEB_PASSWORD"] = "ab" * 32
        subprocess.run(psql, input=documented[1].encode(), env=environment, capture_output=True, timeout=30, check=True)
        with psycopg2.connect(_as(server.url, "web", "ab" * 32)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_has_role('annotator_migrator', 'USAGE')")
            assert cursor.fetchone() == (True,)
        connection.close()
    finally:
        server.process.stop(timeout_s=15.0)


def _as(url: str, user: str, password: str) -> str:
    return make_url(url).set(username=user, password=password).render_as_string(hide_password=False)


def test_the_file_for_what_lies_outside_gives_a_way_out_to_those_who_need_one(monkeypatch: pytest.MonkeyPatch) -> None:
    path = ROOT / "deploy" / "compose" / "outside.yml"
    assert validate(path).returncode == 0
    inside, outside = checks.read_compose(), yaml.safe_load(path.read_text())
    assert set(outside["services"]) == {"beat", "cpu-worker", "gpu-worker", "producer", "web"}
    for name, changes in outside["services"].items():
        assert set(changes) == {"networks", "environment"}
        service = inside["services"][name]
        assert set(service["networks"]) < set(changes["networks"])
        service["environment"] |= changes["environment"]
    assert checks.literal_secrets(inside) == []
    assert checks.refused_settings(inside, monkeypatch.setenv, monkeypatch.delenv) == []


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
