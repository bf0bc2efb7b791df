"""A semantic cache in action: store a few answers, then search for them in other words.

Starts a LangCache server in this process on a free port, with the built-in model. Stores five
answers with the SDK and searches with paraphrases and with unrelated questions, first sync, then
async. Needs no network and leaves nothing behind.

    uv run --no-dev --package langcache-mockserver examples/quickstart.py
"""

import asyncio
import textwrap
import time

from langcache_mockserver import MockServer

from langcache import LangCache
from langcache.models import SearchResponse

ANSWERS = {
    "How do I reset my password?": "Open Settings, choose Security, then Reset password.",
    "What is your refund policy?": "We refund any purchase within 30 days.",
    "Which payment methods do you accept?": "Visa, Mastercard, PayPal and bank transfer.",
    "How long does shipping take?": "Two to four working days within the country.",
    "What is the capital of France?": "Paris.",
}

PARAPHRASES = [
    "How can I reset my password?",
    "What's your policy on refunds?",
    "What payment methods are accepted?",
    "How long will the shipping take?",
    "France's capital is which city?",
]

UNRELATED = [
    "How do I bake sourdough bread?",
    "What is the capital of Australia?",
    "Which team won the match last night?",
]

ROW = "{:<36} {:<4} {:>6}  {:<36} {:<28} {:>5}"


def show(prompt: str, found: SearchResponse, milliseconds: float) -> None:
    """Print one line of the table."""
    if found.data:
        entry = found.data[0]
        cells = [
            "hit",
            f"{entry.similarity:.3f}",
            entry.prompt,
            textwrap.shorten(entry.response, 28),
        ]
    else:
        cells = ["miss", "", "", ""]
    print(ROW.format(prompt, *cells, f"{milliseconds:.1f}"))


def search_sync(cache: LangCache) -> None:
    """Search with one prompt after the other."""
    for prompt in PARAPHRASES + UNRELATED:
        started = time.perf_counter()
        found = cache.search(prompt=prompt)
        show(prompt, found, (time.perf_counter() - started) * 1000)


async def search_async(cache: LangCache) -> None:
    """Search with all prompts concurrently."""

    async def search(prompt: str) -> tuple[str, SearchResponse, float]:
        started = time.perf_counter()
        found = await cache.search_async(prompt=prompt)
        return prompt, found, (time.perf_counter() - started) * 1000

    async with cache:
        for outcome in await asyncio.gather(*map(search, PARAPHRASES + UNRELATED)):
            show(*outcome)


def main() -> None:
    """Run the example."""
    with (
        MockServer() as server,
        LangCache(server_url=server.url, cache_id="quickstart", api_key="any-key") as cache,
    ):
        for prompt, response in ANSWERS.items():
            cache.set(prompt=prompt, response=response)
        print(f"{len(ANSWERS)} answers stored in {server.url}\n")
        print(ROW.format("prompt asked", "", "simil", "matched prompt", "response", "ms"))
        search_sync(cache)
        print("\nThe same, async and concurrently:")
        asyncio.run(search_async(cache))
        deleted = cache.delete_query(attributes={}).deleted_entries_count
        print(f"\n{deleted} answers deleted")


if __name__ == "__main__":
    main()
