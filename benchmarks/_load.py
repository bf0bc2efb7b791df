"""A light HTTP/1.1 load generator: raw sockets, keep-alive, one request at a time on each."""

from __future__ import annotations

import asyncio
import gc
import time
from dataclasses import dataclass, field

try:
    import uvloop
except ImportError:  # it has no wheels for Windows
    uvloop = None


@dataclass
class Load:
    """What a load came to.

    Attributes:
        seconds: How long it took.
        latencies: Of each answer, in seconds, sorted.
        statuses: How many answers there were of each status.
    """

    seconds: float
    latencies: list[float]
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Return the latency that so many percent of the answers did not exceed, in ms."""
        if not self.latencies:
            return float("nan")
        return self.latencies[int((len(self.latencies) - 1) * percent / 100)] * 1000


def http_request(
    method: str, path: str, body: str | bytes = b"", headers: dict[str, str] | None = None
) -> bytes:
    """Return the bytes of a request."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(content)}"]
    given = {"authorization": "Bearer k", "content-type": "application/json", **(headers or {})}
    lines += [f"{name}: {value}" for name, value in given.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def run_load(port: int, requests: list[bytes], *, connections: int, seconds: float) -> Load:
    """Send requests to 127.0.0.1, in turn, from so many connections at once, for so long."""
    # What the generator keeps must not make its own garbage collection part of the latencies.
    gc.collect()
    gc.disable()
    try:
        run = asyncio.run if uvloop is None else uvloop.run
        return run(_run(port, requests, connections, seconds))
    finally:
        gc.enable()


async def _run(port: int, requests: list[bytes], connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    load = Load(0.0, [])
    clients = [
        (
            await loop.create_connection(
                lambda first=first: _Client(load, requests, first), "127.0.0.1", port
            )
        )[1]
        for first in (number * len(requests) // connections for number in range(connections))
    ]
    started = time.perf_counter()
    for client in clients:
        client.send(started + seconds)
    await asyncio.gather(*(client.done for client in clients))
    load.seconds = time.perf_counter() - started
    load.latencies.sort()
    return load


class _Client(asyncio.Protocol):
    """One connection that sends the next request as soon as it has the answer to the last."""

    def __init__(self, load: Load, requests: list[bytes], first: int) -> None:
        self._load = load
        self._requests = requests
        self._next = first
        self._received = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send(self, until: float) -> None:
        self._until = until
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._next % len(self._requests)])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < content_length(head):
            return
        now = time.perf_counter()
        self._received = b""
        status = int(head[9:12])
        self._load.statuses[status] = self._load.statuses.get(status, 0) + 1
        self._load.latencies.append(now - self._sent)
        if now < self._until:
            self.send(self._until)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def content_length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
