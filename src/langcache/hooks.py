"""Your own functions that run before and after each attempt of a call.

    cache = LangCache(...)

    @cache.hooks.before_request
    def tag(context: HookContext, request: httpx.Request) -> None:
        request.headers["x-team"] = "search"

A hook is a function or a coroutine function; coroutine functions work with the `_async` methods
only. Hooks run once per attempt, in the order of registration, in the caller's thread or task. Each
attempt starts with a fresh request. An exception in a hook ends the call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import httpx

__all__ = [
    "AfterErrorHook",
    "AfterSuccessHook",
    "BeforeRequestHook",
    "HookContext",
    "Hooks",
]


@dataclass(frozen=True, slots=True)
class HookContext:
    """The call that a hook runs for.

    Attributes:
        operation_id: The `operationId` of the operation, such as `"search"`.
        server_url: The base URL of the service.
        attempt: The number of the attempt, starting at 1.
    """

    operation_id: str
    server_url: str
    attempt: int


BeforeRequestHook = Callable[
    [HookContext, httpx.Request], httpx.Request | Awaitable[httpx.Request | None] | None
]
"""Receives a request before it is sent. May change it, or return a replacement."""

AfterSuccessHook = Callable[
    [HookContext, httpx.Response],
    httpx.Response | Awaitable[httpx.Response | None] | None,
]
"""Receives a successful response (2xx) before it is parsed. May return a replacement."""

AfterErrorHook = Callable[
    [HookContext, httpx.Response | None, httpx.RequestError | None],
    httpx.Response | Awaitable[httpx.Response | None] | None,
]
"""Receives a failed attempt: a response with another status, or a network error. May return a
replacement response; a 2xx response makes the call succeed."""

B = TypeVar("B", bound=BeforeRequestHook)
S = TypeVar("S", bound=AfterSuccessHook)
E = TypeVar("E", bound=AfterErrorHook)


@dataclass(slots=True)
class Hooks:
    """The hooks of one client. The methods register a hook and can be used as decorators.

    Attributes:
        before_request_hooks: The hooks that run before each attempt, in order.
        after_success_hooks: The hooks that run after each successful attempt, in order.
        after_error_hooks: The hooks that run after each failed attempt, in order.
    """

    before_request_hooks: list[BeforeRequestHook] = field(default_factory=list[BeforeRequestHook])
    after_success_hooks: list[AfterSuccessHook] = field(default_factory=list[AfterSuccessHook])
    after_error_hooks: list[AfterErrorHook] = field(default_factory=list[AfterErrorHook])

    def before_request(self, hook: B) -> B:
        """Call `hook(context, request)` before each attempt."""
        _require_callable(hook)
        self.before_request_hooks.append(hook)
        return hook

    def after_success(self, hook: S) -> S:
        """Call `hook(context, response)` after each successful attempt."""
        _require_callable(hook)
        self.after_success_hooks.append(hook)
        return hook

    def after_error(self, hook: E) -> E:
        """Call `hook(context, response, error)` after each failed attempt.

        Either `response` or `error` is None.
        """
        _require_callable(hook)
        self.after_error_hooks.append(hook)
        return hook


def _require_callable(hook: object) -> None:
    if not callable(hook):
        raise TypeError(f"hook: must be callable, got {type(hook).__name__}")
