"""The parts of Pydantic AI that the integration uses, imported only here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = [
    "Model",
    "ModelMessagesTypeAdapter",
    "ModelRequestParameters",
    "ModelResponse",
    "ModelResponseStreamEvent",
    "RequestUsage",
    "StreamedResponse",
    "WrapperModel",
]

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from pydantic import TypeAdapter

    # Pydantic AI is not installed where types are checked; these parts have long been the same.
    class ModelRequestParameters:
        """What an agent says about its tools and its output."""

    class RequestUsage:
        """The usage of a call."""

        input_tokens: int
        output_tokens: int

    class ModelResponse:
        """What a model answered."""

        parts: Sequence[Any]
        usage: RequestUsage
        finish_reason: str | None

    class StreamedResponse:
        """What a model answers as a stream."""

        _event_iterator: AsyncIterator[Any] | None
        _finished: bool

        def __init__(self, model_request_parameters: ModelRequestParameters) -> None: ...
        def __aiter__(self) -> AsyncIterator[Any]: ...
        def get(self) -> ModelResponse:
            """Return what has arrived."""
            ...

    class Model:
        """A model."""

        @property
        def settings(self) -> Any:
            """The settings that apply to all calls."""

        @property
        def model_name(self) -> str:
            """The name of the model."""
            ...

        @property
        def system(self) -> str:
            """The name of the provider."""
            ...

    class WrapperModel(Model):
        """A model that wraps another one."""

        wrapped: Model

        def __init__(self, wrapped: Model | str) -> None: ...

        async def request(
            self,
            messages: list[Any],
            model_settings: Any,
            model_request_parameters: ModelRequestParameters,
        ) -> ModelResponse:
            """Call the model."""
            ...

        def request_stream(
            self,
            messages: list[Any],
            model_settings: Any,
            model_request_parameters: ModelRequestParameters,
            run_context: Any = None,
        ) -> AbstractAsyncContextManager[StreamedResponse]:
            """Call the model for a stream."""
            ...

    ModelMessagesTypeAdapter: TypeAdapter[list[Any]]
    ModelResponseStreamEvent: Any
else:
    try:
        from pydantic_ai.messages import (
            ModelMessagesTypeAdapter,
            ModelResponse,
            ModelResponseStreamEvent,
        )
        from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
        from pydantic_ai.models.wrapper import WrapperModel
        from pydantic_ai.usage import RequestUsage
    except ModuleNotFoundError as error:
        if error.name != "pydantic_ai":
            raise
        raise ImportError(
            'langcache.integrations.pydantic_ai needs the extra pydantic-ai; see "Install" in the'
            " README"
        ) from error
