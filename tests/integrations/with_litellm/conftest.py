import asyncio
import functools
import itertools
import time
from typing import NamedTuple

import event_loops
import litellm
import pytest
from langcache_mockserver import MockServer
from litellm.llms.custom_llm import CustomLLMError
from redis_servers import start_redis  # noqa: F401 - a fixture
from upstream import upstream  # noqa: F401 - a fixture

import langcache.integrations.litellm as integration
from langcache import LangCache
from langcache.engine import MiniLMEmbedder, create_verifier
from langcache.integrations.litellm import backend

_numbers = itertools.count()


class Reply(NamedTuple):
    text: str
    similarity: float
    is_hit: bool


@pytest.fixture(scope="session")
def minilm():
    return MiniLMEmbedder()


@pytest.fixture(scope="session", autouse=True)
def verifiers_load_their_models_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "create_verifier", functools.cache(create_verifier))
        yield


@pytest.fixture(scope="session")
def server(minilm):
    with MockServer(embedder=minilm) as running:
        yield running


@pytest.fixture(scope="session")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    event_loops.close(loop)


@pytest.fixture(autouse=True)
def nothing_enabled():
    yield
    integration.disable()
    for name in (
        *("callbacks", "success_callback", "failure_callback"),
        *("_async_success_callback", "_async_failure_callback"),
    ):
        getattr(litellm, name).clear()


@pytest.fixture(params=["engine", "service"])
def enable(request, server, minilm):
    """`enable` with answers in this process, or in a real server."""
    with LangCache(
        server_url=server.url, cache_id=f"litellm-{next(_numbers)}", api_key="any"
    ) as client:

        def enable(**settings):
            storage = client if request.param == "service" else "memory"
            defaults = {"storage": storage, "embedding_model": minilm, "budget_seconds": 5.0}
            return integration.enable(**{**defaults, **settings})

        yield enable


@pytest.fixture
def cache(enable):
    return enable()


async def written():
    """Wait until LiteLLM has finished its background writes."""
    writes = [task for task in asyncio.all_tasks() if "cache" in task.get_coro().__qualname__]
    await asyncio.gather(*writes)


@pytest.fixture(params=["sync", "async"])
def call(request, loop):
    """Call a LiteLLM function by its synchronous name; returns the response and its chunks."""

    def call(name, **arguments):
        if request.param == "async":
            return loop.run_until_complete(acall(f"a{name}", **arguments))
        response = getattr(litellm, name)(**arguments)
        return response, list(response) if arguments.get("stream") else []

    call.is_sync = request.param == "sync"
    return call


async def acall(name, **arguments):
    response = await getattr(litellm, name)(**arguments)
    chunks = [chunk async for chunk in response] if arguments.get("stream") else []
    if chunks:
        await asyncio.sleep(0.05)  # until the write of the stream has started
    await written()
    return response, chunks


@pytest.fixture
def ask(call):
    """Ask a model a question, or send it messages; returns the reply and whether it was cached."""

    def ask(messages, answer, **arguments):
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        metadata = arguments.pop("metadata", {})
        response, chunks = call(
            "completion",
            **{"model": "gpt-4o", "mock_response": answer, **arguments},
            messages=messages,
            metadata=metadata,
        )
        if arguments.get("stream"):
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        else:
            text = response.choices[0].message.content
        is_hit = bool(response._hidden_params.get("cache_hit"))
        return Reply(text, metadata.get("semantic-similarity"), is_hit)

    return ask


class Model(litellm.CustomLLM):
    """A model behind LiteLLM that counts its calls, and can be slow or fail."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.seconds = 0.0
        self.failures = 0

    def _answer(self, messages):
        self.calls.append(messages)
        number = len(self.calls)
        if number <= self.failures:
            raise CustomLLMError(status_code=500, message="not now")
        return litellm.completion(
            model="gpt-4o",
            messages=messages,
            mock_response=f"answer {number}",
            caching=False,
            cache={"no-store": True},
        )

    def completion(self, *_, messages, **__):
        time.sleep(self.seconds)
        return self._answer(messages)

    async def acompletion(self, *_, messages, **__):
        await asyncio.sleep(self.seconds)
        return self._answer(messages)

    def embedding(self, model, input, model_response, **_):
        self.calls.append(input)
        model_response.data = [
            {"object": "embedding", "index": index, "embedding": [len(text), ord(text[0])]}
            for index, text in enumerate(input)
        ]
        model_response.model = model
        model_response.usage = litellm.Usage(prompt_tokens=1, total_tokens=1)
        return model_response

    async def aembedding(self, model, input, model_response, **_):
        return self.embedding(model, input, model_response)


@pytest.fixture
def model():
    """A model named own/any."""
    model = Model()
    litellm.custom_provider_map = [{"provider": "own", "custom_handler": model}]
    litellm.utils.custom_llm_setup()
    yield model
    litellm.custom_provider_map = []
