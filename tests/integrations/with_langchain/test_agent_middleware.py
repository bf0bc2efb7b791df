"""The middleware for LangChain's agents."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain import chat_models
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from langchain_model import Model
from pydantic import BaseModel

from langcache.integrations.langchain import AnswerCacheMiddleware

QUESTION = "How do I reset my password?"
PARAPHRASE = "How can I reset my password?"


@tool
def now(zone: str) -> str:
    """Tell the time."""
    return f"noon in {zone}"


@pytest.fixture
def model():
    return Model()


@pytest.fixture(params=["sync", "async"])
def ask(request):
    """Ask an agent; returns its messages."""

    def asking(agent, *messages):
        state = {"messages": list(messages)}
        if request.param == "sync":
            return agent.invoke(state)["messages"]
        return asyncio.run(agent.ainvoke(state))["messages"]

    return asking


@pytest.fixture
def agent_of(answers):
    def make(model, **settings):
        middleware = [AnswerCacheMiddleware(answers)]
        return create_agent(model, **{"tools": [], "middleware": middleware, **settings})

    return make


def test_a_paraphrase_does_not_reach_the_model(ask, agent_of, model):
    agent = agent_of(model)
    first = ask(agent, HumanMessage(QUESTION))[-1]
    second = ask(agent, HumanMessage(PARAPHRASE))[-1]
    assert second.content == first.content
    assert second.usage_metadata["total_tokens"] == 0
    assert second.response_metadata["langcache"]["source"] == "similar"
    assert model.calls == 1


def test_what_shapes_an_answer_separates_answers(ask, agent_of, model, answers):
    for agent in (
        agent_of(model),
        agent_of(model, system_prompt="Answer in French."),
        agent_of(model.model_copy(update={"temperature": 1.0})),
    ):
        ask(agent, HumanMessage(QUESTION))
    assert model.calls == 3  # a copy shares the list of calls
    earlier = [HumanMessage("I have a Mac."), AIMessage("Nice.")]
    ask(agent_of(model), *earlier, HumanMessage(QUESTION))
    with answers.scope(tenant="acme"):
        ask(agent_of(model), HumanMessage(QUESTION))
    assert model.calls == 5


def test_with_tools_only_the_same_conversation_hits(ask, agent_of):
    calls = [{"name": "now", "args": {"zone": "UTC"}, "id": "call_1", "type": "tool_call"}]

    class Caller(Model):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            result = super()._generate(messages)
            if messages[-1].type == "human":
                result.generations[0].message.tool_calls = calls
            return result

    model = Caller()
    agent = agent_of(model, tools=[now])
    first, again = ask(agent, HumanMessage(QUESTION)), ask(agent, HumanMessage(QUESTION))
    assert model.calls == 2
    assert [each.content for each in again] == [each.content for each in first]
    assert again[1].tool_calls == calls
    ask(agent, HumanMessage(PARAPHRASE))
    assert model.calls == 4


def test_a_response_in_a_format_is_not_cached(ask, agent_of):
    class Verdict(BaseModel):
        right: bool

    calls = [{"name": "Verdict", "args": {"right": True}, "id": "call_1", "type": "tool_call"}]
    model = Model(message={"tool_calls": calls, "content": ""})
    agent = agent_of(model, response_format=Verdict)
    for _ in range(2):
        ask(agent, HumanMessage(QUESTION))
    assert model.calls == 2


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: model.bind(temperature=0.9),
        lambda model: model.with_config(configurable={"temperature": 0.9}),
        lambda model: model.with_fallbacks([Model()]),
        lambda model: model.configurable_fields(temperature=ConfigurableField(id="temperature")),
    ],
)
def test_a_model_that_hides_its_settings_is_not_cached(ask, agent_of, model, wrap):
    ask(agent_of(model), HumanMessage(QUESTION))
    for _ in range(2):
        ask(agent_of(wrap(model)), HumanMessage(QUESTION))
    assert model.calls == 3


@pytest.mark.parametrize("default", [None, "a"])
def test_a_configurable_model_is_the_one_that_is_chosen(
    answers, agent_of, model, monkeypatch, default
):
    def make(**settings):
        return model.model_copy(update={"model": settings["model"]})

    monkeypatch.setattr(chat_models.base, "_init_chat_model_helper", make)
    configurable = chat_models.init_chat_model(default, configurable_fields=("model",))
    agent = agent_of(configurable)
    for name in ("a", "b", "a"):
        state = {"messages": [HumanMessage(QUESTION)]}
        agent.invoke(state, config={"configurable": {"model": name}})
    assert model.calls == 2


def test_an_error_of_the_model_is_raised_and_keeps_no_other_waiting(ask, agent_of, model):
    model._failures.append(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        ask(agent_of(model), HumanMessage(QUESTION))
    assert ask(agent_of(model), HumanMessage(QUESTION))[-1].content == "answer 2"


def test_concurrent_equal_calls_share_one(agent_of, model):
    asked, released = threading.Event(), threading.Event()

    class Held(Model):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            asked.set()
            released.wait(20)
            return super()._generate(messages)

    model = Held()
    agent = agent_of(model)
    with ThreadPoolExecutor(50) as pool:
        state = {"messages": [HumanMessage(QUESTION)]}
        pending = [pool.submit(agent.invoke, state) for _ in range(50)]
        asked.wait(20)
        released.set()
        answers = {each.result()["messages"][-1].content for each in pending}
    assert answers == {"answer 1"}
    assert model.calls == 1
