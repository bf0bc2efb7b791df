"""The caching proxy: providers' APIs over HTTP, with an upstream of the tests' own."""

import itertools
import json
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest
from langcache_mockserver import Settings, create_app
from langcache_mockserver.background import Background
from langcache_mockserver.http.uvicorn_server import listen
from upstream import Upstream, chat_completions

from langcache.engine.storage import InMemoryStorage, StorageError

QUESTION = "What is the capital of France?"
PARAPHRASE = "what is the capital city of France?"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
_numbers = itertools.count()


def chat(question, *, system=None, earlier=(), **changes):
    turns = [] if system is None else [{"role": "system", "content": system}]
    turns += [{"role": "user", "content": each} for each in earlier]
    turns.append({"role": "user", "content": question})
    return "/v1/chat/completions", {"model": "m", "messages": turns, **changes}


def responses(question, *, system=None, earlier=(), **changes):
    turns = [{"role": "user", "content": each} for each in (*earlier, question)]
    return "/v1/responses", {
        "model": "m",
        "input": turns if earlier else question,
        **({} if system is None else {"instructions": system}),
        **changes,
    }


def messages(question, *, system=None, earlier=(), **changes):
    turns = [{"role": "user", "content": each} for each in (*earlier, question)]
    return "/v1/messages", {
        "model": "m",
        "max_tokens": 99,
        "messages": turns,
        **({} if system is None else {"system": system}),
        **changes,
    }


@pytest.fixture(params=[chat, responses, messages])
def ask(request, proxied):
    """Ask a question over one of the APIs."""

    def asking(question=QUESTION, headers=None, **changes):
        path, body = request.param(question, **changes)
        return proxied.post(path, json=body, headers=headers)

    return asking


@pytest.fixture(scope="module")
def shared_upstream():
    with Upstream() as running:
        yield running


@pytest.fixture
def upstream(shared_upstream):
    """An upstream that has received nothing yet."""
    shared_upstream.reset()
    return shared_upstream


@pytest.fixture(scope="module")
def proxy_client(minilm, shared_upstream, patient):
    settings = Settings(
        proxy_openai=shared_upstream.openai_url, proxy_anthropic=shared_upstream.anthropic_url
    )
    app = create_app(**patient(settings), embedder=minilm)
    background = Background(app, listen("127.0.0.1", 0), "127.0.0.1")
    background.start()
    with httpx.Client(base_url=background.url, trust_env=False, timeout=20) as client:
        yield client
    background.stop()


@pytest.fixture
def proxied(proxy_client, upstream):
    """An HTTP client of a proxy of the upstream, with a key that has no answers yet."""
    proxy_client.headers["authorization"] = f"Bearer key-{next(_numbers)}"
    return proxy_client


def outcome(response):
    assert response.status_code == 200, response.text
    return response.headers["x-langcache"]


def events(response):
    """Return the names and data of a stream's events, without what a hit may change: the usage."""
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    found = []
    for event in response.text.split("\n\n")[:-1]:
        *name, data = event.split("\n")
        data = data.removeprefix("data: ")
        found.append((name, data if data == "[DONE]" else _without_usage(json.loads(data))))
    return found


def _without_usage(value):
    if isinstance(value, dict):
        return {name: _without_usage(each) for name, each in value.items() if name != "usage"}
    return value


def _without_ids(value):
    """Return the body of an answer without what differs from one call to the next."""
    if isinstance(value, dict):
        left_out = {"id", "created", "created_at", "usage", "annotations"}
        return {name: _without_ids(each) for name, each in value.items() if name not in left_out}
    return [_without_ids(each) for each in value] if isinstance(value, list) else value


# Hits


def test_a_paraphrase_does_not_reach_the_upstream(ask, upstream):
    first, second = ask(), ask(PARAPHRASE)
    assert (outcome(first), outcome(second)) == ("miss", "hit")
    assert upstream.count == 1
    assert _without_usage(second.json()) == _without_usage(first.json())
    assert 0.9 < float(second.headers["x-langcache-similarity"]) < 1
    assert len(second.headers["x-langcache-entry-id"]) == 32


