"""Pydantic AI's models, with OpenAI's as the real one."""

import asyncio
import dataclasses

import event_loops
import openai
import pytest
from model_doors import ASKED, PARAPHRASE, ModelDoor, ModelDoorTests, without
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import (
    BinaryContent,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition

import langcache
from langcache.integrations.pydantic_ai import CachedModel
from langcache.integrations.pydantic_ai.requests import ProfileText


def bare_model(upstream, name="gpt-4o-mini", **settings):
    client = openai.AsyncOpenAI(
        base_url=upstream.openai_url,
        api_key="key",
        max_retries=0,
        # Reads no certificates, which takes longer than most tests.
        http_client=openai.DefaultAsyncHttpxClient(verify=False),
    )
    return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client), settings=settings)


def message(role, text):
    if role == "assistant":
        return ModelResponse(parts=[TextPart(text)])
    part = SystemPromptPart if role == "system" else UserPromptPart
    return ModelRequest(parts=[part(text)])


class Door(ModelDoor):
    def call(self, text=ASKED, *, earlier=(), with_tool=False, model="gpt-4o-mini", **settings):
        cached = langcache.wrap(bare_model(self.upstream, model), cache=self.cache)
        messages = [message(*each) for each in (*earlier, ("user", text))]
        tools = [ToolDefinition(name="clock")] if with_tool else []
        return cached, (messages, settings, ModelRequestParameters(function_tools=tools))

    async def aask(self, *args, stream=False, **changes):
        model, arguments = self.call(*args, **changes)
        if not stream:
            return await model.request(*arguments)
        async with model.request_stream(*arguments) as response:
            events = [dataclasses.replace(event) async for event in response]
            return [*events, response.get()]

    async def leave_stream(self):
        model, arguments = self.call()
        async with model.request_stream(*arguments) as response:
            async for _ in response:
                break

    def plain(self, result):
        return without(dataclasses.asdict(result), "timestamp", "usage", "cost")

    def tokens(self, result):
        return result.usage.total_tokens


class TestPydanticAI(ModelDoorTests):
    @pytest.fixture
    def door(self, upstream, answers):
        return Door(upstream, answers)


@pytest.fixture
def model(upstream, answers):
    return CachedModel(bare_model(upstream), cache=answers)


@pytest.fixture
def run():
    """Run an agent, always in the same event loop: a connection belongs to its own."""
    loop = asyncio.new_event_loop()

    async def main(agent, *asked, **arguments):
        return await agent.run(*asked, **arguments)

    yield lambda *args, **arguments: loop.run_until_complete(main(*args, **arguments))
    event_loops.close(loop)


def test_an_agent_is_answered_from_the_cache(run, model, upstream):
    agent = Agent(model, instructions="Be brief.")
    first, again = run(agent, ASKED), run(agent, PARAPHRASE)
    assert first.output == again.output
    assert upstream.count == 1
    hit = again.all_messages()[-1].langcache
    assert hit.source == "similar"
    assert hit.saved["input_tokens"] > 0
    other = Agent(model, instructions="Be polite.")
    run(other, ASKED)
    assert upstream.count == 2
    run(agent, "And now?", message_history=first.all_messages())
    run(agent, "And now?", message_history=again.all_messages())
    assert upstream.count == 4  # the question before was another one
    run(agent, "And now?", message_history=first.all_messages())
    assert upstream.count == 4


def test_an_agent_streams_from_the_cache(model, upstream):
    agent = Agent(model, instructions="Be brief.")

    async def read(question):
        async with agent.run_stream(question) as result:
            return [piece async for piece in result.stream_text(delta=True, debounce_by=None)]

    first = asyncio.run(read(ASKED))
    assert asyncio.run(read(PARAPHRASE)) == first
    assert len(first) > 3
    assert upstream.count == 1


