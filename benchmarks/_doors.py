"""The doors that are measured, each with a provider that answers at once.

The provider of the clients is a function in place of the network. The proxy has a server of its own
behind it, and the frameworks have models that are functions.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import openai
from langcache_mockserver import Settings, create_app
from langcache_mockserver.background import Background
from langcache_mockserver.http.uvicorn_server import listen
from langcache_mockserver.planes.service import service_in

import langcache
from langcache.answers import AnswerCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache.engine import Embedder, Verifier

TEXT = "It depends on what it is made of. Start with water and a soft cloth, and dry it at once."
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "small",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 20, "completion_tokens": 22, "total_tokens": 42},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_790_000_000,
    "status": "completed",
    "model": "small",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 22,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 42,
    },
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "small",
    "content": [{"type": "text", "text": TEXT}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 20, "output_tokens": 22},
}


def chat_events():
    head = {**CHAT, "object": "chat.completion.chunk"}
    del head["usage"]
    for word in TEXT.split():
        delta = {"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}
        yield {**head, "choices": [delta]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def message_events():
    yield {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}}
    block = {"type": "text", "text": ""}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    for word in TEXT.split():
        delta = {"type": "text_delta", "text": f"{word} "}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 22}}
    yield {"type": "message_stop"}


def response_events():
    item = {**RESPONSE["output"][0], "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"item_id": "msg_1", "output_index": 0}
    pending = {**RESPONSE, "status": "in_progress", "output": []}
    words = [f"{word} " for word in TEXT.split()]
    logprobs = {"logprobs": []}
    events = [
        {"type": "response.created", "response": pending},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "content_index": 0, "part": part},
        *(
            {"type": "response.output_text.delta", **place, **logprobs, "content_index": 0}
            | {"delta": word}
            for word in words
        ),
        {"type": "response.output_text.done", **place, **logprobs, "content_index": 0}
        | {"text": TEXT},
        {"type": "response.output_item.done", "output_index": 0, "item": RESPONSE["output"][0]},
        {"type": "response.completed", "response": RESPONSE},
    ]
    for number, event in enumerate(events):
        yield {**event, "sequence_number": number}


def lines(events, end=""):
    return "".join(
        f"event: {event.get('type', 'message')}\ndata: {json.dumps(event)}\n\n" for event in events
    ) + (f"data: {end}\n\n" if end else "")


WHOLE = {"chat": CHAT, "responses": RESPONSE, "messages": MESSAGE}
STREAMS = {
    "chat": lines(chat_events(), "[DONE]"),
    "responses": lines(response_events()),
    "messages": lines(message_events()),
}


def provider(library: Any, request: Any) -> Any:
    kind = next(kind for kind in WHOLE if kind in request.url.path)
    if b'"stream":true' in request.content:
        return library.Response(
            200, headers={"content-type": "text/event-stream"}, text=STREAMS[kind]
        )
    return library.Response(200, json=WHOLE[kind])


def client(library: str, *, is_async: bool = False) -> Any:
    # The client's own HTTP library: httpx, or httpx2 in newer releases.
    base = sys.modules[library].DefaultHttpxClient.__base__
    http = sys.modules[base.__module__.partition(".")[0]]
    kinds = {
        ("openai", False): (openai.OpenAI, http.Client),
        ("openai", True): (openai.AsyncOpenAI, http.AsyncClient),
        ("anthropic", False): (anthropic.Anthropic, http.Client),
        ("anthropic", True): (anthropic.AsyncAnthropic, http.AsyncClient),
    }
    make, make_http = kinds[library, is_async]
    http_client = make_http(transport=http.MockTransport(partial(provider, http)))
    base_url = "http://provider/v1" if library == "openai" else "http://provider"
    return make(api_key="key", base_url=base_url, http_client=http_client)


@dataclass
class Parts:
    """The models of a door's caches."""

    embedder: Embedder
    verifier: Verifier

    def cache(self) -> AnswerCache:
        return AnswerCache(
            "memory", self.verifier, embedder=self.embedder, threshold=0.88, budget=30
        )


