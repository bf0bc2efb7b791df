"""LlamaIndex's models, with OpenAI's as the real one."""

import asyncio
import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import event_loops
import openai
import pytest
from llama_index.core import PromptTemplate, Settings, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import (
    ChatMessage,
    CompletionResponse,
    CustomLLM,
    ImageBlock,
    LLMMetadata,
    TextBlock,
)
from llama_index.core.schema import TextNode
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from model_doors import ASKED, PARAPHRASE, ModelDoor, ModelDoorTests, without
from pydantic import BaseModel, PrivateAttr

import langcache

TOOL = {
    "type": "function",
    "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}},
}

PNG = b"\x89PNG\r\n\x1a\n"


def model_of(upstream, **settings):
    # Reads no certificates, which takes longer than most tests.
    clients = {
        "http_client": openai.DefaultHttpxClient(verify=False),
        "async_http_client": openai.DefaultAsyncHttpxClient(verify=False),
    }
    where = {"api_base": upstream.openai_url, "api_key": "key", "max_retries": 0}
    return OpenAI(**{"model": "gpt-4o-mini", **where, **clients, **settings})


class ChatDoor(ModelDoor):
    def __init__(self, upstream, cache, prefix):
        super().__init__(upstream, cache)
        self.prefix = prefix

    def call(self, text=ASKED, *, earlier=(), stream=False, with_tool=False, **settings):
        model = langcache.wrap(model_of(self.upstream, **settings), cache=self.cache)
        pairs = [*earlier, ("user", text)]
        messages = [ChatMessage(role=role, content=each) for role, each in pairs]
        arguments = {"tools": [TOOL]} if with_tool else {}
        name = self.prefix + ("stream_chat" if stream else "chat")
        return getattr(model, name)(messages, **arguments)

    def ask(self, *args, stream=False, **changes):
        result = self.call(*args, stream=stream, **changes)
        return [snapshot(each) for each in result] if stream else result

    async def leave_stream(self):
        stream = self.call(stream=True)
        next(stream)
        stream.close()

    def gather(self, count, *, stream):
        with ThreadPoolExecutor(count) as pool:
            calls = [pool.submit(self.ask, stream=stream) for _ in range(count)]
            return [each.exception() or each.result() for each in calls]

    def plain(self, result):
        counts = ("usage", "prompt_tokens", "completion_tokens", "total_tokens")
        return type(result.raw), without(result.model_dump(), "langcache", *counts)

    def tokens(self, result):
        assert result.raw.usage.total_tokens == result.additional_kwargs["total_tokens"]
        return result.raw.usage.total_tokens


def snapshot(response):
    """A copy: OpenAI's model goes on to change what it has returned."""
    return response.model_copy(deep=True)


class AsyncChatDoor(ChatDoor):
    ask, gather = ModelDoor.ask, ModelDoor.gather

    async def aask(self, *args, stream=False, **changes):
        result = await self.call(*args, stream=stream, **changes)
        return [snapshot(each) async for each in result] if stream else result

    async def leave_stream(self):
        stream = await self.call(stream=True)
        await anext(stream)
        await stream.aclose()


class TestChat(ModelDoorTests):
    @pytest.fixture(params=["", "a"], ids=["sync", "async"])
    def door(self, request, upstream, answers):
        kind = AsyncChatDoor if request.param else ChatDoor
        return kind(upstream, answers, request.param)


@pytest.fixture
def model(upstream, answers):
    return langcache.wrap(model_of(upstream), cache=answers)


@pytest.fixture(params=["", "a"], ids=["sync", "async"])
def called(request):
    """Call a method, sync or its asynchronous twin, and read a stream to its end."""
    loop = asyncio.new_event_loop()

    def call(owner, name, *args, **arguments):
        if not request.param:
            result = getattr(owner, name)(*args, **arguments)
            return list(result) if "stream" in name else result

        async def main():
            result = await getattr(owner, f"a{name}")(*args, **arguments)
            return [each async for each in result] if "stream" in name else result

        return loop.run_until_complete(main())

    yield call
    event_loops.close(loop)


