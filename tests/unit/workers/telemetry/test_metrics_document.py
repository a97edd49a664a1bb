"""docs/metrics.md and the code name the same metrics."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from workers.beat.queue_metrics import QueueMetrics
from workers.telemetry.meters import STAGES, Meters
from workers.telemetry.metrics import WorkerMetrics

DOCUMENT = (Path(__file__).resolve().parents[4] / "docs" / "metrics.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(annotator_\w+)` \| (\w+) \| ([^|]*)\| (.+) \|$", re.MULTILINE)
Described = dict[str, tuple[str, frozenset[str]]]


def of_document(heading: str) -> Described:
    section = DOCUMENT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in ROW.findall(section)}


def of_registry(registry: CollectorRegistry) -> Described:
    described = {}
    for family in registry.collect():
        if family.name.startswith("annotator_"):
            made = registry._names_to_collectors.get(family.name)
            labels = getattr(made, "_labelnames", None)
            if labels is None:  # one that is read anew each time
                labels = family.samples[0].labels
            name = family.name + "_total" if family.type == "counter" else family.name
            described[name] = (family.type, frozenset(labels))
    return described


def test_every_metric_of_a_worker_is_in_the_document_and_no_other() -> None:
    described = of_document("Of a worker")
    assert len(described) > 20
    assert described == of_registry(WorkerMetrics(Meters()).registry)


def test_every_metric_of_beat_is_in_the_document_and_no_other() -> None:
    described = of_document("Of beat")
    assert len(described) > 15
    assert described == of_registry(QueueMetrics().registry)


def test_every_stage_is_explained() -> None:
    (row,) = [line for line in DOCUMENT.splitlines() if line.startswith("| `annotator_stage_busy_seconds_total`")]
    assert all(f"`{stage}`" in row for stage in STAGES)
