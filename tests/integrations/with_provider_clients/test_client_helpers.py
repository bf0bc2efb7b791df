"""Helpers of the clients that send the same requests, and parts that are not cached."""

import asyncio
import json

import httpx
import pytest
from pydantic import BaseModel
from wrapped_clients import ASKED, HAS_OPENAI, PARAPHRASE, AsyncDoor, open_door

import langcache


class Reply(BaseModel):
    text: str


def events_of(door, manager):
    """Return the events of a streaming helper, and its final answer."""
    if isinstance(door, AsyncDoor):

        async def collected():
            async with manager as stream:
                return [event async for event in stream], await final(stream)

        return door.wait(collected())
    with manager as stream:
        return list(stream), final(stream)


def final(stream):
    for name in ("get_final_completion", "get_final_response", "get_final_message"):
        if hasattr(stream, name):
            return getattr(stream, name)()
    raise AssertionError(type(stream))


def test_the_streaming_helper_is_cached(door, upstream):
    helper = door.create.__self__.stream
    events, answer = events_of(door, helper(**door.kwargs()))
    again, answer_again = events_of(door, helper(**door.kwargs(PARAPHRASE)))
    assert upstream.count == 1
    assert [event.type for event in events] == [event.type for event in again]
    assert answer.id == answer_again.id
    # It is the same request as a stream of `create`.
    door.ask(PARAPHRASE, stream=True)
    assert upstream.count == 1


def test_a_parsed_answer_is_cached(door, upstream, monkeypatch):
    owner = door.create.__self__
    if not hasattr(owner, "parse"):
        pytest.skip("this release has no parse")
    forms = {"chat": "response_format", "responses": "text_format", "messages": "output_format"}
    kind = "messages" if "max_tokens" in door.arguments else "chat"
    kind = "responses" if door.messages == "input" else kind
    text = '{"text": "by mail"}'
    monkeypatch.setattr("upstream.server.answer_to", with_text(text))
    results = [
        door.wait(owner.parse(**door.kwargs(asked, **{forms[kind]: Reply})))
        for asked in (ASKED, PARAPHRASE)
    ]
    assert upstream.count == 1
    assert [parsed(each) for each in results] == [Reply(text="by mail")] * 2


def with_text(text):
    from upstream.answer import Answer

    def answer(request, number, *, finish, tool):
        return Answer(number, text, finish, tool)

    return answer


def parsed(result):
    if hasattr(result, "choices"):
        return result.choices[0].message.parsed
    return result.output_parsed if hasattr(result, "output_parsed") else result.parsed_output


@pytest.mark.skipif(not HAS_OPENAI, reason="it is about OpenAI's client")
def test_a_response_that_the_provider_does_not_keep_is_for_calls_that_need_no_other(
    upstream, answers
):
    with open_door("responses sync", upstream) as door:
        door.wrap(answers)
        unkept = door.ask(store=False)
        assert door.ask().id != unkept.id
        assert door.ask(store=False).id == unkept.id
        assert door.ask(store=True).id == door.ask().id
    assert upstream.count == 2


def test_the_beta_messages_are_cached_and_other_beta_resources_are_not(door, upstream):
    beta = door.client.beta
    has_messages = hasattr(beta, "messages")
    owner = beta.messages if has_messages else beta.chat.completions
    for asked in (ASKED, PARAPHRASE):
        messages = [{"role": "user", "content": asked}]
        door.wait(owner.create(messages=messages, **door.arguments))
    assert upstream.count == (1 if has_messages else 2)


def test_beta_features_are_a_scope_of_their_own(door, upstream):
    beta = door.client.beta
    if hasattr(beta, "messages"):
        for betas in (["one"], ["two"], ["one"]):
            door.wait(beta.messages.create(**door.kwargs(), betas=betas))
        events, _ = events_of(door, beta.messages.stream(**door.kwargs(), betas=["one"]))
        again, _ = events_of(door, beta.messages.stream(**door.kwargs(PARAPHRASE), betas=["one"]))
        assert [event.type for event in events] == [event.type for event in again]
        assert upstream.count == 2


def test_the_client_as_a_context_manager_and_its_raw_form_pass_through(door, upstream):
    owner = door.client.with_raw_response
    for name in door._method.split(".")[:-1]:
        owner = getattr(owner, name)
    for _ in range(2):
        assert door.wait(owner.create(**door.kwargs())).headers["x-request-id"]
    assert upstream.count == 2


def test_another_client_is_refused(door, answers):
    module = type(door.bare).__module__.partition(".")[0]
    other = {"openai": "anthropic", "anthropic": "openai"}[module]
    wrap = pytest.importorskip(f"langcache.integrations.{other}", exc_type=ImportError).wrap
    with pytest.raises(TypeError, match="client: must be an"):
        wrap(door.bare, cache=answers)
    with pytest.raises(ValueError, match="pace: must be from 0"):
        langcache.wrap(door.bare, cache=answers, pace=-1)


@pytest.mark.skipif(not HAS_OPENAI, reason="needs openai")
@pytest.mark.parametrize("is_async", [False, True])
def test_what_comes_after_the_last_event_of_a_stream_changes_nothing(answers, is_async):
    import openai

    from langcache.integrations.openai import wrap

    ended = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    events = [{"type": "response.created", "response": {}}, ended, {"type": "some.limits"}]
    body = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events)
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers={"content-type": "text/event-stream"}, text=body)
    )
    arguments = {"model": "m", "input": "How do I reset my password?", "stream": True}

    async def read():
        async with httpx.AsyncClient(transport=transport) as http:
            bare = openai.AsyncOpenAI(api_key="k", base_url="http://x", http_client=http)
            client = wrap(bare, cache=answers)
            return [event.type async for event in await client.responses.create(**arguments)]

    if is_async:
        found = asyncio.run(read())
    else:
        with httpx.Client(transport=transport) as http:
            bare = openai.OpenAI(api_key="k", base_url="http://x", http_client=http)
            client = wrap(bare, cache=answers)
            found = [event.type for event in client.responses.create(**arguments)]
    assert found == [each["type"] for each in events]
    assert (answers.statistics.stores, answers.statistics.skipped) == (1, 0)
