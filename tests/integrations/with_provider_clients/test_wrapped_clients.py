"""Wrapped clients of OpenAI and Anthropic, sync and async, against a real HTTP server."""

import asyncio
import inspect
import threading
import time
import warnings
from collections import UserDict
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import pytest
from answer_caches import Broken
from upstream import chat_completions, messages, responses
from wrapped_clients import ASKED, DOORS, PARAPHRASE, AsyncDoor, open_door

import langcache
from langcache.answers import Hit

SYSTEM = {"role": "system", "content": "Answer as a pirate."}
EARLIER = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello!"}]


def same(result, other):
    """Whether two answers or lists of events are equal but for what was used."""
    return unbilled(result) == unbilled(other)


def unbilled(result):
    if isinstance(result, list):
        return [unbilled(each) for each in result]
    if isinstance(result, dict):
        return {
            name: "usage" if name == "usage" and each else unbilled(each)
            for name, each in result.items()
        }
    return unbilled(result.to_dict(mode="json")) if hasattr(result, "to_dict") else result


def numbers(usage):
    found = []
    for each in usage.values():
        found += numbers(each) if isinstance(each, dict) else [each]
    return [each for each in found if isinstance(each, int)]


@pytest.mark.parametrize("stream", [False, True])
def test_a_paraphrase_does_not_reach_the_upstream(door, upstream, answers, stream):
    first = door.ask(stream=stream)
    again = door.ask(stream=stream)
    other = door.ask(PARAPHRASE, stream=stream)
    assert upstream.count == 1
    assert same(first, again)
    assert same(first, other)
    assert type(first) is type(other)
    assert (answers.statistics.exact_hits, answers.statistics.semantic_hits) == (1, 1)


def text_of(answer):
    if isinstance(answer, list):
        return "".join(map(text_of, answer))
    if hasattr(answer, "choices"):
        [choice] = answer.choices
        part = choice.delta if hasattr(choice, "delta") else choice.message
        return part.content or ""
    if hasattr(answer, "output_text"):
        return answer.output_text
    if hasattr(answer, "content"):
        return answer.content[0].text
    delta = getattr(answer, "delta", "")
    return delta if isinstance(delta, str) else getattr(delta, "text", "")


@pytest.mark.parametrize("stream", [False, True])
def test_a_stream_and_a_whole_answer_share_an_entry(door, upstream, stream):
    first = door.ask(stream=stream)
    other = door.ask(PARAPHRASE, stream=not stream)
    # The events of a response say more than it.
    is_lost = door.messages == "input" and not stream
    assert upstream.count == 1 + is_lost
    assert is_lost or text_of(other) == text_of(first)
    assert isinstance(other, list) is not stream
    for each in (True, False):
        assert text_of(door.ask(stream=each)) == text_of(first)
        assert text_of(door.ask(PARAPHRASE, stream=each)) == text_of(other)
    assert upstream.count <= 1 + 2 * is_lost


def test_a_stream_with_its_usage_is_another_stream(door, upstream):
    if door.messages == "messages" and "max_tokens" not in door.arguments:
        door.ask(stream=True)
        options = {"include_usage": True}
        first = door.ask(stream=True, stream_options=options)
        assert same(door.ask(PARAPHRASE, stream=True, stream_options=options), first)
        assert first[-1].usage
        assert upstream.count == 2


def test_a_stream_from_the_cache_has_the_classes_of_a_real_one(door):
    first, again = door.ask(stream=True), door.ask(stream=True)
    assert len(first) > 5
    assert [type(event) for event in first] == [type(event) for event in again]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("How do I enable dark mode?", "How do I disable dark mode?"),
        (
            "How many retries are allowed in 5 minutes?",
            "How many retries are allowed in 6 minutes?",
        ),
        (ASKED, "What are your opening hours?"),
    ],
)
def test_a_question_that_means_something_else_reaches_the_upstream(door, upstream, first, second):
    door.ask(first)
    door.ask(second)
    assert upstream.count == 2


