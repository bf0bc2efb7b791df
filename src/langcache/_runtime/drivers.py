"""The sync and the async driver, which carry out the commands of a call."""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx

from langcache._deadline import bounded_stream, within
from langcache._runtime.call import Await, Command, Send, Sleep
from langcache._runtime.errors import ReadTimeoutError

if TYPE_CHECKING:
    from collections.abc import Generator

    from langcache._runtime.raw import RawResponse
    from langcache.httpclient import AsyncHttpClient, HttpClient

T = TypeVar("T")


def drive(call: Generator[Command, Any, RawResponse[T]], client: HttpClient) -> RawResponse[T]:
    """Carry out a call in this thread."""
    try:
        command = next(call)
        while True:
            try:
                value = _do(command, client)
            except Exception as error:  # noqa: BLE001, PERF203 - the call handles it
                command = call.throw(error)
            else:
                command = call.send(value)
    except StopIteration as stop:
        return cast("RawResponse[T]", stop.value)
    finally:
        call.close()


def _do(command: Command, client: HttpClient) -> Any:
    if isinstance(command, Send):
        return _send(command.request, command.deadline, client)
    if isinstance(command, Sleep):
        time.sleep(command.seconds)
        return None
    if inspect.iscoroutine(command.awaitable):
        command.awaitable.close()
    raise TypeError(f"{command.source}: is async; use the method whose name ends in _async")


def _send(request: httpx.Request, deadline: float | None, client: HttpClient) -> httpx.Response:
    if deadline is None:
        return client.send(request, follow_redirects=False)
    with within(deadline):
        response = client.send(request, stream=True, follow_redirects=False)
        try:
            response.stream = bounded_stream(
                cast("httpx.SyncByteStream", response.stream), deadline, request
            )
            response.read()
        finally:
            response.close()
        return response


async def drive_async(
    call: Generator[Command, Any, RawResponse[T]], client: AsyncHttpClient
) -> RawResponse[T]:
    """Carry out a call in this task."""
    try:
        command = next(call)
        while True:
            try:
                value = await _do_async(command, client)
            except Exception as error:  # noqa: BLE001, PERF203 - the call handles it
                command = call.throw(error)
            else:
                command = call.send(value)
    except StopIteration as stop:
        return cast("RawResponse[T]", stop.value)
    finally:
        call.close()


async def _do_async(command: Command, client: AsyncHttpClient) -> Any:
    if isinstance(command, Sleep):
        import anyio

        await anyio.sleep(command.seconds)
        return None
    if command.deadline is None:
        return await _send_or_await(command, client)

    import anyio

    with anyio.move_on_after(command.deadline - time.monotonic()):
        return await _send_or_await(command, client)
    if isinstance(command, Send):
        raise httpx.ReadTimeout("the deadline of the call has passed", request=command.request)
    raise ReadTimeoutError(f"{command.source}: the deadline of the call has passed")


async def _send_or_await(command: Send | Await, client: AsyncHttpClient) -> Any:
    if isinstance(command, Send):
        return await client.send(command.request, follow_redirects=False)
    return await command.awaitable