def test_a_hit_uses_no_tokens_and_tells_what_it_saved(ask):
    first, second = ask(), ask()
    assert outcome(second) == "hit"
    assert second.headers["x-langcache-similarity"] == "1.0000"
    used, unused = first.json()["usage"], second.json()["usage"]
    assert used.keys() == unused.keys()
    assert not any(each for each in unused.values() if isinstance(each, int))
    saved = [second.headers[f"x-langcache-saved-{kind}-tokens"] for kind in ("input", "output")]
    first_of = ("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")
    assert saved in [[str(used.get(name)) for name in both] for both in first_of]


def test_the_saved_tokens_are_counted_by_model(ask, proxied):
    def counted():
        lines = proxied.get("/metrics").text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("langcache_saved_tokens"))
        return {name: int(count) for name, count in pairs}

    ask()
    before = counted()
    second = ask()
    for kind in ("input", "output"):
        name = f'langcache_saved_tokens_total{{cache="proxy",model="m",kind="{kind}"}}'
        saved = int(second.headers[f"x-langcache-saved-{kind}-tokens"])
        assert counted()[name] - before.get(name, 0) == saved > 0


def test_the_console_shows_the_lookups_of_the_proxy(proxied):
    def ask(question, **changes):
        path, body = chat(question, **changes)
        return proxied.post(path, json=body)

    def savings():
        caches = proxied.get("/console/v1/savings").json()["caches"]
        return next((each for each in caches if each["cacheId"] == "proxy"), {})

    lookups = "/console/v1/caches/proxy/lookups"
    cursor = proxied.get(lookups, params={"latest": "true", "limit": 1}).json()["cursor"]
    before = savings().get("promptTokens", 0)
    responses = [
        ask("How do I enable dark mode?"),
        ask("how do I enable the dark mode?"),
        ask("How do I disable dark mode?"),
        ask("How do I enable dark mode?", tools=[TOOL]),
    ]
    assert list(map(outcome, responses)) == ["miss", "hit", "rejected", "miss"]
    found = proxied.get(lookups, params={"cursor": cursor}).json()["lookups"]
    assert [each["outcome"] for each in found] == [
        "miss",
        "hit",
        "rejected",
    ]  # the last has no text
    miss, hit, rejected = found
    assert (miss["prompt"], miss["similarity"]) == ("How do I enable dark mode?", None)
    assert hit["cachedPrompt"] == "How do I enable dark mode?"
    assert hit["entryId"] == responses[1].headers["x-langcache-entry-id"]
    assert "opposite" in rejected["reason"]
    saved = int(responses[1].headers["x-langcache-saved-input-tokens"])
    assert savings()["promptTokens"] - before == saved
    entries = proxied.get("/console/v1/caches/proxy/entries", params={"limit": 500}).json()[
        "entries"
    ]
    (entry,) = [each for each in entries if each["id"] == hit["entryId"]]
    assert entry["hits"] == 1


@pytest.mark.parametrize("api", [chat, responses, messages])
@pytest.mark.parametrize("stream", [False, True])
def test_the_console_knows_the_length_of_the_answer_of_a_hit(serve, patient, upstream, api, stream):
    settings = Settings(proxy_openai=upstream.openai_url, proxy_anthropic=upstream.anthropic_url)
    path, body = api(QUESTION, stream=stream)
    with serve(**patient(settings)) as client:
        first, second = client.post(path, json=body), client.post(path, json=body)
        assert [outcome(first), outcome(second)] == ["miss", "hit"]
        _, hit = client.get("/console/v1/caches/proxy/lookups").json()["lookups"]
        [saved] = client.get("/console/v1/savings").json()["caches"]
    text = f"Answer 0123456789ab to: {QUESTION}"  # with another number
    assert hit["responseCharacters"] == len(text)
    if "x-langcache-saved-output-tokens" not in second.headers:  # it is estimated
        assert saved["responseTokens"] == math.ceil(len(text) / 4)


@pytest.mark.parametrize("stream", [False, True])
def test_only_answers_that_are_stored_say_how_long_the_model_takes(
    serve, patient, upstream, stream
):
    path, body = chat(QUESTION, stream=stream)
    with serve(**patient(Settings(proxy_openai=upstream.openai_url))) as client:

        def seconds():
            [savings] = client.get("/console/v1/savings").json()["caches"]
            return savings["answerSeconds"]

        upstream.finish_next("length")
        assert outcome(client.post(path, json=body)) == "miss"
        assert seconds() is None
        assert outcome(client.post(path, json=body)) == "miss"
        assert seconds() > 0


