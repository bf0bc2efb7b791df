"""A semantic cache in front of any function: a support desk for two tenants.

Needs no network and leaves nothing behind.

    uv run examples/cached_function.py
"""

import asyncio
from collections.abc import AsyncIterator

from langcache import AnswerCache

calls = []
cache = AnswerCache("memory")


@cache.cached(prompt="question", scope=("tenant",), ttl=3600)
def answer(question: str, tenant: str) -> str:
    """Stands for a chain, an agent or a call of a model."""
    calls.append(question)
    return f"{tenant}: {question} Look into the settings."


@cache.cached(prompt="question", scope=("tenant",))
async def words(question: str, tenant: str) -> AsyncIterator[str]:
    """Stands for a stream."""
    calls.append(question)
    for word in f"{tenant}: yes, within 30 days.".split():
        yield word


async def stream(question: str, tenant: str) -> str:
    return " ".join([word async for word in words(question, tenant)])


def main() -> None:
    for tenant, question in [
        ("acme", "How do I enable dark mode?"),
        ("acme", "How can I enable dark mode?"),  # the same in other words: from the cache
        ("acme", "How do I disable dark mode?"),  # the opposite
        ("umbrella", "How do I enable dark mode?"),  # another tenant
    ]:
        before = len(calls)
        text = answer(question, tenant)
        print("called" if len(calls) > before else "cached", "|", text)

    why = answer.explain("How do I disable dark mode?", "umbrella")
    print(f"\nexplain: {why.outcome}, {why.reason}")

    for question in ("Can I return a purchase?", "Can I return my purchase?"):
        before = len(calls)
        text = asyncio.run(stream(question, "acme"))
        print("called" if len(calls) > before else "cached", "|", text)

    print("\ninvalidated:", cache.invalidate(tenant="acme"))
    print(cache.statistics)
    cache.close()


if __name__ == "__main__":
    main()