@pytest.mark.parametrize("name", ["complete", "stream_complete"])
def test_completions_are_cached(called, model, upstream, name):
    first = called(model, name, ASKED)
    again = called(model, name, PARAPHRASE)
    assert upstream.count == 1
    assert str(first) == str(again)
    called(model, name, "How do I enable dark mode?")
    called(model, name, "How do I disable dark mode?")
    assert upstream.count == 3


def test_a_prompt_that_is_formatted_is_found_as_a_whole(model, upstream):
    for prompt in (ASKED, ASKED, PARAPHRASE):
        model.complete(prompt, formatted=True)
    assert upstream.count == 2


def test_it_stays_a_model_of_its_class(model, upstream, answers):
    bare = model_of(upstream)
    assert isinstance(model, OpenAI)
    assert model.to_dict() == bare.to_dict()
    with pytest.raises(TypeError, match="client: must be a client of"):
        langcache.wrap("gpt-4o-mini", cache=answers)
    bare.complete(ASKED)
    langcache.wrap(bare, cache=answers).complete(ASKED)
    bare.complete(ASKED)
    assert upstream.count == 3


def test_another_process_gets_the_model_without_the_cache(answers, upstream):
    unwrapped = model_of(upstream, http_client=None, async_http_client=None)
    model = langcache.wrap(unwrapped, cache=answers)
    bare = pickle.loads(pickle.dumps(model))
    assert type(bare) is OpenAI
    assert bare.to_dict() == unwrapped.to_dict()
    assert copy.deepcopy(model).complete(ASKED).text == model.complete(PARAPHRASE).text
    assert upstream.count == 1


def test_what_is_changed_in_it_counts(model, upstream):
    model.complete(ASKED)
    model.temperature = 0.9
    model.complete(ASKED)
    assert upstream.bodies[1]["temperature"] == 0.9
    assert upstream.count == 2


def test_the_settings_take_it(called, model, upstream, monkeypatch):
    callbacks = CallbackManager([])
    monkeypatch.setattr(Settings, "_callback_manager", callbacks)
    Settings.llm = model
    monkeypatch.setattr(Settings, "_llm", model)
    asked = PromptTemplate("{question}")
    first = called(Settings.llm, "predict", asked, question=ASKED)
    assert called(Settings.llm, "predict", asked, question=PARAPHRASE) == first
    assert upstream.count == 1


def test_a_query_engine_is_answered_by_the_query(upstream, model, answers):
    engine = SummaryIndex([TextNode(text="Click on Forgot password.")]).as_query_engine(llm=model)
    first = engine.query(ASKED)
    assert "Forgot password" in str(upstream.bodies[0])
    assert str(engine.query(PARAPHRASE)) == str(first)
    assert upstream.count == 1
    other = SummaryIndex([TextNode(text="Call the support.")]).as_query_engine(llm=model)
    other.query(PARAPHRASE)
    assert upstream.count == 2
    with answers.scope(tenant="acme"):
        engine.query(ASKED)
    assert upstream.count == 3


def test_calls_of_the_model_and_queries_can_be_explained(upstream, model, answers):
    engine = SummaryIndex([TextNode(text="Click on Forgot password.")]).as_query_engine(llm=model)
    assert answers.explain(engine.query, ASKED).outcome == "miss"
    engine.query(ASKED)
    found = answers.explain(engine.query, PARAPHRASE)
    assert (found.outcome, found.question) == ("hit", PARAPHRASE)
    alone = answers.explain(model.complete, PARAPHRASE)
    assert (alone.outcome, alone.question) == ("miss", PARAPHRASE)
    assert alone.scope != found.scope
    assert asyncio.run(answers.aexplain(model.acomplete, PARAPHRASE)).scope == alone.scope
    assert upstream.count == 1


