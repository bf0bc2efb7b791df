"""`wrap`: OpenAI's client, with chat completions and responses from a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from langcache.answers.apis import ChatCompletions, Responses
from langcache.integrations._provider_clients import Operation, wrap_client

try:
    from openai import AsyncOpenAI, OpenAI
except ModuleNotFoundError as _error:
    if _error.name != "openai":
        raise
    raise ImportError(
        'langcache.integrations.openai needs the extra openai; see "Install" in the README'
    ) from _error

if TYPE_CHECKING:
    from langcache.answers import AnswerCache

__all__ = ["wrap"]

_Client = TypeVar("_Client", OpenAI, AsyncOpenAI)


def _completions(client: Any) -> Any:
    return client.chat.completions


def _responses(client: Any) -> Any:
    return client.responses


_OPERATIONS = (
    Operation(ChatCompletions(), "chat.completions", "/chat/completions", _completions),
    Operation(Responses(), "responses", "/responses", _responses),
)


def wrap(client: _Client, *, cache: AnswerCache, pace: float = 0.0) -> _Client:
    """Return a copy of a client whose chat completions and responses are answered from a cache.

    `create`, `parse` and `stream` of `client.chat.completions` and of `client.responses` are
    cached, streams included. Raw and streaming responses, `client.beta` and everything else reach
    the provider. So do calls that cannot be cached: background responses, and those that continue
    a conversation that the provider keeps.

    On a hit, the numbers in `usage` are 0, and the answer has an attribute `langcache`, a
    `langcache.answers.Hit`.

    Args:
        client: An `OpenAI` or `AsyncOpenAI`, or an object of a subclass such as `AzureOpenAI`. It
            stays as it is.
        cache: The cache.
        pace: The seconds between two events of a stream from the cache; 0 for no wait.

    Raises:
        TypeError: It is not such a client.
        ValueError: The pace is not from 0 to 60.
    """
    if not isinstance(cast("object", client), (OpenAI, AsyncOpenAI)):
        raise TypeError(f"client: must be an OpenAI or AsyncOpenAI, got {type(client).__name__}")
    return wrap_client(client, cache=cache, operations=_OPERATIONS, pace=pace)