TOOL = {
    "type": "function",
    "name": "clock",
    "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}},
    "input_schema": {"type": "object"},
}


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "large"},
        {"extra_body": {"temperature": 0.9}},
        {"tools": [TOOL]},
        {"extra_headers": {"x-tenant": "umbrella"}},
        {"extra_query": {"version": "2"}},
        {"extra_body": {"never_heard_of": True}},
    ],
)
def test_another_parameter_reaches_the_upstream(door, upstream, changes):
    door.ask()
    door.ask(PARAPHRASE, **changes)
    assert upstream.count == 2


def test_another_system_prompt_reaches_the_upstream(door, upstream):
    door.ask()
    door.ask(PARAPHRASE, [SYSTEM])
    door.ask(PARAPHRASE, [{**SYSTEM, "content": "Answer as a doctor."}])
    assert upstream.count == 3
    door.ask(ASKED, [SYSTEM])
    assert upstream.count == 3


def test_another_earlier_turn_reaches_the_upstream(door, upstream):
    door.ask(ASKED, EARLIER)
    door.ask(PARAPHRASE)
    door.ask(PARAPHRASE, [EARLIER[0], {"role": "assistant", "content": "Good morning!"}])
    assert upstream.count == 3
    door.ask(PARAPHRASE, EARLIER)
    assert upstream.count == 3


def test_another_tenant_reaches_the_upstream(door, upstream, answers):
    for tenant in ("acme", "umbrella"):
        with answers.scope(tenant=tenant):
            door.ask()
            door.ask(PARAPHRASE)
    assert upstream.count == 2


def test_a_call_with_tools_is_answered_by_the_same_call_only(door, upstream):
    door.ask(tools=[TOOL])
    door.ask(PARAPHRASE, tools=[TOOL])
    assert upstream.count == 2
    door.ask(tools=[TOOL])
    assert upstream.count == 2


def test_a_bypass_reaches_the_upstream_and_stores_nothing(door, upstream, answers):
    with answers.bypass():
        door.ask()
    door.ask()
    with answers.bypass():
        door.ask()
    assert upstream.count == 3


def test_settings_of_the_client_count(door, upstream):
    door.ask()
    client = door.client
    door.client = client.with_options(default_headers={"x-tenant": "umbrella"})
    door.ask()
    assert upstream.count == 2
    door.client = client.with_options(timeout=30, max_retries=1)
    door.ask(PARAPHRASE)
    assert upstream.count == 2


@pytest.mark.parametrize("kind", [MappingProxyType, UserDict])
def test_headers_of_any_mapping_count(door, upstream, kind):
    for tenant in ("acme", "umbrella", "acme"):
        door.ask(extra_headers=kind({"X-Tenant": tenant}))
    assert [each.headers["x-tenant"] for each in upstream.requests] == ["acme", "umbrella"]


@pytest.mark.parametrize("setting", ["headers", "params"])
def test_what_the_http_client_sends_with_each_request_counts(door, upstream, answers, setting):
    bare = door.bare
    for tenant in ("acme", "umbrella", "acme"):
        http = type(bare._client)(**{setting: {"x-tenant": tenant}})
        door.bare = bare.copy(http_client=http)
        door.wrap(answers).ask()
        door.wait(http.aclose()) if isinstance(door, AsyncDoor) else http.close()
    door.bare = bare
    assert upstream.count == 2


def test_a_copy_is_wrapped_too(door, upstream):
    door.ask()
    door.client = door.client.copy()
    door.ask(PARAPHRASE)
    assert upstream.count == 1


def test_the_wrapped_client_keeps_its_type_and_leaves_the_bare_one_alone(door, upstream):
    assert type(door.client) is type(door.bare)
    assert door.client is not door.bare
    door.ask()
    door.client = door.bare
    door.ask()
    assert upstream.count == 2


