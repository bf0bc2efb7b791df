"""A LangChain model and a LangGraph graph that share one semantic cache.

Needs no network and leaves nothing behind. Install from a clone of this repository:

    pip install ./models/minilm ./models/minilm_pair ".[langchain,langgraph]" langgraph
    python examples/langchain_app.py
"""

from typing import Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.graph import END, START, StateGraph
from langgraph.types import CachePolicy

from langcache import AnswerCache
from langcache.integrations.langchain import LangCacheSemanticCache
from langcache.integrations.langgraph import LangCacheNodeCache

calls: list[str] = []


class Model(BaseChatModel):
    """Stands for ChatOpenAI, ChatAnthropic or any other chat model."""

    @property
    def _llm_type(self) -> str:
        return "example"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        question = str(messages[-1].content)
        calls.append(question)
        usage = {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}
        message = AIMessage(f"Answer {len(calls)}", usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])


class State(TypedDict, total=False):
    city: str
    weather: str


def weather(state: State) -> State:
    """Stands for a slow tool."""
    calls.append(state["city"])
    return {"weather": f"sunny in {state['city']}"}


def main() -> None:
    cache = AnswerCache("memory")
    model = Model(cache=LangCacheSemanticCache(cache))
    for tenant, question in [
        ("acme", "How do I reset my password?"),
        ("acme", "How can I reset my password?"),  # the same in other words
        ("globex", "How can I reset my password?"),  # another tenant
        ("acme", "How do I enable dark mode?"),
        ("acme", "How do I disable dark mode?"),  # the opposite
        ("acme", "Who wrote Hamlet?"),
    ]:
        with cache.scope(tenant=tenant):
            message = model.invoke(question)
        hit = message.response_metadata.get("langcache")
        source = f"{hit['source']} {hit['similarity']:.2f}" if hit else "model"
        print(f"{source:13}| {tenant:7}| {question:32}| {message.content}")

    builder = StateGraph(State)
    builder.add_node("weather", weather, cache_policy=CachePolicy(ttl=600))
    builder.add_edge(START, "weather")
    builder.add_edge("weather", END)
    graph = builder.compile(cache=LangCacheNodeCache(cache))
    for city in ("Paris", "Paris", "Rome"):
        before = len(calls)
        state = graph.invoke({"city": city})
        print(f"{'node' if len(calls) > before else 'cached':13}| {city:7}| {state['weather']}")
    print(f"{len(calls)} calls of the model and the node; {cache.statistics}")


if __name__ == "__main__":
    main()
