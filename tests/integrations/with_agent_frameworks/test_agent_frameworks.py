"""Agent frameworks that take a client: with a wrapped one, their models are cached."""

import asyncio

import anthropic
import openai
import pytest
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    set_tracing_disabled,
)
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.openai import OpenAIResponsesModel as ResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

import langcache

ASKED = "How do I enable dark mode?"
PARAPHRASE = "How can I enable dark mode?"
OPPOSITE = "How do I disable dark mode?"
set_tracing_disabled(True)


@pytest.fixture
def openai_client(upstream, answers):
    bare = openai.AsyncOpenAI(base_url=upstream.openai_url, api_key="key", max_retries=0)
    return langcache.wrap(bare, cache=answers)


@pytest.fixture
def anthropic_client(upstream, answers):
    bare = anthropic.AsyncAnthropic(base_url=upstream.anthropic_url, api_key="key", max_retries=0)
    return langcache.wrap(bare, cache=answers)


async def of_agents(model, question):
    agent = Agent(name="support", instructions="Be brief.", model=model)
    return (await Runner.run(agent, question)).final_output


async def of_pydantic_ai(model, question):
    return (await PydanticAgent(model, instructions="Be brief.").run(question)).output


async def streamed_by_agents(model, question):
    agent = Agent(name="support", instructions="Be brief.", model=model)
    run = Runner.run_streamed(agent, question)
    async for _ in run.stream_events():
        pass
    return run.final_output


async def streamed_by_pydantic_ai(model, question):
    async with PydanticAgent(model, instructions="Be brief.").run_stream(question) as run:
        return await run.get_output()


def check(upstream, ask, model):
    async def main():
        return [await ask(model, question) for question in (ASKED, PARAPHRASE, OPPOSITE)]

    first, again, other = asyncio.run(main())
    assert upstream.count == 2
    assert first == again
    assert first != other


@pytest.mark.parametrize("ask", [of_agents, streamed_by_agents])
def test_chat_completions_of_openai_agents(upstream, openai_client, ask):
    check(upstream, ask, OpenAIChatCompletionsModel("small", openai_client))


def test_responses_of_openai_agents(upstream, openai_client):
    check(upstream, of_agents, OpenAIResponsesModel("small", openai_client))


@pytest.mark.parametrize("ask", [of_pydantic_ai, streamed_by_pydantic_ai])
@pytest.mark.parametrize("kind", [OpenAIChatModel, ResponsesModel])
def test_pydantic_ai_with_openai(upstream, openai_client, ask, kind):
    check(upstream, ask, kind("small", provider=OpenAIProvider(openai_client=openai_client)))


@pytest.mark.parametrize("ask", [of_pydantic_ai, streamed_by_pydantic_ai])
def test_pydantic_ai_with_anthropic(upstream, anthropic_client, ask):
    provider = AnthropicProvider(anthropic_client=anthropic_client)
    check(upstream, ask, AnthropicModel("small", provider=provider))
