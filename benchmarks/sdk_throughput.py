"""Measures requests per second over loopback HTTP.

    uv run benchmarks/sdk_throughput.py

The server is a separate process: an `asyncio.Protocol` that reads a request up to its
Content-Length and writes a prepared response to a search. The clients search from one thread, from
8 threads that share one client, and from 64 asyncio tasks. "httpx" is the floor of `_floor.py`,
including request and response models, on a default client. "httpx, our limits" has the connection
limits of our clients. "aiohttp" has them too and makes the same exchange on an
`aiohttp.ClientSession`. Each package runs in its own process and environment, which also measures
httpx. The contenders take turns, and a ratio is the median over the rounds. A turn creates a new
client and lets each thread or task send one request before the clock starts, so that the
connections are open: it measures the state after a burst. In the rows with "CPU", a second is a
second of CPU time of the client's process.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from statistics import median
from typing import Any

from _sdk import (
    API_KEY,
    CACHE_ID,
    OFFICIAL,
    OURS,
    SEARCH_ANSWER,
    SEARCH_ARGUMENTS,
    environments,
    machine,
    median_ratio,
    print_table,
    rounds,
    run_child,
)

ROUNDS = 9
CALLS = 320
THREADS = 8
TASKS = 64
# The limits of our clients. The other packages do not define them.
LIMITS = {"max_connections": 1000, "max_keepalive_connections": 1000, "keepalive_expiry": 30}

Search = Callable[[], object]
AsyncSearch = Callable[[], Awaitable[object]]


def main() -> None:
    results: dict[str, Any] = {}
    with environments(extra="[aiohttp]") as pythons, server() as url:
        print(machine(pythons[OURS]))
        for name, python in pythons.items():
            results[name] = run_child(python, __file__, "child", url, name)
    print(f"\nRequests per second (median of {ROUNDS} rounds of {CALLS} requests)\n")
    rows: list[list[str]] = []
    for case, measured in results[OURS].items():
        contenders = {
            (OURS if name == "package" else name): (measured, values)
            for name, values in measured.items()
        }
        for name in OFFICIAL:
            contenders[name] = (results[name][case], results[name][case]["package"])
        for name, (beside, rates) in contenders.items():
            rows.append(
                [
                    f"{case}: {name}",
                    f"{median(rates):.0f}",
                    f"{median_ratio(rates, beside['httpx']):.2f}",
                    f"{median_ratio(rates, beside['httpx, our limits']):.2f}",
                ]
            )
    print_table(["", "requests/s", "x httpx", "x httpx, our limits"], rows)


@contextmanager
def server() -> Iterator[str]:
    """Run the server and yield its URL."""
    with subprocess.Popen(
        [sys.executable, __file__, "server"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


class Answering(asyncio.Protocol):
    """Responds to each request with the same response, on a persistent connection."""

    answer = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
        % (len(SEARCH_ANSWER), SEARCH_ANSWER)
    )
    content_length = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            length = self.content_length.search(self.received, 0, end + 2)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self.received) < size:
                return
            self.received = self.received[size:]
            self.transport.write(self.answer)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(Answering, "127.0.0.1", 0, backlog=1024)
    host, port = listener.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    await listener.serve_forever()


def child(url: str, name: str) -> None:
    blocking = blocking_contenders(url)
    results: dict[str, Any] = {
        "1 thread": rounds(ROUNDS, {key: threads(1, use) for key, use in blocking.items()}),
        f"{THREADS} threads": rounds(
            ROUNDS, {key: threads(THREADS, use) for key, use in blocking.items()}
        ),
        **{
            f"{TASKS} tasks{what}": rounds(
                ROUNDS,
                {key: tasks(use, clock) for key, use in async_contenders(url, name).items()},
            )
            for what, clock in (("", time.perf_counter), (", CPU", time.process_time))
        },
    }
    print(json.dumps(results))


def blocking_contenders(url: str) -> dict[str, Callable[[], AbstractContextManager[Search]]]:
    """For each contender, a context manager that opens a client and returns a search function."""
    import httpx
    from _floor import call, search_exchange

    from langcache import LangCache

    exchange = search_exchange(url)

    @contextmanager
    def bare(**options: Any) -> Iterator[Search]:
        with httpx.Client(**options) as client:
            yield lambda: call(client, exchange)

    @contextmanager
    def package() -> Iterator[Search]:
        with LangCache(server_url=url, api_key=API_KEY, cache_id=CACHE_ID) as cache:
            yield lambda: cache.search(**SEARCH_ARGUMENTS)

    limits = httpx.Limits(**LIMITS)
    return {
        "httpx": bare,
        "httpx, our limits": lambda: bare(limits=limits),
        "package": package,
    }


def async_contenders(
    url: str, name: str
) -> dict[str, Callable[[], AbstractAsyncContextManager[AsyncSearch]]]:
    import httpx
    from _floor import HEADERS, call_async, search_exchange

    from langcache import LangCache

    exchange = search_exchange(url)

    @asynccontextmanager
    async def bare(**options: Any) -> AsyncIterator[AsyncSearch]:
        async with httpx.AsyncClient(**options) as client:
            yield lambda: call_async(client, exchange)

    @asynccontextmanager
    async def package(**options: Any) -> AsyncIterator[AsyncSearch]:
        settings = {"server_url": url, "api_key": API_KEY, "cache_id": CACHE_ID, **options}
        async with LangCache(**settings) as cache:
            yield lambda: cache.search_async(**SEARCH_ARGUMENTS)

    limits = httpx.Limits(**LIMITS)
    contenders: dict[str, Callable[[], AbstractAsyncContextManager[AsyncSearch]]] = {
        "httpx": bare,
        "httpx, our limits": lambda: bare(limits=limits),
        "package": package,
    }
    if name != OURS:
        return contenders

    import aiohttp

    from langcache import DefaultAioHttpClient

    @asynccontextmanager
    async def package_on_aiohttp() -> AsyncIterator[AsyncSearch]:
        async with DefaultAioHttpClient() as client, package(async_client=client) as search:
            yield search

    @asynccontextmanager
    async def bare_aiohttp() -> AsyncIterator[AsyncSearch]:
        connector = aiohttp.TCPConnector(limit=LIMITS["max_connections"])
        async with aiohttp.ClientSession(connector=connector) as session:

            async def search() -> object:
                async with session.post(
                    exchange.url, data=exchange.body(), headers=HEADERS
                ) as response:
                    response.raise_for_status()
                    return exchange.answer.model_validate_json(await response.read())

            yield search

    return {
        **contenders,
        f"{OURS}, aiohttp extra": package_on_aiohttp,
        "aiohttp": bare_aiohttp,
    }


def threads(count: int, use: Callable[[], AbstractContextManager[Search]]) -> Callable[[], float]:
    """Return a function that measures requests per second from a number of threads."""

    def rate() -> float:
        with use() as search, ThreadPoolExecutor(count) as pool:

            def work(calls: int) -> None:
                for _ in range(calls):
                    search()

            list(pool.map(work, [1] * count))
            started = time.perf_counter()
            list(pool.map(work, [CALLS // count] * count))
            return CALLS / (time.perf_counter() - started)

    return rate


def tasks(
    use: Callable[[], AbstractAsyncContextManager[AsyncSearch]], clock: Callable[[], float]
) -> Callable[[], float]:
    """Return a function that measures requests per second of a clock from asyncio tasks."""

    async def rate() -> float:
        async with use() as search:

            async def work(calls: int) -> None:
                for _ in range(calls):
                    await search()

            await asyncio.gather(*(work(1) for _ in range(TASKS)))
            started = clock()
            await asyncio.gather(*(work(CALLS // TASKS) for _ in range(TASKS)))
            return CALLS / (clock() - started)

    return lambda: asyncio.run(rate())


if __name__ == "__main__":
    if sys.argv[1:] == ["server"]:
        asyncio.run(serve())
    elif sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:])
    else:
        main()