@dataclass
class Opened:
    """A door with a cache of its own.

    Attributes:
        bare: What is called without the cache.
        cached: What is called with it.
        hits: Returns how many calls to similar questions the cache has answered.
        close: Ends what was started.
        client: What the library itself does on a hit. A client prepares its request and does
            nothing else, LangChain and LiteLLM have a cache that answers everything at once, the
            frameworks for agents have a model that does, and the proxy's client has a server that
            does. None if the library does nothing.
    """

    bare: Any
    cached: Any
    hits: Callable[[], int]
    close: Callable[[], object]
    client: Any = None


@dataclass
class Door:
    """One way to call a model.

    Attributes:
        name: Its name in the table.
        open: Makes a cache for it.
        call: Calls it with a text, and reads the answer to its end.
        is_async: Whether the call is a coroutine.
        is_exact: Whether it only finds answers to the same question.
        library: What has to be installed.
    """

    name: str
    open: Callable[[Parts], Opened]
    call: Callable[[Any, str], Any]
    is_async: bool = False
    is_exact: bool = False
    library: str = "langcache"


def opened(cache: AnswerCache, bare: Any, cached: Any, client: Any = None) -> Opened:
    return Opened(bare, cached, lambda: cache.statistics.semantic_hits, cache.close, client)


# Functions


def function(question: str) -> str:
    return TEXT


async def afunction(question: str) -> str:
    return TEXT


def call(target, text):
    return target(text)


def open_function(bare, parts: Parts) -> Opened:
    cache = parts.cache()
    return opened(cache, bare, cache.cached(prompt="question")(bare))


# Clients


class Nothing:
    """A stream without events."""

    def __iter__(self):
        return iter(())

    async def __aiter__(self):
        for each in ():
            yield each


def without_requests(bare: Any) -> Any:
    """Return a client whose methods prepare their requests and send none."""
    copy = bare.copy()
    is_async = isinstance(bare, (openai.AsyncOpenAI, anthropic.AsyncAnthropic))

    def post(*args, **kwargs):
        return Nothing()

    async def apost(*args, **kwargs):
        return Nothing()

    is_openai = isinstance(bare, (openai.OpenAI, openai.AsyncOpenAI))
    for resource in (copy.chat.completions, copy.responses) if is_openai else (copy.messages,):
        resource._post = apost if is_async else post
    return copy


def open_client(library: str, parts: Parts, *, is_async: bool = False) -> Opened:
    cache = parts.cache()
    bare = client(library, is_async=is_async)
    return opened(cache, bare, langcache.wrap(bare, cache=cache), without_requests(bare))


def chat(target, text, **more):
    messages = [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": text},
    ]
    return target.chat.completions.create(model="small", messages=messages, **more)


def messages(target, text, **more):
    return target.messages.create(
        model="small",
        max_tokens=100,
        system="You are brief.",
        messages=[{"role": "user", "content": text}],
        **more,
    )


def responses(target, text, **more):
    return target.responses.create(model="small", instructions="You are brief.", input=text, **more)


def collected(ask):
    return lambda target, text: list(ask(target, text, stream=True))


def acollected(ask):
    async def read(target, text):
        return [event async for event in await ask(target, text, stream=True)]

    return read


# LangChain and LangGraph


def langchain_model(cache: Any) -> Any:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    class Model(BaseChatModel):
        @property
        def _llm_type(self):
            return "model"

        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            message = AIMessage(content=TEXT, response_metadata={"finish_reason": "stop"})
            return ChatResult(generations=[ChatGeneration(message=message)])

        async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
            return self._generate(messages)

    return Model(cache=cache)


