"""The console: an admin's plane for what the server has beyond the official API."""

from importlib.metadata import version

import pytest
from langcache_mockserver import MockServer, SimilarityTable

CONSOLE = "/console/v1"


@pytest.fixture(params=["development", "admin token", "strict"])
def console(request):
    """A client of a server, and the headers that its console asks for."""
    options = {
        "development": {},
        "admin token": {"admin_token": "the-token"},
        "strict": {"strict": True},
    }[request.param]
    with MockServer(embedder=SimilarityTable({}), listen=False, **options) as server:
        headers = {"authorization": f"Bearer {server.admin_token}"} if options else {}
        with server.client() as client:
            yield client, headers


def test_it_tells_the_version_and_its_paths(console):
    client, headers = console
    answer = client.get(CONSOLE, headers=headers)
    assert answer.status_code == 200
    assert answer.json() == {
        "version": version("langcache-mockserver"),
        "paths": [
            CONSOLE,
            f"{CONSOLE}/server",
            f"{CONSOLE}/caches",
            f"{CONSOLE}/caches/{{cacheId}}",
            f"{CONSOLE}/caches/{{cacheId}}/explain",
            f"{CONSOLE}/caches/{{cacheId}}/feedback",
            f"{CONSOLE}/caches/{{cacheId}}/entries",
            f"{CONSOLE}/caches/{{cacheId}}/export",
            f"{CONSOLE}/caches/{{cacheId}}/entries/{{entryId}}",
            f"{CONSOLE}/savings",
            f"{CONSOLE}/caches/{{cacheId}}/lookups",
            f"{CONSOLE}/caches/{{cacheId}}/lookups/export",
            "/console/openapi.json",
        ],
    }


def test_where_there_is_an_admin_token_it_is_needed(console, check_problem):
    client, headers = console
    for given in ({}, {"authorization": "Bearer another"}):
        answer = client.get(CONSOLE, headers=given)
        if headers:
            check_problem(answer, 401)
        else:
            assert answer.status_code == 200


def test_an_unknown_path_is_a_problem(console, check_problem):
    client, headers = console
    check_problem(client.get(f"{CONSOLE}/nothing", headers=headers), 404)
    check_problem(client.get("/console", headers=headers), 404)
    check_problem(client.post(CONSOLE, headers=headers), 405)


def test_a_request_is_counted_by_its_operation(console):
    client, headers = console
    client.get(CONSOLE, headers=headers)
    counted = 'langcache_requests_total{operation="describeConsole",method="GET",status="200"} 1'
    assert counted in client.get("/metrics").text