@pytest.mark.parametrize(
    "question",
    ["What is the capital of Italy?", "What is not the capital of France?"],
)
def test_another_question_reaches_the_upstream(ask, upstream, question):
    ask()
    assert outcome(ask(question)) in {"miss", "rejected"}
    assert upstream.count == 2


def test_an_answer_to_another_number_is_not_served(ask, upstream):
    ask("How do I convert 10 miles to km?")
    assert outcome(ask("How do I convert 12 miles to km?")) in {"miss", "rejected"}
    assert upstream.count == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"system": "Answer in French."},
        {"model": "m-2"},
        {"temperature": 0.5},
        {"tools": [TOOL]},
        {"earlier": ["We talk about cheese."]},
        {"some_new_parameter": 1},
        {"headers": {"authorization": "Bearer another-key"}},
        {"headers": {"x-langcache-scope": "another-tenant"}},
        {"headers": {"openai-organization": "another", "anthropic-beta": "another"}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_shapes_an_answer_separates_answers(ask, upstream, changes):
    ask()
    assert outcome(ask(**changes)) == "miss"
    assert outcome(ask(**changes)) == "hit"
    assert upstream.count == 2


def test_what_changes_no_answer_separates_none(ask):
    ask(headers={"user-agent": "one", "x-stainless-retry-count": "0", "x-request-id": "1"})
    again = ask(headers={"user-agent": "two", "x-stainless-retry-count": "1", "x-request-id": "2"})
    assert outcome(again) == "hit"


def test_a_question_with_tools_or_images_hits_only_by_the_same_request(proxied, upstream):
    picture = [
        {"type": "text", "text": QUESTION},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    for content in (QUESTION, PARAPHRASE):
        path, body = chat(content, tools=[TOOL])
        assert outcome(proxied.post(path, json=body)) == "miss"
    for text in (QUESTION, PARAPHRASE):
        path, body = chat([{**picture[0], "text": text}, picture[1]])
        assert outcome(proxied.post(path, json=body)) == "miss"
        assert outcome(proxied.post(path, json=body)) == "hit"
    assert upstream.count == 4


def test_marks_for_anthropics_own_cache_make_no_difference(proxied):
    marked = [{"type": "text", "text": QUESTION, "cache_control": {"type": "ephemeral"}}]
    assert outcome(proxied.post(messages(marked)[0], json=messages(marked)[1])) == "miss"
    plain = [{"type": "text", "text": PARAPHRASE}]
    assert outcome(proxied.post(messages(plain)[0], json=messages(plain)[1])) == "hit"


def test_what_is_only_called_like_such_a_mark_makes_a_difference(proxied):
    def called(header):
        tool_use = {
            "type": "tool_use",
            "id": "t",
            "name": "get",
            "input": {"cache_control": header},
        }
        result = {"type": "tool_result", "tool_use_id": "t", "content": "200"}
        path, body = messages(QUESTION)
        turns = [
            {"role": "user", "content": "Get it."},
            {"role": "assistant", "content": [tool_use]},
            {"role": "user", "content": [result]},
            {"role": "assistant", "content": "Done."},
        ]
        return path, {**body, "messages": [*turns, *body["messages"]]}

    for header in ("no-store", "public"):
        path, body = called(header)
        assert outcome(proxied.post(path, json=body)) == "miss"
        assert outcome(proxied.post(path, json=body)) == "hit"


def test_embeddings_hit_only_by_the_same_input(proxied, upstream):
    def embed(**body):
        return proxied.post("/v1/embeddings", json={"model": "e", "input": QUESTION, **body})

    first = embed()
    assert outcome(first) == "miss"
    again = embed()
    assert outcome(again) == "hit"
    assert again.json()["data"] == first.json()["data"]
    for changes in ({"input": PARAPHRASE}, {"encoding_format": "base64"}, {"dimensions": 4}):
        assert outcome(embed(**changes)) == "miss"
    assert upstream.count == 4


def test_a_conversation_that_the_provider_keeps_is_not_cached(proxied, upstream):
    for _ in range(2):
        path, body = responses(QUESTION, conversation="conv_1")
        assert outcome(proxied.post(path, json=body)) == "bypass"
    assert upstream.count == 2


# Streams


def test_the_stream_of_a_hit_equals_that_of_a_miss(ask, upstream):
    first, second, third = ask(stream=True), ask(stream=True), ask(PARAPHRASE, stream=True)
    assert [outcome(each) for each in (first, second, third)] == ["miss", "hit", "hit"]
    assert len(events(first)) > 5
    assert events(second) == events(first)
    assert events(third) == events(first)
    assert upstream.count == 1


def test_a_whole_answer_serves_a_stream_event_by_event(proxied, upstream):
    path, body = chat(QUESTION)
    whole = proxied.post(path, json=body).json()
    stream = proxied.post(path, json=chat(PARAPHRASE, stream=True)[1])
    assert outcome(stream) == "hit"
    *chunks, done = [data for _, data in events(stream)]
    assert done == "[DONE]"
    same = ("id", "created", "model", "service_tier", "system_fingerprint")
    for chunk in chunks:
        assert [chunk[name] for name in same] == [whole[name] for name in same]
        assert chunk["object"] == "chat.completion.chunk"
    [choice] = whole["choices"]
    parts = [(each["delta"], each["finish_reason"]) for [each] in (c["choices"] for c in chunks)]
    assert parts == [
        ({"role": "assistant", "content": ""}, None),
        ({"content": choice["message"]["content"]}, None),
        ({}, "stop"),
    ]

    path, body = messages(QUESTION)
    whole = proxied.post(path, json=body).json()
    stream = proxied.post(path, json=messages(PARAPHRASE, stream=True)[1])
    assert outcome(stream) == "hit"
    assert all(name == [f"event: {data['type']}"] for name, data in events(stream))
    start, block, text, stop, delta, end = [data for _, data in events(stream)]
    assert start["message"]["id"] == whole["id"]
    assert (start["message"]["content"], start["message"]["stop_reason"]) == ([], None)
    assert block["content_block"] == {"type": "text", "text": ""}
    assert text["delta"] == {"type": "text_delta", "text": whole["content"][0]["text"]}
    assert delta["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert [each["type"] for each in (start, block, text, stop, delta, end)] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert upstream.count == 2


def test_a_stream_serves_a_whole_answer(ask, upstream):
    stream = ask(stream=True)
    whole = ask(PARAPHRASE)
    assert outcome(whole) == "hit"
    assert whole.headers["content-type"] == "application/json"
    assert not any(each for each in whole.json()["usage"].values() if isinstance(each, int))
    again = ask(stream=True)
    assert outcome(again) == "hit"
    assert events(again) == events(stream)
    assert upstream.count == 1
    upstream.reset()  # what the upstream answers to the same request without a stream
    direct = ask(headers={"x-langcache-bypass": "true"})
    assert _without_ids(whole.json()) == _without_ids(direct.json())


def test_a_response_as_a_whole_serves_no_stream_whose_events_say_more(proxied, upstream):
    path, body = responses(QUESTION)
    assert outcome(proxied.post(path, json=body)) == "miss"
    assert outcome(proxied.post(path, json={**body, "stream": True})) == "miss"
    for stream in (False, True):  # now the entry has both
        assert outcome(proxied.post(path, json={**body, "stream": stream})) == "hit"
    assert upstream.count == 2


def test_a_stream_with_usage_is_replayed_without_it(proxied):
    path, body = chat(QUESTION, stream=True, stream_options={"include_usage": True})
    first, second = proxied.post(path, json=body), proxied.post(path, json=body)
    assert outcome(second) == "hit"
    assert '"total_tokens": 0' not in first.text
    assert '"total_tokens":0' in second.text
    assert events(second) == events(first)


def test_a_stream_passes_as_it_comes(proxied, upstream):
    path, body = chat(QUESTION, stream=True)
    with (
        upstream.hold(after_events=2),
        proxied.stream("POST", path, json=body) as response,
    ):
        first = next(response.iter_text())
        assert "chat.completion.chunk" in first
        assert "[DONE]" not in first


def test_a_broken_stream_breaks_for_the_client_and_is_not_stored(ask, upstream):
    upstream.break_stream_next(after=4)
    with pytest.raises(httpx.RemoteProtocolError):
        ask(stream=True)
    assert outcome(ask(stream=True)) == "miss"
    assert upstream.count == 2


def test_a_stream_with_an_error_is_not_stored(ask, upstream):
    upstream.fail_stream_next(after=3)
    assert "The upstream fails" in ask(stream=True).text
    assert outcome(ask(stream=True)) == "miss"
    assert upstream.count == 2


def test_when_the_client_leaves_a_stream_nothing_is_stored(proxied, upstream):
    path, body = chat(QUESTION, stream=True)
    with upstream.hold(after_events=2):
        with proxied.stream("POST", path, json=body) as response:
            next(response.iter_bytes())
        upstream.wait_until_left()
    assert outcome(proxied.post(path, json=body)) == "miss"
    assert upstream.count == 2


@pytest.mark.parametrize(
    ("api", "last"),
    [(chat, "[DONE]"), (responses, "response.completed"), (messages, "message_stop")],
)
def test_a_client_may_leave_a_stream_at_its_last_event(proxied, upstream, api, last):
    path, body = api(QUESTION, stream=True)
    with upstream.hold(after_events=None):
        with proxied.stream("POST", path, json=body) as response:
            assert any(last in line for line in response.iter_lines())
        upstream.wait_until_left()
    assert outcome(proxied.post(path, json=body)) == "hit"
    assert upstream.count == 1


def test_a_client_may_leave_a_chat_completion_when_the_model_has_stopped(
    proxied, upstream, monkeypatch
):
    def unfinished(request, answer):
        return [each for each in events_of(request, answer) if each[1] != "[DONE]"]

    events_of = chat_completions.events_of
    monkeypatch.setattr(chat_completions, "events_of", unfinished)
    path, body = chat(QUESTION, stream=True)
    with upstream.hold(after_events=None):
        with proxied.stream("POST", path, json=body) as response:
            assert any("stop" in line for line in response.iter_lines())
        upstream.wait_until_left()
    assert outcome(proxied.post(path, json=body)) == "hit"
    assert upstream.count == 1


# What is stored


@pytest.mark.parametrize("reason", ["length", "content_filter"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_did_not_end_well_is_not_stored(ask, upstream, reason, stream):
    upstream.finish_next(reason)
    assert outcome(ask(stream=stream)) == "miss"
    assert outcome(ask(stream=stream)) == "miss"
    assert upstream.count == 2


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_of_a_tool_is_found_by_the_same_question_only(ask, upstream, stream):
    upstream.call_tool_next("f", x=1)
    first = ask(stream=stream)
    assert outcome(ask(stream=stream)) == "hit"
    assert outcome(ask(PARAPHRASE, stream=stream)) == "miss"
    assert "f" in first.text
    assert upstream.count == 2


def test_an_error_of_the_upstream_is_passed_on_and_not_stored(ask, upstream):
    upstream.fail_next(429, headers={"retry-after": "7"})
    refused = ask()
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "7"
    assert "The upstream fails with 429." in refused.text
    assert refused.json().keys() <= {"error", "type", "request_id"}
    assert outcome(ask()) == "miss"


def test_an_answer_of_another_form_is_passed_on_and_not_stored(ask, upstream):
    body = {
        "choices": [{"finish_reason": ["stop"]}],
        "stop_reason": ["end_turn"],
        "status": "incomplete",
        "incomplete_details": {"reason": ["none"]},
        "output": [{"type": ["message"]}],
    }
    upstream.fail_next(200, body=body)
    first = ask()
    assert outcome(first) == "miss"
    assert first.json() == body
    assert outcome(ask()) == "miss"


def test_what_is_not_json_is_passed_on_and_not_stored(ask, upstream):
    upstream.fail_next(200, body=b"<html>")
    assert ask().text == "<html>"
    assert outcome(ask()) == "miss"


@pytest.mark.parametrize("stream", [False, True])
def test_a_longer_answer_than_configured_is_passed_on_and_not_stored(
    serve, upstream, configured, stream
):
    proxy = {"upstreams": [{"api": "openai", "url": upstream.openai_url}]}
    with serve(**configured({**proxy, "max_response_bytes": 300})) as client:
        path, body = chat(QUESTION, stream=stream)
        first, second = client.post(path, json=body), client.post(path, json=body)
        assert (outcome(first), outcome(second)) == ("miss", "miss")
        assert len(first.text) > 500
        assert len(first.text) == len(second.text)
        if not stream:
            assert first.json()["choices"] == second.json()["choices"]


def test_a_request_may_bypass_the_cache(ask, upstream):
    ask()
    bypass = {"x-langcache-bypass": "true"}
    assert outcome(ask(headers=bypass)) == "bypass"
    assert outcome(ask("Is it raining?", headers=bypass)) == "bypass"
    assert outcome(ask("Is it raining?")) == "miss"
    assert outcome(ask(headers={"x-langcache-bypass": "false"})) == "hit"
    assert upstream.count == 4


def test_what_bypasses_the_cache_is_not_counted_as_a_lookup(proxied):
    def counted():
        lines = proxied.get("/metrics").text.splitlines()
        return [line for line in lines if line.startswith("langcache_lookups_total{")]

    path, body = chat(QUESTION)
    assert outcome(proxied.post(path, json=body)) == "miss"
    before = counted()
    bypass = {"x-langcache-bypass": "true"}
    assert outcome(proxied.post(path, json=body, headers=bypass)) == "bypass"
    path, body = responses(QUESTION, conversation="conv_1")
    assert outcome(proxied.post(path, json=body)) == "bypass"
    assert counted() == before


def test_the_data_plane_does_not_find_the_answers(proxied):
    path, body = chat(QUESTION)
    proxied.post(path, json=body)
    search = {"prompt": QUESTION, "similarityThreshold": 0}
    assert proxied.post("/v1/caches/proxy/entries/search", json=search).json() == {"data": []}
    search["searchStrategies"] = ["exact"]
    assert proxied.post("/v1/caches/proxy/entries/search", json=search).json() == {"data": []}


def test_answers_are_found_again_after_a_restart(serve, patient, upstream, tmp_path):
    settings = Settings(
        proxy_openai=upstream.openai_url, storage=f"sqlite:{tmp_path / 'answers.db'}"
    )
    path, body = chat(QUESTION)
    for expected in ("miss", "hit"):
        with serve(**patient(settings)) as client:
            assert outcome(client.post(path, json=body)) == expected


def test_answers_expire_by_the_clock_of_the_server(serve, patient, upstream):
    day = 86_400  # the TTL of the proxy's answers
    path, body = chat(QUESTION)
    with serve(**patient(Settings(proxy_openai=upstream.openai_url))) as client:

        def ask():
            return outcome(client.post(path, json=body))

        def advance(seconds):
            client.post("/_mock/v1/clock/advance", json={"seconds": seconds}).raise_for_status()

        assert [ask(), ask()] == ["miss", "hit"]
        for _ in range(2):
            advance(day - 60)
            assert ask() == "hit"
            advance(61)
            assert [ask(), ask()] == ["miss", "hit"]


@pytest.mark.parametrize(
    ("scope", "encoding"),
    [("acme", "utf-8"), ("a, b", "utf-8"), ("模" * 256, "utf-8"), ("Zoë", "latin-1")],
)
def test_answers_are_deleted_by_scope(proxied, scope, encoding):
    headers = {"x-langcache-scope": scope.encode(encoding)}
    path, body = chat(QUESTION)
    asked = [outcome(proxied.post(path, json=body, headers=headers)) for _ in range(2)]
    assert asked == ["miss", "hit"]
    attributes = {"attributes": {"scope": scope}}
    deleted = proxied.request("DELETE", "/v1/caches/proxy/entries", json=attributes)
    assert deleted.json() == {"deletedEntriesCount": 1}
    assert outcome(proxied.post(path, json=body, headers=headers)) == "miss"


# Concurrency and failures


@pytest.mark.parametrize("stream", [False, True])
def test_equal_requests_at_once_reach_the_upstream_once(proxied, upstream, stream):
    path, body = chat(QUESTION, stream=stream)
    with ThreadPoolExecutor(50) as pool:
        with upstream.hold():
            asked = [pool.submit(proxied.post, path, json=body) for _ in range(50)]
            upstream.wait_for(1)
        answers = [each.result() for each in asked]
    assert upstream.count == 1
    assert sorted(map(outcome, answers)) == ["hit"] * 49 + ["miss"]
    assert len({json.dumps(_without_usage(each.json())) for each in answers if not stream}) < 2


def test_a_failure_of_one_of_equal_requests_does_not_fail_the_others(proxied, upstream):
    path, body = chat(QUESTION)
    upstream.fail_next(500)
    with ThreadPoolExecutor(2) as pool:
        with upstream.hold():
            first = pool.submit(proxied.post, path, json=body)
            upstream.wait_for(1)
            second = pool.submit(proxied.post, path, json=body)
        statuses = sorted([first.result().status_code, second.result().status_code])
    assert statuses == [200, 500]


class BrokenStorage(InMemoryStorage):
    """A storage that fails when it is asked for anything of a cache."""

    def is_quick(self, scope):
        return False

    def get(self, *args, **kwargs):
        raise StorageError("down")

    store = search_top = record = get


def test_a_storage_that_is_down_fails_no_request(serve, upstream):
    settings = Settings(proxy_openai=upstream.openai_url)
    with serve(settings, storage=BrokenStorage()) as client:
        path, body = chat(QUESTION)
        for _ in range(2):
            response = client.post(path, json=body)
            assert outcome(response) == "bypass"
            assert "Answer" in response.json()["choices"][0]["message"]["content"]


def test_an_upstream_that_cannot_be_reached_is_a_502(serve, free_port):
    settings = Settings(proxy_openai=f"http://127.0.0.1:{free_port}/v1")
    with serve(settings) as client:
        path, body = chat(QUESTION)
        response = client.post(path, json=body)
    assert response.status_code == 502
    assert response.json()["error"]["message"] == "the upstream cannot be reached: ConnectError"


def test_a_redirect_of_the_upstream_is_not_followed(ask, upstream):
    upstream.fail_next(307, headers={"location": f"{upstream.url}/v1/elsewhere"})
    assert ask().status_code == 307
    assert upstream.count == 1


# What is passed on


def test_the_upstream_gets_the_request_as_it_came(proxied, upstream):
    path, body = messages(QUESTION)
    content = json.dumps(body, indent=3).encode()
    proxied.post(
        f"{path}?beta=true",
        content=content,
        headers={
            "content-type": "application/json",
            "anthropic-version": "2023-06-01",
            "cookie": "secret=1",
            "x-forwarded-for": "10.0.0.1",
            "x-langcache-scope": "tenant",
            "x-own": "1",
            "te": "trailers",
            "connection": "x-own",
            "x-stainless-lang": "python",
        },
    )
    [received] = upstream.requests
    assert received.body == body
    assert received.headers["content-length"] == str(len(content))
    assert received.headers["anthropic-version"] == "2023-06-01"
    assert received.headers["authorization"] == proxied.headers["authorization"]
    assert received.headers["x-stainless-lang"] == "python"
    refused = {"cookie", "x-forwarded-for", "x-langcache-scope", "x-own", "te"}
    assert not refused & received.headers.keys()
    assert received.headers["host"] == upstream.url.removeprefix("http://")


def test_the_client_gets_the_headers_of_the_upstream_that_are_for_it(ask):
    first, second = ask(headers={"x-request-id": "mine"}), ask()
    assert first.headers["x-ratelimit-remaining"] == "99"
    assert first.headers["x-upstream-request-id"].startswith("req_")
    assert first.headers["x-request-id"] == "mine"
    assert "set-cookie" not in first.headers
    assert "x-ratelimit-remaining" not in second.headers
    assert "x-upstream-request-id" not in second.headers


def test_the_first_upstream_that_answers_for_a_model_is_asked(serve, upstream, configured):
    other = {"api": "openai", "url": "http://127.0.0.1:9/v1", "models": ["other-", "another-"]}
    mine = {"api": "openai", "url": upstream.openai_url, "models": ["m"]}
    with serve(**configured({"upstreams": [other, mine]})) as client:
        path, body = chat(QUESTION)
        assert outcome(client.post(path, json=body)) == "miss"
        assert client.post(path, json={**body, "model": "other-1"}).status_code == 502
        unknown = client.post(path, json={**body, "model": "x"})
        assert unknown.status_code == 404
        assert unknown.json()["error"]["message"] == (
            "model: must be one that an upstream answers for"
        )
        path, body = messages(QUESTION)
        unknown = client.post(path, json=body)
        assert unknown.status_code == 404
        assert unknown.json()["error"]["type"] == "not_found_error"


def test_an_address_in_a_request_leads_nowhere(proxied, upstream):
    path, body = chat(QUESTION, base_url="http://169.254.169.254/", api_base="http://10.0.0.1")
    headers = {"host": "169.254.169.254", "x-forwarded-host": "10.0.0.1"}
    assert proxied.post(path, json=body, headers=headers).status_code == 200
    assert upstream.count == 1


# Refused requests


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "model: is required"),
        ({"model": 1}, "model: must be of type string, got 1"),
        ({"model": "m", "stream": 1}, "stream: must be of type null, boolean, got 1"),
    ],
)
def test_a_malformed_request_is_refused_in_the_providers_form(proxied, upstream, body, message):
    openai = proxied.post("/v1/chat/completions", json=body)
    assert openai.status_code == 400
    assert openai.json() == {
        "error": {
            "message": message,
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
    }
    anthropic = proxied.post("/v1/messages", json=body)
    assert anthropic.status_code == 400
    assert anthropic.json() == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": message},
        "request_id": anthropic.headers["x-request-id"],
    }
    assert upstream.count == 0


def test_a_body_with_a_name_given_twice_is_refused(proxied, upstream):
    """The upstream could read another value than the cache."""
    body = b'{"model": "m", "messages": [], "messages": []}'
    assert proxied.post("/v1/chat/completions", content=body).status_code == 400
    assert upstream.count == 0


def test_a_body_that_is_too_large_is_refused(serve, upstream):
    settings = Settings(proxy_openai=upstream.openai_url, max_body_bytes=200)
    with serve(settings) as client:
        path, body = chat(QUESTION * 20)
        response = client.post(path, json=body)
    assert response.status_code == 413
    assert response.json()["error"]["message"] == "the body may have at most 200 bytes"
    assert upstream.count == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"x-langcache-bypass": "yes"},
        {"x-langcache-scope": ""},
        {"x-langcache-scope": "x" * 257},
    ],
)
def test_a_malformed_header_for_the_cache_is_refused(ask, upstream, headers):
    response = ask(headers=headers)
    assert response.status_code == 400
    assert next(iter(headers)) in response.text
    assert upstream.count == 0


