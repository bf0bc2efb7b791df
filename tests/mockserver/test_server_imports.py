"""What a request imports: nothing. At the limit of file descriptors, an import fails."""

import json
import subprocess
import sys

SCRIPT = """
import encodings.idna, json, sys  # the client needs the first
from langcache_mockserver import Settings, create_app
from langcache_mockserver.background import Background
from langcache_mockserver.http.uvicorn_server import listen
import http.client

REQUESTS = [
    ("GET", "/health", None),
    ("GET", "/health/liveness", None),
    ("GET", "/openapi.json", None),
    ("GET", "/nowhere", None),
    ("PUT", "/health", None),
    ("POST", "/v1/caches/a/entries", {"prompt": "What is it?", "response": "r", "ttlMillis": 9000}),
    ("POST", "/v1/caches/a/entries", {"prompt": "p" * 900, "response": "r" * 100_000}),
    ("POST", "/v1/caches/a/entries", {"prompt": ""}),
    ("POST", "/v1/caches/a/entries/search", {"prompt": "What is that?", "maxResults": 5}),
    ("POST", "/v1/caches/a/entries/search", {"prompt": "q", "searchStrategies": ["exact"]}),
    ("POST", "/v1/caches/a/conversations/search", {"prompt": "it?", "context": ["What is x?"]}),
    ("DELETE", "/v1/caches/a/entries", {"attributes": {"a": "b"}}),
    ("DELETE", "/v1/caches/a/entries/x", None),
    ("POST", "/v1/caches/a/flush", None),
    ("GET", "/v1/caches/a/health", None),
    ("GET", "/control/v1/caches", None),
    ("POST", "/control/v1/caches", {"name": "n"}),
    ("POST", "/identity/v1/api-keys", {"name": "n", "grants": []}),
    ("GET", "/identity/v1/api-keys", None),
    ("GET", "/console/v1", None),
    ("POST", "/console/v1/caches/a/explain", {"prompt": "p"}),
    ("GET", "/console/v1/caches/a/feedback", None),
    ("GET", "/_mock/v1/state", None),
    ("POST", "/_mock/v1/reset", None),
    ("GET", "/metrics", None),
]
settings = Settings(admin_token="t", verify=sys.argv[1])
background = Background(create_app(settings), listen("127.0.0.1", 0), "127.0.0.1")
background.start()
connection = http.client.HTTPConnection("127.0.0.1", int(background.url.rpartition(":")[2]))
headers = {"authorization": "Bearer t", "content-type": "application/json"}
before = set(sys.modules)
statuses = []
for method, path, body in REQUESTS:
    connection.request(method, path, body and json.dumps(body), headers)
    response = connection.getresponse()
    response.read()
    statuses.append(response.status)
after = set(sys.modules) - before
background.stop()
print(json.dumps([sorted(after), statuses]))
"""


def test_a_request_imports_nothing():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "rules"],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    imported, statuses = json.loads(done.stdout)
    assert not imported, ", ".join(imported)
    assert all(status < 500 for status in statuses)
    assert statuses.count(200) > 10
