"""Tests that this package has none of the numbered faults of the official one (0.11.1, 0.14.0).

This file uses only public names and a scripted server, so it can also run against the official
package. tests/compat/test_official_package.py does that and checks which of these tests fail there.
"""

import asyncio
import logging
import os
import re
import subprocess
import sys
import threading
import time

import httpx
import pytest

from langcache import LangCache, errors
from langcache.utils import BackoffStrategy, RetryConfig

FAST = RetryConfig("backoff", BackoffStrategy(1, 5, 1.5, 1000), True)


def client(url, **options):
    return LangCache(**{"server_url": url, "cache_id": "c1", "api_key": "secret-key", **options})


def request_line(request):
    return request.split(b"\r\n")[0].decode()


def header_lines(request, name):
    head = request.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return [line for line in head if line.lower().startswith(name + ":")]


@pytest.mark.parametrize(
    ("entry_id", "sent"),
    [
        ("../../other/entries/1", "..%2F..%2Fother%2Fentries%2F1"),
        ("a?b", "a%3Fb"),
        ("a#b", "a%23b"),
        ("a/b", "a%2Fb"),
        ("a%2Fb", "a%252Fb"),
    ],
)
def test_fault_01_an_id_is_one_segment_of_the_path(scripted_server, answer, entry_id, sent):
    server = scripted_server(answer(b"", "204 No Content"))
    with client(server.url) as cache:
        cache.delete_by_id(entry_id=entry_id)
    assert request_line(server.requests[0]) == f"DELETE /v1/caches/c1/entries/{sent} HTTP/1.1"


@pytest.mark.parametrize("entry_id", ["", ".", ".."])
def test_fault_01_an_id_that_names_another_resource_is_refused(scripted_server, answer, entry_id):
    server = scripted_server(answer(b"", "204 No Content"))
    with client(server.url) as cache, pytest.raises(ValueError, match="entry_id"):
        cache.delete_by_id(entry_id=entry_id)
    assert server.requests == []


def test_fault_01_a_missing_cache_id_is_refused(scripted_server, answer, monkeypatch):
    monkeypatch.delenv("LANGCACHE_CACHE_ID", raising=False)
    server = scripted_server(answer())
    with client(server.url, cache_id=None) as cache, pytest.raises(ValueError, match="cache_id"):
        cache.search(prompt="p")
    assert server.requests == []


def test_fault_02_a_custom_header_replaces_ours_whatever_its_case(scripted_server, answer):
    server = scripted_server(answer())
    with client(server.url) as cache:
        cache.search(prompt="p", http_headers={"AUTHORIZATION": "Bearer mine"})
    assert [line.split(": ")[1] for line in header_lines(server.requests[0], "authorization")] == [
        "Bearer mine"
    ]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>Bad gateway</html>", "text/html"),
        (b"{}", "application/json"),
        (b"[]", "application/json"),
        (b"", "application/json"),
        (b'{"title": "No", "type": "/errors/brand-new"}', "application/json"),
        (b'{"title": "No", "type": "/errors/invalid-data"}', "application/problem+json"),
        (b"\xff\xfe", "application/json"),
    ],
)
def test_fault_03_the_error_class_follows_the_status(scripted_server, answer, body, content_type):
    server = scripted_server(answer(body, "400 Bad Request", [f"Content-Type: {content_type}"]))
    with (
        client(server.url) as cache,
        pytest.raises(errors.BadRequestErrorResponseContent) as caught,
    ):
        cache.search(prompt="p")
    assert caught.value.status_code == 400
    assert caught.value.data.title


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
def test_fault_04_any_success_status_and_content_type_will_do(
    scripted_server, answer, content_type
):
    headers = [] if content_type is None else [f"Content-Type: {content_type}"]
    server = scripted_server(answer(b'{"entryId": "e1"}', "200 OK", headers))
    with client(server.url) as cache:
        assert cache.set(prompt="p", response="r").entry_id == "e1"


