"""Requests that are built from the headers of an earlier one are those that httpx builds."""

import contextlib

import httpx
import pytest

from langcache import LangCache, errors

pytestmark = pytest.mark.usefixtures("no_spans")

KEYS = iter(range(1000))
OPTIONS = [
    {},
    {"headers": {"X-Mine": "yes", "User-Agent": "me", "ACCEPT": "*/*"}},
    {"headers": [(b"x-twice", b"1"), (b"x-twice", b"2"), (b"x-odd", "é".encode())]},
    {"cookies": {"id": "1"}},
    {"params": {"a": "b"}},
    {"timeout": httpx.Timeout(1, read=2)},
    {"base_url": "http://elsewhere.test/path"},
]
CALLS = [
    lambda cache: cache.search(prompt="p"),
    lambda cache: cache.search(prompt="a longer prompt" * 10),
    lambda cache: cache.search(prompt="p", http_headers={"Content-Length": "13", "x-a": "b"}),
    lambda cache: cache.search(prompt="p", timeout_ms=10**7),
    lambda cache: cache.set(prompt="p", response="é"),
    lambda cache: cache.delete_query(attributes={"a": "b"}),
    lambda cache: cache.delete_by_id(entry_id="1"),
    lambda cache: cache.delete_by_id(entry_id="2"),
    lambda cache: cache.flush(server_url="http://other.test:8080"),
    lambda cache: cache.health(),
]


def facts(request):
    timeout = {name: round(value) for name, value in request.extensions["timeout"].items()}
    return (
        *(request.method, request.url, request.headers.raw, request.content, timeout),
        b"".join(request.stream),
    )


@pytest.mark.parametrize("key", ["k", lambda: f"key-{next(KEYS)}"], ids=["key", "other keys"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_request_is_that_of_the_client(options, key):
    sent = []

    def answer(request):
        sent.append(request)
        return httpx.Response(204 if request.method != "POST" else 200, json={})

    class Asks(httpx.Client):
        def build_request(self, *args, **kwargs):  # an override, which is always asked
            return super().build_request(*args, **kwargs)

    keys = []

    def same_keys():
        keys.append(key())
        return keys[-1]

    def again():
        return keys.pop(0)

    for client, its_key in ((httpx.Client, same_keys), (Asks, again)):
        with client(transport=httpx.MockTransport(answer), **options) as http:
            cache = LangCache(
                "http://c.test",
                its_key if callable(key) else key,
                "c",
                client=http,
                retry_config=None,
            )
            for call in CALLS * 2:
                with contextlib.suppress(errors.ResponseValidationError):
                    call(cache)
    half = len(CALLS) * 2
    assert len(sent) == half * 2
    assert list(map(facts, sent[:half])) == list(map(facts, sent[half:]))


def test_headers_that_change_on_the_client_are_sent():
    sent = []

    def answer(request):
        sent.append((request.headers.get("x-mine"), request.headers["authorization"]))
        request.headers["x-mine"] = "of the transport"
        return httpx.Response(204)

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        one, other = (LangCache("http://c.test", key, "c", client=http) for key in "ab")
        one.flush()
        one.flush()
        http.headers["x-mine"] = "1"
        one.flush()
        other.flush()
        http.headers["x-mine"] = "2"
        one.flush()
    assert sent == [
        (None, "Bearer a"),
        (None, "Bearer a"),
        ("1", "Bearer a"),
        ("1", "Bearer b"),
        ("2", "Bearer a"),
    ]
