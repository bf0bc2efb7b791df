"""`wrap`: Anthropic's client, with messages from a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from langcache.answers.apis import Messages
from langcache.integrations._provider_clients import Operation, wrap_client

try:
    from anthropic import Anthropic, AsyncAnthropic
except ModuleNotFoundError as _error:
    if _error.name != "anthropic":
        raise
    raise ImportError(
        'langcache.integrations.anthropic needs the extra anthropic; see "Install" in the README'
    ) from _error

if TYPE_CHECKING:
    from langcache.answers import AnswerCache

__all__ = ["wrap"]

_Client = TypeVar("_Client", Anthropic, AsyncAnthropic)


def _messages(client: Any) -> Any:
    return client.messages


def _beta_messages(client: Any) -> Any:
    return client.beta.messages


_OPERATIONS = (
    Operation(Messages(), "messages", "/v1/messages", _messages),
    Operation(Messages(), "beta.messages", "/v1/messages", _beta_messages),
)


def wrap(client: _Client, *, cache: AnswerCache, pace: float = 0.0) -> _Client:
    """Return a copy of a client whose messages are answered from a cache.

    `create`, `parse` and `stream` of `client.messages` and `client.beta.messages` are cached,
    streams included. Raw and streaming responses and everything else reach the provider.

    On a hit, the numbers in `usage` are 0, and the answer has an attribute `langcache`, a
    `langcache.answers.Hit`.

    Args:
        client: An `Anthropic` or `AsyncAnthropic`. It stays as it is.
        cache: The cache.
        pace: The seconds between two events of a stream from the cache; 0 for no wait.

    Raises:
        TypeError: It is not such a client.
        ValueError: The pace is not from 0 to 60.
    """
    if not isinstance(cast("object", client), (Anthropic, AsyncAnthropic)):
        raise TypeError(
            f"client: must be an Anthropic or AsyncAnthropic, got {type(client).__name__}"
        )
    return wrap_client(client, cache=cache, operations=_OPERATIONS, pace=pace)