def test_fault_05_a_redirect_is_an_error_and_not_a_get(scripted_server, answer):
    server = scripted_server(answer(b"", "301 Moved Permanently", ["Location: /elsewhere"]))
    with client(server.url) as cache, pytest.raises(errors.APIError) as caught:
        cache.search(prompt="p")
    assert caught.value.status_code == 301
    assert [request_line(r).split()[0] for r in server.requests] == ["POST"]


def drip(server, connection):
    server.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    for _ in range(100):
        connection.sendall(b"X-Drip: 1\r\n")
        if server.wait(0.1):
            return


def drip_body(server, connection):
    server.read_request(connection)
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    )
    for _ in range(100):
        connection.sendall(b" ")
        if server.wait(0.1):
            return


@pytest.mark.parametrize("script", [drip, drip_body])
def test_fault_06_timeout_ms_bounds_the_whole_call(scripted_server, script):
    server = scripted_server(script)
    started = time.monotonic()
    with client(server.url, timeout_ms=400) as cache, pytest.raises(httpx.TimeoutException):
        cache.search(prompt="p")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("script", [drip, drip_body])
def test_fault_06_timeout_ms_bounds_the_whole_async_call(scripted_server, script):
    server = scripted_server(script)

    async def main():
        async with client(server.url) as cache:
            await cache.search_async(prompt="p", timeout_ms=400)

    started = time.monotonic()
    with pytest.raises(httpx.TimeoutException):
        asyncio.run(main())
    assert time.monotonic() - started < 5


def test_fault_06_the_timeout_of_a_supplied_client_is_kept(scripted_server):
    def silent(server, connection):
        server.read_request(connection)
        server.wait(5)

    server = scripted_server(silent)
    started = time.monotonic()
    with (
        httpx.Client(timeout=0.3) as http,
        client(server.url, client=http, retry_config=None) as cache,
        pytest.raises(httpx.ReadTimeout),
    ):
        cache.search(prompt="p")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("value", ["86400", "inf", "1e400", "Wed, 21 Oct 2065 07:28:00 GMT"])
def test_fault_07_retry_after_never_outlasts_the_deadline(scripted_server, answer, value):
    server = scripted_server(
        answer(b"{}", "429 Too Many Requests", [f"Retry-After: {value}"]),
    )
    started = time.monotonic()
    config = RetryConfig("backoff", BackoffStrategy(1, 5, 1.5, 300), True)
    with (
        client(server.url, retry_config=config) as cache,
        pytest.raises(errors.TooManyRequestsErrorResponseContent),
    ):
        cache.search(prompt="p")
    assert time.monotonic() - started < 5


def test_fault_07_retry_after_is_obeyed(scripted_server, answer):
    def once(server, connection):
        server.read_request(connection)
        connection.sendall(
            b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
            b"Connection: close\r\n\r\n"
        )

    server = scripted_server(once, answer(headers=["Content-Type: application/json"]))
    started = time.monotonic()
    with client(server.url) as cache:
        assert cache.search(prompt="p").data == []
    assert time.monotonic() - started >= 0.95


def test_fault_08_no_sleep_goes_past_the_deadline(scripted_server, answer):
    server = scripted_server(answer(b"{}", "503 Service Unavailable"))
    config = RetryConfig("backoff", BackoffStrategy(60_000, 60_000, 1, 500), True)
    config.backoff.jitter_ms = 0
    started = time.monotonic()
    with client(server.url, retry_config=config) as cache, pytest.raises(errors.LangCacheError):
        cache.search(prompt="p")
    assert time.monotonic() - started < 5


def test_fault_08_a_huge_exponent_does_not_overflow(scripted_server, answer):
    server = scripted_server(answer(b"{}", "503 Service Unavailable"))
    config = RetryConfig("backoff", BackoffStrategy(1, 2, 1e200, 200), True)
    with client(server.url, retry_config=config) as cache, pytest.raises(errors.APIError):
        cache.search(prompt="p")
    assert len(server.requests) > 3


