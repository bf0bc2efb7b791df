"""The Host header, by which a server on this machine notices DNS rebinding."""

import asyncio
import socket
from urllib.parse import urlsplit

import httpx
import pytest
from langcache_mockserver import MockServer, Settings, SettingsError, SimilarityTable, create_app
from langcache_mockserver.background import Background
from langcache_mockserver.http.uvicorn_server import listen

PATHS = ("/health", "/metrics", "/console/v1", "/openapi.json", "/v1/caches/a/health", "/nowhere")
OWN = ("localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8080", "[::1]:80", "10.0.0.7",
       "cache.localhost", "localhost.")  # fmt: skip
FOREIGN = ("evil.example", "127.0.0.1.evil.example:80", "localhost.evil.example", "", "2130706433x")
BROKEN = ("[::1", "a b", "a@localhost", "localhost:x", "http://localhost", "localhost,localhost")


def serve(host="127.0.0.1", **options):
    app = create_app(Settings(host=host, **options), embedder=SimilarityTable({}))
    return Background(app, listen(host, 0), host)


@pytest.fixture(scope="module")
def url():
    background = serve()
    background.start()
    yield background.url
    background.stop()


def status_of(url, *hosts, path="/health", version="1.1"):
    address = urlsplit(url)
    lines = "".join(f"host: {host}\r\n" for host in hosts)
    head = (
        f"GET {path} HTTP/{version}\r\nauthorization: Bearer k\r\n{lines}connection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", address.port), timeout=5) as connection:
        connection.sendall(head.encode())
        return int(b"".join(iter(lambda: connection.recv(65536), b""))[9:12])


@pytest.mark.parametrize("path", PATHS)
def test_on_a_loopback_address_every_path_demands_a_name_of_this_machine(url, path):
    expected = 404 if path == "/nowhere" else 200
    assert {host: status_of(url, host, path=path) for host in OWN} == dict.fromkeys(OWN, expected)
    assert {host: status_of(url, host, path=path) for host in FOREIGN} == dict.fromkeys(
        FOREIGN, 421
    )


def test_the_refusal_says_what_to_do(url):
    answer = httpx.get(f"{url}/metrics", headers={"host": "cache.example"})
    assert answer.json()["detail"] == (
        "Host: must be localhost or an IP address, got another name; "
        "the option --allowed-hosts allows more names"
    )
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_missing_doubled_or_broken_host_is_a_400(host):
    background = serve(host)
    background.start()
    try:
        url = background.url
        assert status_of(url) == 400
        assert status_of(url, "localhost", "localhost") == 400
        assert status_of(url, "localhost", "evil.example") == 400
        assert [status_of(url, each) for each in BROKEN] == [400] * len(BROKEN)
        assert status_of(url, version="1.0") == 200  # which does not demand one
        assert status_of(url, "localhost", "localhost", version="1.0") == 400
    finally:
        background.stop()


def test_on_other_addresses_any_name_will_do():
    background = serve("0.0.0.0")
    background.start()
    try:
        assert [status_of(background.url, host) for host in (*OWN, *FOREIGN)] == [200] * 13
    finally:
        background.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_allowed_names_are_demanded_on_every_address(host):
    background = serve(host, allowed_hosts="cache.example, Other.example")
    background.start()
    try:
        names = {"cache.example": 200, "CACHE.example:80": 200, "other.example": 200,
                 "localhost": 200, "10.0.0.7": 200, "evil.example": 421}  # fmt: skip
        assert {name: status_of(background.url, name) for name in names} == names
    finally:
        background.stop()


def test_a_star_allows_every_name():
    background = serve(allowed_hosts="*")
    background.start()
    try:
        assert [status_of(background.url, host) for host in (*OWN, *FOREIGN)] == [200] * 13
    finally:
        background.stop()


@pytest.mark.parametrize("hosts", ["a b", "http://a", "a:80", "a,*b", "[::1]"])
def test_an_impossible_name_is_refused(hosts):
    with pytest.raises(SettingsError, match=r"^allowed_hosts: must be"):
        Settings(allowed_hosts=hosts)


def test_nobody_is_refused_without_a_socket_or_under_another_server():
    with MockServer(embedder=SimilarityTable({}), listen=False) as server, server.client() as http:
        assert http.get("/health").status_code == 200
    app = create_app(embedder=SimilarityTable({}))

    async def ask(host):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as http:
            return (await http.get("/health")).status_code

    assert asyncio.run(ask("cache.example")) == 200
    assert asyncio.run(ask("127.0.0.1")) == 200
