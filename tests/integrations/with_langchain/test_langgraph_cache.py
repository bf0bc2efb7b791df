"""LangGraph's cache of nodes."""

import asyncio
import threading
from collections import deque
from typing import TypedDict

import pytest
from answer_caches import Broken
from langchain_core.messages import HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.types import CachePolicy

from langcache.engine import InMemoryStorage
from langcache.integrations.langgraph import LangCacheNodeCache

KEY, OTHER = (("a", "b"), "1"), (("a", "c"), "1")


@pytest.fixture
def cache(answers):
    return LangCacheNodeCache(answers)


class State(TypedDict):
    question: str
    answer: str


@pytest.fixture
def compiled():
    """Compile a graph of one node; returns it and the inputs of the node."""

    def compiling(cache, **policy):
        inputs = []

        def node(state):
            inputs.append(state["question"])
            if state["question"] == "fail":
                raise ValueError("no")
            return {"answer": f"answer {len(inputs)}"}

        builder = StateGraph(State)
        builder.add_node("node", node, cache_policy=CachePolicy(**policy))
        builder.add_edge(START, "node")
        builder.add_edge("node", END)
        return builder.compile(cache=cache), inputs

    return compiling


@pytest.mark.parametrize("is_async", [False, True])
def test_a_node_runs_once_for_the_same_input(compiled, cache, is_async):
    graph, inputs = compiled(cache)

    def ask(question):
        state = {"question": question}
        return asyncio.run(graph.ainvoke(state)) if is_async else graph.invoke(state)

    answers = [ask(question)["answer"] for question in ("one", "one", "one ", "one")]
    assert answers == ["answer 1", "answer 1", "answer 2", "answer 1"]
    assert inputs == ["one", "one "]
    with pytest.raises(ValueError, match="no"):
        ask("fail")
    with pytest.raises(ValueError, match="no"):
        ask("fail")
    assert inputs[2:] == ["fail", "fail"]


def test_a_graph_can_clear_its_nodes(compiled, cache):
    graph, inputs = compiled(cache)
    graph.invoke({"question": "one"})
    graph.clear_cache()
    graph.invoke({"question": "one"})
    assert inputs == ["one", "one"]


def test_a_tenant_has_results_of_its_own(compiled, cache, answers):
    graph, inputs = compiled(cache)
    for tenant in ("acme", "globex", "acme"):
        with answers.scope(tenant=tenant):
            graph.invoke({"question": "one"})
    assert len(inputs) == 2


def test_a_storage_that_is_down_fails_no_node(compiled, make_cache):
    graph, inputs = compiled(LangCacheNodeCache(make_cache(Broken())))
    for _ in range(2):
        assert graph.invoke({"question": "one"})["answer"]
    assert len(inputs) == 2


def test_results_come_back_as_they_were(cache):
    result = deque([["messages", [HumanMessage("hi", id="1")]], ["none", None]])
    cache.set({KEY: (result, None), OTHER: (None, 60)})
    assert cache.get([KEY, OTHER, (("a",), "1")]) == {KEY: result, OTHER: None}
    assert asyncio.run(cache.aget([KEY])) == {KEY: result}


def test_a_result_that_cannot_be_serialized_fails_no_node(cache):
    result = deque([("answer", threading.Lock())])
    cache.set({KEY: (result, None)})
    asyncio.run(cache.aset({KEY: (result, None)}))
    assert cache.get([KEY]) == {}


@pytest.mark.parametrize("channel", ["__error__", "__interrupt__"])
def test_what_a_node_wrote_that_did_not_finish_is_not_stored(cache, channel):
    cache.set({KEY: (deque([("answer", "one"), (channel, "no")]), None)})
    assert cache.get([KEY]) == {}


def test_namespaces_are_cleared_one_by_one(cache):
    cache.set({KEY: (1, None), OTHER: (2, None)})
    cache.clear([KEY[0]])
    assert cache.get([KEY, OTHER]) == {OTHER: 2}
    asyncio.run(cache.aset({KEY: (3, None)}))
    asyncio.run(cache.aclear())
    assert cache.get([KEY, OTHER]) == {}


def test_a_ttl_ends_a_result(make_cache):
    now = [2_000_000_000.0]
    cache = LangCacheNodeCache(make_cache(InMemoryStorage(clock=lambda: now[0])))
    cache.set({KEY: (1, None)})
    assert cache.get([KEY]) == {KEY: 1}
    cache.set({KEY: (1, 60)})  # by the clock of the machine, which is long before
    assert cache.get([KEY]) == {}
