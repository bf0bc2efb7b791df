"""Functions of your own that run around each attempt of a call.

    cache = LangCache(...)

    @cache.hooks.before_request
    def tag(context: HookContext, request: httpx.Request) -> None:
        request.headers["x-team"] = "search"

A hook may be a function or a coroutine function; the latter needs the ``_async`` methods. Hooks
run in the order they were registered, in the caller's own thread or task, once for each attempt,
and each attempt starts from a fresh request. What a hook raises ends the call.
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
    """Where a hook is called from.

    Attributes:
        operation_id: The operation, as the contract names it (``"search"``).
        server_url: The base URL of the service.
        attempt: Which attempt it is, from 1.
    """

    operation_id: str
    server_url: str
    attempt: int


BeforeRequestHook = Callable[
    [HookContext, httpx.Request], httpx.Request | Awaitable[httpx.Request | None] | None
]
"""Sees a request before it is sent; may change it, or return another to send instead."""

AfterSuccessHook = Callable[
    [HookContext, httpx.Response],
    httpx.Response | Awaitable[httpx.Response | None] | None,
]
"""Sees a successful response (2xx) before it is parsed; may return another instead."""

AfterErrorHook = Callable[
    [HookContext, httpx.Response | None, httpx.RequestError | None],
    httpx.Response | Awaitable[httpx.Response | None] | None,
]
"""Sees a failed attempt: a response of another status, or a network error. May return a response
to go on with instead; one of status 2xx ends the call with success."""

B = TypeVar("B", bound=BeforeRequestHook)
S = TypeVar("S", bound=AfterSuccessHook)
E = TypeVar("E", bound=AfterErrorHook)


@dataclass(slots=True)
class Hooks:
    """The hooks of one client. Its methods register a hook and work as decorators.

    Attributes:
        before_request_hooks: What runs before each attempt, in order.
        after_success_hooks: What runs after each successful attempt, in order.
        after_error_hooks: What runs after each failed attempt, in order.
    """

    before_request_hooks: list[BeforeRequestHook] = field(default_factory=list[BeforeRequestHook])
    after_success_hooks: list[AfterSuccessHook] = field(default_factory=list[AfterSuccessHook])
    after_error_hooks: list[AfterErrorHook] = field(default_factory=list[AfterErrorHook])

    def before_request(self, hook: B) -> B:
        """Call ``hook(context, request)`` before each attempt."""
        _require_callable(hook)
        self.before_request_hooks.append(hook)
        return hook

    def after_success(self, hook: S) -> S:
        """Call ``hook(context, response)`` after each successful attempt."""
        _require_callable(hook)
        self.after_success_hooks.append(hook)
        return hook

    def after_error(self, hook: E) -> E:
        """Call ``hook(context, response, error)`` after each failed attempt; one is None."""
        _require_callable(hook)
        self.after_error_hooks.append(hook)
        return hook


def _require_callable(hook: object) -> None:
    if not callable(hook):
        raise TypeError(f"hook: must be callable, is {type(hook).__name__}")
