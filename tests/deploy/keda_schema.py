"""A schema of the two kinds of KEDA that are used, after the fields that KEDA documents (2.16 and later).

Only what an installation of this project may want is admitted: a field that is not here is more likely misspelled.
"""

from typing import Any, Final

_NAME: Final = {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "maxLength": 63}


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def _resource(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"type": "object", "required": ["name"], "properties": {"name": _NAME}}
    return _closed(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "keda.sh/v1alpha1"},
        kind={"const": kind},
        metadata=metadata,
        spec=spec,
    )


_SCALING_RULES: Final = _closed(
    [],
    stabilizationWindowSeconds={"type": "integer", "minimum": 0, "maximum": 3600},
    selectPolicy={"enum": ["Max", "Min", "Disabled"]},
    policies={
        "type": "array",
        "items": _closed(
            ["type", "value", "periodSeconds"],
            type={"enum": ["Pods", "Percent"]},
            value={"type": "integer", "minimum": 1},
            periodSeconds={"type": "integer", "minimum": 1, "maximum": 1800},
        ),
    },
)
_BEHAVIOUR: Final = _closed([], scaleUp=_SCALING_RULES, scaleDown=_SCALING_RULES)

# Everything in a trigger's metadata is text. Where the server is comes from the TriggerAuthentication.
_TRIGGER: Final = _closed(
    ["type", "metadata", "authenticationRef"],
    type={"const": "postgresql"},
    name={"type": "string"},
    metricType={"enum": ["AverageValue", "Value"]},
    useCachedMetrics={"type": "boolean"},
    metadata=_closed(
        ["query", "targetQueryValue"],
        query={"type": "string", "pattern": "^SELECT "},
        targetQueryValue={"type": "string", "pattern": r"^\d+(\.\d+)?$"},
        activationTargetQueryValue={"type": "string", "pattern": r"^\d+(\.\d+)?$"},
    ),
    authenticationRef=_closed(["name"], name=_NAME, kind={"enum": ["TriggerAuthentication"]}),
)

_COUNT: Final = {"type": "integer", "minimum": 0}
SCALED_OBJECT: Final = _resource(
    "ScaledObject",
    _closed(
        ["scaleTargetRef", "triggers", "maxReplicaCount"],
        scaleTargetRef=_closed(
            ["name"],
            name=_NAME,
            apiVersion={"type": "string"},
            kind={"type": "string"},
            envSourceContainerName={"type": "string"},
        ),
        pollingInterval=_COUNT,
        cooldownPeriod=_COUNT,
        initialCooldownPeriod=_COUNT,
        idleReplicaCount=_COUNT,
        minReplicaCount=_COUNT,
        maxReplicaCount={"type": "integer", "minimum": 1},
        fallback=_closed(
            ["failureThreshold", "replicas"],
            failureThreshold=_COUNT,
            replicas=_COUNT,
            behavior={"enum": ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]},
        ),
        advanced=_closed(
            [],
            restoreToOriginalReplicaCount={"type": "boolean"},
            horizontalPodAutoscalerConfig=_closed([], name=_NAME, behavior=_BEHAVIOUR),
        ),
        triggers={"type": "array", "minItems": 1, "items": _TRIGGER},
    ),
)

# All parts of an address, each from a secret: of a whole URL, KEDA cannot tell one server's connections from another's.
_PARAMETERS: Final = ("host", "port", "userName", "password", "dbName", "sslmode")
TRIGGER_AUTHENTICATION: Final = _resource(
    "TriggerAuthentication",
    _closed(
        ["secretTargetRef"],
        secretTargetRef={
            "type": "array",
            "items": _closed(["parameter", "name", "key"], parameter={"enum": [*_PARAMETERS]}, name=_NAME, key=_NAME),
            "allOf": [{"contains": {"properties": {"parameter": {"const": one}}}} for one in _PARAMETERS],
        },
    ),
)
SCHEMAS: Final = {"ScaledObject": SCALED_OBJECT, "TriggerAuthentication": TRIGGER_AUTHENTICATION}
