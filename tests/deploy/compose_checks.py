"""What docker-compose.yml must keep: each check returns complaints, so that a test can show that it sees a breach."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from annotator.settings import load_settings
from tests.deploy.command_lines import complaints_of

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
Compose = dict[str, Any]

_REQUIRED = re.compile(r"\$\{(\w+):\?[^}]*\}")
_MAY_BE_ABSENT = re.compile(r"\$\{\w+:-\}")
_DEFAULTED = re.compile(r"\$\{\w+:-([^{}]*)\}")  # the innermost, where a default holds another one
_SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|KEY")
_USER_OF_URL = re.compile(r"://[^:/@]*:(.*)@")
_PINNED = re.compile(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}")
_OWN_IMAGE = re.compile(r"celebrity-annotator(-gpu)?:")
# Garage's image is one program: there is no user in it, and its volume belongs to root.
_MAY_BE_ROOT = {"s3"}
_TRAINERS = ("trainer", "trainer-gpu", "tensorboard")
# The folder of the machine in which photographs lie and results go; whoever trains makes it.
_WORKDIR = "./workdir"


def read_compose() -> Compose:
    """Return docker-compose.yml with its anchors resolved, variables as written."""
    loaded: Compose = json.loads(json.dumps(yaml.safe_load(COMPOSE.read_text())))  # nothing is shared any more
    return loaded


def is_own(service: Mapping[str, Any]) -> bool:
    """Say whether a service runs an image of the project."""
    return _OWN_IMAGE.match(service["image"]) is not None


def required_variables(text: str) -> set[str]:
    """Return the variables without which compose refuses to start."""
    return set(_REQUIRED.findall(text))


def interpolated(value: str) -> str:
    """Return a value as a container gets it; a required variable becomes 64 hexadecimal digits."""
    filled = _REQUIRED.sub("0f" * 32, value)
    while _DEFAULTED.search(filled):
        filled = _DEFAULTED.sub(r"\1", filled)
    return filled.replace("$$", "$")


def ports_of_other_machines(compose: Compose) -> list[str]:
    """Every port is published on the loopback address only."""
    return [
        f"{name}: the port {port} can be reached from other machines"
        for name, service in compose["services"].items()
        for port in service.get("ports", [])
        if not str(port).startswith("127.0.0.1:")
    ]


def literal_secrets(compose: Compose) -> list[str]:
    """Every secret comes from a variable that has no default."""
    complaints = []
    for name, service in compose["services"].items():
        for key, value in service.get("environment", {}).items():
            in_url = _USER_OF_URL.search(str(value))
            secret = in_url.group(1) if in_url else str(value) if _SECRET_NAME.search(key) else None
            if secret is not None and not _REQUIRED.fullmatch(secret) and not _MAY_BE_ABSENT.fullmatch(secret):
                complaints.append(f"{name}: {key} is written out, or has a default")
        told = yaml.safe_dump([service.get("command", []), service.get("healthcheck", {}).get("test", [])])
        if _REQUIRED.search(told):
            complaints.append(f"{name}: a secret stands in a command line, which everybody may read")
    return complaints


def unpinned_images(compose: Compose) -> list[str]:
    """Every image is built here or named with its tag and digest."""
    return [
        f"{name}: {service['image']} may be another image tomorrow"
        for name, service in compose["services"].items()
        if not ("build" in service and is_own(service)) and not _PINNED.fullmatch(service["image"])
    ]


def unwatched_services(compose: Compose) -> list[str]:
    """Every service that stays says whether it is well; one that ends is waited for, or started by hand."""
    complaints = []
    for name, service in compose["services"].items():
        check = service.get("healthcheck", {})
        ends = service["restart"] == "no"
        if ends != (check.get("disable") is True) or (not ends and not check.get("test")):
            complaints.append(f"{name}: no health check")
        if not ends and service["restart"] != "unless-stopped":
            complaints.append(f"{name}: is not started again")
    return complaints


def unneeded_privileges(compose: Compose) -> list[str]:
    """No service has more of the machine than it needs."""
    complaints = []
    for name, service in compose["services"].items():
        limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
        rules = {
            "its file system can be written": service.get("read_only") is True,
            "it has capabilities": service.get("cap_drop") == ["ALL"] and not service.get("cap_add"),
            "it may gain privileges": "no-new-privileges:true" in service.get("security_opt", []),
            "it is privileged": not any(service.get(key) for key in ("privileged", "pid", "ipc", "network_mode")),
            "it has no limits": {"cpus", "memory", "pids"} <= set(limits),
            "it is killed too soon": service.get("stop_grace_period") == "30s",
            "nobody reaps its children": service.get("init") is True or is_own(service),
            "it is root": name in _MAY_BE_ROOT or re.fullmatch(r"[1-9]\d*:\d+", str(service.get("user"))) is not None,
            "it holds the machine's Docker": "docker.sock" not in str(service.get("volumes", [])),
        }
        complaints += [f"{name}: {what}" for what, holds in rules.items() if not holds]
    return complaints


def open_networks(compose: Compose) -> list[str]:
    """Only what publishes a port is on a network that is not internal, and nothing goes out through it."""
    complaints = []
    networks = compose["networks"]
    for name, service in compose["services"].items():
        is_open = any(not networks[network].get("internal") for network in service["networks"])
        if is_open != bool(service.get("ports")):
            complaints.append(f"{name}: is on a network that is not internal, or publishes without one")
    for name, network in networks.items():
        options = (network or {}).get("driver_opts", {})
        if not network.get("internal") and options.get("com.docker.network.bridge.enable_ip_masquerade") != "false":
            complaints.append(f"the network {name} leads out")
    return complaints


def unknown_commands(compose: Compose) -> list[str]:
    """Every command of the project is understood by its own parser."""
    complaints = []
    for name, service in compose["services"].items():
        commands = [service.get("command") or []]
        test = service.get("healthcheck", {}).get("test") or []
        commands.append(test[1:] if test[:1] == ["CMD"] else [])
        for command in commands:
            words = [interpolated(str(word)) for word in command]
            complaints += [f"{name}: {complaint}" for complaint in complaints_of(words)]
    return complaints


def refused_settings(compose: Compose, setenv: Callable[[str, str], None], delenv: Callable[[str], None]) -> list[str]:
    """The settings of each service are known and valid.

    Args:
        compose: the file.
        setenv: sets a variable of the environment.
        delenv: removes it.

    """
    complaints = []
    for name, service in compose["services"].items():
        given = {key: interpolated(str(value)) for key, value in service.get("environment", {}).items()}
        own = {key: value for key, value in given.items() if key.startswith("ANNOTATOR_")}
        if bool(own) != is_own(service):
            complaints.append(f"{name}: settings of the program, and another program")
        for key, value in own.items():
            setenv(key, value)
        try:
            load_settings(env_file=None)
        except Exception as refused:  # noqa: BLE001 - whatever is wrong is the answer
            complaints.append(f"{name}: {refused}")
        for key in own:
            delenv(key)
    return complaints


def missing_files(compose: Compose) -> list[str]:
    """What is mounted from the project is there, and cannot be written; so are the Dockerfiles."""
    complaints = []
    for name, service in compose["services"].items():
        if "build" in service and not (ROOT / service["build"]["dockerfile"]).is_file():
            complaints.append(f"{name}: there is no {service['build']['dockerfile']}")
        for volume in service.get("volumes", []):
            source, _, rest = interpolated(volume).partition(":")
            if source == _WORKDIR:
                if name not in _TRAINERS:
                    complaints.append(f"{name}: sees photographs, which are the trainer's")
            elif source.startswith("."):
                if not (ROOT / source).exists():
                    complaints.append(f"{name}: there is no {source}")
                if not rest.endswith(":ro"):
                    complaints.append(f"{name}: may write {source}")
            elif source not in compose["volumes"]:
                complaints.append(f"{name}: there is no volume {source}")
    return complaints


def starts_too_soon(compose: Compose) -> list[str]:
    """The programs of the queue wait for the servers and for the tables."""
    wanted = {
        "postgres": "service_healthy",
        "valkey": "service_healthy",
        "s3": "service_healthy",
        "migrate": "service_completed_successfully",
    }
    complaints = []
    for name, service in compose["services"].items():
        given = {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        if is_own(service) and name not in {"migrate", *_TRAINERS} and given != wanted:
            complaints.append(f"{name}: does not wait for all of {', '.join(wanted)}")
        complaints += [
            f"{name}: waits for {other}, which is no service" for other in given.keys() - compose["services"]
        ]
    return complaints
