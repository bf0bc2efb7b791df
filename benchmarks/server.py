"""The server beside the floor: start, memory, latency, throughput, and where the time goes.

    uv run benchmarks/server.py [--entries N] [--seconds S] [--rounds R] [--parts start,load,where]

The floor is uvicorn with a Starlette application of one route that parses the same JSON and returns
a constant (`server_start.FLOOR`). Servers and the load generator (this process) are separate
processes. Floor and server take turns, and each ratio is the median over the rounds of the ratio in
one round. "CPU" is the processor time of the server's process per request, which other work on the
machine disturbs least. "embedding" marks requests whose prompts the server must embed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import server_start
from _load import Load, http_request, run_load
from _sdk import print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTIONS = (1, 16, 64)
PATH = "/v1/caches/a/entries"
TOPICS = ["bank", "mail", "phone", "cloud", "school", "work", "game", "music", "film", "shop"]
KNOWN = [f"How do I reset the password of my {topic} account?" for topic in TOPICS]
UNKNOWN = [f"Why is the {topic} so loud on Sundays in winter?" for topic in TOPICS]
# Each differs from all others, so that requests at the same time cannot share an embedding.
NEW = [
    f"How do I reset the password of my {topic} account in week {week}?"
    for week in range(500)
    for topic in TOPICS
]

# Like the command when hosted (without test controls and without the list of lookups), but filled
# with entries of random vectors, which are similar to no prompt.
FILLED = """
import sys
import numpy as np
from langcache.engine import InMemoryStorage
from langcache.engine.storage import CacheEntry
from langcache_minilm import MODEL_ID
from langcache_mockserver import Settings, create_app
from langcache_mockserver.http.uvicorn_server import Server, listen
from langcache_mockserver.workers import collect_garbage_rarely

storage = InMemoryStorage()
random = np.random.default_rng(1)
for number in range(int(sys.argv[1])):
    vector = random.standard_normal(384).astype(np.float32)
    storage.store(CacheEntry(
        id=f"{number:032x}", prompt=f"prompt {number}", response="r" * 200,
        embedding=vector / np.linalg.norm(vector), namespace="a", embedding_model_id=MODEL_ID,
        attributes={"user": str(number % 100)}, created_at=0.0, updated_at=0.0,
    ))
listener = listen("127.0.0.1", 0)
app = create_app(
    # Without a limit of the wait, so that other work on the machine causes no 429.
    Settings(
        embedding_cache=int(sys.argv[2]),
        test_controls="off",
        record_lookups=0,
        max_wait_seconds=0.0,
    ),
    storage=storage,
)
collect_garbage_rarely()
port = listener.getsockname()[1]
Server(app, listener, lambda: print("ready on http://127.0.0.1:%d" % port, flush=True)).run()
"""


@contextmanager
def serving(command: list[str]) -> Iterator[tuple[int, int]]:
    """Run a server; gives its process id and port."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.pid, int(process.stdout.readline().rsplit(":", 1)[1])
        finally:
            process.kill()


def filled(entries: int, embedding_cache: int) -> list[str]:
    return [sys.executable, "-c", FILLED, str(entries), str(embedding_cache)]


def adding(prompts: list[str]) -> list[bytes]:
    bodies = ({"prompt": prompt, "response": "r" * 200} for prompt in prompts)
    return [http_request("POST", PATH, json.dumps(body)) for body in bodies]


def searching(prompts: list[str], **fields: object) -> list[bytes]:
    bodies = ({"prompt": prompt, **fields} for prompt in prompts)
    return [http_request("POST", f"{PATH}/search", json.dumps(body)) for body in bodies]


# Requests by what they measure. With a size of 0, the server keeps no vectors.
WARM = {
    "set": adding(KNOWN),
    "search, hit": searching(KNOWN),
    "search, miss": searching(UNKNOWN),
    "search, exact": searching(KNOWN, searchStrategies=["exact"]),
    "search, filtered": searching(KNOWN, attributes={"user": "7"}),
}
COMPUTED = {"set, embedding": adding(KNOWN), "search, embedding": searching(NEW)}
COMPUTED_PROMPTS = {"set, embedding": KNOWN, "search, embedding": NEW}


def embeddings_per_second(prompts: list[str], seconds: float) -> float:
    """Measure how many of these prompts one thread can embed in a second, one by one."""
    from langcache.engine import MiniLMEmbedder

    embedder = MiniLMEmbedder()
    embedder.embed(KNOWN)
    count = 0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        embedder.embed([prompts[count % len(prompts)]])
        count += 1
    return count / (time.perf_counter() - started)


def measure_start(rounds: int) -> None:
    """Print how long the first answer takes, and how much memory an idle server has."""
    commands = {
        "floor": [sys.executable, "-c", server_start.FLOOR],
        "langcache-mockserver": [sys.executable, "-m", "langcache_mockserver", "--port", "0"],
    }
    rows: list[list[str]] = []
    for name, command in commands.items():
        server_start.seconds_to_first_answer(command)  # warms the disk's cache
        seconds = [server_start.seconds_to_first_answer(command) for _ in range(rounds)]
        with serving(command) as (pid, port):
            time.sleep(0.5)
            idle = resident_megabytes(pid)
            run_load(port, adding(KNOWN), connections=1, seconds=0.1)
            used = resident_megabytes(pid)
        rows.append([name, f"{statistics.median(seconds):.2f}", f"{idle:.0f}", f"{used:.0f}"])
    print_table(["", "first response, s", "idle, MB", "after some sets, MB"], rows)


