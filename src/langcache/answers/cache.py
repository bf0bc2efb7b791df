"""`AnswerCache`: the cache that all integrations take."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from langcache.answers.answer import Hit
from langcache.answers.explaining import arequest_of_call, request_of_call
from langcache.answers.functions import CachedFunction, cached_function
from langcache.answers.lookups import CallExplanation, Lookups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["AnswerCache", "wrap"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Client = TypeVar("_Client")

# The package or module of each client's library, and the module that wraps it.
_DOORS = {
    "anthropic": "langcache.integrations.anthropic",
    "llama_index": "langcache.integrations.llama_index",
    "openai": "langcache.integrations.openai",
    "pydantic_ai": "langcache.integrations.pydantic_ai",
    # Not "agents" alone, which may be the name of an application's own package.
    "agents.models.interface": "langcache.integrations.openai_agents",
}


class AnswerCache(Lookups):
    """Keeps the answers of models, and gives them to calls that ask the same in other words.

    Two calls share an answer if everything that shapes it is equal (the scope: the model, its
    parameters, the system prompt, the earlier turns, the tenant), and the last thing that a human
    said is the same or means the same. Every answer to a similar question is verified before it is
    returned. A cache that is down or slow never fails a call: it adds its `budget` at most, and the
    model is called.

    Args:
        backend: Where the answers are. The name of a storage ("memory", "sqlite:PATH", or the URL
            of a Redis); a `StorageBackend`; a `SemanticCache`, whose storage, name, embedder and
            TTL are used; or a `LangCache` client, for a service whose cache declares the attribute
            `scope`. What a service finds is verified here.
        verifier: Checks that the answer to a similar question serves the asked one: "auto", "rules"
            or "model", a `Verifier`, or None for no check. "auto" takes the verifier and the
            threshold of a `SemanticCache` that has a verifier.
        threshold: The least similarity of two questions, (1 + cosine) / 2, in [0, 1]. None for 0.88
            with the verifier "auto", and 0.9 with any other.
        budget: How long the cache may delay a call, in seconds.
        ttl: How long an answer is kept, in seconds; None for without limit.
        name: Caches with different names share no answers ("answers").
        embedder: Embeds the questions: an `Embedder`, or a string for `create_embedder`. None for
            the model in `langcache-minilm`.
        context: "turns": the earlier turns of a conversation must be equal. "standalone": they need
            not be, if a rule finds that the last turn can be understood without them. Or a function
            of the earlier turns and the last text; it returns the last turn as a question of its
            own, or None to keep the earlier turns in the scope.
        store_truncated: Whether to store answers that ended at a limit of tokens.
        single_flight: How long a call may wait for the answer to a concurrent call with the same
            question, in seconds; 0 to never wait.
        max_question_length: Longer questions are found by the same call only; in characters. The
            default is the length that "minilm" reads in any case. A service accepts at most 1024.
        max_entries: The largest number of answers in "memory" or "sqlite:PATH"; None for no limit.
            To make room, those are removed that were not stored or served for the longest time.
        max_bytes: The most bytes of memory that they may take; None for no limit.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of range, or does not go with the backend.
        ImportError: A package that the storage or the embedder needs is not installed.
        StorageError: The file or the Redis cannot be opened.
    """

    def wrap(self, client: _Client, **options: Any) -> _Client:
        """Return a client like the given one, whose calls are answered from this cache.

        Args:
            client: A client of a library that has an integration: see `docs/integrations`.
            **options: Options of the integration.

        Raises:
            TypeError: There is no integration for the client, or an option is unknown.
            ImportError: The extra of the integration is not installed.
        """
        return wrap(client, cache=self, **options)

    def cached(
        self,
        prompt: str,
        *,
        scope: Sequence[str] = (),
        ignore: Sequence[str] = (),
        ttl: float | None = None,
        name: str | None = None,
    ) -> Callable[[Callable[_P, _R]], CachedFunction[_P, _R]]:
        """Cache the answers of a function: sync, async, a generator or an async generator.

            @cache.cached(prompt="question", scope=("tenant",))
            def answer(question: str, tenant: str) -> str: ...

        All arguments count: two calls share an answer if the prompts mean the same and everything
        else is equal. A call with an argument that has no JSON form is not cached. Results are
        stored as JSON and read back by the function's annotation, which may name dataclasses and
        pydantic models. Results that cannot be read back, iterators and None are not stored.

        Args:
            prompt: The name of the parameter that is compared by meaning: a str, or a list of chat
                messages.
            scope: Names of parameters by which answers can be invalidated, such as the tenant.
            ignore: Names of parameters that do not shape the answer, such as a logger.
            ttl: How long an answer is kept, in seconds; None for the cache's `ttl`.
            name: What identifies the function; None for its module and name, and what a nested
                function has captured when it is decorated, as far as that has a JSON form.

        Raises:
            ValueError: The function has no parameter of a given name, or no name of its own: it is
                a lambda, a bound method or a callable object.
        """

        def decorate(function: Callable[_P, _R]) -> CachedFunction[_P, _R]:
            return cached_function(
                self, function, prompt=prompt, scope=scope, ignore=ignore, ttl=ttl, name=name
            )

        return decorate

    def explain(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> CallExplanation:
        """Return what the cache would do for a call, and why, without calling the model.

        The call runs until it looks up its answer in this cache, and stops there. So it can be any
        call that asks a model through this cache, such as that of an agent. Its work before that
        is done: a query engine retrieves its documents, for example.

        Args:
            call: A function of `cached`, a method of a wrapped client, such as
                `client.chat.completions.create`, or another function that asks a model through
                this cache, such as `agent.run_sync`. In an event loop, use `aexplain` for what is
                asynchronous.
            *args: The arguments of the call.
            **kwargs: The arguments of the call.

        Another cache that the call comes to first may answer. If it has no answer, the call is
        refused, so that no model is asked, unless it bypasses that cache.

        Raises:
            TypeError: The call does not look up an answer in this cache. If it has come to no cache
                at all, and is not a method of a provider's client, it has been made: nothing can
                stop it before.
        """
        explained: Any = getattr(call, "explain", None)
        if callable(explained):
            return cast("CallExplanation", explained(*args, **kwargs))
        return self.explain_request(request_of_call(self, call, args, kwargs))

    async def aexplain(
        self, call: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> CallExplanation:
        """Asynchronous twin of `explain`."""
        explained: Any = getattr(call, "explain", None)
        if callable(explained):
            return cast("CallExplanation", await asyncio.to_thread(explained, *args, **kwargs))
        request = await arequest_of_call(self, call, args, kwargs)
        return await asyncio.to_thread(self.explain_request, request)

    def report_wrong(self, response: Any) -> bool:
        """Report that an answer does not fit its question, so that it is not served for it again.

        An answer to the same question is deleted. The pair of two similar questions is blocked; if
        the backend is a LangCache client, the answer is deleted.

        Args:
            response: What a wrapped client returned on a hit, or its `Hit`.

        Returns:
            Whether there was such an answer.

        Raises:
            TypeError: It is not a hit.
        """
        hit = response if isinstance(response, Hit) else getattr(response, "langcache", None)
        if not isinstance(hit, Hit):
            raise TypeError("response: must be an answer from the cache, or a Hit")
        return self.report_hit(hit)

    async def areport_wrong(self, response: Any) -> bool:
        """Asynchronous twin of `report_wrong`."""
        return await asyncio.to_thread(self.report_wrong, response)


def wrap(client: _Client, *, cache: AnswerCache, **options: Any) -> _Client:
    """Return a client like the given one, whose calls are answered from a cache.

    Args:
        client: A client of a library that has an integration: see `docs/integrations`.
        cache: The cache.
        **options: Options of the integration.

    Raises:
        TypeError: There is no integration for the client, the cache is not an `AnswerCache`, or an
            option is unknown.
        ImportError: The extra of the integration is not installed.
    """
    if not isinstance(cast("object", cache), AnswerCache):
        raise TypeError(f"cache: must be an AnswerCache, got {type(cache).__name__}")
    for kind in type(client).__mro__:
        package = kind.__module__.partition(".")[0]
        door = _DOORS.get(kind.__module__, _DOORS.get(package))
        if door is not None:
            return import_module(door).wrap(client, cache=cache, **options)
    names = ", ".join(sorted({name.partition(".")[0] for name in _DOORS}))
    raise TypeError(f"client: must be a client of {names}, got {type(client).__name__}")
