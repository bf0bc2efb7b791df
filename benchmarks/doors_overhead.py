"""Measures what a cache adds to a call of each door: on a miss, and on hits of both kinds.

The provider answers at once, so the time of a bare call is that of the client itself. Rounds
alternate between the bare client and the cache, in one run. Each column is the CPU time of a call:

- bare: without a cache, which includes the client's own reading of the provider's answer;
- miss: with a cache that has no answer, which stores the provider's;
- same: the answer to the same question;
- other words: the answer to a question that means the same;
- models: what of that is embedding the question and verifying the answer;
- rest: all but that;
- client: what of the rest the library itself does on a hit. A client prepares the request, as it
  does without a cache. LangChain and LiteLLM are measured with a cache that answers everything at
  once, agents with a model that does, and the proxy's client with a server that does. Before each
  of these calls a text is embedded, because the models drive everything else out of the processor's
  caches, and the code after them takes longer for that.

Times are those of the processor, of all threads of this process, because other work on the machine
hardly changes them. The wait for another thread, 0.05 to 0.1 ms on a quiet machine, is not in them.
The proxy and its upstream run in this process, so their times are those of all that a call does, on
both sides of each connection. A number is the median of a round's calls in the best round.

A door is left out if its library is not installed. All of them:

    uv run --isolated --extra langchain --extra langgraph --extra litellm --extra llama-index \\
        --extra pydantic-ai --extra openai-agents --with langgraph benchmarks/doors_overhead.py
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from _doors import Door, Parts, doors

from langcache.engine import Embedder, MiniLMEmbedder, create_verifier
from langcache.engine.verify.chain import VerifierChain

if TYPE_CHECKING:
    from collections.abc import Callable

TOPICS = ("bread", "cheese", "a kite", "a raft", "soap", "glue", "a drum", "ink", "a lamp", "jam")
STORED = 500


def asked(number: int) -> str:
    return f"How do I make {TOPICS[number % len(TOPICS)]} in {number} minutes?"


def in_other_words(number: int) -> str:
    return f"How can I make {TOPICS[number % len(TOPICS)]} in {number} minutes?"


class Models:
    """Adds up the time of embedding and verifying."""

    seconds = 0.0
    _current = threading.local()

    @classmethod
    def time(cls, owner: type, name: str) -> None:
        """Count the time of a method, unless another one that counts has called it."""
        method = getattr(owner, name)

        def timed(*args, **kwargs):
            if getattr(cls._current, "is_timed", False):
                return method(*args, **kwargs)
            cls._current.is_timed = True
            start = time.thread_time()
            try:
                return method(*args, **kwargs)
            finally:
                cls.seconds += time.thread_time() - start
                cls._current.is_timed = False

        setattr(owner, name, timed)


def nothing() -> None:
    pass


def measure(
    loop, door: Door, target, texts, before: Callable[[], object] = nothing
) -> tuple[list[float], list[float]]:
    """Return the seconds of each call, and those of embedding and verifying in it.

    `before` is called before each call, outside of these times.
    """
    seconds, models = [], []

    def note(start):
        seconds.append(time.process_time() - start)
        models.append(Models.seconds)

    async def each():
        for text in texts:
            before()
            Models.seconds = 0.0
            start = time.process_time()
            await door.call(target, text)
            note(start)

    if door.is_async:
        loop.run_until_complete(each())
        return seconds, models
    for text in texts:
        before()
        Models.seconds = 0.0
        start = time.process_time()
        door.call(target, text)
        note(start)
    return seconds, models


def measure_door(loop, door: Door, embedder: Embedder, calls: int, rounds: int) -> dict[str, float]:
    """Return the seconds of a call, by the kind of the call."""
    # A verifier remembers its verdicts, so each door has its own.
    opened = door.open(Parts(embedder, create_verifier("auto")))
    measure(loop, door, opened.cached, [asked(number) for number in range(STORED)])
    found: dict[str, list[float]] = {}
    for start in range(0, rounds * calls, calls):
        numbers = range(start, start + calls)
        fresh = [asked(STORED + number) for number in numbers]
        again = [asked(number) for number in numbers]
        kinds = {"bare": (opened.bare, fresh), "miss": (opened.cached, fresh)}
        kinds["same"] = (opened.cached, again)
        if not door.is_exact:
            kinds["other words"] = (opened.cached, [in_other_words(each) for each in numbers])
        if opened.client is not None:
            kinds["client"] = (opened.client, fresh)
        for kind, (target, texts) in kinds.items():
            hits = opened.hits()
            run_models = partial(embedder.embed, texts[:1]) if kind == "client" else nothing
            seconds, models = measure(loop, door, target, texts, run_models)
            found.setdefault(kind, []).append(statistics.median(seconds))
            if kind == "other words":
                if opened.hits() - hits < calls * 0.9:
                    raise AssertionError(f"{door.name}: too few hits")
                rest = [each - part for each, part in zip(seconds, models, strict=True)]
                found.setdefault("rest", []).append(statistics.median(rest))
    opened.close()
    return {kind: min(each) for kind, each in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20, help="calls in each round (20)")
    parser.add_argument("--rounds", type=int, default=15, help="number of rounds (15)")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="NAME", help="what the names of doors start with"
    )
    options = parser.parse_args()
    for owner, name in (
        (MiniLMEmbedder, "embed"),
        (MiniLMEmbedder, "describe"),
        (VerifierChain, "verify"),
    ):
        Models.time(owner, name)
    embedder = MiniLMEmbedder()
    loop = asyncio.new_event_loop()
    columns = ("bare", "miss", "same", "other words", "models", "rest", "client")
    print(f"| {'µs':<26} | " + " | ".join(f"{each:>11}" for each in columns) + " |")
    print(f"|{'-' * 28}|" + f"{'-' * 12}:|" * len(columns))
    for door in doors():
        if not door.name.startswith(tuple(options.only)):
            continue
        times = measure_door(loop, door, embedder, options.calls, options.rounds)
        if "rest" in times:
            times["models"] = times["other words"] - times["rest"]
        cells = (f"{times[each] * 1e6:.0f}" if each in times else "" for each in columns)
        print(f"| {door.name:<26} | " + " | ".join(f"{each:>11}" for each in cells) + " |")


if __name__ == "__main__":
    main()