def resident_megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds(pid: int) -> float:
    """Return how much of the processor a process has had so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Taken:
    """What one load came to, and the processor's time for each request, in µs."""

    load: Load
    cpu: float


def load_server(
    server: tuple[int, int], requests: list[bytes], connections: int, seconds: float
) -> Taken:
    """Put load on a server, given by process id and port."""
    pid, port = server
    before = cpu_seconds(pid)
    load = run_load(port, requests, connections=connections, seconds=seconds)
    if set(load.statuses) - {200, 201}:
        raise SystemExit(f"answers {load.statuses}")
    return Taken(load, (cpu_seconds(pid) - before) / len(load.latencies) * 1e6)


def measure_load(entries: int, seconds: float, rounds: int) -> None:
    """Print latency and requests per second of each operation, beside the floor."""
    floor_command = [sys.executable, "-c", server_start.FLOOR]
    with (
        serving(floor_command) as floor,
        serving(filled(entries, 4096)) as warm,
        serving(filled(entries, 0)) as cold,
    ):
        for server in (warm, cold):
            load_server(server, [*adding(KNOWN), *searching(UNKNOWN)], 1, 0.5)
        cases = {
            **{name: (warm, requests) for name, requests in WARM.items()},
            **{name: (cold, requests) for name, requests in COMPUTED.items()},
        }
        print(f"\n{entries} entries\n")
        rows: list[list[str]] = []
        for connections in CONNECTIONS:
            taken: dict[str, list[Taken]] = {name: [] for name in ("floor", *cases)}
            rates: dict[str, list[float]] = {name: [] for name in cases}
            cpus: dict[str, list[float]] = {name: [] for name in cases}
            speeds: dict[str, list[float]] = {name: [] for name in COMPUTED}
            for _ in range(rounds):
                for name, (server, requests) in cases.items():
                    # Right before each, so that both see the same noise.
                    base = load_server(floor, adding(KNOWN), connections, seconds / 2)
                    if name in COMPUTED:
                        speed = embeddings_per_second(COMPUTED_PROMPTS[name], seconds / 2)
                        speeds[name].append(speed)
                    one = load_server(server, requests, connections, seconds)
                    taken["floor"].append(base)
                    taken[name].append(one)
                    rates[name].append(one.load.rate / base.load.rate)
                    cpus[name].append(base.cpu / one.cpu)
            for name, each in taken.items():
                p50 = statistics.median(one.load.percentile(50) for one in each)
                p99 = statistics.median(one.load.percentile(99) for one in each)
                rate = statistics.median(one.load.rate for one in each)
                row = [
                    f"{connections}: {name}",
                    f"{rate:.0f}",
                    f"{statistics.median(rates.get(name, [1])):.2f}",
                    f"{p50:.2f}",
                    f"{p99:.2f}",
                    f"{p99 / p50:.1f}",
                    f"{statistics.median(one.cpu for one in each):.0f}",
                    f"{statistics.median(cpus.get(name, [1])):.2f}",
                ]
                is_computed = name in COMPUTED
                row.append(f"{rate / statistics.median(speeds[name]):.2f}" if is_computed else "")
                rows.append(row)
        print_table(
            ["connections", "requests/s", "x floor", "p50 ms", "p99 ms", "p99/p50",
             "CPU µs", "x floor (CPU)", "x embedding"],
            rows,
        )  # fmt: skip


def measure_parts(entries: int) -> None:
    """Print what the parts of a search take, in one thread without a network."""
    from langcache_mockserver.http.documents import CONTRACT
    from langcache_mockserver.http.response import JSONResponse
    from langcache_mockserver.http.validation import parse_body, request_schemas

    from langcache.engine import InMemoryStorage, MiniLMEmbedder
    from langcache.engine.storage import CacheEntry

    embedder = MiniLMEmbedder()
    storage = InMemoryStorage()
    random = np.random.default_rng(1)
    for number in range(entries):
        vector = random.standard_normal(embedder.dimensions).astype(np.float32)
        storage.store(
            CacheEntry(
                id=str(number),
                prompt="p",
                response="r" * 200,
                embedding=vector / np.linalg.norm(vector),
                namespace="a",
                embedding_model_id="m",
                created_at=0.0,
                updated_at=0.0,
            )
        )
    body = json.dumps({"prompt": KNOWN[0]}).encode()
    answer = {"data": [{"id": "0" * 32, "prompt": KNOWN[0], "response": "r" * 200}]}
    query = embedder.embed([KNOWN[0]])[0]
    schemas = request_schemas(CONTRACT)
    parts = {
        "embedding": lambda: embedder.embed([KNOWN[0]]),
        "index": lambda: storage.search_top(query, "a", "m", "", 0.0),
        "JSON in, checked": lambda: parse_body(body, "SearchRequest", schemas),
        "JSON out": lambda: JSONResponse(answer),
    }
    print(f"\nparts of a search among {entries} entries\n")
    rows: list[list[str]] = []
    for name, part in parts.items():
        taken: list[float] = []
        for _ in range(300):
            started = time.perf_counter()
            part()
            taken.append(time.perf_counter() - started)
        rows.append([name, f"{statistics.median(taken) * 1e6:.1f}"])
    print_table(["part", "µs"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=1000, help="entries of the cache (1000)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each load (2)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--parts", default="start,load,where", help="what to measure")
    options = parser.parse_args()
    parts = options.parts.split(",")
    if "start" in parts:
        measure_start(5)
    if "load" in parts:
        measure_load(options.entries, options.seconds, options.rounds)
    if "where" in parts:
        measure_parts(options.entries)


if __name__ == "__main__":
    main()
