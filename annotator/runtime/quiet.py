"""Keeps OpenVINO from telling its makers that it is imported.

``import openvino`` imports its converter of foreign models, which sends an event to Google Analytics and leaves an
id in ``~/intel``, without asking. Without the package ``openvino_telemetry`` it does neither and says nothing.
"""

import sys


def forbid_telemetry() -> None:
    """Make ``openvino_telemetry`` absent in this process; call it before OpenVINO is imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # what import takes for «not there»
