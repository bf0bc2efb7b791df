"""The files for monitoring and hosting fit the server: its metrics, options, paths and ports."""

import json
import re
from pathlib import Path

import pytest
import yaml
from langcache_mockserver import MockServer, SimilarityTable
from langcache_mockserver.cli import read_settings
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


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_what_was_never_counted_is_zero_in_a_share_or_a_sum(where, expression):
    # There is no series of it, and an operation with nothing gives nothing.
    if 'outcome="hit"' in expression and "/" in expression:
        assert " or 0 * sum" in expression
    if " + " in expression:
        assert expression.count("or vector(0)") == expression.count("sum(")


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


def test_the_manifests_start_the_server_that_there_is():
    folder = ROOT / "deploy/kubernetes"
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    kinds = {
        (each["kind"], each["metadata"]["name"]): each
        for name in kustomization["resources"]
        for each in yaml.safe_load_all((folder / name).read_text())
    }
    pod = kinds["Deployment", "langcache"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == kustomization["images"][0]["name"]
    secrets = {each["name"]: each["valueFrom"]["secretKeyRef"]["key"] for each in container["env"]}
    values = {"storage": "redis://langcache-redis:6379", "admin-token": "token"}
    settings = read_settings(
        container["args"], {name: values[key] for name, key in secrets.items()}
    )
    assert (settings.strict, settings.admin_token) == (True, "token")
    assert settings.storage == values["storage"]
    # Until the pod is no endpoint any more, connections arrive.
    before = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert before + settings.shutdown_seconds + 5 <= pod["terminationGracePeriodSeconds"]
    # The processes share a folder for their metrics, and the root cannot be written to.
    assert "/tmp" in {each["mountPath"] for each in container["volumeMounts"]}
    limits = [container[f"{kind}Probe"] for kind in ("liveness", "readiness", "startup")]
    assert all(limit["timeoutSeconds"] >= 3 for limit in limits)  # as docs/operations.md says
    probes = [limit["httpGet"] for limit in limits]
    with (
        MockServer(embedder=SimilarityTable({}), listen=False) as server,
        server.client() as client,
    ):
        assert [client.get(probe["path"]).status_code for probe in probes] == [200, 200, 200]
    (port,) = {probe["port"] for probe in probes}
    assert port == container["ports"][0]["containerPort"]
    assert f"LANGCACHE_MOCKSERVER_PORT={port}" in (ROOT / "Dockerfile").read_text()
    (service,) = kinds["Service", "langcache"]["spec"]["ports"]
    assert service["targetPort"] == port
    assert kinds["Service", "langcache-redis"]["spec"]["ports"][0]["port"] == 6379
