from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import command, exposition
from harness.errors import ParseError
from harness.monitoring import ALERT_TESTS, ALERTS, CONFIGURATION, FOLDER, alerts

from .conftest import ROOT

sys.path.insert(0, str(ROOT / "compose" / "exporter"))

from exporter.catalogue import CATALOGUE

DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text(encoding="utf-8"))
DOCUMENT = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")

# What Prometheus itself adds to each scrape, and what the client library says of the exporter's process.
ADDED = {
    "up": ("job", "site", "gateway", "instance"),
    "scrape_duration_seconds": ("job", "site", "gateway", "instance"),
    "process_cpu_seconds_total": ("job", "site", "gateway", "instance"),
    "ALERTS": ("alertname", "alertstate"),
}
METRICS = {metric.name: (*metric.labels, "job", "site", "gateway", "instance") for metric in CATALOGUE} | ADDED

_SELECTOR = re.compile(r"\b(?P<name>up|ALERTS|[a-z]+(?:_[a-z]+)+)\b(?:\{(?P<matchers>[^}]*)\})?(?!\s*\()")
_FUNCTIONS = {"max_over_time", "count_over_time"}


def unknown(expression: str) -> list[str]:
    """What an expression asks for and nobody exports: metrics, and labels that a metric does not bear."""
    text = re.sub(r"\$__\w+", "", expression)
    found = []
    for selector in _SELECTOR.finditer(text):
        name, matchers = selector["name"], selector["matchers"] or ""
        if name in _FUNCTIONS:
            continue
        if name not in METRICS:
            found.append(name)
            continue
        asked = re.findall(r"(\w+)\s*[=!]~?", matchers)
        found += [f"{name}{{{label}}}" for label in asked if label not in METRICS[name]]
    return found


def expressions() -> list[tuple[str, str]]:
    targets = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]
    annotations = [(entry["name"], entry["expr"]) for entry in DASHBOARD["annotations"]["list"]]
    return [*targets, *annotations, *((name, alert.expression) for name, alert in alerts().items())]


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_only_what_is_exported_is_asked_for(where: str, expression: str) -> None:
    """Every expression of the dashboard and of the alerts names metrics and labels that the exporter has."""
    assert unknown(expression) == [], where


def test_what_is_not_exported_is_noticed() -> None:
    """The sensor of the test above sees a wrong metric and a wrong label."""
    assert unknown("rate(wireguard_peer_recieved_bytes_total[5m])") == ["wireguard_peer_recieved_bytes_total"]
    assert unknown('wireguard_interface_up{peer="x"}') == ["wireguard_interface_up{peer}"]


def test_every_metric_is_on_the_dashboard_or_in_an_alert_or_described_as_neither() -> None:
    """No metric is collected that nobody would ever look at, but for these."""
    shown = " ".join(expression for _, expression in expressions())
    unseen = {metric.name for metric in CATALOGUE if metric.name not in shown}
    assert unseen == {"wireguard_gateway_info", "wireguard_peer_latest_handshake_timestamp_seconds"}


def test_the_dashboard_can_be_imported() -> None:
    """Its data source is a variable, everything asks that one, and no two panels lie on each other."""
    variables = {entry["name"]: entry for entry in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in DASHBOARD["panels"]:
        assert panel["datasource"] == chosen
        assert all(target["datasource"] == chosen for target in panel["targets"])
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    identities = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(identities)) == len(identities)


def test_every_alert_says_what_it_is_and_is_documented() -> None:
    groups: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert f"### {rule['alert']}\n" in DOCUMENT, f"docs/monitoring.md does not say what to do at {rule['alert']}"
        assert rule["alert"] in ALERT_TESTS.read_text(encoding="utf-8"), f"{rule['alert']} has no test"


def test_every_metric_is_documented() -> None:
    """The table of docs/monitoring.md has each metric of the exporter, and no other."""
    rows = set(re.findall(r"^\| `(wireguard_\w+)`", DOCUMENT, flags=re.MULTILINE))
    assert rows == {metric.name for metric in CATALOGUE}


def test_both_gateways_are_scraped() -> None:
    """The example configuration has both, each with the labels that alerts and dashboard go by."""
    configuration = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    (job,) = configuration["scrape_configs"]
    labels = [entry["labels"] for entry in job["static_configs"]]
    assert job["job_name"] == "wireguard"
    assert labels == [
        {"site": "main", "gateway": "wireguard-web"},
        {"site": "main", "gateway": "wireguard-services"},
    ]
    assert configuration["rule_files"] == ["alerts.yml"]


def test_the_alert_rules_pass_their_tests(tmp_path: Path) -> None:
    """`promtool test rules`; without promtool here, scenarios/test_monitoring.py runs the same in a container."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed; the scenarios run these tests in a container")
    for source in (ALERTS, ALERT_TESTS):
        shutil.copy(source, tmp_path)
    result = command.run(["promtool", "test", "rules", ALERT_TESTS.name], timeout=60, cwd=tmp_path, check=False)
    assert result.ok, result


def test_an_exposition_is_read() -> None:
    """Names, labels with escapes and commas in them, and numbers in every spelling."""
    seen = exposition.parse(
        '# HELP a_total Of a: b.\n# TYPE a_total counter\na_total{x="1,2",y="q\\"}"} 1.5e+09\nb 0.0\nc +Inf\n'
    )
    assert seen.one("a_total", x="1,2") == 1.5e9
    assert seen.one("b") == 0
    assert seen.one("c") == float("inf")
    with pytest.raises(ParseError, match="2 samples"):
        exposition.parse('a{x="1"} 1\na{x="2"} 1\n').one("a")
    with pytest.raises(ParseError, match="no exporter writes"):
        exposition.parse("what is this")