def test_fault_09_waits_differ_at_the_cap(scripted_server, answer, monkeypatch):
    slept = []
    here, pause = threading.get_ident(), time.sleep

    def sleep(seconds):  # other threads sleep, too
        slept.append(seconds) if threading.get_ident() == here else pause(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    server = scripted_server(answer(b"{}", "503 Service Unavailable"))
    config = RetryConfig("backoff", BackoffStrategy(1000, 1000, 1, 300), True)
    with client(server.url, retry_config=config) as cache:
        for _ in range(60):
            with pytest.raises(errors.LangCacheError):
                cache.search(prompt="p")
    assert len(set(slept)) > 3


def test_fault_10_a_stale_connection_is_replaced(scripted_server, answer):
    def close_instead_of_answering_twice(server, connection):
        server.read_request(connection)
        body = b'{"data":[]}'
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        server.read_request(connection)

    server = scripted_server(
        close_instead_of_answering_twice, answer(headers=["Content-Type: application/json"])
    )
    with client(server.url) as cache:
        cache.search(prompt="first")
        assert cache.search(prompt="second").data == []
    assert server.connections == 2


def busy_twice(server, connection):
    for _ in range(2):
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    server.read_request(connection)
    body = b'{"data":[]}'
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )


def test_fault_11_the_key_is_asked_for_on_each_attempt(scripted_server):
    keys = iter(["k1", "k2", "k3"])
    server = scripted_server(busy_twice)
    with client(server.url, api_key=lambda: next(keys), retry_config=FAST) as cache:
        cache.search(prompt="p")
    assert [header_lines(r, "authorization")[0].split(": ")[1] for r in server.requests] == [
        "Bearer k1",
        "Bearer k2",
        "Bearer k3",
    ]


def test_fault_11_the_key_may_come_from_a_coroutine(scripted_server, answer):
    async def key():
        await asyncio.sleep(0)
        return "async-key"

    server = scripted_server(answer(headers=["Content-Type: application/json"]))

    async def main():
        async with client(server.url, api_key=key) as cache:
            await cache.search_async(prompt="p")

    asyncio.run(main())
    assert header_lines(server.requests[0], "authorization")[0].endswith("Bearer async-key")


def test_fault_12_a_client_is_usable_after_with(scripted_server, answer):
    server = scripted_server(answer(headers=["Content-Type: application/json"]))
    with client(server.url) as cache:
        cache.search(prompt="p")
    assert cache.search(prompt="p").data == []
    cache.close()


def test_fault_12_with_closes_the_async_connections_too(scripted_server, answer):
    closed = threading.Event()

    def script(server, connection):
        answer(headers=["Content-Type: application/json"])(server, connection)
        closed.set()

    server = scripted_server(script)

    async def main():
        with client(server.url) as cache:
            await cache.search_async(prompt="p")
        for _ in range(100):
            if closed.is_set():
                return
            await asyncio.sleep(0.02)

    asyncio.run(main())
    assert closed.is_set()


def test_fault_13_trio_works(scripted_server, answer):
    trio = pytest.importorskip("trio")
    server = scripted_server(answer(headers=["Content-Type: application/json"]))

    async def main():
        async with client(server.url, timeout_ms=5000) as cache:
            return await cache.search_async(prompt="p")

    assert trio.run(main).data == []


