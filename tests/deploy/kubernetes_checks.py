"""What the manifests for Kubernetes must keep: each check returns complaints, so that a test can see a breach."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from annotator.settings import load_settings
from tests.deploy.command_lines import complaints_of
from tests.deploy.keda_schema import SCHEMAS

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "deploy" / "kubernetes" / "base"
NEWEST = "1.37"
"""The newest release of Kubernetes that the validator knows."""

Manifest = dict[str, Any]


def read_manifests() -> list[Manifest]:
    """Return every document of every file of the base but the kustomization."""
    return [
        document
        for path in sorted(BASE.glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in yaml.safe_load_all(path.read_text())
    ]


def _named(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def _pods(manifests: list[Manifest]) -> Iterator[tuple[str, str, Manifest]]:
    """Yield kind, name and template of everything that makes pods."""
    for one in manifests:
        kind, spec = one["kind"], one.get("spec", {})
        if kind == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if kind in {"Deployment", "Job", "CronJob"}:
            yield kind, one["metadata"]["name"], spec["template"]


def refused_by_schema(manifests: list[Manifest], version: str = NEWEST) -> list[str]:
    """Every manifest follows the schema of its kind, with no field that is not known."""
    complaints = []
    for one in manifests:
        where = f"{one['kind']} {one['metadata']['name']}"
        if one["apiVersion"].startswith("keda.sh/"):
            validator = jsonschema.Draft202012Validator(SCHEMAS[one["kind"]])
            complaints += [f"{where}: {error.message}" for error in validator.iter_errors(one)]
            continue
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            complaints.append(f"{where}: {error.message}")
    return complaints


def less_than_restricted(manifests: list[Manifest]) -> list[str]:
    """Every pod keeps the rules of «restricted», writes nothing of its image, and has no token of the cluster."""
    complaints = []
    for kind, name, template in _pods(manifests):
        pod = template["spec"]
        above = pod.get("securityContext", {})
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            own = container.get("securityContext", {})
            rules = {
                "may be root": above.get("runAsNonRoot") is True and above.get("runAsUser", 0) > 0,
                "may gain privileges": own.get("allowPrivilegeEscalation") is False,
                "has capabilities": own.get("capabilities") == {"drop": ["ALL"]},
                "may write its image": own.get("readOnlyRootFilesystem") is True,
                "may make any system call": above.get("seccompProfile") == {"type": "RuntimeDefault"},
                "has a token of the cluster": pod.get("automountServiceAccountToken") is False,
                "sees the machine": not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")),
                "mounts the machine": all("hostPath" not in volume for volume in pod.get("volumes", [])),
                "has no account": pod.get("serviceAccountName") in _named(manifests, "ServiceAccount"),
            }
            complaints += [f"{kind} {name}: {what}" for what, holds in rules.items() if not holds]
    for name, account in _named(manifests, "ServiceAccount").items():
        if account.get("automountServiceAccountToken") is not False:
            complaints.append(f"ServiceAccount {name}: has a token of the cluster")
    for name, namespace in _named(manifests, "Namespace").items():
        if namespace["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
            complaints.append(f"Namespace {name}: admits pods that are not restricted")
    return complaints


def unlimited(manifests: list[Manifest]) -> list[str]:
    """Every container says what it needs and what it may take at most; folders have an end."""
    complaints = []
    for kind, name, template in _pods(manifests):
        for container in template["spec"]["containers"]:
            resources = container.get("resources", {})
            complaints += [
                f"{kind} {name}: no {what}"
                for what in ("requests", "limits")
                if not {"cpu", "memory"} <= set(resources.get(what, {}))
            ]
        complaints += [
            f"{kind} {name}: the folder {volume['name']} may fill the machine"
            for volume in template["spec"].get("volumes", [])
            if "emptyDir" in volume and "sizeLimit" not in (volume["emptyDir"] or {})
        ]
    return complaints


def unwatched(manifests: list[Manifest]) -> list[str]:
    """What stays is watched while it starts and while it runs; what ends is tried again, and not for ever."""
    complaints = []
    for kind, name, template in _pods(manifests):
        pod = template["spec"]
        if kind != "Deployment":
            if pod.get("restartPolicy") != "Never":
                complaints.append(f"{kind} {name}: hides its failures")
            continue
        if pod.get("terminationGracePeriodSeconds") != 30:
            complaints.append(f"{kind} {name}: is killed too soon or too late")
        for container in pod["containers"]:
            missing = {"startupProbe", "livenessProbe"} - set(container)
            complaints += [f"{kind} {name}: no {probe}" for probe in sorted(missing)]
        budgets = [one["spec"]["selector"]["matchLabels"] for one in _named(manifests, "PodDisruptionBudget").values()]
        if not any(labels.items() <= template["metadata"]["labels"].items() for labels in budgets):
            complaints.append(f"{kind} {name}: all of it may be evicted at once")
    return complaints


def written_secrets(manifests: list[Manifest]) -> list[str]:
    """Secrets are named, never written."""
    complaints = [f"Secret {name}: stands in a file" for name in _named(manifests, "Secret")]
    for kind, name, template in _pods(manifests):
        for container in template["spec"]["containers"]:
            for variable in container.get("env", []):
                is_secret = any(word in variable["name"] for word in ("URL", "SECRET", "PASSWORD", "KEY", "TOKEN"))
                if is_secret and "secretKeyRef" not in variable.get("valueFrom", {}):
                    complaints.append(f"{kind} {name}: {variable['name']} is written out")
    return complaints


def unknown_commands(manifests: list[Manifest]) -> list[str]:
    """Every command is understood by its own parser; a container's first process is the image's tini."""
    complaints = []
    for kind, name, template in _pods(manifests):
        for container in template["spec"]["containers"]:
            if "command" in container:
                complaints.append(f"{kind} {name}: goes past tini")
            commands = [container.get("args", [])]
            commands += [
                container.get(probe, {}).get("exec", {}).get("command", [])
                for probe in ("startupProbe", "readinessProbe", "livenessProbe")
            ]
            complaints += [f"{kind} {name}: {complaint}" for one in commands for complaint in complaints_of(one)]
    return complaints


def refused_settings(
    manifests: list[Manifest], setenv: Callable[[str, str], None], delenv: Callable[[str], None]
) -> list[str]:
    """The settings of each container are known and valid; secrets stand for themselves.

    Args:
        manifests: all of them.
        setenv: sets a variable of the environment.
        delenv: removes it.

    """
    maps = {name: one["data"] for name, one in _named(manifests, "ConfigMap").items()}
    stand_in = {"DATABASE_URL": "postgresql://u:p@db/annotator", "BROKER_URL": "redis://:p@broker:6379/0"}
    complaints = []
    for kind, name, template in _pods(manifests):
        for container in template["spec"]["containers"]:
            given = {}
            for source in container.get("envFrom", []):
                given |= maps[source["configMapRef"]["name"]]
            for variable in container.get("env", []):
                default = stand_in.get(variable["name"].removeprefix("ANNOTATOR_"), "0f" * 16)
                given[variable["name"]] = variable.get("value", default)
            for key, value in given.items():
                setenv(key, value)
            try:
                load_settings(env_file=None)
            except Exception as refused:  # noqa: BLE001 - whatever is wrong is the answer
                complaints.append(f"{kind} {name}: {refused}")
            for key in given:
                delenv(key)
    return complaints


def open_network(manifests: list[Manifest]) -> list[str]:
    """Nothing is admitted but what is said, and credentials of the machine are out of reach."""
    policies = _named(manifests, "NetworkPolicy")
    complaints = []
    closed = [
        one
        for one in policies.values()
        if one["spec"]["podSelector"] == {} and set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    ]
    if not any("ingress" not in one["spec"] and "egress" not in one["spec"] for one in closed):
        complaints.append("what no policy names is open")
    for name, one in policies.items():
        for rule in [*one["spec"].get("egress", []), *one["spec"].get("ingress", [])]:
            if not rule.get("ports"):
                complaints.append(f"NetworkPolicy {name}: opens every port")
            for peer in [*rule.get("to", []), *rule.get("from", [])]:
                block = peer.get("ipBlock", {})
                if block.get("cidr") == "0.0.0.0/0" and "169.254.0.0/16" not in block.get("except", []):
                    complaints.append(f"NetworkPolicy {name}: the machine's metadata service can be reached")
    roles = {template["metadata"]["labels"].get("annotator/role") for _, _, template in _pods(manifests)}
    named = {
        value
        for one in policies.values()
        for expression in one["spec"]["podSelector"].get("matchExpressions", [])
        for value in expression["values"]
    }
    if roles != named:
        complaints.append(f"roles of pods {roles}, of policies {named}")
    return complaints


def wrong_scaling(manifests: list[Manifest]) -> list[str]:
    """KEDA alone says how many workers there are, from the row of their queue, down to none."""
    complaints = []
    deployments = _named(manifests, "Deployment")
    most = _named(manifests, "ConfigMap")["annotator"]["data"].get("ANNOTATOR_SCALING__MAX_WORKERS")
    for name, one in _named(manifests, "ScaledObject").items():
        spec = one["spec"]
        target = deployments.get(spec["scaleTargetRef"]["name"])
        if target is None:
            complaints.append(f"ScaledObject {name}: there is no Deployment {spec['scaleTargetRef']['name']}")
            continue
        if "replicas" in target["spec"]:
            complaints.append(f"Deployment {name}: two say how many there are")
        args = target["spec"]["template"]["spec"]["containers"][0]["args"]
        queues = args[args.index("-Q") + 1].split(",")
        asked = [trigger["metadata"]["query"] for trigger in spec["triggers"]]
        if not any(query.endswith(f"FROM scaling WHERE queue = '{queues[0]}'") for query in asked):
            complaints.append(f"ScaledObject {name}: asks for another queue than {queues[0]}")
        wanted = {"pollingInterval": 15, "cooldownPeriod": 300, "minReplicaCount": 0}
        if {key: spec.get(key) for key in wanted} != wanted:
            complaints.append(f"ScaledObject {name}: does not go down to none in five minutes")
        if str(spec.get("maxReplicaCount")) != most:
            complaints.append(f"ScaledObject {name}: beat asks for {most} at most, and not for as many")
        references = {trigger["authenticationRef"]["name"] for trigger in spec["triggers"]}
        if not references <= set(_named(manifests, "TriggerAuthentication")):
            complaints.append(f"ScaledObject {name}: there is no TriggerAuthentication {references}")
    return complaints


def unmatched_selectors(manifests: list[Manifest]) -> list[str]:
    """Selectors find the pods that they are for."""
    complaints = []
    labels = [template["metadata"]["labels"] for _, _, template in _pods(manifests)]
    for one in manifests:
        selector = one.get("spec", {}).get("selector", {}).get("matchLabels")
        if selector is not None and not any(selector.items() <= own.items() for own in labels):
            complaints.append(f"{one['kind']} {one['metadata']['name']}: selects no pod")
        if one["kind"] == "Deployment":
            own = one["spec"]["template"]["metadata"]["labels"]
            if not selector.items() <= own.items():
                complaints.append(f"Deployment {one['metadata']['name']}: does not select its own pods")
    return complaints
