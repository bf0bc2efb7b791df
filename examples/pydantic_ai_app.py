"""A Pydantic AI agent with a semantic cache: a support desk for two tenants.

The model is a function in this file. Needs no network and leaves nothing behind. Install from a
clone of this repository:

    pip install ./models/minilm ./models/minilm_pair ".[pydantic-ai]"
    python examples/pydantic_ai_app.py
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel

import langcache
from langcache.integrations.pydantic_ai import CachedModel

calls: list[Any] = []


def answer(messages: list[Any], _: Any) -> ModelResponse:
    """Stands for OpenAI, Anthropic or any other model of Pydantic AI."""
    calls.append(messages)
    return ModelResponse(parts=[TextPart(f"Answer {len(calls)}: look into the settings.")])


async def stream(messages: list[Any], _: Any) -> AsyncIterator[str]:
    calls.append(messages)
    for word in f"Answer {len(calls)}: look into the settings.".split():
        yield f"{word} "


def show(source: str, question: str, text: str) -> None:
    print(f"{source:<7} | {question:<33} | {text}")


async def main() -> None:
    cache = langcache.AnswerCache("memory")
    model = CachedModel(FunctionModel(answer, stream_function=stream), cache=cache)
    agent = Agent(model, instructions="You are the support desk of a shop.")

    for tenant, question in [
        ("acme", "How do I enable dark mode?"),
        ("acme", "How can I enable dark mode?"),  # the same in other words
        ("acme", "How do I disable dark mode?"),  # the opposite
        ("globex", "How do I enable dark mode?"),  # another tenant
    ]:
        with cache.scope(tenant=tenant):
            result = await agent.run(question)
        hit = getattr(result.all_messages()[-1], "langcache", None)
        show(hit.source if hit else "model", question, result.output)

    with cache.scope(tenant="acme"):
        for question in ("How do I enable dark mode?", "How can I enable dark mode?"):
            before = len(calls)
            async with agent.run_stream(question) as result:
                text = "".join([piece async for piece in result.stream_text(delta=True)])
            show("stream" if len(calls) > before else "replay", question, text)

    print(f"\n{len(calls)} calls of the model. {cache.statistics}")
    await cache.aclose()


if __name__ == "__main__":
    asyncio.run(main())
