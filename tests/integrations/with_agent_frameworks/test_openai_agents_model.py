"""Models of the OpenAI Agents SDK."""

import asyncio
import copy

import event_loops
import openai
import pytest
from agents import (
    Agent,
    ModelSettings,
    ModelTracing,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from model_doors import ASKED, PARAPHRASE, ModelDoor, ModelDoorTests, without
from pydantic import BaseModel

import langcache

set_tracing_disabled(True)


@function_tool
def clock(zone: str) -> str:
    """Tell the time."""
    return f"noon in {zone}"


def bare_model(upstream, kind=OpenAIResponsesModel, name="gpt-4o-mini"):
    client = openai.AsyncOpenAI(
        base_url=upstream.openai_url,
        api_key="key",
        max_retries=0,
        # Reads no certificates, which takes longer than most tests.
        http_client=openai.DefaultAsyncHttpxClient(verify=False),
    )
    return kind(name, client)


class Door(ModelDoor):
    kind = OpenAIResponsesModel

    def call(
        self, text=ASKED, *, earlier=(), stream=False, with_tool=False, model="gpt-4o-mini", **more
    ):
        cached = langcache.wrap(bare_model(self.upstream, self.kind, model), cache=self.cache)
        system = "\n".join(each for role, each in earlier if role == "system") or None
        pairs = [*(each for each in earlier if each[0] != "system"), ("user", text)]
        return (cached.stream_response if stream else cached.get_response)(
            system,
            [{"role": role, "content": content} for role, content in pairs],
            ModelSettings(**more),
            [clock] if with_tool else [],
            None,
            [],
            ModelTracing.DISABLED,
            previous_response_id=None,
            conversation_id=None,
            prompt=None,
        )

    async def aask(self, *args, stream=False, **changes):
        result = self.call(*args, stream=stream, **changes)
        return [copy.deepcopy(event) async for event in result] if stream else await result

    async def leave_stream(self):
        stream = self.call(stream=True)
        await anext(stream)
        await stream.aclose()

    def plain(self, result):
        if hasattr(result, "to_dict"):
            return without(result.to_dict(), "usage", "created_at", "id")
        return without([item.to_dict() for item in result.output], "id")

    def tokens(self, result):
        return result.usage.total_tokens


class TestResponses(ModelDoorTests):
    @pytest.fixture
    def door(self, upstream, answers):
        return Door(upstream, answers)


@pytest.fixture(params=[OpenAIResponsesModel, OpenAIChatCompletionsModel])
def model(request, upstream, answers):
    return langcache.wrap(bare_model(upstream, request.param), cache=answers)


@pytest.fixture
def run():
    """Run an agent, always in the same event loop: a connection belongs to its own."""
    loop = asyncio.new_event_loop()

    async def main(agent, question, *, stream=False, **arguments):
        if not stream:
            return await Runner.run(agent, question, **arguments)
        result = Runner.run_streamed(agent, question, **arguments)
        events = [event async for event in result.stream_events()]
        result.texts = [
            event.data.delta
            for event in events
            if event.type == "raw_response_event" and hasattr(event.data, "delta")
        ]
        return result

    yield lambda *args, **arguments: loop.run_until_complete(main(*args, **arguments))
    event_loops.close(loop)


@pytest.mark.parametrize("stream", [False, True])
def test_an_agent_is_answered_from_the_cache(run, model, upstream, stream):
    agent = Agent(name="support", instructions="Be brief.", model=model)
    first = run(agent, ASKED, stream=stream)
    again = run(agent, PARAPHRASE, stream=stream)
    assert again.final_output == first.final_output
    assert upstream.count == 1
    assert again.context_wrapper.usage.total_tokens == 0
    if stream:
        assert again.texts == first.texts
        assert len(first.texts) > 3
    run(agent.clone(instructions="Be polite."), ASKED, stream=stream)
    assert upstream.count == 2


def test_a_hit_tells_how_it_was_found(run, upstream, answers):
    agent = Agent(name="support", model=langcache.wrap(bare_model(upstream), cache=answers))
    run(agent, ASKED)
    hit = run(agent, PARAPHRASE).raw_responses[-1].langcache
    assert hit.source == "similar"
    assert hit.saved["total_tokens"] > 0


def test_a_run_can_be_explained(run, model, answers, upstream):
    agent = Agent(name="support", instructions="Be brief.", model=model)
    assert answers.explain(Runner.run, agent, ASKED).outcome == "miss"
    run(agent, ASKED)
    found = asyncio.run(answers.aexplain(Runner.run, agent, PARAPHRASE))
    assert (found.outcome, found.question) == ("hit", PARAPHRASE)
    other = agent.clone(instructions="Be polite.")
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # `run_sync` of early releases needs one
    try:
        assert answers.explain(Runner.run_sync, other, ASKED).scope != found.scope
    finally:
        asyncio.set_event_loop(None)
        event_loops.close(loop)
    assert upstream.count == 1


@pytest.mark.parametrize("stream", [False, True])
def test_only_a_hit_for_the_same_question_can_be_continued_by_its_id(
    run, upstream, answers, stream
):
    agent = Agent(name="support", model=langcache.wrap(bare_model(upstream), cache=answers))
    first = run(agent, ASKED, stream=stream)
    assert first.last_response_id
    assert run(agent, ASKED, stream=stream).last_response_id == first.last_response_id
    assert run(agent, PARAPHRASE, stream=stream).last_response_id is None
    run(agent, "And then?", stream=stream, previous_response_id=first.last_response_id)
    assert upstream.bodies[-1]["previous_response_id"] == first.last_response_id
    assert upstream.count == 2


@pytest.mark.parametrize("stream", [False, True])
def test_an_agent_calls_its_tool_again(run, model, upstream, stream):
    times = []

    @function_tool
    def clock(zone: str) -> str:
        """Tell the time."""
        times.append(zone)
        return "noon"

    agent = Agent(name="support", model=model, tools=[clock])
    upstream.call_tool_next("clock", zone="UTC")
    first = run(agent, "What time is it?", stream=stream)
    assert upstream.count == 2
    assert run(agent, "What time is it?", stream=stream).final_output == first.final_output
    assert upstream.count == 2
    assert times == ["UTC", "UTC"]


def test_a_response_that_the_provider_does_not_keep_is_for_runs_that_need_no_other(
    run, upstream, answers
):
    model = langcache.wrap(bare_model(upstream), cache=answers)
    for store in (False, None, True, False):
        run(Agent(name="support", model=model, model_settings=ModelSettings(store=store)), ASKED)
    assert [each.get("store") for each in upstream.bodies] == [False, None]


def test_a_conversation_that_the_provider_keeps_is_not_cached(run, upstream, answers):
    agent = Agent(name="support", model=langcache.wrap(bare_model(upstream), cache=answers))
    for _ in range(2):
        run(agent, ASKED, previous_response_id="resp_7")
    assert upstream.count == 2


def test_an_output_of_a_type_belongs_to_the_scope(run, model, upstream):
    class Verdict(BaseModel):
        right: bool

    agent = Agent(name="support", model=model)
    run(agent, ASKED)
    with pytest.raises(Exception, match="Invalid JSON"):  # the upstream does not know the type
        run(agent.clone(output_type=Verdict), ASKED)
    assert upstream.count == 2


@pytest.mark.parametrize("reason", ["length", "content_filter"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_of_chat_completions_that_was_cut_off_is_not_stored(
    run, upstream, answers, reason, stream
):
    model = langcache.wrap(bare_model(upstream, OpenAIChatCompletionsModel), cache=answers)
    agent = Agent(name="support", model=model)
    upstream.finish_next(reason)
    cut = run(agent, ASKED, stream=stream)
    assert run(agent, ASKED, stream=stream).final_output != cut.final_output
    assert upstream.count == 2


def test_the_arguments_are_checked(upstream, answers):
    with pytest.raises(TypeError, match="client: must be a client of agents, anthropic"):
        langcache.wrap("gpt-5", cache=answers)
    with pytest.raises(TypeError, match="cache: must be an AnswerCache, got str"):
        langcache.wrap(bare_model(upstream), cache="memory")
