"""Every operation against the real server, blocking and async."""

from datetime import timedelta

import anyio
import pytest

from langcache import LangCache, errors, models


class Blocking:
    """Calls the blocking methods."""

    def __init__(self, client):
        self.client = client

    def __getattr__(self, name):
        return getattr(self.client, name)


class Async:
    """Calls the async methods, each in its own event loop."""

    def __init__(self, client, backend):
        self.client = client
        self.backend = backend

    def __getattr__(self, name):
        def method(**arguments):
            async def main():
                async with self.client:
                    return await getattr(self.client, f"{name}_async")(**arguments)

            return anyio.run(main, backend=self.backend)

        return method


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def calls(request, cache):
    """The methods of a client with an empty cache, sync and async."""
    return Blocking(cache) if request.param == "blocking" else Async(cache, request.param)


def test_a_paraphrase_hits_and_an_unrelated_prompt_misses(calls):
    stored = calls.set(prompt="How do I reset my password?", response="In Settings.")
    hit = calls.search(prompt="How can I reset my password?")
    assert [(e.id, e.response) for e in hit.data] == [(stored.entry_id, "In Settings.")]
    assert 0.9 <= hit.data[0].similarity <= 1
    assert hit.data[0].search_strategy is models.SearchStrategy.SEMANTIC
    assert calls.search(prompt="How do I bake bread?").data == []


def test_the_same_prompt_replaces_the_entry(calls):
    first = calls.set(prompt="What is the capital of France?", response="Lyon")
    second = calls.set(prompt="What is the capital of France?", response="Paris")
    assert first.entry_id == second.entry_id
    found = calls.search(prompt="What is the capital of France?", max_results=5)
    assert [entry.response for entry in found.data] == ["Paris"]


def test_attributes_separate_entries_and_filter(calls):
    for language in ("en", "fr"):
        calls.set(prompt="Greet me", response=language, attributes={"language": language})
    found = calls.search(prompt="Greet me", attributes={"language": "fr"}, max_results=5)
    assert [entry.attributes for entry in found.data] == [{"language": "fr"}]


def test_exact_search_ignores_case_only(calls):
    calls.set(prompt="Opening Hours", response="9 to 5")
    exact = [models.SearchStrategy.EXACT]
    found = calls.search(prompt="opening hours", search_strategies=exact)
    assert [(e.similarity, e.search_strategy) for e in found.data] == [(1.0, "exact")]
    assert calls.search(prompt="the opening hours", search_strategies=exact).data == []


def test_a_whole_number_of_milliseconds_may_be_a_float(calls):
    hour = timedelta(hours=1).total_seconds() * 1000
    assert calls.set(prompt="p", response="r", ttl_millis=hour).entry_id


def test_an_entry_is_deleted_by_its_id(calls):
    stored = calls.set(prompt="p", response="r")
    assert calls.delete_by_id(entry_id=stored.entry_id) is None
    assert calls.search(prompt="p").data == []
    with pytest.raises(errors.NotFoundErrorResponseContent) as caught:
        calls.delete_by_id(entry_id=stored.entry_id)
    assert caught.value.data.type is models.NotFoundErrorType.ROOT_ERRORS_RESOURCE_NOT_FOUND


def test_entries_are_deleted_by_attributes(calls):
    for topic in ("a", "b", "b"):
        calls.set(prompt=f"about {topic}", response="r", attributes={"topic": topic})
    calls.set(prompt="about b, in detail", response="r", attributes={"topic": "b"})
    assert calls.delete_query(attributes={"topic": "b"}).deleted_entries_count == 2
    assert calls.delete_query(attributes={}).deleted_entries_count == 1


def test_flush_empties_the_cache(calls):
    calls.set(prompt="p", response="r")
    assert calls.flush() is None
    assert calls.flush(request={}) is None
    assert calls.search(prompt="p").data == []


def test_a_conversation_is_resolved(calls):
    calls.set(prompt="The user's favorite color is teal.", response="Teal.")
    found = calls.conversational_search(
        prompt="What color do they like?", context=["The user's favorite color is teal."]
    )
    assert [entry.response for entry in found.data] == ["Teal."]
    assert found.actual_prompt != "What color do they like?"


def test_the_cache_says_that_it_is_well(calls):
    assert calls.health().ok is True


def test_raw_responses_carry_what_came_around_the_result(server, cache_id):
    with LangCache(server_url=server.url, cache_id=cache_id, api_key="key") as cache:
        raw = cache.with_raw_response.set(prompt="p", response="r")
        assert raw.status_code == 201
        assert raw.parsed.entry_id
        assert raw.headers["content-type"] == "application/json"
        assert raw.request_id
        assert raw.attempts == 1

        async def main():
            async with cache:
                return await cache.with_raw_response.search_async(prompt="p")

        assert anyio.run(main).parsed.data[0].response == "r"


def test_settings_come_from_the_environment(server, cache_id, monkeypatch):
    monkeypatch.setenv("LANGCACHE_API_KEY", "from-environment")
    monkeypatch.setenv("LANGCACHE_CACHE_ID", cache_id)
    with LangCache(server_url=server.url) as cache:
        cache.set(prompt="p", response="r")
        assert cache.search(prompt="p").data


def test_a_missing_key_is_401(server, cache_id, monkeypatch):
    monkeypatch.delenv("LANGCACHE_API_KEY", raising=False)
    with (
        LangCache(server_url=server.url, cache_id=cache_id) as cache,
        pytest.raises(errors.AuthenticationErrorResponseContent),
    ):
        cache.search(prompt="p")


def test_a_broken_rule_is_400_with_the_field(cache):
    with pytest.raises(errors.BadRequestErrorResponseContent) as caught:
        cache.set(prompt="x" * 1025, response="r")
    (field,) = caught.value.data.fields
    assert (field.field, field.rule) == ("prompt", "maxLength")
    assert "1025" in field.message


def test_a_body_over_the_limit_is_413(cache):
    with pytest.raises(errors.PayloadTooLargeErrorResponseContent):
        cache.set(prompt="p", response="x" * 2_000_000)
