"""The ids of stored answers stay the same: another release finds what is stored."""

import asyncio
from typing import ClassVar

import agents
import pydantic_ai.messages as messages
from agents.models.interface import ModelTracing
from openai.types.responses import ResponseOutputMessage, ResponseOutputText
from pydantic import TypeAdapter
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.function import FunctionModel

import langcache
from langcache.answers import Request, digest

QUESTION = "Why are 12 eggs a dozen?"


class Model(agents.Model):
    __module__ = "tests"  # part of the ids

    async def get_response(self, *args, **kwargs):
        text = ResponseOutputText(type="output_text", text="an answer", annotations=[])
        message = ResponseOutputMessage(
            id="m", type="message", role="assistant", status="completed", content=[text]
        )
        return agents.ModelResponse([message], agents.Usage(), "r")

    def stream_response(self, *args, **kwargs):
        raise NotImplementedError


@agents.function_tool
def clock(zone: str) -> str:
    """Tell the time."""
    return f"noon in {zone}"


def test_those_of_the_openai_agents_sdk(answers):
    model = langcache.wrap(Model(), cache=answers)
    settings = agents.ModelSettings(temperature=0.5, extra_args={"seed": 7})

    def ask(tools):
        call = model.get_response(
            "Be brief.",
            *(QUESTION, settings, tools, None, [], ModelTracing.DISABLED),
            previous_response_id=None,
            conversation_id=None,
            prompt=None,
        )
        return asyncio.run(call)

    ids = []
    for tools in ([], [clock]):
        ask(tools)
        ids.append(ask(tools).langcache.entry_id)
    assert ids == ["f41599ca80b962a456d153b3c8d04745", "9ff429dc27cbab9eb0728fa2d5fa3158"]


class NamedModel(FunctionModel):
    model_name = system = "small"
    profile: ClassVar = {"vision": False, "tools": frozenset({int, str}), "tags": ("<a>", "</a>")}
    base_url = "http://provider"


def test_those_of_pydantic_ai(answers):
    model = langcache.wrap(
        NamedModel(lambda said, info: messages.ModelResponse(parts=[messages.TextPart("Hi")])),
        cache=answers,
    )
    parameters = ModelRequestParameters()
    asked = messages.ModelRequest(
        parts=[messages.UserPromptPart(QUESTION)], instructions="Be brief."
    )

    def ask():
        return asyncio.run(model.request([asked], {"temperature": 0.5, "timeout": 3}, parameters))

    ask()
    described = {
        "kinds": [f"{__name__}.NamedModel"],
        "system": "small",
        "name": "small",
        "base_url": "http://provider",
        "profile": {
            "vision": False,
            "tools": ["builtins.int", "builtins.str"],
            "tags": ["<a>", "</a>"],
        },
    }
    said = TypeAdapter(ModelRequestParameters).dump_python(parameters, mode="json")
    shaping = {
        "model": described,
        "settings": {"temperature": 0.5},
        # Its fields are not the same in all releases.
        "parameters": said,
        "stream": False,
    }
    request = Request(
        door="pydantic_ai",
        parameters=digest(shaping),
        turns=[{"role": "system", "content": "Be brief."}],
        last={"role": "user", "kind": "user-prompt"},
        text=QUESTION,
    )
    found = answers.look_up(request, lambda answer: answer.value)
    assert ask().langcache.entry_id == found.hit.entry_id