def test_a_run_can_be_explained(run, model, answers, upstream):
    agent = Agent(model, instructions="Be brief.")
    assert answers.explain(agent.run_sync, ASKED).outcome == "miss"
    run(agent, ASKED)
    found = answers.explain(agent.run_sync, PARAPHRASE)
    assert (found.outcome, found.question) == ("hit", PARAPHRASE)
    assert asyncio.run(answers.aexplain(agent.run, PARAPHRASE)).scope == found.scope
    # A stream is stored separately.
    assert asyncio.run(answers.aexplain(agent.run_stream, ASKED)).outcome == "miss"
    assert upstream.count == 1


def test_an_agent_calls_its_tool_again(run, model, upstream):
    times = []
    agent = Agent(model)

    @agent.tool_plain
    def clock(zone: str) -> str:
        """Tell the time."""
        times.append(zone)
        return "noon"

    upstream.call_tool_next("clock", zone="UTC")
    first = run(agent, "What time is it?")
    assert upstream.count == 2
    assert run(agent, "What time is it?").output == first.output
    assert upstream.count == 2
    assert times == ["UTC", "UTC"]


def test_an_output_of_a_type_is_answered_by_the_same_call_only(run, model, upstream):
    class Verdict(BaseModel):
        right: bool

    agent = Agent(model, output_type=Verdict)
    for asked in ("Is it right?", "Is it right?", "Is this right?"):
        upstream.call_tool_next("final_result", right=True)
        assert run(agent, asked).output == Verdict(right=True)
    assert upstream.count == 2


def test_an_image_is_answered_by_the_same_call_only(run, model, upstream):
    agent = Agent(model)
    image = BinaryContent(b"\x89PNG", media_type="image/png")
    for text in (ASKED, ASKED, PARAPHRASE):
        run(agent, [text, image])
    assert upstream.count == 2
    for text in (ASKED, PARAPHRASE):
        run(agent, [text])
    assert upstream.count == 3


def test_a_model_that_falls_back_on_others_is_cached(run, upstream, answers):
    def agent(*settings):
        models = [bare_model(upstream, **each) for each in settings]
        return Agent(CachedModel(WrapperModel(FallbackModel(*models)), cache=answers))

    for _ in range(2):
        run(agent({}, {}), ASKED)
        run(agent({}, {}), PARAPHRASE)
        run(agent({"temperature": 0.5}, {}), ASKED)
        run(agent({}, {"temperature": 0.5}), ASKED)
    assert [each.get("temperature") for each in upstream.bodies] == [None, 0.5, None]


def test_it_stands_for_the_model(run, model, upstream, answers):
    assert model.model_name == "gpt-4o-mini"
    assert model.system == "openai"
    with pytest.raises(TypeError, match="cache: must be an AnswerCache, got str"):
        CachedModel("openai:gpt-5", cache="memory")
    other = CachedModel(bare_model(upstream, max_tokens=7), cache=answers)
    run(Agent(model), ASKED)
    run(Agent(other), ASKED)
    assert upstream.count == 2


@dataclasses.dataclass
class Profile:
    plain: object = True
    inner: object = None


@pytest.mark.parametrize(
    ("profile", "change"),
    [
        ({"plain": True}, lambda profile: profile.update(plain=1)),
        ({"plain": True}, lambda profile: profile.update(more=True)),
        ({"inner": {"a": 1}}, lambda profile: profile["inner"].update(a=2)),
        ({"inner": [1]}, lambda profile: profile["inner"].append(2)),
        ({"inner": ([1],)}, lambda profile: profile["inner"][0].append(2)),
        (Profile(), lambda profile: setattr(profile, "plain", 1)),
        (Profile(inner=Profile()), lambda profile: setattr(profile.inner, "plain", 1)),
    ],
)
def test_the_text_of_a_profile_changes_with_it(profile, change):
    text = ProfileText()
    first = text.of(profile)
    assert text.of(profile) == first
    change(profile)
    assert text.of(profile) == ProfileText().of(profile) != first
