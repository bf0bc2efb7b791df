import asyncio
import math

import pytest

from langcache import LangCache, errors, httpclient
from langcache.utils import BackoffStrategy


@pytest.fixture
def cache():
    """A client of a server that does not exist, because nothing must be sent."""
    with LangCache(
        server_url="http://127.0.0.1:9", cache_id="c", api_key="k", retry_config=None
    ) as client:
        yield client


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"server_url": None}, TypeError, "server_url"),
        ({"server_url": "example.com"}, ValueError, "server_url"),
        ({"server_url": "ftp://example.com"}, ValueError, "server_url"),
        ({"server_url": "http://"}, ValueError, "server_url"),
        ({"server_url": "http://user:pass@host"}, ValueError, "server_url"),
        ({"server_url": "http://host?x=1"}, ValueError, "server_url"),
        ({"server_url": "http://host:port"}, ValueError, "server_url"),
        ({"server_url": "http://\ud800"}, ValueError, "server_url"),
        ({"server_url": "http://host:99999"}, ValueError, "server_url"),
        ({"server_url": "http://host:0"}, ValueError, "server_url"),
        ({"server_url": "http://host:-1"}, ValueError, "server_url"),
        ({"server_url": f"http://{'a' * 64}.com"}, ValueError, "server_url"),
        ({"server_url": "http://a..b"}, ValueError, "server_url"),
        ({"api_key": 5}, TypeError, "api_key"),
        ({"api_key": ""}, ValueError, "api_key"),
        ({"api_key": "two words"}, ValueError, "api_key"),
        ({"api_key": "line\nbreak"}, ValueError, "api_key"),
        ({"cache_id": 5}, TypeError, "cache_id"),
        ({"cache_id": ".."}, ValueError, "cache_id"),
        ({"retry_config": "backoff"}, TypeError, "retry_config"),
        ({"timeout_ms": "1"}, TypeError, "timeout_ms"),
        ({"timeout_ms": 0}, ValueError, "timeout_ms"),
        ({"timeout_ms": math.nan}, ValueError, "timeout_ms"),
        ({"timeout_ms": True}, TypeError, "timeout_ms"),
        ({"timeout_ms": 10**14}, ValueError, "timeout_ms"),
        ({"timeout_ms": 10**400}, ValueError, "timeout_ms"),
        ({"debug_logger": object()}, TypeError, "debug_logger"),
    ],
)
def test_the_constructor_names_the_argument(options, error, name, monkeypatch):
    monkeypatch.delenv("LANGCACHE_SERVER_URL", raising=False)
    with pytest.raises(error, match=f"^{name}: "):
        LangCache(**{"server_url": "http://127.0.0.1:9", **options})


def test_the_server_url_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("LANGCACHE_SERVER_URL", "http://127.0.0.1:9")
    assert "server_url='http://127.0.0.1:9'" in repr(LangCache(cache_id="c"))
    assert "server_url='http://127.0.0.1:8'" in repr(LangCache("http://127.0.0.1:8"))
    monkeypatch.setenv("LANGCACHE_SERVER_URL", "")
    with pytest.raises(TypeError, match=r"^server_url: is required, or the environment variable"):
        LangCache(cache_id="c")


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"prompt": None}, TypeError, "prompt"),
        ({"prompt": b"bytes"}, TypeError, "prompt"),
        ({"prompt": "a\ud800"}, ValueError, "prompt"),
        ({"similarity_threshold": "0.9"}, TypeError, "similarity_threshold"),
        ({"similarity_threshold": True}, TypeError, "similarity_threshold"),
        ({"similarity_threshold": math.nan}, ValueError, "similarity_threshold"),
        ({"similarity_threshold": 10**400}, ValueError, "similarity_threshold"),
        ({"search_strategies": "exact"}, TypeError, "search_strategies"),
        ({"search_strategies": [1]}, TypeError, r"search_strategies\[0\]"),
        ({"attributes": [("a", "b")]}, TypeError, "attributes"),
        ({"attributes": {"a": 1}}, TypeError, r"attributes\['a'\]"),
        ({"attributes": {1: "a"}}, TypeError, "attributes"),
        ({"attributes": {"a": "\udfff"}}, ValueError, "attributes"),
        ({"max_results": 1.5}, TypeError, "max_results"),
        ({"max_results": math.inf}, TypeError, "max_results"),
        ({"max_results": "3"}, TypeError, "max_results"),
        ({"retries": 3}, TypeError, "retries"),
        ({"server_url": "nowhere"}, ValueError, "server_url"),
        ({"timeout_ms": -1}, ValueError, "timeout_ms"),
        ({"http_headers": [("a", "b")]}, TypeError, "http_headers"),
        ({"http_headers": {"a": 1}}, TypeError, "http_headers"),
        ({"http_headers": {"a b": "c"}}, ValueError, "http_headers"),
        ({"http_headers": {"a": "b\r\nc: d"}}, ValueError, "http_headers"),
    ],
)
def test_a_method_names_the_argument_and_sends_nothing(cache, arguments, error, name):
    with pytest.raises(error, match=f"^{name}"):
        cache.search(**{"prompt": "p", **arguments})


def test_an_error_never_shows_the_value(cache):
    for arguments in ({"prompt": "private\ud800"}, {"attributes": {"a": "private\ud800"}}):
        with pytest.raises(ValueError, match="surrogate") as caught:
            cache.search(**{"prompt": "p", **arguments})
        assert "private" not in str(caught.value)
    with pytest.raises(ValueError, match="api_key") as caught:
        LangCache(server_url="http://127.0.0.1:9", api_key="secret key")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://[::1]:80", f"http://{'a' * 63}.com.", "http://10.0.0.1"])
def test_a_host_that_can_exist_is_accepted(url):
    assert LangCache(server_url=url)


def test_the_longest_timeout_is_accepted(cache):
    with pytest.raises(errors.NoResponseError):
        cache.health(timeout_ms=10**12)


@pytest.mark.parametrize("name", ["initial_interval", "max_interval", "max_elapsed_time"])
def test_a_wait_that_no_float_can_hold_is_refused(name):
    waits = {"initial_interval": 1, "max_interval": 1, "exponent": 1, "max_elapsed_time": 1}
    with pytest.raises(ValueError, match=f"^{name}: "):
        BackoffStrategy(**{**waits, name: 10**400})


@pytest.mark.parametrize(
    ("variable", "value", "error"),
    [
        ("NO_PROXY", "localhost,[::1]", ValueError),
        ("no_proxy", "a:b", ValueError),
        ("HTTP_PROXY", "ftp://secret", ValueError),
        ("https_proxy", "http://secret:99999", ValueError),
        ("ALL_PROXY", "socks5://secret", ImportError),
        ("SSL_CERT_FILE", "/does/not/exist", ValueError),
        ("SSL_CERT_FILE", __file__, ValueError),
        ("SSL_CERT_DIR", "/does/not/exist", ValueError),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(variable, value, error, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(httpclient, "_ssl_context", httpclient._ssl_context.__wrapped__)
    cache = LangCache(server_url="https://127.0.0.1:9", cache_id="c", retry_config=None)
    for call in (cache.health, lambda: asyncio.run(cache.health_async())):
        with pytest.raises(error, match=f"^{variable}: ") as caught:
            call()
        assert "secret" not in str(caught.value)


def test_what_httpx_understands_in_no_proxy_is_accepted(monkeypatch, cache):
    monkeypatch.setenv("NO_PROXY", "localhost, ::1, fe80::/10, .example.com, http://a.b:8080, *")
    with pytest.raises(errors.NoResponseError):
        cache.health()
