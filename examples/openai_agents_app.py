"""An agent of the OpenAI Agents SDK with a semantic cache: a support desk for two tenants.

The model is a class in this file. Needs no network and leaves nothing behind. Install from a clone
of this repository:

    pip install ./models/minilm ./models/minilm_pair ".[openai-agents]"
    python examples/openai_agents_app.py
"""

import asyncio
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from openai.types.responses import ResponseOutputMessage, ResponseOutputText

import langcache

calls: list[Any] = []


class ExampleModel(Model):
    """Stands for OpenAIResponsesModel or any other model of the SDK."""

    async def get_response(self, system: str | None, asked: Any, *_: Any, **__: Any) -> Any:
        calls.append(asked)
        text = f"Answer {len(calls)}: look into the settings."
        part = ResponseOutputText(type="output_text", text=text, annotations=[])
        message = ResponseOutputMessage(
            id=f"msg_{len(calls)}",
            type="message",
            role="assistant",
            status="completed",
            content=[part],
        )
        usage = Usage(requests=1, input_tokens=20, output_tokens=7, total_tokens=27)
        return ModelResponse(output=[message], usage=usage, response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


async def main() -> None:
    set_tracing_disabled(True)
    cache = langcache.AnswerCache("memory")
    model = langcache.wrap(ExampleModel(), cache=cache)
    agent = Agent(name="support", instructions="You are a support desk.", model=model)

    for tenant, question in [
        ("acme", "How do I enable dark mode?"),
        ("acme", "How can I enable dark mode?"),  # the same in other words
        ("acme", "How do I disable dark mode?"),  # the opposite
        ("globex", "How do I enable dark mode?"),  # another tenant
    ]:
        with cache.scope(tenant=tenant):
            result = await Runner.run(agent, question)
        hit = getattr(result.raw_responses[-1], "langcache", None)
        source = hit.source if hit else "model"
        tokens = result.context_wrapper.usage.total_tokens
        print(f"{source:<7} | {question:<28} | {tokens:>2} tokens | {result.final_output}")

    print(f"\n{len(calls)} calls of the model. {cache.statistics}")
    await cache.aclose()


if __name__ == "__main__":
    asyncio.run(main())
