"""The dashboard and the alert rules use the metrics that the server has."""

import json
import re
from pathlib import Path

import pytest
import yaml
from langcache_mockserver.watch.metrics import Metrics

from langcache.engine import InMemoryStorage

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\blangcache_\w+")
LABEL = re.compile(r"([a-z]+)=~?\"")


def expressions():
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/langcache.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    for group in alerts["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_an_expression_uses_metrics_that_there_are(where, expression):
    known = {}
    for line in Metrics(InMemoryStorage()).text().splitlines():
        if line.startswith("# TYPE"):
            _, _, name, kind = line.split()
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            known |= {f"{name}{suffix}": kind for suffix in suffixes}
    used = NAME.findall(expression)
    assert used or "up{" in expression
    assert set(used) <= known.keys()
    assert set(LABEL.findall(expression)) <= {
        *("cache", "outcome", "operation", "status", "kind", "job")
    }
    assert expression.count("(") == expression.count(")")


def test_compose_mounts_what_there_is():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    mounted = [
        volume.split(":")[0]
        for service in services.values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]
    assert len(mounted) == 3
    assert all((ROOT / path).is_dir() for path in mounted)
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports)
