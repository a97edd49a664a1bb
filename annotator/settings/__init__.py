"""What can be set, where a value comes from, and what is refused.

A value comes from, first match wins: an option of the command line, the environment (``ANNOTATOR_DATABASE_URL``,
nested ``ANNOTATOR_SAMPLING__FRAMES``), the file ``.env`` of the working folder, the default. Passwords never show:
not in ``repr``, not in ``annotator config``, not in an error.

The core never sees these classes: ``annotator.build`` hands each stage a plain value.
"""

from annotator.settings.groups import (
    BacklogSettings,
    CallbackSettings,
    DecodeSettings,
    DetectionSettings,
    EmbeddingSettings,
    FetchSettings,
    GateSettings,
    LogSettings,
    MetricsSettings,
    OidcSettings,
    RetentionSettings,
    RetrainingSettings,
    SamplingSettings,
    ScalingSettings,
    WebSettings,
    WorkerSettings,
)
from annotator.settings.loading import ENV_FILE, EffectiveSetting, explain_settings, load_settings
from annotator.settings.values import SecretUrl
from annotator.settings.whole import PREFIX, Settings

__all__ = [
    "ENV_FILE",
    "PREFIX",
    "BacklogSettings",
    "CallbackSettings",
    "DecodeSettings",
    "DetectionSettings",
    "EffectiveSetting",
    "EmbeddingSettings",
    "FetchSettings",
    "GateSettings",
    "LogSettings",
    "MetricsSettings",
    "OidcSettings",
    "RetentionSettings",
    "RetrainingSettings",
    "SamplingSettings",
    "ScalingSettings",
    "SecretUrl",
    "Settings",
    "WebSettings",
    "WorkerSettings",
    "explain_settings",
    "load_settings",
]
