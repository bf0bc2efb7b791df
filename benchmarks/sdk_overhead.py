"""Measures the CPU time of a call without a network.

    uv run benchmarks/sdk_overhead.py

The HTTP client is httpx with a transport that returns a prepared response. The floor is the same
exchange written with httpx and pydantic alone: build the request model, dump it, `client.post`,
`raise_for_status`, validate the response. The lean floor parses the URL once for all calls and uses
`client.send`, as ours does. Each package runs in its own process and environment, which also
measures the floors. The contenders take turns, and a ratio is the median over the rounds. Garbage
is collected only between turns, which favours packages that create a lot of it.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from _sdk import (
    API_KEY,
    CACHE_ID,
    OURS,
    SEARCH_ANSWER,
    SEARCH_ARGUMENTS,
    SET_ANSWER,
    SET_ARGUMENTS,
    environments,
    machine,
    median_ratio,
    print_table,
    rounds,
    run_child,
)

SERVER_URL = "http://cache.example"
ROUNDS = 41
CALLS = 100


def main() -> None:
    results: dict[str, Any] = {}
    with environments() as pythons:
        print(machine(pythons[OURS]))
        for name, python in pythons.items():
            results[name] = run_child(python, __file__, "child")
    rows: list[list[str]] = []
    for case in results[OURS]:
        contenders = {
            "floor": (results[OURS][case], "floor"),
            "lean floor": (results[OURS][case], "lean floor"),
            **{name: (result[case], "package") for name, result in results.items()},
        }
        for name, (measured, key) in contenders.items():
            rows.append(
                [
                    f"{case}: {name}",
                    f"{median(measured[key]) * 1e6:.0f}",
                    f"{median_ratio(measured[key], measured['floor']):.2f}",
                    f"{median_ratio(measured[key], measured['lean floor']):.2f}",
                ]
            )
    print(f"\nCPU time of a call (median of {ROUNDS} rounds of {CALLS} calls)\n")
    print_table(["", "µs", "x floor", "x lean floor"], rows)


def child() -> None:
    import httpx
    from _floor import (
        call,
        call_async,
        lean_call,
        lean_call_async,
        search_exchange,
        set_exchange,
    )

    from langcache import LangCache

    def answer(request: httpx.Request) -> httpx.Response:
        search = request.url.path.endswith("/search")
        return httpx.Response(
            200 if search else 201,
            content=SEARCH_ANSWER if search else SET_ANSWER,
            headers={"content-type": "application/json"},
        )

    client = httpx.Client(transport=httpx.MockTransport(answer))
    async_client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    cache = LangCache(
        server_url=SERVER_URL,
        api_key=API_KEY,
        cache_id=CACHE_ID,
        client=client,
        async_client=async_client,
    )
    loop = asyncio.new_event_loop()
    results: dict[str, Any] = {}
    for name, exchange, arguments in (
        ("search", search_exchange(SERVER_URL), SEARCH_ARGUMENTS),
        ("set", set_exchange(SERVER_URL), SET_ARGUMENTS),
    ):
        method = getattr(cache, name)
        results[name] = rounds(
            ROUNDS,
            {
                "floor": blocking(call, client, exchange),
                "lean floor": blocking(lean_call, client, exchange),
                "package": blocking(method, **arguments),
            },
        )
        method = getattr(cache, f"{name}_async")
        results[f"{name}_async"] = rounds(
            ROUNDS,
            {
                "floor": awaiting(loop, call_async, async_client, exchange),
                "lean floor": awaiting(loop, lean_call_async, async_client, exchange),
                "package": awaiting(loop, method, **arguments),
            },
        )
    loop.close()
    print(json.dumps(results))


def blocking(method: Callable[..., object], *args: Any, **kwargs: Any) -> Callable[[], float]:
    """The CPU seconds of one call."""

    def measure() -> float:
        started = time.process_time()
        for _ in range(CALLS):
            method(*args, **kwargs)
        return (time.process_time() - started) / CALLS

    return measure


def awaiting(
    loop: asyncio.AbstractEventLoop,
    method: Callable[..., Awaitable[object]],
    *args: Any,
    **kwargs: Any,
) -> Callable[[], float]:
    """The CPU seconds of one async call, including the thread pool that a package uses."""

    async def measure() -> float:
        started = time.process_time()
        for _ in range(CALLS):
            await method(*args, **kwargs)
        return (time.process_time() - started) / CALLS

    return lambda: loop.run_until_complete(measure())


if __name__ == "__main__":
    child() if sys.argv[1:] == ["child"] else main()
