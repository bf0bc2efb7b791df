"""Doors of the providers' clients, each with the real client and an upstream that counts."""

import asyncio
import contextlib
from importlib.util import find_spec

import event_loops
import pytest

import langcache

HAS_OPENAI, HAS_ANTHROPIC = find_spec("openai"), find_spec("anthropic")
ASKED = "How do I reset my password?"
PARAPHRASE = "How can I reset my password?"


class Door:
    """A client's method that asks a model.

    Attributes:
        client: The wrapped client.
        bare: The client that was wrapped.
    """

    def __init__(self, bare, method, messages, arguments):
        self.bare = bare
        self.client = bare
        self.messages = messages
        self.arguments = arguments
        self._method = method

    def wrap(self, cache, **options):
        self.client = langcache.wrap(self.bare, cache=cache, **options)
        return self

    @property
    def create(self):
        found = self.client
        for name in self._method.split("."):
            found = getattr(found, name)
        return found

    def kwargs(self, text=ASKED, earlier=(), **changes):
        messages = [*earlier, {"role": "user", "content": text}]
        return {**self.arguments, self.messages: messages, **changes}

    def ask(self, text=ASKED, earlier=(), **changes):
        """Return the answer, or the events of a stream in a list."""
        result = self.wait(self.create(**self.kwargs(text, earlier, **changes)))
        return self.read(result) if changes.get("stream") else result

    def wait(self, result):
        return result

    def read(self, stream):
        return list(stream)

    def read_until(self, stream, is_wanted):
        """Read a stream up to such an event, and close it."""
        with stream:
            assert any(is_wanted(event) for event in stream)

    def gather(self, *calls):
        raise NotImplementedError


class AsyncDoor(Door):
    """The same with an asynchronous client, in an event loop of its own."""

    def __init__(self, *args):
        super().__init__(*args)
        self.loop = asyncio.new_event_loop()

    def wait(self, result):
        async def waited():
            return await result

        return self.loop.run_until_complete(waited())

    def read(self, stream):
        async def collected():
            return [event async for event in stream]

        return self.loop.run_until_complete(collected())

    def read_until(self, stream, is_wanted):
        async def found():
            async with stream:
                async for event in stream:
                    if is_wanted(event):
                        return True
            return False

        assert self.loop.run_until_complete(found())


def http(library, form):
    """An HTTP client that reads no certificates, which takes longer than most tests."""
    kinds = {"sync": library.DefaultHttpxClient, "async": library.DefaultAsyncHttpxClient}
    return {"http_client": kinds[form](verify=False)}


def make_door(name, upstream):
    kind, _, form = name.partition(" ")
    common = {"api_key": "key", "max_retries": 0}
    if kind == "messages":
        import anthropic

        makes = {"sync": anthropic.Anthropic, "async": anthropic.AsyncAnthropic}
        bare = makes[form](base_url=upstream.anthropic_url, **common, **http(anthropic, form))
        arguments = {"model": "small", "max_tokens": 100}
        method, messages = "messages.create", "messages"
    else:
        import openai

        makes = {"sync": openai.OpenAI, "async": openai.AsyncOpenAI}
        bare = makes[form](base_url=upstream.openai_url, **common, **http(openai, form))
        arguments = {"model": "small"}
        method, messages = {
            "chat": ("chat.completions.create", "messages"),
            "responses": ("responses.create", "input"),
        }[kind]
    return (Door if form == "sync" else AsyncDoor)(bare, method, messages, arguments)


OPENAI = ["chat sync", "chat async", "responses sync", "responses async"]
ANTHROPIC = ["messages sync", "messages async"]
DOORS = [*(OPENAI if HAS_OPENAI else ()), *(ANTHROPIC if HAS_ANTHROPIC else ())]


@pytest.fixture(params=DOORS)
def door(request, upstream, answers):
    """A wrapped client of each kind, on a cache of its own."""
    with open_door(request.param, upstream) as door:
        yield door.wrap(answers)


@contextlib.contextmanager
def open_door(name, upstream):
    door = make_door(name, upstream)
    try:
        yield door
    finally:
        if isinstance(door, AsyncDoor):
            door.wait(door.bare.close())
            event_loops.close(door.loop)
        else:
            door.bare.close()
