import asyncio
import subprocess
import sys

import httpx
import pytest
from langcache_mockserver import MockServer, Settings, SettingsError, SimilarityTable, create_app
from langcache_mockserver.planes.service import service_in
from starlette.applications import Starlette
from starlette.routing import Mount

PATHS = ("/_mock/v1/faults", "/_mock/v1/openapi.json", "/_mock/v1/reset", "/_mock/v1")


@pytest.fixture(scope="module")
def server():
    with MockServer(embedder=SimilarityTable({})) as running:
        yield running


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.url) as client:
        yield client


def is_hidden(answer, check_problem):
    if answer.status_code in {400, 421} and answer.json()["detail"].startswith("Host: "):
        return True  # whatever the path
    if answer.status_code != 404:
        return False
    problem = check_problem(answer, 404)
    return problem["detail"] == "there is no such path"


def test_they_are_there_for_this_machine(server, http):
    port = httpx.URL(server.url).port
    for host in (f"127.0.0.1:{port}", "localhost", f"LOCALHOST:{port}", "[::1]:8080", "10.0.0.7"):
        answer = http.get("/_mock/v1/faults", headers={"host": host})
        assert answer.status_code == 200, host


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example:8080"},
        {"host": "localhost.evil.example"},
        {"host": ""},
        {"host": "[::1"},
        {"host": "a@127.0.0.1@evil.example"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"x-forwarded-for": "203.0.113.7"},
        {"forwarded": "for=203.0.113.7"},
        {"via": "1.1 proxy"},
    ],
)
def test_they_do_not_exist_for_a_stranger(http, check_problem, headers):
    for path in PATHS:
        for method in ("GET", "POST", "PATCH"):
            answer = http.request(method, path, headers=headers)
            assert is_hidden(answer, check_problem), (method, path, answer.text)


def test_a_page_of_the_server_itself_may_use_them(server):
    headers = {"origin": server.url}
    assert httpx.get(f"{server.url}/_mock/v1/faults", headers=headers).status_code == 200


def test_other_spellings_of_a_path_lead_nowhere(server, check_problem):
    stranger = {"host": "evil.example"}
    for path in (
        "/%5Fmock/v1/faults",
        "//_mock/v1/faults",
        "/x/../_mock/v1/faults",
        "/_MOCK/v1/faults",
    ):
        request = httpx.Request("GET", server.url, headers=stranger)
        request.url = request.url.copy_with(raw_path=path.encode())
        with httpx.Client() as client:
            assert is_hidden(client.send(request), check_problem), path


def test_on_is_on_for_everybody():
    with (
        MockServer(embedder=SimilarityTable({}), test_controls="on", host="0.0.0.0") as server,
        httpx.Client(base_url=server.url.replace("0.0.0.0", "127.0.0.1")) as http,
    ):
        headers = {"host": "some.example", "x-forwarded-for": "203.0.113.7"}
        assert http.get("/_mock/v1/faults", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "options",
    [{"test_controls": "off"}, {"host": "0.0.0.0"}, {"test_controls": "auto", "host": "::"}],
)
def test_where_there_are_none_no_path_shows_it(options, check_problem):
    server = MockServer(embedder=SimilarityTable({}), **options)
    try:
        server.__enter__()
    except OSError:
        pytest.skip("no IPv6 here")
    with server.client() as http:
        for path in PATHS:
            for method in ("GET", "POST", "DELETE"):
                assert is_hidden(http.request(method, path), check_problem)
    for name in ("faults", "journal", "clock", "recording"):
        with pytest.raises(RuntimeError, match="has no test controls"):
            getattr(server, name)
    server.__exit__(None, None, None)


async def ask(app, client, host="127.0.0.1"):
    transport = httpx.ASGITransport(app, client=client)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as http:
        return (await http.get("/_mock/v1/faults")).status_code


@pytest.mark.parametrize(
    ("client", "status"),
    [(("127.0.0.1", 1), 200), (("::1", 1), 200), (("192.0.2.1", 1), 404), (("strange", 1), 404)],
)
def test_the_address_of_the_client_counts_whoever_serves_the_application(client, status):
    app = create_app(embedder=SimilarityTable({}))
    assert asyncio.run(ask(app, client)) == status


@pytest.mark.parametrize(("client", "status"), [("127.0.0.1", 200), ("192.0.2.7", 404)])
def test_they_are_as_hidden_where_the_application_is_mounted_in_another(client, status):
    server = create_app(Settings(), embedder=SimilarityTable({}))
    outer = Starlette(routes=[Mount("/cache", server)])

    async def statuses():
        transport = httpx.ASGITransport(outer, client=(client, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            paths = ("/cache/_mock/v1/faults", "/cache/health/liveness", "/health/liveness")
            return [(await http.get(path)).status_code for path in paths]

    assert asyncio.run(statuses()) == [status, 200, 404]


def test_several_processes_can_have_none():
    options = {"workers": 2, "storage": "redis://localhost"}
    Settings(**options)
    with pytest.raises(SettingsError, match="test_controls: must not be on with several workers"):
        Settings(**options, test_controls="on")
    with pytest.raises(SettingsError, match="test_controls: must not be local with several"):
        Settings(**options, test_controls="local")
    with pytest.raises(SettingsError, match="test_controls: must be"):
        Settings(test_controls="maybe")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"strict": True}, 404),
        ({"config": "keys: []"}, 404),
        ({"strict": True, "test_controls": "local"}, 200),
        ({"strict": True, "test_controls": "on"}, 200),
        ({"test_controls": "local", "host": "0.0.0.0"}, 200),
        ({}, 200),
    ],
)
def test_a_strict_server_has_them_only_where_they_are_asked_for(tmp_path, options, status):
    if "config" in options:
        (tmp_path / "c.yaml").write_text(options["config"])
        options = {**options, "config": str(tmp_path / "c.yaml")}
    app = create_app(Settings(**options), embedder=SimilarityTable({}))
    assert asyncio.run(ask(app, ("127.0.0.1", 1))) == status
    assert (service_in(app).controls is None) == (status == 404)
    other = 200 if options.get("test_controls") == "on" else 404
    assert asyncio.run(ask(app, ("192.0.2.1", 1))) == other


def test_a_strict_server_in_a_test_has_them():
    with MockServer(embedder=SimilarityTable({}), strict=True) as server:
        server.faults.add(status=503)
        assert httpx.get(f"{server.url}/_mock/v1/faults").json()["faults"]


@pytest.mark.parametrize(
    "origin", ["http://[", "http://[::1", "//", "://", "[", "\xff", "http://[a]b"]
)
def test_an_origin_that_is_no_url_is_another_origin(http, check_problem, origin):
    headers = [("origin", origin.encode("latin-1"))]
    assert is_hidden(http.get("/_mock/v1/faults", headers=headers), check_problem)
    assert http.get("/health", headers=headers).status_code == 200


def test_a_journal_is_kept_only_with_them():
    # Whoever hosts a server must not find requests in its memory.
    with MockServer(embedder=SimilarityTable({}), test_controls="off", listen=False) as server:
        assert service_in(server._running.app).controls is None


def test_http_clients_are_not_loaded_for_the_command_line():
    code = "import sys, langcache_mockserver.cli; print([m for m in sys.modules if m == 'httpx'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