def test_lines_of_a_template_do_not_make_questions_alike(model, upstream):
    lines = "Translate the sentence.\nKeep the tone.\nSentence: The {} is broken."
    for word in ("lamp", "lamp", "door"):
        model.chat([ChatMessage(lines.format(word))])
    assert upstream.count == 2


def test_an_image_is_answered_by_the_same_call_only(model, upstream, tmp_path):
    image = ImageBlock(image=PNG)
    for text in (ASKED, ASKED, PARAPHRASE):
        model.chat([ChatMessage([TextBlock(text=text), image])])
    assert upstream.count == 2
    (tmp_path / "screen.png").write_bytes(PNG)
    for _ in range(2):  # a file can change
        model.chat([ChatMessage([TextBlock(text=ASKED), ImageBlock(path=tmp_path / "screen.png")])])
    assert upstream.count == 4


def test_an_agent_calls_its_tool_again(model, upstream):
    times = []

    def clock(zone: str) -> str:
        """Tell the time."""
        times.append(zone)
        return "noon"

    tools = [FunctionTool.from_defaults(clock)]
    for _ in range(2):
        upstream.call_tool_next("clock", zone="UTC")
        answer = model.predict_and_call(tools, "What time is it?")
        assert answer.response == "noon"
    assert times == ["UTC", "UTC"]
    assert upstream.count == 1


def test_a_function_agent(model, upstream):
    def clock(zone: str) -> str:
        """Tell the time."""
        return f"noon in {zone}"

    async def main():
        agent = FunctionAgent(tools=[clock], llm=model, system_prompt="Be brief.")
        return str(await agent.run("What time is it?"))

    upstream.call_tool_next("clock", zone="UTC")
    first = asyncio.run(main())
    assert upstream.count == 2
    assert asyncio.run(main()) == first


def test_structured_output_is_answered_by_the_same_call(upstream, answers):
    model = langcache.wrap(model_of(upstream, model="gpt-3.5-turbo"), cache=answers)

    class Verdict(BaseModel):
        right: bool

    asked = PromptTemplate("Is it right?")
    for _ in range(2):
        upstream.call_tool_next("Verdict", right=True)
        assert model.structured_predict(Verdict, asked) == Verdict(right=True)
    assert upstream.count == 1


class Custom(CustomLLM):
    """A model with no answer of a provider, and with fields of all kinds."""

    _calls: list = PrivateAttr(default_factory=list)
    style: Any = "plain"

    @property
    def metadata(self):
        return LLMMetadata()

    def complete(self, prompt, formatted=False, **kwargs):
        self._calls.append(prompt)
        return CompletionResponse(text=f"answer {len(self._calls)}", raw=object())

    def stream_complete(self, prompt, formatted=False, **kwargs):
        def responses():
            self._calls.append(prompt)
            text = ""
            for piece in ("answer", f" {len(self._calls)}"):
                text += piece
                yield CompletionResponse(text=text, delta=piece)

        return responses()


def test_a_model_of_ones_own(called, answers):
    model = langcache.wrap(Custom(), cache=answers)
    calls = model._calls
    first = called(model, "chat", [ChatMessage(ASKED)])
    assert called(model, "chat", [ChatMessage(PARAPHRASE)]).message == first.message
    # What `chat` calls on the model itself is not looked up: it is no question of a human.
    assert len(calls) == 1
    called(model, "complete", ASKED)
    assert len(calls) == 2
    first = called(model, "stream_complete", ASKED)
    assert [each.text for each in first] == ["answer", "answer 3"]
    assert called(model, "stream_complete", PARAPHRASE) == first


def test_a_field_that_cannot_be_compared_is_not_cached(answers):
    model = langcache.wrap(Custom(style=object()), cache=answers)
    assert str(model.complete(ASKED)) == "answer 1"
    assert str(model.complete(ASKED)) == "answer 2"
    model = langcache.wrap(Custom(messages_to_prompt=lambda _: "said"), cache=answers)
    assert str(model.complete(ASKED)) == "answer 1"
    assert answers.statistics.skipped == 3
