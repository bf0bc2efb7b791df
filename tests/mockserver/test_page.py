"""Who may see the page, and with what headers it comes."""

import re

import httpx
import pytest
from langcache_mockserver import MockServer, SimilarityTable
from langcache_mockserver.domain.sessions import LIFETIME_SECONDS, Sessions
from langcache_mockserver.page.files import TABS

PATHS = ["/", *(f"/page/{tab}" for tab in TABS[1:])]
CACHE = "0" * 32
CONFIG = {
    "caches": [{"id": CACHE}],
    "keys": [
        {"token": action, "grants": [{"cache": CACHE, "actions": [action]}]}
        for action in ("read", "full", "console")
    ],
    "admin_token": "admin",
}


@pytest.fixture
def serve():
    """Serve with these options; gives an HTTP client."""
    opened = []

    def serving(*, listen=False, **options):
        server = MockServer(embedder=SimilarityTable({}), listen=listen, **options)
        server.__enter__()
        given = {"base_url": server.url, "trust_env": False}
        client = httpx.Client(**given) if listen else server.client()
        opened.append((server, client))
        return client

    yield serving
    for server, client in opened:
        client.close()
        server.__exit__(None, None, None)


def sign_in(client, token, target="/", **headers):
    return client.post("/page/login", data={"token": token, "next": target}, headers=headers)


def change_token(client):
    return re.search('data-change-token="([0-9a-f]+)"', client.get("/").text)[1]


@pytest.mark.parametrize("path", PATHS)
def test_in_development_on_this_machine_nobody_signs_in(serve, path):
    answer = serve().get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("path", [*PATHS, "/page/login"])
def test_a_page_has_no_script_or_style_of_its_own_and_may_load_only_the_servers(serve, path):
    answer = serve(admin_token="admin").get("/page/login") if "login" in path else serve().get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|https?://", answer.text)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "attacker.example"},
        {"origin": "https://attacker.example"},
        {"x-forwarded-for": "192.0.2.1"},
    ],
    ids=str,
)
def test_without_a_token_the_page_is_for_direct_requests(serve, headers):
    client = serve(listen=True)
    assert client.get("/").status_code == 200
    for path in PATHS:
        assert client.get(path, headers=headers).status_code in {404, 421}


@pytest.mark.parametrize("options", [{}, {"admin_token": "admin"}], ids=str)
def test_in_development_there_is_no_page_beyond_this_machine(serve, options, check_problem):
    client = serve(host="0.0.0.0", **options)
    for path in [*PATHS, "/page/login"]:
        check_problem(client.get(path), 404)


@pytest.mark.parametrize(
    "options", [{"admin_token": "admin"}, {"config": CONFIG}, {"config": CONFIG, "host": "0.0.0.0"}]
)
def test_with_a_token_one_signs_in(serve, options):
    client = serve(**options)
    answer = client.get("/page/entries?cache=a%26b")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/page/login?next=%2Fpage%2Fentries%3Fcache%3Da%2526b"
    assert "Sign in" in client.get(answer.headers["location"]).text
    answer = sign_in(client, "admin", "/page/entries?cache=a%26b")
    assert (answer.status_code, answer.headers["location"]) == (303, "/page/entries?cache=a%26b")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "admin" not in cookie
    assert client.get("/page/entries").status_code == 200
    assert client.post("/page/logout").status_code == 303
    assert client.get("/page/entries").status_code == 303


def test_behind_tls_the_cookie_is_for_tls_only(serve):
    answer = sign_in(serve(config=CONFIG), "admin", **{"x-forwarded-proto": "https"})
    assert "secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("token", ["", "wrong", "read", "full"])
def test_a_token_without_the_grant_does_not_sign_in(serve, token):
    client = serve(config=CONFIG)
    answer = sign_in(client, token)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "This token cannot open the page." in answer.text


def test_in_development_a_key_does_not_sign_in(serve):
    assert sign_in(serve(admin_token="admin"), "any").status_code == 401


def test_a_key_with_a_console_grant_sees_its_caches_only(serve):
    client = serve(config=CONFIG)
    assert sign_in(client, "console").status_code == 303
    assert client.get("/").status_code == 200
    assert client.get(f"/console/v1/caches/{CACHE}/entries").status_code == 200
    assert client.get(f"/console/v1/caches/{'1' * 32}/entries").status_code == 403
    # What is for admins only stays so.
    assert client.get("/console/v1").status_code == 401
    assert client.get("/control/v1/caches").status_code == 401