def test_a_request_without_a_key_is_refused(proxied, upstream):
    for path, body in (chat(QUESTION), messages(QUESTION)):
        response = httpx.post(f"{proxied.base_url}{path}", json=body, trust_env=False)
        assert response.status_code == 401
        assert "an API key is required" in response.text
    assert upstream.count == 0


def test_without_upstreams_there_is_no_proxy(http):
    for path, body in (chat(QUESTION), responses(QUESTION), messages(QUESTION)):
        assert http.post(path, json=body).status_code == 404


def test_long_requests_and_answers_are_cached_too(proxied, upstream):
    path, body = chat(QUESTION, earlier=["Some earlier words. " * 2000])
    assert outcome(proxied.post(path, json=body)) == "miss"
    path, paraphrase = chat(PARAPHRASE, earlier=["Some earlier words. " * 2000])
    assert outcome(proxied.post(path, json=paraphrase)) == "hit"
    path, other = chat(PARAPHRASE, earlier=["Other earlier words. " * 2000])
    assert outcome(proxied.post(path, json=other)) == "miss"
    path, body = chat("Say it again: " + "no number. " * 3000)
    first, second = proxied.post(path, json=body), proxied.post(path, json=body)
    assert outcome(second) == "hit"
    assert second.json()["choices"] == first.json()["choices"]


