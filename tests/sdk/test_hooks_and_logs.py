import asyncio
import logging

import httpx
import pytest
import respx

from langcache import LangCache, errors
from langcache.utils import BackoffStrategy, RetryConfig

URL = "http://langcache.test/v1/caches/c/entries/search"
FOUND = {"data": []}
FAST = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 60_000), True)


@pytest.fixture
def cache():
    with LangCache(
        server_url="http://langcache.test", cache_id="c", api_key="secret-key", retry_config=FAST
    ) as client:
        yield client


@respx.mock
def test_hooks_run_in_order_around_each_attempt(cache):
    respx.post(URL).side_effect = [
        httpx.Response(503),
        httpx.ConnectError("down"),
        httpx.Response(200, json=FOUND),
    ]
    seen = []
    cache.hooks.before_request(lambda c, request: seen.append(("before", c.attempt)))
    cache.hooks.before_request(lambda c, request: seen.append(("also before", c.attempt)))
    cache.hooks.after_success(lambda c, response: seen.append(("success", response.status_code)))
    cache.hooks.after_error(
        lambda c, response, error: seen.append(
            ("error", type(error).__name__ if error else response.status_code)
        )
    )
    cache.search(prompt="p")
    assert seen == [
        ("before", 1),
        ("also before", 1),
        ("error", 503),
        ("before", 2),
        ("also before", 2),
        ("error", "ConnectError"),
        ("before", 3),
        ("also before", 3),
        ("success", 200),
    ]


@respx.mock
def test_a_hook_may_replace_request_and_response(cache):
    respx.post("http://elsewhere.test/").respond(200, json=FOUND)

    @cache.hooks.before_request
    def redirect(context, request):
        return httpx.Request("POST", "http://elsewhere.test/")

    @cache.hooks.after_success
    def rewrite(context, response):
        entry = {
            "id": "1",
            "prompt": "p",
            "response": "from a hook",
            "attributes": {},
            "similarity": 1,
            "searchStrategy": "exact",
        }
        return httpx.Response(200, json={"data": [entry]})

    assert cache.search(prompt="p").data[0].response == "from a hook"


@respx.mock
def test_an_error_hook_may_turn_a_failure_into_a_success(cache):
    respx.post(URL).respond(400)
    cache.hooks.after_error(lambda c, response, error: httpx.Response(200, json=FOUND))
    assert cache.search(prompt="p").data == []


@respx.mock
def test_what_a_hook_raises_ends_the_call(cache):
    route = respx.post(URL).respond(200, json=FOUND)

    @cache.hooks.before_request
    def refuse(context, request):
        raise PermissionError("not today")

    with pytest.raises(PermissionError, match="not today"):
        cache.search(prompt="p")
    assert route.call_count == 0


@respx.mock
def test_an_async_hook_or_key_needs_an_async_method(cache):
    respx.post(URL).respond(200, json=FOUND)

    async def hook(context, request):
        raise AssertionError("was run")

    cache.hooks.before_request(hook)
    with pytest.raises(TypeError, match=r"hook .*is async"):
        cache.search(prompt="p")

    async def key():
        raise AssertionError("was asked")

    with (
        LangCache(server_url="http://langcache.test", cache_id="c", api_key=key) as other,
        pytest.raises(TypeError, match="api_key: is async"),
    ):
        other.search(prompt="p")


def test_a_hook_must_be_callable(cache):
    for register in (
        cache.hooks.before_request,
        cache.hooks.after_success,
        cache.hooks.after_error,
    ):
        with pytest.raises(TypeError, match="hook: must be callable"):
            register("print")


def test_the_deadline_holds_for_async_hooks_and_keys():
    async def forever(*args):
        await asyncio.sleep(60)

    async def main(**options):
        async with LangCache(
            server_url="http://langcache.test", cache_id="c", timeout_ms=100, **options
        ) as cache:
            if not options:
                cache.hooks.before_request(forever)
            await cache.search_async(prompt="p")

    for options in ({}, {"api_key": forever}):
        with pytest.raises(httpx.ReadTimeout) as caught:
            asyncio.run(main(**options))
        assert isinstance(caught.value, errors.NoResponseError)


@respx.mock
def test_the_log_has_a_line_for_each_attempt_and_no_body(cache, caplog):
    respx.post(URL).side_effect = [httpx.Response(503), httpx.Response(200, json=FOUND)]
    with caplog.at_level(logging.DEBUG, "langcache"):
        cache.search(prompt="a private question")
    lines = [record.getMessage() for record in caplog.records if record.name == "langcache"]
    assert [line.rsplit(",", 1)[0] for line in lines] == [
        "POST /v1/caches/c/entries/search -> 503, attempt 1",
        "POST /v1/caches/c/entries/search -> 200, attempt 2",
    ]


@respx.mock
def test_bodies_are_logged_when_asked_for_with_keys_masked(caplog):
    respx.post(URL).respond(200, json=FOUND, headers={"set-cookie": "session=abc"})
    with (
        LangCache(
            server_url="http://langcache.test",
            cache_id="c",
            api_key="secret-key",
            debug_bodies=True,
        ) as cache,
        caplog.at_level(logging.DEBUG, "langcache"),
    ):
        cache.search(prompt="a question", http_headers={"X-Api-Key": "another-key"})
    text = caplog.text
    assert "a question" in text
    assert '{"data":[]}' in text.replace(" ", "")
    for secret in ("secret-key", "another-key", "session=abc"):
        assert secret not in text


@respx.mock
def test_a_logger_of_ones_own_is_used(cache):
    respx.post(URL).respond(200, json=FOUND)
    lines = []

    class Logger:
        def debug(self, message, *args):
            lines.append(message % args)

    with LangCache(
        server_url="http://langcache.test", cache_id="c", api_key="k", debug_logger=Logger()
    ) as own:
        own.search(prompt="p")
    assert len(lines) == 1


def test_logging_costs_nothing_when_it_is_off(cache, monkeypatch):
    def fail(*args):
        raise AssertionError("something was logged")

    monkeypatch.setattr(logging.Logger, "debug", fail)
    with respx.mock:
        respx.post(URL).respond(200, json=FOUND)
        cache.search(prompt="p")