def test_fault_13_several_event_loops_in_turn(scripted_server, answer):
    server = scripted_server(answer(headers=["Content-Type: application/json"]))
    cache = client(server.url)

    async def main():
        found = await cache.search_async(prompt="p")
        await asyncio.sleep(0)
        return found

    loops = [asyncio.new_event_loop() for _ in range(3)]
    try:
        for loop in loops:
            assert loop.run_until_complete(main()).data == []
    finally:
        cache.close()
        for loop in loops:
            loop.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_fault_13_the_first_call_after_a_fork_works(scripted_server, answer):
    server = scripted_server(answer(headers=["Content-Type: application/json"]))
    program = f"""
import os
from langcache import LangCache
cache = LangCache(server_url={server.url!r}, cache_id="c", api_key="k", retry_config=None)
cache.search(prompt="parent")
pid = os.fork()
if pid == 0:
    ok = cache.search(prompt="child").data == []
    os._exit(0 if ok else 1)
status = os.waitpid(pid, 0)[1]
assert cache.search(prompt="parent again").data == []
cache.close()
raise SystemExit(os.waitstatus_to_exitcode(status))
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=30, check=False)
    assert done.returncode == 0
    assert server.connections == 2


def test_fault_14_an_async_call_makes_no_thread_hop(scripted_server, answer, monkeypatch):
    server = scripted_server(answer(headers=["Content-Type: application/json"]))

    async def main():
        async with client(server.url) as cache:
            await cache.search_async(prompt="connect")
            loop = asyncio.get_running_loop()

            def hop(*args):
                raise AssertionError("an executor was used")

            monkeypatch.setattr(loop, "run_in_executor", hop)
            return await cache.search_async(prompt="p")

    assert asyncio.run(main()).data == []


def test_fault_15_hooks_are_public_and_see_a_fresh_request_each_time(scripted_server):
    server = scripted_server(busy_twice)
    cache = client(server.url, retry_config=FAST)
    attempts = []

    @cache.hooks.before_request
    def append(context, request):
        attempts.append(context.attempt)
        request.headers["x-tag"] = request.headers.get("x-tag", "") + "+"

    with cache:
        cache.search(prompt="p")
    assert attempts == [1, 2, 3]
    assert [header_lines(r, "x-tag") for r in server.requests] == [["x-tag: +"]] * 3


def test_fault_15_hooks_may_be_async(scripted_server, answer):
    server = scripted_server(answer(headers=["Content-Type: application/json"]))
    seen = []

    async def main():
        async with client(server.url) as cache:

            @cache.hooks.after_success
            async def look(context, response):
                await asyncio.sleep(0)
                seen.append((context.operation_id, response.status_code))

            await cache.search_async(prompt="p")

    asyncio.run(main())
    assert seen == [("search", 200)]


@pytest.mark.parametrize("value", ["false", "0", "off", ""])
def test_fault_17_debugging_that_is_off_is_off(scripted_server, answer, value):
    server = scripted_server(answer(headers=["Content-Type: application/json"]))
    program = f"""
import logging
from langcache import LangCache
with LangCache(server_url={server.url!r}, cache_id="c", api_key="secret-key") as cache:
    cache.search(prompt="a private question")
assert logging.getLogger().handlers == []
"""
    environment = {**os.environ, "LANGCACHE_DEBUG": value}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_fault_17_no_secret_and_no_prompt_in_the_log(scripted_server, answer):
    server = scripted_server(answer(headers=["Content-Type: application/json"]))
    program = f"""
import logging
from langcache import LangCache
with LangCache(server_url={server.url!r}, cache_id="c", api_key="secret-key") as cache:
    cache.search(prompt="a private question", http_headers={{"X-Api-Key": "another-key"}})
assert logging.getLogger().handlers == []
"""
    environment = {**os.environ, "LANGCACHE_DEBUG": "true"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        timeout=30,
        check=False,
    )
    output = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, output
    assert re.search(r"POST /v1/caches/c/entries/search -> 200, attempt 1, [0-9.]+ ms", output)
    for secret in ("secret-key", "another-key", "private question"):
        assert secret not in output


def test_fault_17_repr_shows_no_key(caplog):
    cache = client("http://127.0.0.1:1")
    shown = repr(cache) + repr(vars(cache).get("sdk_configuration"))
    assert "secret-key" not in shown
    assert caplog.get_records("call") == []
    assert not logging.getLogger("langcache").handlers


def test_fault_18_a_wrong_client_is_a_type_error():
    with pytest.raises(TypeError, match="client"):
        client("http://127.0.0.1:1", client=object())
    with pytest.raises(TypeError, match="async_client"):
        client("http://127.0.0.1:1", async_client=object())


def test_fault_18_is_checked_under_python_o_as_well():
    program = """
from langcache import LangCache
try:
    LangCache(server_url="http://127.0.0.1:1", client=object())
except TypeError:
    raise SystemExit(0)
raise SystemExit(1)
"""
    assert (
        subprocess.run([sys.executable, "-O", "-c", program], timeout=30, check=False).returncode
        == 0
    )