def test_a_cache_that_hangs_takes_no_more_than_its_budget(serve, upstream, configured):
    released = threading.Event()

    class Hanging(InMemoryStorage):
        def is_quick(self, scope):
            return False

        def get(self, *args):
            released.wait(60)

    arguments = configured({"upstreams": [{"api": "openai", "url": upstream.openai_url}]})
    proxy = replace(arguments["configuration"].proxy, budget_seconds=0.01)
    arguments["configuration"] = replace(arguments["configuration"], proxy=proxy)
    try:
        with serve(**arguments, storage=Hanging()) as client:
            path, body = chat(QUESTION)
            assert outcome(client.post(path, json=body)) == "miss"
    finally:
        released.set()


def test_an_upstream_that_takes_too_long_is_a_504(serve, upstream, configured):
    arguments = configured({"upstreams": [{"api": "openai", "url": upstream.openai_url}]})
    proxy = replace(arguments["configuration"].proxy, timeout_seconds=0.2)
    arguments["configuration"] = replace(arguments["configuration"], proxy=proxy)
    with upstream.hold(), serve(**arguments) as client:
        path, body = chat(QUESTION)
        response = client.post(path, json=body)
    assert response.status_code == 504
    assert response.json()["error"]["message"] == "the upstream took too long to answer"
