"""The parts of the OpenAI Agents SDK that the integration uses, imported only here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = [
    "FunctionTool",
    "Handoff",
    "Model",
    "ModelResponse",
    "OpenAIChatCompletionsModel",
    "TResponseOutputItem",
    "TResponseStreamEvent",
    "Usage",
]

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    # The SDK is not installed where types are checked; these parts have long been the same.
    class FunctionTool:
        """A function that the model may call."""

        name: str
        description: str
        params_json_schema: dict[str, Any]
        strict_json_schema: bool

    class Handoff:
        """Another agent that may take over."""

        tool_name: str
        tool_description: str
        input_json_schema: dict[str, Any]
        strict_json_schema: bool

    class Usage:
        """The usage of calls."""

        input_tokens: int
        output_tokens: int
        total_tokens: int

    class ModelResponse:
        """What a model answered."""

        output: list[Any]
        usage: Usage
        response_id: str | None

        def __init__(self, output: list[Any], usage: Usage, response_id: str | None) -> None: ...

    class Model:
        """A model."""

        async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
            """Call the model."""
            ...

        def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            """Call the model for a stream."""
            ...

    class OpenAIChatCompletionsModel(Model):
        """A model behind OpenAI's chat completions."""

    TResponseOutputItem: Any
    TResponseStreamEvent: Any
else:
    try:
        from agents import FunctionTool, Handoff, OpenAIChatCompletionsModel, Usage
        from agents.items import ModelResponse, TResponseOutputItem, TResponseStreamEvent
        from agents.models.interface import Model
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("agents"):
            raise
        raise ImportError(
            'langcache.integrations.openai_agents needs the extra openai-agents; see "Install" in'
            " the README"
        ) from error