def test_nothing_is_billed_twice(door):
    first, again = door.ask(), door.ask(PARAPHRASE)
    assert not hasattr(first, "langcache")
    assert set(numbers(again.usage.to_dict())) == {0}
    hit = again.langcache
    assert isinstance(hit, Hit)
    assert hit.saved == first.usage.to_dict()
    assert hit.source == "similar"
    assert 0.88 <= hit.similarity < 1
    assert "langcache" not in again.to_dict()


def test_a_hit_has_no_request_of_its_own(door):
    assert door.ask()._request_id == "req_1"
    hit = door.ask(PARAPHRASE)
    assert hit._request_id is None
    assert "_request_id" not in {**hit.to_dict(), **hit.model_dump()}


# Services that copy a provider's API take liberties with it.
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_a_provider_should_not_give_is_in_no_warning(
    door, upstream, answers, monkeypatch, stream
):
    def of_other_types(value):
        if isinstance(value, dict):
            return {name: of_other_types(each) for name, each in value.items()}
        if isinstance(value, list):
            return [of_other_types(each) for each in value]
        return [value] if isinstance(value, str) and value.startswith("Answer") else value

    for api in (chat_completions, messages, responses):
        body_of, events_of = api.body_of, api.events_of
        monkeypatch.setattr(api, "body_of", lambda *asked, f=body_of: of_other_types(f(*asked)))
        monkeypatch.setattr(
            api,
            "events_of",
            lambda *asked, f=events_of: [
                (name, data if data == "[DONE]" else of_other_types(data))
                for name, data in f(*asked)
            ],
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            assert door.ask(stream=stream)
    assert answers.statistics.failures == 0


def test_a_stream_from_the_cache_says_so(door):
    door.ask(stream=True)
    stream = door.wait(door.create(**door.kwargs(PARAPHRASE, stream=True)))
    assert stream.langcache.source == "similar"
    assert len(door.read(stream)) > 5


def test_an_error_is_passed_on_and_nothing_is_stored(door, upstream):
    for _ in range(2):
        upstream.fail_next(429)
        with pytest.raises(Exception, match="429") as caught:
            door.ask()
        assert type(caught.value).__name__ == "RateLimitError"
    door.ask()
    assert upstream.count == 3


def has_finished(event):
    return any(choice.finish_reason for choice in event.choices)


LAST_EVENTS = {
    "chat": has_finished,
    "responses": lambda event: event.type == "response.completed",
    "messages": lambda event: event.type == "message_stop",
}


@pytest.mark.parametrize("name", DOORS)
def test_a_reader_may_stop_at_the_last_event_of_a_stream(name, upstream, answers):
    with open_door(name, upstream) as door:
        stream = door.wait(door.wrap(answers).create(**door.kwargs(stream=True)))
        door.read_until(stream, LAST_EVENTS[name.partition(" ")[0]])
        assert same(door.ask(stream=True), door.ask(PARAPHRASE, stream=True))
    assert upstream.count == 1


CHAT_DOORS = [each for each in DOORS if each.startswith("chat")]


@pytest.mark.parametrize("name", CHAT_DOORS)
def test_a_reader_who_asks_for_the_usage_may_stop_there(name, upstream, answers):
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    with open_door(name, upstream) as door:
        door.wrap(answers)
        door.read_until(door.wait(door.create(**door.kwargs(**asked))), has_finished)
        door.read_until(door.wait(door.create(**door.kwargs(**asked))), lambda event: event.usage)
        assert upstream.count == 2
        assert door.ask(**asked)[-1].usage.total_tokens == 0
    assert upstream.count == 2


@pytest.mark.parametrize("name", CHAT_DOORS)
def test_a_reader_who_stops_at_the_first_of_several_choices_stores_nothing(name, upstream, answers):
    with open_door(name, upstream) as door:
        door.wrap(answers)
        door.read_until(door.wait(door.create(**door.kwargs(stream=True, n=2))), has_finished)
        assert sum(map(has_finished, door.ask(stream=True, n=2))) == 2
    assert upstream.count == 2


@pytest.mark.parametrize("name", CHAT_DOORS)
@pytest.mark.parametrize("filtered_events", [1, 1000])
def test_where_a_filter_may_speak_last_a_stream_is_stored_at_its_end(
    name, upstream, answers, monkeypatch, filtered_events
):
    def filtered(request, answer):
        for number, (kind, event) in enumerate(events_of(request, answer)):
            is_plain = event == "[DONE]" or number >= filtered_events
            yield kind, event if is_plain else {**event, "prompt_filter_results": []}

    events_of = chat_completions.events_of
    monkeypatch.setattr(chat_completions, "events_of", filtered)
    with open_door(name, upstream) as door:
        door.wrap(answers)
        door.read_until(door.wait(door.create(**door.kwargs(stream=True))), has_finished)
        assert same(door.ask(stream=True), door.ask(PARAPHRASE, stream=True))
    assert upstream.count == 2


@pytest.mark.parametrize("end", ["break_stream_next", "fail_stream_next"])
def test_a_broken_stream_is_passed_on_and_not_stored(door, upstream, end):
    getattr(upstream, end)(after=3)
    if end == "fail_stream_next" and door.messages == "input":
        # OpenAI's responses end with an event, where the others raise an exception.
        assert door.ask(stream=True)[-1].type == "error"
    else:
        with pytest.raises(Exception, match=r"closed|fails|Connection error"):
            door.ask(stream=True)
    whole = door.ask(stream=True)
    assert upstream.count == 2
    assert same(door.ask(stream=True), whole)
    assert upstream.count == 2


def test_a_stream_that_is_left_is_not_stored(door, upstream):
    stream = door.wait(door.create(**door.kwargs(stream=True)))
    door.wait(stream.close()) if isinstance(door, AsyncDoor) else stream.close()
    del stream
    door.ask(stream=True)
    assert upstream.count == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_was_cut_off_is_not_stored(door, upstream, stream, reason):
    upstream.finish_next(reason)
    door.ask(stream=stream)
    door.ask(stream=stream)
    assert upstream.count == 2


@pytest.mark.parametrize("stream", [False, True])
def test_concurrent_equal_calls_reach_the_upstream_once(door, upstream, stream):
    if isinstance(door, AsyncDoor):

        async def ask():
            result = await door.create(**door.kwargs(stream=stream))
            return [event async for event in result] if stream else result

        async def main():
            return await asyncio.gather(*(ask() for _ in range(50)))

        results = door.loop.run_until_complete(main())
    else:
        with ThreadPoolExecutor(50) as pool:
            results = list(pool.map(lambda _: door.ask(stream=stream), range(50)))
    assert upstream.count == 1
    assert all(same(each, results[0]) for each in results)


@pytest.mark.parametrize("caches", [1, 2])
@pytest.mark.parametrize("events", [0, 1])
def test_no_call_waits_for_a_stream_that_is_closed(door, upstream, make_cache, events, caches):
    for _ in range(caches - 1):
        door.client = langcache.wrap(door.client, cache=make_cache())
    if isinstance(door, AsyncDoor):

        async def main():
            stream = await door.create(**door.kwargs(stream=True))
            for _ in range(events):
                await anext(stream)
            await stream.close()
            other = asyncio.create_task(door.create(**door.kwargs()))
            return stream, await asyncio.wait_for(other, 20)

        door.loop.run_until_complete(main())
    else:
        stream = door.create(**door.kwargs(stream=True))
        for _ in range(events):
            next(stream)
        stream.close()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(door.ask).result(20)
    assert upstream.count == 2


def test_a_helper_of_streams_that_is_left_holds_up_no_call(upstream, answers):
    with open_door("chat sync", upstream) as door:
        door.wrap(answers)
        with door.client.chat.completions.stream(**door.kwargs()) as stream:
            next(stream)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(door.ask).result(20)
    assert upstream.count == 2


def test_concurrent_calls_get_an_error_each(door, upstream):
    upstream.fail_next(500, times=3)
    if isinstance(door, AsyncDoor):

        async def main():
            calls = [door.create(**door.kwargs()) for _ in range(3)]
            return await asyncio.gather(*calls, return_exceptions=True)

        results = door.loop.run_until_complete(main())
    else:

        def ask(_):
            try:
                return door.ask()
            except Exception as error:  # noqa: BLE001 - compared below
                return error

        with ThreadPoolExecutor(3) as pool:
            results = list(pool.map(ask, range(3)))
    assert [type(each).__name__ for each in results] == ["InternalServerError"] * 3
    assert upstream.count == 3


def test_a_deeply_nested_argument_fails_no_call(door, upstream):
    nested = []
    for _ in range(600):  # more than Python code can follow, but not the client's JSON encoder
        nested = [nested]
    door.ask([{"type": "text", "text": ASKED, "nested": nested}])
    assert upstream.count == 1


def test_a_cache_that_is_down_fails_no_call(door, upstream, make_cache):
    door.wrap(make_cache(Broken()))
    assert same(door.ask(), door.ask()) is False  # two answers, with ids of their own
    assert len(door.ask(stream=True)) > 5
    assert upstream.count == 3


def test_a_cache_that_hangs_is_waited_for_as_long_as_its_budget(door, upstream, make_cache):
    released = threading.Event()
    cache = make_cache(Broken(released), budget=0.1)
    door.wrap(cache).ask()
    assert upstream.count == 1
    # The store does not wait again: the lookup has used up the budget.
    assert cache.statistics.timeouts == 1
    released.set()


def test_raw_and_streaming_responses_reach_the_upstream(door, upstream):
    owner = door.create.__self__
    for _ in range(2):
        raw = door.wait(owner.with_raw_response.create(**door.kwargs()))
        assert raw.headers["x-request-id"]
        parsed = raw.parse()
        # Newer releases parse asynchronously.
        parsed = door.wait(parsed) if inspect.isawaitable(parsed) else parsed
        assert parsed.to_dict()["model"] == "small"
    assert upstream.count == 2
    if isinstance(door, AsyncDoor):

        async def status():
            async with owner.with_streaming_response.create(**door.kwargs()) as response:
                return response.status_code

        assert door.wait(status()) == 200
    else:
        with owner.with_streaming_response.create(**door.kwargs()) as response:
            assert response.status_code == 200
    assert upstream.count == 3


def test_a_call_can_be_explained(door, upstream, answers):
    assert answers.explain(door.create, **door.kwargs()).outcome == "miss"
    door.ask()
    found = answers.explain(door.create, **door.kwargs(PARAPHRASE))
    assert (found.outcome, found.question) == ("hit", PARAPHRASE)
    assert upstream.count == 1
    with pytest.raises(TypeError, match="call: must be a cached function or a cached method"):
        answers.explain(door.bare.models.list)


def test_explaining_calls_no_provider_behind_another_cache(door, upstream, make_cache):
    cache = make_cache()

    def ask(**changes):
        return door.create(**door.kwargs(**changes))

    with pytest.raises(TypeError, match="first asks through another cache"):
        cache.explain(ask)
    with pytest.raises(TypeError, match="first asks through another cache"):
        cache.explain(ask, extra_headers={"x-stainless-raw-response": "true"})
    assert upstream.count == 0


def test_a_wrong_answer_can_be_reported(door, upstream, answers):
    door.ask()
    assert answers.report_wrong(door.ask(PARAPHRASE))
    door.ask(PARAPHRASE)
    assert upstream.count == 2


def test_a_stream_can_have_a_pace(door, answers, monkeypatch):
    waits = []
    pause, pause_async = time.sleep, asyncio.sleep

    def sleep(seconds):  # other threads sleep, too: the loop of the upstream
        waits.append(seconds) if seconds == 0.5 else pause(seconds)

    async def sleep_async(seconds, result=None):
        waits.append(seconds) if seconds == 0.5 else await pause_async(seconds)
        return result

    paced = langcache.wrap(door.bare, cache=answers, pace=0.5)
    events = door.ask(stream=True)
    door.client = paced
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(asyncio, "sleep", sleep_async)
    door.ask(stream=True)
    assert waits == [0.5] * (len(events) - 1)
