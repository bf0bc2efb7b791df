"""Middleware for LangChain's agents: calls of the model, answered from a cache."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from langcache.answers.cache import AnswerCache
from langcache.answers.digests import NotCacheableError
from langcache.integrations.langchain._langchain import BaseChatModel, ChatGeneration, dumps
from langcache.integrations.langchain.answers import answer_of, generations_of, served
from langcache.integrations.langchain.requests import request_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from langcache.answers.answer import Answer
    from langcache.answers.lookups import Lookup
    from langcache.answers.request import Request
    from langcache.integrations.langchain._langchain import AIMessage, Generation

    class AgentMiddleware:
        """Base of the middleware of agents."""

    class ModelRequest:
        """A call of the model."""

        model: Any
        messages: list[Any]
        system_message: Any  # since 1.1
        system_prompt: str | None
        tool_choice: Any
        tools: list[Any]
        response_format: Any
        model_settings: dict[str, Any]

    class ModelResponse:
        """What the model answered."""

        result: list[AIMessage]
        structured_response: Any

        def __init__(self, result: list[AIMessage]) -> None: ...

else:
    try:
        from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
    except ModuleNotFoundError as error:
        if error.name not in {"langchain", "langchain.agents", "langchain.agents.middleware"}:
            raise
        raise ImportError("AnswerCacheMiddleware needs the package langchain 1") from error

__all__ = ["AnswerCacheMiddleware"]

_DOOR = "langchain.agent"


class AnswerCacheMiddleware(AgentMiddleware):
    """Answers a call of an agent's model from a cache, if an earlier one means the same.

    The model with its settings, the system prompt and the earlier messages must be equal. An agent
    with tools finds the answers to exactly the same conversation only. Calls with a
    `response_format` are not cached.

    Args:
        cache: Where the answers are, and which of them may be served; by default an `AnswerCache`
            in memory.
    """

    def __init__(self, cache: AnswerCache | None = None) -> None:
        super().__init__()
        self.cache: AnswerCache = AnswerCache() if cache is None else cache

    def wrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]
    ) -> ModelResponse:
        """Answer a call from the cache, or make it."""
        found = self.cache.look_up(_request(request), generations_of)
        if found.value is not None:
            return _response(found)
        try:
            response = handler(request)
            answer = _answer(response)
            if answer is not None:
                self.cache.keep(found, answer)
            return response
        finally:
            self.cache.release(found)

    async def awrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], Awaitable[ModelResponse]]
    ) -> ModelResponse:
        """Asynchronous twin of `wrap_model_call`."""
        found = await self.cache.alook_up(_request(request), generations_of)
        if found.value is not None:
            return _response(found)
        try:
            response = await handler(request)
            answer = _answer(response)
            if answer is not None:
                await self.cache.akeep(found, answer)
            return response
        finally:
            self.cache.release(found)


def _request(request: ModelRequest) -> Request | None:
    """Return what the model is asked; None if it cannot be compared with other calls."""
    if request.response_format is not None:
        return None
    try:
        messages = dumps([message.model_copy(update={"id": None}) for message in request.messages])
        system = getattr(request, "system_message", None) or request.system_prompt
        tools = [_tool(tool) for tool in request.tools]
        model = _text_of(request.model, request.model_settings)
        asked = request_of(messages, model, exact=bool(tools))
        if asked is None or not request.messages:
            return None
        parameters = {
            "model": model,
            "system": dumps(system),
            "tools": tools,
            "tool_choice": request.tool_choice,
        }
        return replace(asked, door=_DOOR, parameters=parameters)
    except Exception:  # noqa: BLE001 - no error of the cache may fail a call
        return None


def _text_of(model: Any, settings: Mapping[str, Any]) -> str:
    """Return the string that LangChain makes of a model for its own cache.

    Raises:
        NotCacheableError: It is bound to settings, or has fallbacks. It has this method of the
            model behind it, which does not know them.
    """
    if not isinstance(model, BaseChatModel):
        # A configurable model of `init_chat_model` chooses the model for each call.
        choose: Any = vars(cast("type[Any]", type(model))).get("_model")
        model = None if choose is None else choose(model)
    if not isinstance(model, BaseChatModel):
        raise NotCacheableError
    return model._get_llm_string(**settings)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _tool(tool: Any) -> Mapping[str, Any]:
    """Return what the model is told of a tool."""
    if isinstance(tool, dict):
        return cast("dict[str, Any]", tool)
    described = {"name": tool.name, "description": tool.description, "arguments": tool.args}
    return json.loads(json.dumps(described))


def _answer(response: ModelResponse) -> Answer | None:
    if response.structured_response is not None:
        return None
    return answer_of(
        [ChatGeneration(message=message, generation_info=None) for message in response.result]
    )


def _response(found: Lookup[list[Generation]]) -> ModelResponse:
    generations = served(found)
    return ModelResponse(
        result=[each.message for each in generations if isinstance(each, ChatGeneration)]
    )
