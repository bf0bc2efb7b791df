"""Measures how many microseconds a cache adds to a LiteLLM completion, on a miss and on a hit.

Compares the semantic cache with LiteLLM's in-memory cache, which finds identical requests only,
and with no cache. The model responds at once (`mock_response`), so the time is that of LiteLLM and
the cache. Rounds alternate between the caches; the result is the median of a call.

    uv run --isolated --extra litellm benchmarks/litellm_overhead.py
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from typing import TYPE_CHECKING

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

import langcache.integrations.litellm as langcache_litellm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOPICS = ("bread", "cheese", "a kite", "a raft", "soap", "glue", "a drum", "ink", "a lamp", "jam")
# Entries in each cache.
STORED = 1000


def question(number: int) -> str:
    return f"How do I make {TOPICS[number % len(TOPICS)]} in {number} minutes?"


def paraphrase(number: int) -> str:
    return f"How can I make {TOPICS[number % len(TOPICS)]} in {number} minutes?"


def arguments(text: str) -> dict:
    return {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "You are brief."},
            {"role": "user", "content": text},
        ],
        "temperature": 0,
        "mock_response": "Like this.",
    }


def timed(texts: Iterator[str], calls: int) -> list[float]:
    seconds = []
    for _, text in zip(range(calls), texts, strict=False):
        call = arguments(text)
        start = time.perf_counter()
        litellm.completion(**call)
        seconds.append(time.perf_counter() - start)
    return seconds


async def atimed(texts: Iterator[str], calls: int) -> list[float]:
    seconds = []
    for _, text in zip(range(calls), texts, strict=False):
        call = arguments(text)
        start = time.perf_counter()
        await litellm.acompletion(**call)
        seconds.append(time.perf_counter() - start)
        await asyncio.sleep(0.003)  # LiteLLM logs and stores in the background
    return seconds


def endless(text_of: Callable[[int], str], start: int, period: int | None = None) -> Iterator[str]:
    number = start
    while True:
        yield text_of(number % period if period else number)
        number += 1


def own_cache() -> None:
    litellm.cache = litellm.Cache()


def semantic_cache() -> None:
    langcache_litellm.enable(similarity_threshold=0.9, single_flight_seconds=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100, help="calls in each round (100)")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (5)")
    options = parser.parse_args()

    caches: dict[str, object] = {"no cache": None}
    for name, enable in (("LiteLLM in memory", own_cache), ("langcache", semantic_cache)):
        enable()
        caches[name] = litellm.cache
        for number in range(STORED):
            litellm.completion(**arguments(question(number)))

    fresh = iter(range(STORED, 10**9, options.calls))
    medians: dict[tuple[str, str], list[float]] = {}
    loop = asyncio.new_event_loop()
    for _ in range(options.rounds):
        for name, cache in caches.items():
            litellm.cache = cache
            kinds = {"miss": endless(question, next(fresh))}
            if cache is not None:
                kinds["same again"] = endless(question, 0, STORED)
            if name == "langcache":
                kinds["other words"] = endless(paraphrase, next(fresh) % STORED, STORED)
            for kind, texts in kinds.items():
                medians.setdefault((name, kind), []).append(
                    statistics.median(timed(texts, options.calls))
                )
                medians.setdefault((name, f"{kind}, async"), []).append(
                    statistics.median(loop.run_until_complete(atimed(texts, options.calls)))
                )
    base = {
        way: statistics.median(medians["no cache", f"miss{way}"]) * 1e6 for way in ("", ", async")
    }
    print(caches["langcache"].backend.statistics)
    print(f"{'cache':<20} {'request':<22} {'us per call':>12} {'us added':>10}")
    for (name, kind), values in medians.items():
        micros = statistics.median(values) * 1e6
        way = ", async" if kind.endswith("async") else ""
        print(f"{name:<20} {kind:<22} {micros:>12.0f} {micros - base[way]:>10.0f}")


if __name__ == "__main__":
    main()
