"""Rules and dashboard: they can be read, and name what is there."""

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tests.deploy.compose_checks import read_compose
from workers.beat.queue_metrics import QueueMetrics
from workers.telemetry.meters import Meters
from workers.telemetry.metrics import WorkerMetrics

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
RULES = [rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "annotator.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
DURATION = re.compile(r"(\d+(ms|[smhdwy]))+")
# What Prometheus itself and the targets of the scrape add.
OF_PROMETHEUS = {"up"}
LABELS_OF_PROMETHEUS = {"instance", "job", "le"}


def known_series() -> dict[str, set[str]]:
    """Return every series that the code shows, with its labels."""
    known: dict[str, set[str]] = {}
    for registry in (WorkerMetrics(Meters()).registry, QueueMetrics().registry):
        for family in registry.collect():
            made = registry._names_to_collectors.get(family.name)
            labels = set(getattr(made, "_labelnames", ())) or {name for one in family.samples for name in one.labels}
            suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
            known |= {family.name + suffix: labels - {"le"} for suffix in suffixes}
    return known


KNOWN = known_series()


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    """Return every series that an expression names; raises ``ValueError`` where it cannot be read."""
    found: list[promql_parser.VectorSelector] = []

    def look(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expression.replace("$__rate_interval", "5m")), look)
    return found


def complaints_of(expression: str) -> list[str]:
    """Return what an expression names that nobody shows."""
    complaints = []
    for selector in selectors(expression):
        if selector.name in OF_PROMETHEUS:
            continue
        if selector.name not in KNOWN:
            complaints.append(f"there is no series {selector.name}")
            continue
        labels = {matcher.name for matcher in selector.matchers.matchers} - LABELS_OF_PROMETHEUS
        complaints += [f"{selector.name} has no label {label}" for label in sorted(labels - KNOWN[selector.name])]
    grouped = {name for names in re.findall(r"\bby \(([^)]*)\)", expression) for name in names.split(", ")}
    offered = set().union(*(KNOWN.get(selector.name or "", set()) for selector in selectors(expression)))
    complaints += [f"nothing has a label {label}" for label in sorted(grouped - offered - LABELS_OF_PROMETHEUS)]
    return complaints


# ------------------------------------------------------------------------------------------------------------- rules


def test_the_names_of_alarms_are_unique_and_sections_of_the_handbook_in_the_same_order() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    handbook = (ROOT / "docs" / "operations.md").read_text()
    assert re.findall(r"^### (Annotator\w+)$", handbook, re.MULTILINE) == names


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alarm_says_when_how_bad_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert rule["alert"].startswith("Annotator")
    assert DURATION.fullmatch(rule["for"])
    assert set(rule["labels"]) == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert all(text.endswith(".") for name, text in rule["annotations"].items() if name != "runbook")
    page, anchor = rule["annotations"]["runbook"].split("#")
    assert anchor == rule["alert"].lower(), "as the anchor of its heading is made"
    assert f"### {rule['alert']}\n" in (ROOT / page).read_text()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alarm_asks_for_what_is_there(rule: dict[str, Any]) -> None:
    assert complaints_of(rule["expr"]) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_texts_of_alarms_name_labels_that_their_expression_leaves(rule: dict[str, Any]) -> None:
    named = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    kept = {name for names in re.findall(r"\bby \(([^)]*)\)", rule["expr"]) for name in names.split(", ")}
    is_grouped = re.search(r"\b(sum|max)\b", rule["expr"]) is not None
    assert named <= (kept if is_grouped else {"instance", "job"})


@pytest.mark.parametrize("name", ["AnnotatorNoWorker", "AnnotatorStandstill"])
def test_work_stands_still_where_somebody_is_asked_for_who_annotates(name: str) -> None:
    (rule,) = [rule for rule in RULES if rule["alert"] == name]
    asked = {selector.name: selector for selector in selectors(rule["expr"])}
    assert "annotator_queue_media" not in asked, "what a stopped backlog has left is pending, and nobody's work"
    assert "annotator_workers" not in asked, "who keeps house annotates nothing"
    assert 'annotator_queue_workers{queue=~"gpu|cpu"}' in rule["expr"]
    assert {"annotator_queue_workers_desired", "annotator_chunk_oldest_seconds"} <= set(asked)


def test_what_is_not_there_is_seen() -> None:
    assert complaints_of("rate(annotator_mediums_total[5m])") == ["there is no series annotator_mediums_total"]
    assert complaints_of('annotator_queue_media{status="done"}') == ["annotator_queue_media has no label status"]
    assert complaints_of("sum by (status) (annotator_queue_media)") == ["nothing has a label status"]
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        complaints_of("sum(rate(annotator_media_total[5m])")


def test_prometheus_reads_the_rules_and_asks_every_service_that_shows_metrics() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert [(PROMETHEUS / name).is_file() for name in config["rule_files"]] == [True]
    asked = {
        (name, found["port"])
        for job in config["scrape_configs"]
        for found in job.get("dns_sd_configs", ())
        for name in found["names"]
    }
    shown = {
        (name, int(service["environment"]["ANNOTATOR_METRICS__PORT"]))
        for name, service in read_compose()["services"].items()
        if service.get("command", [""])[0] == "celery"
    }
    assert asked == shown
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    named = set(re.findall(r'job=~"([\w-]+)', json.dumps(RULES) + json.dumps(EXPRESSIONS).replace("\\", "")))
    assert all(any(job.startswith(prefix) for job in jobs) for prefix in named)


def test_promtool_has_nothing_to_say() -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed")
    for command in (["check", "rules", "alerts.yml"], ["check", "config", "prometheus.yml"]):
        ran = subprocess.run([program, *command], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


# --------------------------------------------------------------------------------------------------------- dashboard


def test_panels_have_ids_titles_and_a_sentence_each() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    titles = [panel["title"] for panel in DASHBOARD["panels"]]
    assert all(titles)
    assert all(panel["description"].endswith(".") for panel in PANELS)
    assert DASHBOARD["uid"] == "annotator"


def test_panels_do_not_cover_each_other() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in itertools.combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below


def test_the_source_of_the_numbers_can_be_chosen() -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    sources = [panel["datasource"] for panel in PANELS] + [
        one["datasource"] for panel in PANELS for one in panel["targets"]
    ]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_panel_asks_for_what_is_there(expression: str) -> None:
    assert complaints_of(expression) == []


def test_legends_name_labels_that_their_expression_leaves() -> None:
    for target in (one for panel in PANELS for one in panel["targets"]):
        named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        outer = re.search(r"^(?:\w+\()?[^(]*?\bby \(([^)]*)\)", target["expr"])
        kept = set(outer.group(1).split(", ")) if outer else {"instance", "job"}
        assert named <= kept, target


def test_every_metric_but_a_few_is_in_a_panel_or_an_alarm() -> None:
    asked = {
        selector.name
        for expression in [*EXPRESSIONS, *(rule["expr"] for rule in RULES)]
        for selector in selectors(expression)
    }
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in KNOWN if name.startswith("annotator_")}
    unseen = {name for name in families if not any((one or "").startswith(name) for one in asked)}
    assert unseen == {
        "annotator_media_dropped_total",
        "annotator_media_given_back_total",
        "annotator_sessions_lost_total",
        "annotator_worker_info",
        "annotator_workers_silent",
    }


def test_grafana_finds_its_files() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/annotator.yml").read_text())["providers"]
    services = read_compose()["services"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in services
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
