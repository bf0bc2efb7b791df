"""The parts of LangChain that the integration uses, imported only here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = [
    "AIMessage",
    "BaseCache",
    "BaseChatModel",
    "ChatGeneration",
    "Generation",
    "dumps",
    "message_to_dict",
    "messages_from_dict",
]

if TYPE_CHECKING:
    # LangChain is not installed where types are checked; these parts have long been the same.
    class BaseCache:
        """What LangChain asks for answers."""

    class BaseChatModel:
        """A model for chats."""

        def _get_llm_string(self, **settings: Any) -> str: ...

    class AIMessage:
        """A message of a model."""

        type: str
        tool_calls: list[Any]
        invalid_tool_calls: list[Any]
        additional_kwargs: dict[str, Any]
        response_metadata: dict[str, Any]

    class Generation:
        """An answer of a model for texts."""

        text: str
        generation_info: dict[str, Any] | None

        def __init__(self, *, text: str, generation_info: dict[str, Any] | None) -> None: ...

    class ChatGeneration(Generation):
        """An answer of a model for chats."""

        message: AIMessage

        def __init__(
            self, *, message: AIMessage, generation_info: dict[str, Any] | None
        ) -> None: ...

    def dumps(obj: Any) -> str:
        """Return an object of LangChain's as JSON."""
        ...

    def message_to_dict(message: AIMessage) -> dict[str, Any]:
        """Return a message in Python's own types."""
        ...

    def messages_from_dict(messages: list[dict[str, Any]]) -> list[AIMessage]:
        """Return the messages of `message_to_dict`."""
        ...

else:
    try:
        from langchain_core.caches import BaseCache
        from langchain_core.language_models import BaseChatModel
        from langchain_core.load import dumps
        from langchain_core.messages import AIMessage, message_to_dict, messages_from_dict
        from langchain_core.outputs import ChatGeneration, Generation
    except ModuleNotFoundError as error:
        if error.name != "langchain_core":
            raise
        raise ImportError(
            'langcache.integrations.langchain needs the extra langchain; see "Install" in the'
            " README"
        ) from error
