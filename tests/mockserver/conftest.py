import itertools
import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import jsonschema_rs
import langcache_mockserver
import pytest
from langcache_mockserver import MockServer, Settings, create_app
from langcache_mockserver.background import Background
from langcache_mockserver.configuration import configuration_of
from langcache_mockserver.http.uvicorn_server import listen

from langcache.engine import MiniLMEmbedder

CONTRACT = json.loads(
    Path(langcache_mockserver.__file__).with_name("openapi.json").read_text(encoding="utf-8")
)
PROBLEMS = {
    400: ("BadRequest", "/errors/invalid-data"),
    401: ("Authentication", "/errors/authentication-failed"),
    403: ("Forbidden", "/errors/insufficient-permissions"),
    404: ("NotFound", "/errors/resource-not-found"),
    405: ("MethodNotAllowed", "/errors/method-not-allowed"),
    413: ("PayloadTooLarge", "/errors/payload-too-large"),
    415: ("UnsupportedMediaType", "/errors/unsupported-media-type"),
    424: ("FailedDependency", "/errors/resource-unavailable"),
    429: ("TooManyRequests", "/errors/too-many-requests"),
    500: ("Unexpected", "/errors/unexpected-error"),
}
_numbers = itertools.count()


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self):
        self.now = 1_750_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="session")
def minilm():
    return MiniLMEmbedder()


@pytest.fixture(scope="module")
def mock_clock():
    return Clock()


@pytest.fixture(scope="module")
def mock_server(minilm, mock_clock):
    """A server of this module's own, with a clock that goes when it is told to."""
    with MockServer(embedder=minilm, clock=mock_clock) as server:
        yield server


@pytest.fixture(scope="module")
def anonymous(mock_server):
    """An HTTP client of the server, without a key."""
    with httpx.Client(base_url=mock_server.url, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def http(mock_server):
    """An HTTP client of the server, with a key."""
    with httpx.Client(
        base_url=mock_server.url,
        headers={"authorization": "Bearer key"},
        timeout=30,  # a busy machine can take more than httpx's 5 seconds for the largest bodies
        trust_env=False,
    ) as client:
        yield client


@pytest.fixture
def serve(minilm):
    """Serve an application with these settings; gives an HTTP client of it, with a key."""

    @contextmanager
    def serving(settings, **parts):
        app = create_app(settings, **{"embedder": minilm, **parts})
        background = Background(app, listen("127.0.0.1", 0), "127.0.0.1")
        background.start()
        try:
            with httpx.Client(
                base_url=background.url,
                headers={"authorization": "Bearer the-secret-key"},
                trust_env=False,
                timeout=20,
            ) as client:
                yield client
        finally:
            background.stop()

    return serving


@pytest.fixture
def cache_path():
    """The path of a cache that no other test uses."""
    return f"/v1/caches/cache-{next(_numbers)}"


@pytest.fixture
def check_problem():
    """Check that a response is the contract's problem for a status, and return its body."""

    def check(response, status):
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/json"
        body = response.json()
        name, kind = PROBLEMS[status]
        jsonschema_rs.Draft202012Validator(
            {
                "$ref": f"#/components/schemas/{name}ErrorResponseContent",
                "components": CONTRACT["components"],
            }
        ).validate(body)
        assert body["status"] == status
        assert body["type"] == kind
        assert body["detail"]
        assert body["instance"] == response.request.url.raw_path.decode().partition("?")[0]
        assert set(body) - {"fields"} == {"title", "status", "detail", "instance", "type"}
        return body

    return check


def patient(settings, given=None):
    """Return the arguments of `serve` for a server whose proxy waits for a busy machine."""
    configuration = configuration_of(settings, given)
    proxy = replace(configuration.proxy, budget_seconds=30.0)
    return {"settings": settings, "configuration": replace(configuration, proxy=proxy)}


@pytest.fixture(name="patient", scope="session")
def _patient():
    return patient


@pytest.fixture
def configured():
    """Return the arguments of `serve` for a server with this proxy, and what else is configured."""
    return lambda proxy, **content: patient(Settings(), {"proxy": proxy, **content})
