"""The manifests for Kubernetes: valid, restricted, watched, scaled by the database; and each check sees a breach."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import text

from annotator.store.connection import open_engine, writing
from tests.deploy import kubernetes_checks as checks
from tests.deploy.kubernetes_checks import BASE, ROOT, Manifest

EXAMPLE = ROOT / "deploy" / "kubernetes" / "overlays" / "example"
CHECKS: list[Callable[[list[Manifest]], list[str]]] = [
    checks.refused_by_schema,
    checks.less_than_restricted,
    checks.unlimited,
    checks.unwatched,
    checks.written_secrets,
    checks.unknown_commands,
    checks.open_network,
    checks.wrong_scaling,
    checks.unmatched_selectors,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_they_keep(check: Callable[[list[Manifest]], list[str]]) -> None:
    assert check(checks.read_manifests()) == []


@pytest.mark.parametrize("version", ["1.36", "1.35"])
def test_they_fit_older_releases_that_still_get_patches(version: str) -> None:
    assert checks.refused_by_schema(checks.read_manifests(), version) == []


def test_the_settings_of_each_container_are_known_and_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = checks.read_manifests()
    assert checks.refused_settings(manifests, monkeypatch.setenv, monkeypatch.delenv) == []
    next(one for one in manifests if one["kind"] == "ConfigMap")["data"]["ANNOTATOR_S3_REGON"] = "eu-central-1"
    refused = checks.refused_settings(manifests, monkeypatch.setenv, monkeypatch.delenv)
    assert any("ANNOTATOR_S3_REGON, which is no setting" in complaint for complaint in refused)


@pytest.mark.parametrize("name", ["cpu-worker", "gpu-worker"])
def test_networks_use_as_many_threads_as_their_worker_may_have_processors(name: str) -> None:
    (worker,) = checks._named(checks.read_manifests(), "Deployment")[name]["spec"]["template"]["spec"]["containers"]
    threads = {one["name"]: one.get("value") for one in worker["env"]}["ANNOTATOR_THREADS"]
    assert threads == worker["resources"]["limits"]["cpu"]


def test_the_kustomization_lists_every_file() -> None:
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(path.name for path in BASE.glob("*.yaml") if path.name != "kustomization.yaml")


def test_an_overlay_can_name_every_image() -> None:
    images = {
        container["image"].partition(":")[0]
        for _, _, template in checks._pods(checks.read_manifests())
        for container in template["spec"]["containers"]
    }
    overlay = yaml.safe_load((EXAMPLE / "kustomization.yaml").read_text())
    assert {one["name"] for one in overlay["images"]} == images


@pytest.mark.parametrize("folder", [BASE, EXAMPLE], ids=["base", "example"])
def test_kustomize_builds_what_keeps_all_rules(folder: Path) -> None:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not installed: the files are checked one by one, but not what kustomize makes of them")
    done = subprocess.run([program, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    assert len(built) == len(checks.read_manifests())
    assert {complaint for check in CHECKS for complaint in check(built)} == set()
    namespaced = [one for one in built if one["kind"] != "Namespace"]
    assert {one["metadata"].get("namespace") for one in namespaced} == {"celebrity-annotator"}
    if folder == EXAMPLE:
        assert "registry.example.com/celebrity-annotator-gpu" in done.stdout


def at(kind: str, name: str, *path: str | int, value: Any = None) -> Callable[[list[Manifest]], None]:
    """Return what sets a place of a manifest, or removes it where no value is given."""

    def change(manifests: list[Manifest]) -> None:
        place: Any = next(one for one in manifests if (one["kind"], one["metadata"]["name"]) == (kind, name))
        for step in path[:-1]:
            place = place[step]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value

    return change


def pod(*path: str | int, value: Any = None) -> Callable[[list[Manifest]], None]:
    return at("Deployment", "gpu-worker", "spec", "template", "spec", *path, value=value)


def container(*path: str | int, value: Any = None) -> Callable[[list[Manifest]], None]:
    return pod("containers", 0, *path, value=value)


def trigger(*path: str | int, value: Any = None) -> Callable[[list[Manifest]], None]:
    return at("ScaledObject", "gpu-worker", "spec", "triggers", 0, *path, value=value)


def add(manifest: Manifest) -> Callable[[list[Manifest]], None]:
    return lambda manifests: manifests.append(manifest)


SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "x"}}
BREACHES: list[tuple[Callable[[list[Manifest]], list[str]], Callable[[list[Manifest]], None]]] = [
    (checks.refused_by_schema, container("imagePullPolcy", value="Always")),
    (checks.refused_by_schema, container("resources", "limits", "cpu", value=["8"])),
    (checks.refused_by_schema, at("PodDisruptionBudget", "beat", "spec", "maxUnavailible", value=1)),
    (checks.refused_by_schema, at("ScaledObject", "gpu-worker", "spec", "poolingInterval", value=15)),
    (checks.refused_by_schema, at("ScaledObject", "gpu-worker", "spec", "maxReplicaCount")),
    (checks.refused_by_schema, trigger("metadata", "targetQueryValue", value=1)),
    (checks.refused_by_schema, trigger("metadata", "password", value="x")),
    (checks.refused_by_schema, trigger("authenticationRef")),
    (checks.refused_by_schema, at("TriggerAuthentication", "scaling", "spec", "secretTargetRef", 0)),
    (checks.less_than_restricted, pod("securityContext", "runAsNonRoot")),
    (checks.less_than_restricted, pod("securityContext", "seccompProfile")),
    (checks.less_than_restricted, pod("automountServiceAccountToken", value=True)),
    (checks.less_than_restricted, pod("serviceAccountName", value="default")),
    (checks.less_than_restricted, pod("hostNetwork", value=True)),
    (checks.less_than_restricted, pod("volumes", 0, value={"name": "tmp", "hostPath": {"path": "/"}})),
    (checks.less_than_restricted, container("securityContext", "allowPrivilegeEscalation")),
    (checks.less_than_restricted, container("securityContext", "capabilities", "add", value=["NET_RAW"])),
    (checks.less_than_restricted, container("securityContext", "readOnlyRootFilesystem", value=False)),
    (checks.less_than_restricted, at("ServiceAccount", "worker", "automountServiceAccountToken")),
    (checks.less_than_restricted, at("Namespace", "celebrity-annotator", "metadata", "labels", value={})),
    (checks.unlimited, container("resources", "limits", "memory")),
    (checks.unlimited, container("resources", "requests")),
    (checks.unlimited, pod("volumes", 2, value={"name": "scratch", "emptyDir": {}})),
    (checks.unwatched, container("livenessProbe")),
    (checks.unwatched, container("startupProbe")),
    (checks.unwatched, pod("terminationGracePeriodSeconds")),
    (checks.unwatched, at("Job", "migrate", "spec", "template", "spec", "restartPolicy", value="OnFailure")),
    (checks.unwatched, at("PodDisruptionBudget", "beat", "spec", "selector", "matchLabels", value={"a": "b"})),
    (checks.written_secrets, add(SECRET)),
    (checks.written_secrets, container("env", 0, value={"name": "ANNOTATOR_DATABASE_URL", "value": "postgresql://"})),
    (checks.unknown_commands, container("args", value=["celery", "-A", "workers", "wroker"])),
    (checks.unknown_commands, container("command", value=["celery"])),
    (checks.unknown_commands, container("livenessProbe", "exec", "command", value=["annotator", "worker", "fine"])),
    (checks.open_network, at("NetworkPolicy", "nothing", "spec", "policyTypes", value=["Ingress"])),
    (checks.open_network, at("NetworkPolicy", "nothing", "spec", "egress", value=[{}])),
    (checks.open_network, at("NetworkPolicy", "world", "spec", "egress", 0, "ports")),
    (checks.open_network, at("NetworkPolicy", "world", "spec", "egress", 0, "to", 0, "ipBlock", "except")),
    (
        checks.open_network,
        at("Deployment", "beat", "spec", "template", "metadata", "labels", "annotator/role", value="king"),
    ),
    (checks.wrong_scaling, at("Deployment", "gpu-worker", "spec", "replicas", value=1)),
    (checks.wrong_scaling, at("ScaledObject", "gpu-worker", "spec", "scaleTargetRef", "name", value="gpu")),
    (checks.wrong_scaling, at("ScaledObject", "gpu-worker", "spec", "minReplicaCount", value=1)),
    (checks.wrong_scaling, at("ScaledObject", "gpu-worker", "spec", "maxReplicaCount", value=50)),
    (checks.wrong_scaling, at("ConfigMap", "annotator", "data", "ANNOTATOR_SCALING__MAX_WORKERS")),
    (checks.wrong_scaling, trigger("metadata", "query", value="SELECT 1 FROM scaling WHERE queue = 'cpu'")),
    (checks.wrong_scaling, trigger("authenticationRef", "name", value="nobody")),
    (
        checks.unmatched_selectors,
        at("PodDisruptionBudget", "beat", "spec", "selector", "matchLabels", value={"a": "b"}),
    ),
    (checks.unmatched_selectors, at("Deployment", "beat", "spec", "selector", "matchLabels", value={"a": "b"})),
]


@pytest.mark.parametrize(("check", "spoil"), BREACHES, ids=[f"{n}-{c.__name__}" for n, (c, _) in enumerate(BREACHES)])
def test_a_breach_is_seen(
    check: Callable[[list[Manifest]], list[str]], spoil: Callable[[list[Manifest]], None]
) -> None:
    manifests = json.loads(json.dumps(checks.read_manifests()))
    spoil(manifests)
    assert check(manifests) != []


def scaling_queries() -> Iterable[str]:
    for one in checks.read_manifests():
        if one["kind"] == "ScaledObject":
            yield from (asked["metadata"]["query"] for asked in one["spec"]["triggers"])


@pytest.mark.servers
def test_the_queries_of_the_scaler_give_one_number_whether_the_row_is_there_or_not(
    make_database: Callable[..., str],
) -> None:
    engine = open_engine(make_database("postgres"))
    queries = list(scaling_queries())
    assert len(queries) == 2
    with writing(engine) as connection:
        assert [connection.execute(text(query)).one() for query in queries] == [(0,), (0,)]
        connection.execute(
            text("INSERT INTO scaling (queue, desired_workers, updated_at) VALUES ('gpu', 3, now()), ('cpu', 7, now())")
        )
        assert sorted(connection.execute(text(query)).scalar_one() for query in queries) == [3, 7]
    engine.dispose()