def open_langchain(parts: Parts) -> Opened:
    from langchain_core.caches import BaseCache
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration

    from langcache.integrations.langchain import LangCacheSemanticCache

    class Full(BaseCache):
        """Has the same answer to everything."""

        def lookup(self, prompt, llm_string):
            return [ChatGeneration(message=AIMessage(content=TEXT))]

        async def alookup(self, prompt, llm_string):
            return self.lookup(prompt, llm_string)

        def update(self, prompt, llm_string, return_val):
            pass

        def clear(self, **kwargs):
            pass

    cache = parts.cache()
    cached = langchain_model(LangCacheSemanticCache(cache))
    return opened(cache, langchain_model(False), cached, langchain_model(Full()))


def prompt(text):
    return [("system", "You are brief."), ("human", text)]


def open_langgraph(parts: Parts) -> Opened:
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import CachePolicy

    from langcache.integrations.langgraph import LangCacheNodeCache

    cache = parts.cache()
    builder = StateGraph(dict)
    builder.add_node("node", lambda state: {"answer": TEXT}, cache_policy=CachePolicy())
    builder.add_edge(START, "node")
    builder.add_edge("node", END)
    return opened(cache, builder.compile(), builder.compile(cache=LangCacheNodeCache(cache)))


# LlamaIndex, Pydantic AI and the OpenAI Agents SDK


def open_llama_index(parts: Parts) -> Opened:
    from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata

    class Model(CustomLLM):
        @property
        def metadata(self):
            return LLMMetadata(model_name="small")

        def complete(self, prompt, formatted=False, **kwargs):
            return CompletionResponse(text=TEXT)

        def stream_complete(self, prompt, formatted=False, **kwargs):
            text = ""
            for word in TEXT.split():
                text += f"{word} "
                yield CompletionResponse(text=text, delta=f"{word} ")

    cache = parts.cache()
    bare = Model(system_prompt="You are brief.")
    return opened(cache, bare, langcache.wrap(bare, cache=cache))


def open_pydantic_ai(parts: Parts) -> Opened:
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelResponse, TextPart
    from pydantic_ai.models.function import FunctionModel

    # A function that is not async would run in a thread, which a provider's client does not need.
    async def answer(messages, info):
        return ModelResponse(parts=[TextPart(TEXT)])

    cache = parts.cache()
    bare = FunctionModel(answer)
    agents = [
        Agent(model, instructions="You are brief.")
        for model in (bare, langcache.wrap(bare, cache=cache))
    ]
    return opened(cache, *agents, agents[0])


def open_openai_agents(parts: Parts) -> Opened:
    from agents import Agent, Model, ModelResponse, Usage, set_tracing_disabled
    from openai.types.responses import ResponseOutputMessage

    class Function(Model):
        async def get_response(self, *args, **kwargs):
            item = ResponseOutputMessage.model_validate(RESPONSE["output"][0])
            return ModelResponse([item], Usage(), "resp_1")

        def stream_response(self, *args, **kwargs):
            raise NotImplementedError

    set_tracing_disabled(True)
    cache = parts.cache()
    agents = [
        Agent(name="support", instructions="You are brief.", model=model)
        for model in (Function(), langcache.wrap(Function(), cache=cache))
    ]
    return opened(cache, *agents, agents[0])


def run_agent(agent, text):
    from agents import Runner

    return Runner.run(agent, text)


# LiteLLM


def open_litellm(parts: Parts) -> Opened:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm
    from litellm.caching.base_cache import BaseCache

    class Full(BaseCache):
        """Has the same answer to everything."""

        def get_cache(self, key, **kwargs):
            return {"timestamp": time.time(), "response": json.dumps(CHAT)}

        def set_cache(self, key, value, **kwargs):
            pass

        async def async_set_cache_pipeline(self, cache_list, **kwargs):
            pass

    from langcache.integrations.litellm import disable, enable

    backend = enable(verifier=parts.verifier, embedding_model=parts.embedder, budget_seconds=30)
    cache = litellm.cache
    full = litellm.Cache()
    full.cache = Full()

    def asking(with_cache):
        def ask(text):
            litellm.cache = with_cache
            return litellm.completion(
                model="gpt-4o",
                messages=[
                    {"role": "system", "content": "You are brief."},
                    {"role": "user", "content": text},
                ],
                mock_response=TEXT,
            )

        return ask

    return Opened(
        asking(None),
        asking(cache),
        lambda: backend.statistics.semantic_hits,
        disable,
        asking(full),
    )