def test_a_session_is_none_for_the_other_planes(serve, check_problem):
    client = serve(config=CONFIG)
    sign_in(client, "admin")
    token = {"x-csrf-token": change_token(client)}
    check_problem(client.get("/control/v1/caches", headers=token), 401)
    check_problem(client.post(f"/v1/caches/{CACHE}/flush", headers=token), 401)


def test_a_session_changes_nothing_without_its_token(serve, check_problem):
    client = serve(config=CONFIG)
    sign_in(client, "admin")
    path = f"/console/v1/caches/{CACHE}/entries"
    body = {"entries": [{"prompt": "p", "response": "r"}]}
    check_problem(client.post(path, json=body), 403)
    check_problem(client.post(path, json=body, headers={"x-csrf-token": "0" * 64}), 403)
    assert client.get(path).json()["total"] == 0
    answer = client.post(path, json=body, headers={"x-csrf-token": change_token(client)})
    assert answer.json()["stored"] == 1


def test_the_token_of_one_session_is_none_for_another(serve):
    client = serve(config=CONFIG)
    sign_in(client, "admin")
    first = change_token(client)
    sign_in(client, "admin")
    assert change_token(client) != first


@pytest.mark.parametrize("path", ["/page/login", "/page/logout"])
def test_another_site_cannot_sign_in_or_out(serve, path, check_problem):
    client = serve(config=CONFIG)
    headers = {"origin": "https://attacker.example"}
    check_problem(client.post(path, data={"token": "admin"}, headers=headers), 403)


@pytest.mark.parametrize(
    "target", ["https://attacker.example", "//attacker.example", "/\\attacker.example", "x", "/\n"]
)
def test_signing_in_leads_to_this_server_only(serve, target):
    assert sign_in(serve(config=CONFIG), "admin", target).headers["location"] == "/"


def test_a_session_ends_with_its_key(serve):
    client = serve(strict=True, admin_token="admin")
    admin = {"authorization": "Bearer admin"}
    grant = {"product": "langcache", "resourceType": "lc-cache", "resourceId": "*"}
    key = {"name": "k", "grants": [{**grant, "actions": ["console"]}]}
    made = client.post("/identity/v1/api-keys", json=key, headers=admin).json()
    assert sign_in(client, made["token"]).status_code == 303
    assert client.get("/").status_code == 200
    client.delete(f"/identity/v1/api-keys/{made['keyId']}", headers=admin)
    assert client.get("/").status_code == 303
    assert client.get("/console/v1/caches").status_code == 401


def test_a_session_ends_after_hours_and_cannot_be_forged():
    now = [1000.0]
    sessions = Sessions("secret", clock=lambda: now[0])
    session = sessions.begin("ab" * 32)
    assert sessions.digest(session) == "ab" * 32
    for place in (0, 12, -1):
        changed = list(session)
        changed[place] = "1" if changed[place] != "1" else "2"
        assert sessions.digest("".join(changed)) is None
    for other in ("", "x", session + "0", session[:-1]):
        assert sessions.digest(other) is None
    assert Sessions("another", clock=lambda: now[0]).digest(session) is None
    assert Sessions("secret", clock=lambda: now[0]).digest(session) == "ab" * 32
    now[0] += LIFETIME_SECONDS
    assert sessions.digest(session) is None


def test_the_files_of_the_page_have_addresses_that_change_with_them(serve):
    client = serve()
    addresses = re.findall(r'(?:src|href)="(/page/static/[^"]+)"', client.get("/").text)
    assert {address.partition("?")[0] for address in addresses} == {
        "/page/static/icon.svg",
        "/page/static/page.css",
        "/page/static/page.js",
    }
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=86400"


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fpages.py", "LICENSE-redoc.txt", "%2e%2e"])
def test_there_are_no_other_files(serve, name, check_problem):
    check_problem(serve().get(f"/page/static/{name}"), 404)


def test_the_reference_shows_the_documents(serve, check_problem):
    client = serve(config=CONFIG)
    for name, path in (("", "/openapi.json"), ("/console", "/console/openapi.json")):
        answer = client.get(f"/docs{name}")
        assert answer.status_code == 200
        assert f'data-document="{path}"' in answer.text
        assert "script-src 'self';" in answer.headers["content-security-policy"]
        assert client.get(path).status_code == 200
    check_problem(client.get("/docs/nothing"), 404)


def test_a_request_for_the_page_is_counted_as_one(serve):
    client = serve()
    client.get("/page/entries")
    counted = 'langcache_requests_total{operation="page",method="GET",status="200"} 1'
    assert counted in client.get("/metrics").text
