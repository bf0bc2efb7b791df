"""Measures what a cache adds to a call of each door: on a miss, and on hits of both kinds.

The provider answers at once, so the time of a bare call is that of the client itself. Rounds
alternate between the bare client and the cache, in one run. Each column is the CPU time of a call:

- bare: without a cache, which includes the client's own reading of the provider's answer;
- miss: with a cache that has no answer, which stores the provider's;
- same: the answer to the same question;
- other words: the answer to a question that means the same;
- models: what of that is embedding the question and verifying the answer;
- rest: all but that. The two models have just driven everything else out of the processor's caches,
  so the code takes longer than in a loop;
- rest, warm: the same work in a loop. What the two models say has been asked before, and is given
  instead of running them; all else is done as on any hit, the rules of the verifier included;
- client: what of the rest the library itself does on a hit. A client prepares the request, as it
  does without a cache. LangChain and LiteLLM are measured with a cache that answers everything at
  once, agents with a model that does, and the proxy's client with a server that does. Before each
  of these calls a text is embedded, so that the processor's caches are as on a hit.

The second table has the differences: what the cache adds to a bare call, and to the client's part.

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
from _sdk import print_table

from langcache.engine import MiniLMEmbedder, create_verifier
from langcache.engine.verify.chain import VerifierChain
from langcache.engine.verify.identity import IdentityVerifier
from langcache.engine.verify.pair_model import PairModelVerifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

TOPICS = ("bread", "cheese", "a kite", "a raft", "soap", "glue", "a drum", "ink", "a lamp", "jam")
STORED = 500
COLUMNS = ("bare", "miss", "same", "other words", "models", "rest", "rest, warm", "client")
DIFFERENCES = {
    "same - bare": ("same", "bare"),
    "rest, warm - bare": ("rest, warm", "bare"),
    "rest - bare": ("rest", "bare"),
    "rest - client": ("rest", "client"),
}


def asked(number: int) -> str:
    return f"How do I make {TOPICS[number % len(TOPICS)]} in {number} minutes?"


def in_other_words(number: int, verb: str = "can") -> str:
    return f"How {verb} I make {TOPICS[number % len(TOPICS)]} in {number} minutes?"


class Models:
    """Adds up the time of embedding and verifying, and gives what the models have said before.

    Attributes:
        seconds: The time so far.
        given: What the models have said, by what they were asked. None if they are to run.
    """

    seconds = 0.0
    given: dict[str, object] | None = None
    _is_learning = False
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

    @classmethod
    def give(cls, owner: type, name: str) -> None:
        """Let a method of a model return what is given."""
        method = getattr(owner, name)

        def answered(model, *args):
            if cls.given is None:
                return method(model, *args)
            asked = f"{name}{args}"
            if cls._is_learning and asked not in cls.given:
                cls.given[asked] = method(model, *args)
            return cls.given[asked]

        setattr(owner, name, answered)

    @classmethod
    def learn(cls, embedder: MiniLMEmbedder, questions: Iterable[tuple[str, str]]) -> None:
        """Ask the models about questions and their other words, and give that from now on."""
        # Models of its own, because the cache's remember what they have said.
        verifier = VerifierChain([IdentityVerifier(embedder), create_verifier("auto")])
        cls.given = {}
        cls._is_learning = True
        for stored, other in questions:
            embedder.embed([other])
            verifier.verify(other, [stored])
        cls._is_learning = False


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


def measure_door(loop, door: Door, embedder: MiniLMEmbedder, calls: int, rounds: int):
    """Return the seconds of a call, by the kind of the call."""
    # A verifier remembers its verdicts, so each door has its own.
    opened = door.open(Parts(embedder, create_verifier("auto")))
    measure(loop, door, opened.cached, [asked(number) for number in range(STORED)])
    found: dict[str, list[float]] = {}

    def note(kind: str, target, texts: Sequence[str], before=nothing) -> list[float]:
        seconds, models = measure(loop, door, target, texts, before)
        found.setdefault(kind, []).append(statistics.median(seconds))
        return [each - part for each, part in zip(seconds, models, strict=True)]

    def note_hits(kind: str, rest: str, texts: Sequence[str]) -> None:
        hits = opened.hits()
        seconds = note(kind, opened.cached, texts)
        if opened.hits() - hits < calls * 0.9:
            raise AssertionError(f"{door.name}: too few hits")
        found.setdefault(rest, []).append(statistics.median(seconds))

    for start in range(0, rounds * calls, calls):
        numbers = range(start, start + calls)
        fresh = [asked(STORED + number) for number in numbers]
        note("bare", opened.bare, fresh)
        note("miss", opened.cached, fresh)
        note("same", opened.cached, [asked(number) for number in numbers])
        if not door.is_exact:
            note_hits("other words", "rest", [in_other_words(number) for number in numbers])
            new = [in_other_words(number, "could") for number in numbers]
            Models.learn(embedder, zip(map(asked, numbers), new, strict=True))
            note_hits("warm", "rest, warm", new)
            Models.given = None
        if opened.client is not None:
            note("client", opened.client, fresh, partial(embedder.embed, fresh[:1]))
    opened.close()
    times = {kind: min(each) for kind, each in found.items()}
    if "rest" in times:
        times["models"] = times["other words"] - times["rest"]
    return times


def print_times(columns: Iterable[str], found: dict[str, dict[str, float]]) -> None:
    """Print a table of microseconds, with a row for each door."""
    print_table(
        ["µs", *columns],
        [
            [door, *(f"{times[each] * 1e6:.0f}" if each in times else "" for each in columns)]
            for door, times in found.items()
        ],
    )


def differences(times: dict[str, float]) -> dict[str, float]:
    return {
        name: times[whole] - times[part]
        for name, (whole, part) in DIFFERENCES.items()
        if whole in times and part in times
    }


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
        (PairModelVerifier, "verify"),
    ):
        Models.give(owner, name)
    for owner, name in (
        (MiniLMEmbedder, "embed"),
        (MiniLMEmbedder, "describe"),
        (VerifierChain, "verify"),
    ):
        Models.time(owner, name)
    embedder = MiniLMEmbedder()
    loop = asyncio.new_event_loop()
    found = {
        door.name: measure_door(loop, door, embedder, options.calls, options.rounds)
        for door in doors()
        if door.name.startswith(tuple(options.only))
    }
    print_times(COLUMNS, found)
    print()
    print_times(DIFFERENCES, {name: differences(times) for name, times in found.items()})


if __name__ == "__main__":
    main()