# The proxy


async def upstream(scope, receive, send) -> None:
    """An HTTP server that answers as the provider does."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    is_stream = b'"stream":true' in body
    answer = STREAMS["chat"] if is_stream else json.dumps(CHAT)
    kind = b"text/event-stream" if is_stream else b"application/json"
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer.encode()})


def served(app) -> Background:
    background = Background(app, listen("127.0.0.1", 0), "127.0.0.1")
    background.start()
    return background


def open_proxy(parts: Parts) -> Opened:
    provider = served(upstream)
    settings = Settings(
        proxy_openai=f"{provider.url}/v1",
        test_controls="off",
        max_wait_seconds=0,
    )
    app = create_app(settings, embedder=parts.embedder)
    proxy = served(app)
    clients = [httpx.Client(base_url=each.url, trust_env=False) for each in (provider, proxy)]
    lookups = service_in(app).proxy.lookups

    def close():
        for each in (*clients, proxy, provider):
            (each.close if isinstance(each, httpx.Client) else each.stop)()

    return Opened(*clients, lambda: lookups.statistics.semantic_hits, close, clients[0])


def posted(target, text, **more):
    body = {
        "model": "small",
        "messages": [
            {"role": "system", "content": "You are brief."},
            {"role": "user", "content": text},
        ],
        **more,
    }
    response = target.post(
        "/v1/chat/completions", json=body, headers={"authorization": "Bearer key"}
    )
    response.raise_for_status()
    return response.content


def doors() -> list[Door]:
    openai_, aopenai = (partial(open_client, "openai", is_async=each) for each in (False, True))
    claude, aclaude = (partial(open_client, "anthropic", is_async=each) for each in (False, True))
    every = [
        Door("@cached", partial(open_function, function), call),
        Door("@cached, async", partial(open_function, afunction), call, is_async=True),
        Door("OpenAI chat", openai_, chat),
        Door("OpenAI chat, async", aopenai, chat, is_async=True),
        Door("OpenAI chat, stream", openai_, collected(chat)),
        Door("OpenAI chat, async stream", aopenai, acollected(chat), is_async=True),
        Door("OpenAI responses", openai_, responses),
        Door("OpenAI responses, stream", openai_, collected(responses)),
        Door("Anthropic messages", claude, messages),
        Door("Anthropic messages, async", aclaude, messages, is_async=True),
        Door("Anthropic messages, stream", claude, collected(messages)),
        Door(
            "LangChain",
            open_langchain,
            lambda model, text: model.invoke(prompt(text)),
            library="langchain_core",
        ),
        Door(
            "LangChain, async",
            open_langchain,
            lambda model, text: model.ainvoke(prompt(text)),
            is_async=True,
            library="langchain_core",
        ),
        Door(
            "LangGraph node",
            open_langgraph,
            lambda graph, text: graph.invoke({"question": text}),
            is_exact=True,
            library="langgraph.graph",
        ),
        Door(
            "LlamaIndex",
            open_llama_index,
            lambda model, text: model.complete(text),
            library="llama_index.core",
        ),
        Door(
            "LlamaIndex, stream",
            open_llama_index,
            lambda model, text: list(model.stream_complete(text)),
            library="llama_index.core",
        ),
        Door(
            "Pydantic AI",
            open_pydantic_ai,
            lambda agent, text: agent.run(text),
            is_async=True,
            library="pydantic_ai",
        ),
        Door(
            "OpenAI Agents SDK",
            open_openai_agents,
            run_agent,
            is_async=True,
            library="agents",
        ),
        Door("LiteLLM", open_litellm, call, library="litellm"),
        Door("Proxy, chat", open_proxy, posted),
        Door("Proxy, chat stream", open_proxy, partial(posted, stream=True)),
    ]
    return [each for each in every if is_installed(each.library)]


def is_installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:
        return False
