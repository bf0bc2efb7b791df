"""The parts of LlamaIndex that the integration uses, imported only here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["LLM", "ChatMessage", "ChatResponse", "CompletionResponse"]

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    # LlamaIndex is not installed where types are checked; these parts have long been the same.
    class LLM(BaseModel):
        """A model."""

        @classmethod
        def class_name(cls) -> str:
            """Return the name of the class."""
            ...

    class ChatMessage(BaseModel):
        """A message of a conversation."""

        role: Any
        blocks: list[Any]
        additional_kwargs: dict[str, Any]

    class ChatResponse(BaseModel):
        """What a model answered to messages."""

        message: ChatMessage
        raw: Any
        delta: str | None
        logprobs: Sequence[Any] | None
        additional_kwargs: dict[str, Any]

    class CompletionResponse(BaseModel):
        """What a model answered to a prompt."""

        text: str
        raw: Any
        delta: str | None
        logprobs: Sequence[Any] | None
        additional_kwargs: dict[str, Any]

else:
    try:
        from llama_index.core.llms import LLM, ChatMessage, ChatResponse, CompletionResponse
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("llama_index"):
            raise
        raise ImportError(
            'langcache.integrations.llama_index needs the extra llama-index; see "Install" in the'
            " README"
        ) from error
