"""The sync and the async driver, which carry out the commands of a call."""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx

from langcache._deadline import within
from langcache._monotonic import monotonic
from langcache._runtime.body import read_body, read_body_async
from langcache._runtime.call import Await, Command, Exchange, Send, Sleep
from langcache._runtime.errors import ReadTimeoutError

if TYPE_CHECKING:
    from collections.abc import Generator

    from langcache.httpclient import AsyncExchangeClient, AsyncHttpClient, HttpClient

T = TypeVar("T")


def drive(call: Generator[Command, Any, T], client: HttpClient) -> T:
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
        return cast("T", stop.value)
    finally:
        call.close()


def _do(command: Command, client: HttpClient) -> Any:
    if isinstance(command, Send):
        return _send(command, client)
    if isinstance(command, Sleep):
        time.sleep(command.seconds)
        return None
    command = cast("Await", command)  # nothing else is yielded for a blocking client
    if inspect.iscoroutine(command.awaitable):
        command.awaitable.close()
    raise TypeError(f"{command.source}: is async; use the method whose name ends in _async")


def _send(command: Send, client: HttpClient) -> httpx.Response:
    if command.deadline is None:
        return _send_and_read(command, client)
    with within(command.deadline):
        return _send_and_read(command, client)


def _send_and_read(command: Send, client: HttpClient) -> httpx.Response:
    response = client.send(command.request, stream=True, follow_redirects=False)
    read_body(response, command.request, command.deadline, command.max_bytes)
    return response


async def drive_async(call: Generator[Command, Any, T], client: AsyncHttpClient) -> T:
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
        return cast("T", stop.value)
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

    with anyio.move_on_after(command.deadline - monotonic()):
        return await _send_or_await(command, client)
    if isinstance(command, Send):
        raise httpx.ReadTimeout("the deadline of the call has passed", request=command.request)
    if isinstance(command, Exchange):
        raise httpx.ReadTimeout("the deadline of the call has passed")
    raise ReadTimeoutError(f"{command.source}: the deadline of the call has passed")


async def _send_or_await(command: Send | Exchange | Await, client: AsyncHttpClient) -> Any:
    if isinstance(command, Exchange):
        return await cast("AsyncExchangeClient", client).exchange(
            command.method,
            command.url,
            command.headers,
            command.content,
            command.deadline,
            command.max_bytes,
        )
    if isinstance(command, Send):
        response = await client.send(command.request, stream=True, follow_redirects=False)
        await read_body_async(response, command.request, command.deadline, command.max_bytes)
        return response
    return await command.awaitable
