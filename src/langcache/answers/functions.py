"""`cached`: the answers of any function, found by the meaning of one of its arguments."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, get_args, get_type_hints

from pydantic import TypeAdapter

from langcache.answers._function_arguments import captured_by, name_of, told_apart
from langcache.answers._function_results import ChunkRecording, answer_of_result
from langcache.answers.answer import Answer
from langcache.answers.controls import controls_of
from langcache.answers.digests import digest
from langcache.answers.request import Request, chat_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langcache.answers.lookups import CallExplanation, Lookups

__all__ = ["CachedFunction", "cached_function"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_R_co = TypeVar("_R_co", covariant=True)
_F = Callable[..., Any]


class CachedFunction(Protocol[_P, _R_co]):
    """A function whose answers are cached, as `AnswerCache.cached` makes it."""

    __name__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R_co:
        """Return the answer from the cache, or call the function."""
        ...

    def explain(self, *args: _P.args, **kwargs: _P.kwargs) -> CallExplanation:
        """Return what the cache would do for a call, and why. The function is not called."""
        ...

    async def aexplain(self, *args: _P.args, **kwargs: _P.kwargs) -> CallExplanation:
        """Asynchronous twin of `explain`."""
        ...

    def invalidate(self, *args: _P.args, **kwargs: _P.kwargs) -> int:
        """Delete the answers that a call would get, and return how many."""
        ...

    async def ainvalidate(self, *args: _P.args, **kwargs: _P.kwargs) -> int:
        """Asynchronous twin of `invalidate`."""
        ...


def cached_function(
    cache: Lookups,
    function: Callable[_P, _R],
    *,
    prompt: str,
    scope: Sequence[str],
    ignore: Sequence[str],
    ttl: float | None,
    name: str | None,
) -> CachedFunction[_P, _R]:
    """Return a function that looks up its answers in a cache. See `AnswerCache.cached`."""
    reader = _Reader(function, prompt, scope, ignore, name)
    if inspect.iscoroutinefunction(function):
        made = _coroutine(cache, function, reader, ttl)
    elif inspect.isasyncgenfunction(function):
        made = _async_generator(cache, function, reader, ttl)
    elif inspect.isgeneratorfunction(function):
        made = _generator(cache, function, reader, ttl)
    else:
        made = _plain(cache, function, reader, ttl)

    def explain(*args: Any, **kwargs: Any) -> CallExplanation:
        return cache.explain_request(reader.read(args, kwargs))

    async def aexplain(*args: Any, **kwargs: Any) -> CallExplanation:
        return await asyncio.to_thread(explain, *args, **kwargs)

    def invalidate(*args: Any, **kwargs: Any) -> int:
        return cache.invalidate_request(reader.read(args, kwargs))

    async def ainvalidate(*args: Any, **kwargs: Any) -> int:
        return await asyncio.to_thread(invalidate, *args, **kwargs)

    wrapped: Any = functools.wraps(function)(made)
    wrapped.explain, wrapped.aexplain = explain, aexplain
    wrapped.invalidate, wrapped.ainvalidate = invalidate, ainvalidate
    return cast("CachedFunction[_P, _R]", wrapped)


def _plain(cache: Lookups, function: _F, reader: _Reader, ttl: float | None) -> _F:
    def cached(*args: Any, **kwargs: Any) -> Any:
        lookup = cache.look_up(reader.read(args, kwargs), reader.value)
        if lookup.outcome == "hit":
            return lookup.value
        try:
            result = function(*args, **kwargs)
        except BaseException:
            cache.release(lookup)
            raise
        cache.keep(lookup, reader.answer(result), ttl=ttl)
        return result

    return cached


def _coroutine(cache: Lookups, function: _F, reader: _Reader, ttl: float | None) -> _F:
    async def cached(*args: Any, **kwargs: Any) -> Any:
        lookup = await cache.alook_up(reader.read(args, kwargs), reader.value)
        if lookup.outcome == "hit":
            return lookup.value
        try:
            result = await function(*args, **kwargs)
        except BaseException:
            cache.release(lookup)
            raise
        await cache.akeep(lookup, reader.answer(result), ttl=ttl)
        return result

    return cached


def _generator(cache: Lookups, function: _F, reader: _Reader, ttl: float | None) -> _F:
    def cached(*args: Any, **kwargs: Any) -> Iterator[Any]:
        # The block in which the function is called counts, not the one that reads the answer.
        return answers(controls_of(cache), *args, **kwargs)

    def answers(controls: Any, /, *args: Any, **kwargs: Any) -> Generator[Any]:
        lookup = cache.look_up(reader.read(args, kwargs), reader.chunks, controls)
        if lookup.outcome == "hit":
            yield from cast("list[Any]", lookup.value)
            return
        recording = reader.recording()
        try:
            source = function(*args, **kwargs)
            while True:
                try:
                    chunk = next(source)
                except StopIteration as end:
                    result = end.value
                    break
                recording.add(chunk)
                yield chunk
        except BaseException:
            cache.release(lookup)
            raise
        # A hit has no result beside what is yielded.
        answer = Answer(ending="failed") if result is not None else recording.answer()
        cache.keep(lookup, answer, ttl=ttl)
        return result

    return cached


def _async_generator(cache: Lookups, function: _F, reader: _Reader, ttl: float | None) -> _F:
    def cached(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        return answers(controls_of(cache), *args, **kwargs)

    async def answers(controls: Any, /, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        lookup = await cache.alook_up(reader.read(args, kwargs), reader.chunks, controls)
        if lookup.outcome == "hit":
            for chunk in cast("list[Any]", lookup.value):
                yield chunk
            return
        recording = reader.recording()
        try:
            source = function(*args, **kwargs)
            try:
                async for chunk in source:
                    recording.add(chunk)
                    yield chunk
            finally:
                await source.aclose()
        except BaseException:
            cache.release(lookup)
            raise
        await cache.akeep(lookup, recording.answer(), ttl=ttl)

    return cached


class _Reader:
    """Reads the request from a function's arguments, and its answers from their JSON.

    Raises:
        ValueError: The function has no parameter of a given name.
    """

    def __init__(
        self,
        function: _F,
        prompt: str,
        scope: Sequence[str],
        ignore: Sequence[str],
        name: str | None,
    ) -> None:
        self._signature = inspect.signature(function)
        for field, names in (("prompt", [prompt]), ("scope", scope), ("ignore", ignore)):
            for each in names:
                if each not in self._signature.parameters:
                    raise ValueError(f"{field}: the function has no parameter {each!r}")
        if prompt in ignore or set(scope) & set(ignore):
            raise ValueError("ignore: must not contain prompt or a name of scope")
        if prompt in scope:
            raise ValueError("scope: must not contain prompt")
        self._prompt = prompt
        self._scope = tuple(scope)
        self._ignored = frozenset(ignore)
        self._door = name or f"function:{name_of(function)}"
        captured = {} if name else captured_by(function)
        self._captured = digest(captured) if captured else None
        self._function = function

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Request | None:
        """Return the request of a call; None for one that the function itself will refuse."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError:
            return None
        bound.apply_defaults()
        given = {
            name: value for name, value in bound.arguments.items() if name not in self._ignored
        }
        prompt = given.pop(self._prompt)
        labels = {
            name: str(given[name]) for name in self._scope if isinstance(given[name], (str, int))
        }
        turns: Sequence[Any] = ()
        text = prompt if isinstance(prompt, str) else None
        last = None if text is not None else {"prompt": cast("Any", prompt)}
        try:
            arguments = {name: told_apart(value) for name, value in given.items()}
            if isinstance(prompt, list) and prompt:
                chat = chat_request(self._door, None, cast("list[Any]", prompt))
                turns, last, text = chat.turns, chat.last, chat.text
        except Exception:  # noqa: BLE001 - no JSON form, or any error of the user's types
            return None
        return Request(
            door=self._door,
            parameters={"arguments": arguments, "captured": self._captured}
            if self._captured
            else arguments,
            turns=turns,
            last=last,
            text=text,
            labels=labels,
        )

    @functools.cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        """Converts the function's results, or what it yields, to JSON's types and back."""
        try:
            hint = get_type_hints(self._function).get("return", Any)
            if inspect.isgeneratorfunction(self._function) or inspect.isasyncgenfunction(
                self._function
            ):
                hint = (*get_args(hint), Any)[0]
            return TypeAdapter(hint)
        except Exception:  # noqa: BLE001 - an annotation that pydantic cannot read
            return TypeAdapter(Any)

    def value(self, answer: Answer) -> Any:
        """Return the result that an answer stands for, or None."""
        return None if answer.value is None else self._adapter.validate_python(answer.value)

    def chunks(self, answer: Answer) -> list[Any] | None:
        """Return what the function yielded, or None."""
        if answer.chunks is None:
            return None
        return [self._adapter.validate_python(chunk) for chunk in answer.chunks]

    def answer(self, result: Any) -> Answer:
        """Return the answer to store for a result."""
        return answer_of_result(self._adapter, result)

    def recording(self) -> ChunkRecording:
        """Return what takes all that is yielded."""
        return ChunkRecording(self._adapter)
