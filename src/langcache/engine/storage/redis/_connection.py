"""The connection to Redis: commands, synchronous or asynchronous, and their errors."""

from __future__ import annotations

import asyncio
import sys
import time
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

from redis.exceptions import (
    AskError,
    NoScriptError,
    OutOfMemoryError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from langcache._event_loops import PerLoop
from langcache.engine._locks import fork_safe_lock
from langcache.engine._steps import Steps, arun, call, run
from langcache.engine.storage.errors import StorageError
from langcache.engine.storage.redis._clients import (
    TAKE_PACKED,
    aclose,
    check_url,
    close,
    make_async_client,
    make_client,
)
from langcache.engine.storage.redis.errors import (
    RedisFullError,
    RedisNoAnswerError,
    RedisStorageError,
    RedisUnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from langcache.engine.storage.redis._scripts import Script

_T = TypeVar("_T")

_BREAKS = (RedisConnectionError, RedisTimeoutError, OSError, asyncio.TimeoutError)
_FAILURES = (RedisError, RedisClusterException, OSError, asyncio.TimeoutError)
_SCAN_BATCH = 500
_PIPELINE = 200
_LONGEST_REASON = 200


class Connection:
    """The clients of a storage, created on first use unless they are passed in.

    Every method that sends something has an asynchronous twin. They raise `StorageError` for
    everything that goes wrong between here and Redis. If a connection turns out to be broken, its
    command is sent once more: all commands that are sent here may be sent twice.

    Args:
        client: An asynchronous client, or None.
        sync_client: A synchronous client, or None.
        url: The URL to create the missing clients from, or None.
        connection_kwargs: Arguments for these clients.
        timeout: How long to wait for an answer, in seconds.

    Raises:
        TypeError: The URL is not a str.
        ValueError: The URL is not one of Redis; there are a URL and a client, or neither; or
            arguments for clients that are not created here.
    """

    def __init__(
        self,
        client: Any,
        sync_client: Any,
        url: str | None,
        connection_kwargs: Mapping[str, Any] | None,
        timeout: float,
    ) -> None:
        if (url is None) == (client is None and sync_client is None):
            raise ValueError("Redis: either a URL or a client must be given")
        if url is None and connection_kwargs:
            raise ValueError("connection_kwargs: must be left out unless a URL is given")
        self._client = client
        self._sync_client = sync_client
        self._url = None if url is None else check_url(url)
        self._connection_kwargs = connection_kwargs or {}
        self._timeout = timeout
        self._closed = False
        self.breaks: int = 0
        """A number that changes when a connection breaks: the server may have been restarted."""
        self._lock = fork_safe_lock()
        self._made: Any = None
        self._made_async: PerLoop[Any] = PerLoop(aclose)

    # Carrying out operations.

    def run(self, steps: Steps[_T]) -> _T:
        """Carry out an operation in the caller's thread."""
        if self._url is None and self._sync_client is None:
            steps.close()
            raise RuntimeError(
                "there is an asynchronous client of Redis only: pass a synchronous one as well"
                " (sync_client= of RedisStorage, redis_client= of EmbeddingsCache), or use the"
                " methods whose names begin with a"
            )
        return run(steps)

    async def arun(self, steps: Steps[_T]) -> _T:
        """Carry out an operation asynchronously; in a thread, if there is only a sync client."""
        if self._url is None and self._client is None:
            return await asyncio.to_thread(run, steps)
        return await arun(steps)

    # Commands.

    def send(self, *command: bytes) -> Steps[Any]:
        """Send a command and return its reply, texts as bytes."""
        return call(self._send, self._asend, command)

    def attempt(self, *command: bytes, packed: bytes | None = None) -> Steps[Any]:
        """Send a command and return its reply, or the ResponseError Redis answers with.

        Args:
            command: The command's name and arguments.
            packed: The same in the form that is sent, if it is known: some clients need not pack
                the command then.
        """
        return call(self._attempt, self._aattempt, command, packed)

    def attempt_all(self, commands: Sequence[tuple[bytes, ...]]) -> Steps[list[Any]]:
        """Send commands in batches and return, for each, what `attempt` would."""
        replies: list[Any] = []
        for start in range(0, len(commands), _PIPELINE):
            batch = commands[start : start + _PIPELINE]
            replies += yield from call(self._attempt_all, self._aattempt_all, batch)
        return replies

    def evaluate(self, script: Script, keys: tuple[bytes, ...], *args: bytes) -> Steps[Any]:
        """Run a script and return its reply, texts as bytes."""
        tail = (b"%d" % len(keys), *keys, *args)
        reply = yield from self.attempt(b"EVALSHA", script.sha1, *tail)
        if isinstance(reply, NoScriptError):
            reply = yield from self.attempt(b"EVAL", script.text, *tail)
        if isinstance(reply, ResponseError):
            raise storage_error(reply)
        return reply

    def evaluate_all(self, script: Script, calls: Sequence[tuple[Any, ...]]) -> Steps[list[Any]]:
        """Run a script that Redis knows several times, and return its replies or errors.

        Args:
            script: The script.
            calls: For each time, the keys, followed by the arguments.
        """
        return self.attempt_all(
            [(b"EVALSHA", script.sha1, b"%d" % len(keys), *keys, *args) for keys, *args in calls]
        )

    def scan(self, pattern: bytes) -> Scan:
        """Return the keys that match a pattern; they are read in batches."""
        return Scan(self, pattern)

    def _send(self, command: tuple[bytes, ...]) -> Any:
        reply = self._attempt(command)
        if isinstance(reply, ResponseError):
            raise storage_error(reply)
        return reply

    async def _asend(self, command: tuple[bytes, ...]) -> Any:
        reply = await self._aattempt(command)
        if isinstance(reply, ResponseError):
            raise storage_error(reply)
        return reply

    def _attempt(self, command: tuple[bytes, ...], packed: bytes | None = None) -> Any:
        try:
            return self._with_client(_executed, (command, packed))
        except ResponseError as error:
            return error
        except _FAILURES as error:
            raise storage_error(error) from error

    async def _aattempt(self, command: tuple[bytes, ...], packed: bytes | None = None) -> Any:
        try:
            return await self._with_async_client(_executed, (command, packed))
        except ResponseError as error:
            return error
        except _FAILURES as error:
            raise storage_error(error) from error

    def _attempt_all(self, commands: Sequence[tuple[bytes, ...]]) -> list[Any]:
        try:
            return self._with_client(_executed_together, commands)
        except _FAILURES as error:
            raise storage_error(error) from error

    async def _aattempt_all(self, commands: Sequence[tuple[bytes, ...]]) -> list[Any]:
        try:
            return await self._with_async_client(_executed_together, commands)
        except _FAILURES as error:
            raise storage_error(error) from error

    def _with_client(self, send: Callable[[Any, _T], Any], what: _T) -> Any:
        """Send with the client, and once more if its connection turns out to be broken."""
        client = self.sync_client()
        started = time.monotonic()
        try:
            return send(client, what)
        except _BREAKS as error:
            self.breaks += 1
            if not self._may_repeat(error, started):
                raise
            return send(client, what)

    async def _with_async_client(self, send: Callable[[Any, _T], Awaitable[Any]], what: _T) -> Any:
        client = self.async_client()
        started = time.monotonic()
        try:
            # The user's own client may have no timeout.
            return await _within(self._timeout, send(client, what))
        except _BREAKS as error:
            self.breaks += 1
            if not self._may_repeat(error, started):
                raise
            left = started + self._timeout - time.monotonic()
            return await _within(left, send(client, what))

    def _may_repeat(self, error: Exception, started: float) -> bool:
        """Return whether a connection broke, rather than the pool or the time being exhausted."""
        broke = isinstance(error, RedisConnectionError) and "Too many" not in str(error)
        return broke and time.monotonic() - started < self._timeout / 2

    # Clients.

    def sync_client(self) -> Any:
        """Return the synchronous client.

        Raises:
            StorageError: The storage is closed, or the client cannot be made.
        """
        client = self._sync_client or self._made
        if client is not None:
            return client
        with self._lock:
            self._check_open()
            if self._made is None:
                self._made = _made(make_client, self._url, self._connection_kwargs, self._timeout)
            return self._made

    def async_client(self) -> Any:
        """Return the asynchronous client of the running event loop; raise as `sync_client`."""
        if self._client is not None:
            return self._client
        loop = asyncio.get_running_loop()
        with self._lock:
            self._check_open()
            return self._made_async.get(
                loop,
                lambda: _made(make_async_client, self._url, self._connection_kwargs, self._timeout),
            )

    def redisvl_arguments(self) -> dict[str, Any]:
        """Return the arguments with which RedisVL makes or takes an asynchronous client."""
        if self._client is not None:
            return {"redis_client": self._client}
        if self._url is not None:
            kwargs = dict(self._connection_kwargs)
            return {"redis_url": self._url, "connection_kwargs": kwargs}
        factory = import_module("redisvl.redis.connection").RedisConnectionFactory
        return {"redis_client": factory.sync_to_async_redis(self._sync_client)}

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("Redis: the storage is closed")

    def close(self) -> None:
        """Close the synchronous client that was created here."""
        with self._lock:
            self._closed = True
            client, self._made = self._made, None
        if client is not None:
            close(client)

    async def aclose(self) -> None:
        """Close the clients that were created here: the synchronous one and this loop's."""
        self.close()
        await self._made_async.aclose(asyncio.get_running_loop())


if sys.version_info >= (3, 11):

    async def _within(seconds: float, awaitable: Awaitable[_T]) -> _T:
        """Return the result of an awaitable; raise a TimeoutError if it takes too long."""
        # Until Python 3.12, `wait_for` makes a task for it.
        async with asyncio.timeout(seconds):
            return await awaitable
else:

    async def _within(seconds: float, awaitable: Awaitable[_T]) -> _T:
        return await asyncio.wait_for(awaitable, seconds)


class Scan:
    """Keys that match a pattern; a key may come more than once."""

    def __init__(self, connection: Connection, pattern: bytes) -> None:
        self._connection = connection
        self._pattern = pattern
        self._keys: Any = None
        self._akeys: Any = None

    def batch(self) -> Steps[list[bytes]]:
        """Return the next keys; none at the end."""
        return call(self._batch, self._abatch)

    def _batch(self) -> list[bytes]:
        keys = self._keys
        if keys is None:
            client = self._connection.sync_client()
            keys = self._keys = client.scan_iter(match=self._pattern, count=_SCAN_BATCH)
        try:
            return [as_bytes(key) for key in islice(keys, _SCAN_BATCH)]
        except _FAILURES as error:
            raise storage_error(error) from error

    async def _abatch(self) -> list[bytes]:
        keys = self._akeys
        if keys is None:
            client = self._connection.async_client()
            keys = self._akeys = client.scan_iter(match=self._pattern, count=_SCAN_BATCH)
        batch: list[bytes] = []
        try:
            async for key in keys:
                batch.append(as_bytes(key))
                if len(batch) == _SCAN_BATCH:
                    break
        except _FAILURES as error:
            raise storage_error(error) from error
        return batch


def storage_error(error: BaseException) -> StorageError:
    """Return the error to raise; its message contains no text of an entry and no password."""
    reason = " ".join(str(error).split()) or type(error).__name__
    kind = RedisStorageError
    if isinstance(error, (asyncio.TimeoutError, RedisTimeoutError)):
        reason, kind = "no answer in time", RedisNoAnswerError
    elif isinstance(error, AskError) or reason.startswith("MOVED "):
        reason = "this is a node of a cluster, which takes a URL or a client for clusters"
    elif isinstance(error, ResponseError):
        # Redis repeats arguments that it does not understand.
        reason = reason.split(", with args", maxsplit=1)[0]
    elif isinstance(error, (RedisConnectionError, OSError)):
        kind = RedisUnreachableError
    if isinstance(error, OutOfMemoryError) or "OOM" in reason or "maxmemory" in reason:
        return RedisFullError("Redis: out of memory, nothing has changed")
    return kind(f"Redis: {reason[:_LONGEST_REASON]}")


def pairs(reply: Any) -> dict[bytes, Any]:
    """Return a reply of names and values as a dict, in either protocol."""
    if isinstance(reply, dict):
        named = cast("dict[bytes | str, Any]", reply)
    else:
        flat = cast("list[Any]", reply or [])
        named = dict(zip(flat[::2], flat[1::2]))  # noqa: B905 - a lone name at the end has no value
    if str in map(type, named):
        return {as_bytes(name): value for name, value in named.items()}
    return cast("dict[bytes, Any]", named)


def as_bytes(text: bytes | str) -> bytes:
    """Return a text of a reply as it was sent."""
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


def _executed(client: Any, what: tuple[tuple[bytes, ...], bytes | None]) -> Any:
    """Return the reply to a command, texts as bytes, or an awaitable of it."""
    command, packed = what
    # The client needs the name as a str to route the command.
    name = command[0].decode()
    if packed is not None and isinstance(client, TAKE_PACKED):
        return client.execute_command(name, *command[1:], NEVER_DECODE=True, packed=packed)
    if len(command) == 1 and hasattr(client, "get_random_node"):
        # There is no key to say to which node of a cluster it goes.
        node = client.get_random_node()
        return client.execute_command(name, NEVER_DECODE=True, target_nodes=node)
    return client.execute_command(name, *command[1:], NEVER_DECODE=True)


def _executed_together(client: Any, commands: Sequence[tuple[bytes, ...]]) -> Any:
    """Return the replies and errors of commands in a pipeline, or an awaitable of them."""
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(command[0].decode(), *command[1:], NEVER_DECODE=True)
    return pipeline.execute(raise_on_error=False)


def _made(make: Any, *args: Any) -> Any:
    try:
        return make(*args)
    except _FAILURES as error:
        raise storage_error(error) from error
