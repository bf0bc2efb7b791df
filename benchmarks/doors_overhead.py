"""Measures what a cache adds to a call of each door: on a miss, and on hits of both kinds.

The provider is a function that the client calls in place of the network, so the time of the bare
client is that of the client itself. Rounds alternate between the bare client and the cache, in one
run. For answers to similar questions, the time of embedding and verifying is measured inside the
call, and the rest is shown beside it.

Times are those of the processor, of all threads of this process, because other work on the machine
hardly changes them. The wait for another thread, 0.05 to 0.1 ms on a quiet machine, is not in them.
A number is the median of a round's calls in the best round.

    uv run benchmarks/doors_overhead.py
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from functools import partial
from typing import Any

import anthropic
import openai

import langcache
from langcache.answers import AnswerCache
from langcache.engine import MiniLMEmbedder, create_verifier

TOPICS = ("bread", "cheese", "a kite", "a raft", "soap", "glue", "a drum", "ink", "a lamp", "jam")


def asked(number: int) -> str:
    return f"How do I make {TOPICS[number % len(TOPICS)]} in {number} minutes?"


def in_other_words(number: int) -> str:
    return f"How can I make {TOPICS[number % len(TOPICS)]} in {number} minutes?"


class Clock:
    """Adds up the time of embedding and verifying."""

    seconds = 0.0


class TimedEmbedder(MiniLMEmbedder):
    def embed(self, texts):
        start = time.thread_time()
        try:
            return super().embed(texts)
        finally:
            Clock.seconds += time.thread_time() - start


class TimedVerifier:
    def __init__(self) -> None:
        self._verifier = create_verifier("auto")
        self.model_id = self._verifier.model_id

    def verify(self, prompt, candidates):
        start = time.thread_time()
        try:
            return self._verifier.verify(prompt, candidates)
        finally:
            Clock.seconds += time.thread_time() - start

    async def averify(self, prompt, candidates):
        return self.verify(prompt, candidates)


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


def lines(events, end=""):
    return "".join(
        f"event: {event.get('type', 'message')}\ndata: {json.dumps(event)}\n\n" for event in events
    ) + (f"data: {end}\n\n" if end else "")


WHOLE = {"chat": CHAT, "responses": RESPONSE, "messages": MESSAGE}
STREAMS = {"chat": lines(chat_events(), "[DONE]"), "messages": lines(message_events())}


def provider(httpx: Any, request: Any) -> Any:
    kind = next(kind for kind in WHOLE if kind in request.url.path)
    if b'"stream":true' in request.content:
        return httpx.Response(
            200, headers={"content-type": "text/event-stream"}, text=STREAMS[kind]
        )
    return httpx.Response(200, json=WHOLE[kind])


def client(library: str, *, is_async: bool = False) -> Any:
    # The client's own HTTP library: httpx, or httpx2 in newer releases.
    base = sys.modules[library].DefaultHttpxClient.__base__
    httpx = sys.modules[base.__module__.partition(".")[0]]
    kinds = {
        ("openai", False): (openai.OpenAI, httpx.Client),
        ("openai", True): (openai.AsyncOpenAI, httpx.AsyncClient),
        ("anthropic", False): (anthropic.Anthropic, httpx.Client),
        ("anthropic", True): (anthropic.AsyncAnthropic, httpx.AsyncClient),
    }
    make, make_http = kinds[library, is_async]
    http_client = make_http(transport=httpx.MockTransport(partial(provider, httpx)))
    base_url = "http://provider/v1" if library == "openai" else "http://provider"
    return make(api_key="key", base_url=base_url, http_client=http_client)


class Door:
    """One way to call: `call(target, text)` returns what the call returned, read to its end."""

    def __init__(self, bare, wrap, call, *, is_async=False):
        self.bare, self.wrap, self.call, self.is_async = bare, wrap, call, is_async


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


def responses(target, text):
    return target.responses.create(model="small", instructions="You are brief.", input=text)


async def collected(stream):
    return [event async for event in await stream]


def function(question: str) -> str:
    return TEXT


async def afunction(question: str) -> str:
    return TEXT


def wrapped(cache, bare):
    return langcache.wrap(bare, cache=cache)


def cached(cache, bare):
    return cache.cached(prompt="question")(bare)


def call(target, text):
    return target(text)


def doors() -> dict[str, Door]:
    sync, asynchronous = client("openai"), client("openai", is_async=True)
    claude, aclaude = client("anthropic"), client("anthropic", is_async=True)
    return {
        "@cached": Door(function, cached, call),
        "@cached, async": Door(afunction, cached, call, is_async=True),
        "OpenAI chat": Door(sync, wrapped, chat),
        "OpenAI chat, async": Door(asynchronous, wrapped, chat, is_async=True),
        "OpenAI chat, stream": Door(sync, wrapped, lambda t, q: list(chat(t, q, stream=True))),
        "OpenAI responses": Door(sync, wrapped, responses),
        "Anthropic messages": Door(claude, wrapped, messages),
        "Anthropic messages, async": Door(aclaude, wrapped, messages, is_async=True),
        "Anthropic messages, stream": Door(
            claude, wrapped, lambda t, q: list(messages(t, q, stream=True))
        ),
        "OpenAI chat, async stream": Door(
            asynchronous, wrapped, lambda t, q: collected(chat(t, q, stream=True)), is_async=True
        ),
    }


def measure(loop, door: Door, target, texts) -> tuple[list[float], list[float]]:
    """Return the seconds of each call, and of embedding and verifying in it."""
    seconds, inside = [], []

    def note(start):
        seconds.append(time.process_time() - start)
        inside.append(Clock.seconds)

    async def each():
        for text in texts:
            Clock.seconds = 0.0
            start = time.process_time()
            await door.call(target, text)
            note(start)

    if door.is_async:
        loop.run_until_complete(each())
        return seconds, inside
    for text in texts:
        Clock.seconds = 0.0
        start = time.process_time()
        door.call(target, text)
        note(start)
    return seconds, inside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20, help="calls in each round (20)")
    parser.add_argument("--rounds", type=int, default=15, help="number of rounds (15)")
    options = parser.parse_args()
    calls, rounds = options.calls, options.rounds
    loop = asyncio.new_event_loop()
    embedder, verifier = TimedEmbedder(), TimedVerifier()
    print(f"{'':<27}|{'bare':>6} |{'miss':>7} |{'same':>6} |{'other words':>12} |{'beyond':>7}")
    for name, door in doors().items():
        cache = AnswerCache("memory", verifier, embedder=embedder, threshold=0.88, budget=30)
        target = door.wrap(cache, door.bare)
        stored = [asked(number) for number in range(500)]
        measure(loop, door, target, stored)
        found: dict[str, list[float]] = {}
        for number in range(rounds):
            start = number * calls
            fresh = [asked(500 + start + each) for each in range(calls)]
            again = [asked(start + each) for each in range(calls)]
            other = [in_other_words(start + each) for each in range(calls)]
            kinds = {"bare": (door.bare, fresh), "miss": (target, fresh), "same": (target, again)}
            for kind, (asks, texts) in {**kinds, "other": (target, other)}.items():
                before = cache.statistics
                seconds, inside = measure(loop, door, asks, texts)
                after = cache.statistics
                if kind == "other" and after.semantic_hits - before.semantic_hits < calls * 0.9:
                    raise AssertionError(f"too few hits: {after}")
                found.setdefault(kind, []).append(statistics.median(seconds))
                if kind == "other":
                    rest = [all_ - part for all_, part in zip(seconds, inside, strict=True)]
                    found.setdefault("beyond", []).append(statistics.median(rest))
        micros = {kind: min(each) * 1e6 for kind, each in found.items()}
        print(
            f"{name:<27}|{micros['bare']:>6.0f} |{micros['miss']:>7.0f} |{micros['same']:>6.0f} |"
            f"{micros['other']:>12.0f} |{micros['beyond']:>7.0f}"
        )
        cache.close()


if __name__ == "__main__":
    main()
