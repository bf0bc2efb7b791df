"""Measures the startup time of a process with a client, and the memory of many clients.

    uv run benchmarks/sdk_import.py

Each sample is the lifetime of a fresh interpreter; the contenders take turns. "client" is a program
that imports the package and constructs a client. "first call" also makes a blocking search that a
closed port of 127.0.0.1 refuses immediately, so that everything that a call needs has been created,
including the HTTP client and its TLS context. The floor is a program that imports httpx and
pydantic's `BaseModel`, defines one model and creates an `httpx.Client()`, including the TLS
context. (`import pydantic` alone loads almost nothing.)

Memory is the resident set of a process in which each of 1 or 100 clients has made a blocking and an
async call, so that it has a sync and an async HTTP client.
"""

import socket
import subprocess
import time
from pathlib import Path
from statistics import median

from _sdk import API_KEY, CACHE_ID, OURS, child_environment, environments, machine, print_table

ROUNDS = 31
MEMORY_ROUNDS = 3

FLOOR_WITHOUT_MODELS = "import httpx, pydantic\nclient = httpx.Client()"
FLOOR = """import httpx
from pydantic import BaseModel

class Model(BaseModel):
    text: str

client = httpx.Client()
"""
FLOOR_CALL = f"""{FLOOR}
try:
    client.post("{{url}}")
except httpx.ConnectError:
    pass
"""
CLIENT = f"""from langcache import LangCache
cache = LangCache(server_url="{{url}}", api_key="{API_KEY}", cache_id="{CACHE_ID}")
"""
CLIENT_CALL = f"""{CLIENT}
import httpx
try:
    cache.search(prompt="prompt", retries=None)
except httpx.ConnectError:
    pass
"""
MEMORY = f"""
import asyncio, gc, os, sys
import httpx
from langcache import LangCache

async def main(count):
    caches = [
        LangCache(server_url="{{url}}", api_key="{API_KEY}", cache_id="{CACHE_ID}")
        for _ in range(count)
    ]
    for cache in caches:
        try:
            cache.search(prompt="prompt", retries=None)
        except httpx.ConnectError:
            pass
        try:
            await cache.search_async(prompt="prompt", retries=None)
        except httpx.ConnectError:
            pass
    gc.collect()
    with open("/proc/self/statm") as statm:
        print(int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))

asyncio.run(main(int(sys.argv[1])))
"""


def main() -> None:
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    http = f"http://127.0.0.1:{closed.getsockname()[1]}"
    https = http.replace("http", "https", 1)
    with environments() as pythons:
        print(machine(pythons[OURS]))
        time_processes(pythons, http, https)
        if Path("/proc/self/statm").exists():
            weigh_clients(pythons, http, https)


def time_processes(pythons: dict[str, str], http: str, https: str) -> None:
    ours = pythons[OURS]
    contenders = {
        "bare interpreter": [ours, "-c", "pass"],
        "floor without a model": [ours, "-c", FLOOR_WITHOUT_MODELS],
        "floor: client": [ours, "-c", FLOOR],
        "floor: first call": [ours, "-c", FLOOR_CALL.replace("{url}", http)],
    }
    for name, python in pythons.items():
        for what, code in (("client", CLIENT), ("first call", CLIENT_CALL)):
            for url in (http, https):
                scheme = url.partition(":")[0]
                contenders[f"{name}: {what}, {scheme}"] = [
                    python,
                    "-c",
                    code.replace("{url}", url),
                ]
    times: dict[str, list[float]] = {name: [] for name in contenders}
    environment = child_environment()
    for _ in range(ROUNDS):
        for name, command in contenders.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, env=environment)
            times[name].append((time.perf_counter() - started) * 1000)
    floor = times["floor: client"]
    print(f"\nTime of a process in ms (median of {ROUNDS} rounds)\n")
    print_table(
        ["", "ms", "over the floor", "x floor"],
        [
            [
                name,
                f"{median(values):.0f}",
                f"{median(v - f for v, f in zip(values, floor, strict=True)):+.0f}",
                f"{median(v / f for v, f in zip(values, floor, strict=True)):.2f}",
            ]
            for name, values in times.items()
        ],
    )


def weigh_clients(pythons: dict[str, str], http: str, https: str) -> None:
    environment = child_environment()

    def resident(python: str, url: str, count: int) -> float:
        command = [python, "-c", MEMORY.replace("{url}", url), str(count)]
        samples = [
            int(subprocess.check_output(command, env=environment)) for _ in range(MEMORY_ROUNDS)
        ]
        return median(samples) / 2**20

    rows: list[list[str]] = []
    for name, python in pythons.items():
        for url in (http, https):
            one = resident(python, url, 1)
            hundred = resident(python, url, 100)
            rows.append(
                [
                    f"{name}, {url.partition(':')[0]}",
                    f"{one:.1f}",
                    f"{hundred:.1f}",
                    f"{hundred - one:+.1f}",
                ]
            )
    print(f"\nResident memory in MiB (median of {MEMORY_ROUNDS} processes)\n")
    print_table(["", "1 client", "100 clients", "difference"], rows)


if __name__ == "__main__":
    main()
