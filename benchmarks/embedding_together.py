"""Many prompts at once: embedded in one call, and by a server.

    uv run benchmarks/embedding_together.py [--rounds R] [--seconds S] [--parts embed,server]

Everything takes turns within a round, and each ratio is the median of those within a round. The
prompts are questions of 6 to 22 words, or so many tokens.

- embed: 64 prompts, one by one, in one call on one processor, and in one call on all.
- server: searches for new prompts by 16 and 64 clients, which are a process of their own. The
  server has one processor, then all; "one core" is a thread that embeds the same prompts one by one
  and does nothing else.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from statistics import median
from typing import TYPE_CHECKING

from _sdk import print_table
from import_rows import prompts_of
from server import filled, load_server, searching, serving

from langcache.engine import MiniLMEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TOGETHER = 64
CONNECTIONS = (16, 64)
ONE_PROCESSOR = ["taskset", "--cpu-list", "0"]
Measured = dict[str, list[float]]


def seconds_of(function: Callable[[], object]) -> tuple[float, float]:
    """Call a function; return wall and CPU seconds."""
    started, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - started, time.process_time() - cpu


def embed_one_by_one(embedder: MiniLMEmbedder, prompts: Sequence[str]) -> None:
    for prompt in prompts:
        embedder.embed([prompt])


def measure_embed(rounds: int) -> None:
    one, all_of_them = MiniLMEmbedder(processors=1), MiniLMEmbedder()
    prompts = prompts_of(TOGETHER)
    cases: dict[str, Callable[[], object]] = {
        "one by one": lambda: embed_one_by_one(one, prompts),
        "in one call, one processor": lambda: one.embed(prompts),
        "in one call, all processors": lambda: all_of_them.embed(prompts),
    }
    walls: Measured = {name: [] for name in cases}
    cpus: Measured = {name: [] for name in cases}
    for number, (name, work) in itertools.product(range(rounds + 1), cases.items()):
        wall, cpu = seconds_of(work)
        if number:  # the first round warms up
            walls[name].append(wall)
            cpus[name].append(cpu)
    rows: list[list[str]] = []
    for name in cases:
        row = [name]
        for measured in (walls, cpus):
            milliseconds = median(measured[name]) / TOGETHER * 1000
            times = median(map(float.__truediv__, measured["one by one"], measured[name]))
            row += [f"{milliseconds:.2f}", f"{times:.2f}"]
        rows.append(row)
    print()
    print_table(["64 prompts", "ms per text", "x one by one", "CPU ms", "x one by one"], rows)


def measure_server(rounds: int, seconds: float) -> None:
    embedder = MiniLMEmbedder(processors=1)
    prompts = prompts_of(5000)
    requests = searching(prompts)
    count = max(1, int(seconds * 150))
    every = filled(1000, 0)
    rows: list[list[str]] = []
    with serving([*ONE_PROCESSOR, *every]) as narrow, serving(every) as wide:
        servers = {"server on one processor": narrow, "server on all processors": wide}
        for server in servers.values():
            load_server(server, requests, 16, 0.5)
        for connections in CONNECTIONS:
            ratios: Measured = {name: [] for name in (*servers, "all / one")}
            taken = {name: [] for name in servers}
            floor: list[tuple[float, float]] = []
            for number in range(rounds):
                some = [prompts[(number * count + i) % len(prompts)] for i in range(count)]
                wall, cpu = seconds_of(lambda some=some: embed_one_by_one(embedder, some))
                floor.append((count / wall, cpu / count))
                for name, server in servers.items():
                    load = load_server(server, requests, connections, seconds)
                    taken[name].append(load)
                    ratios[name].append(load.load.rate * wall / count)
                rates = [taken[name][-1].load.rate for name in servers]
                ratios["all / one"].append(rates[1] / rates[0])
            rate, cpu = (median(each) for each in zip(*floor, strict=True))
            label = f"{connections} clients"
            rows.append(
                [
                    f"{label}: one core, one by one",
                    f"{rate:.0f}",
                    "1.00",
                    f"{cpu * 1000:.2f}",
                    "",
                    "",
                ]
            )
            for name, loads in taken.items():
                rate = median(one.load.rate for one in loads)
                cpu = median(one.cpu for one in loads) / 1000
                p50, p99 = (median(one.load.percentile(part) for one in loads) for part in (50, 99))
                row = [f"{label}: {name}", f"{rate:.0f}", f"{median(ratios[name]):.2f}"]
                rows.append([*row, f"{cpu:.2f}", f"{p50:.1f}", f"{p99:.1f}"])
            both = f"{median(ratios['all / one']):.2f}"
            rows.append([f"{label}: all processors / one", "", both, "", "", ""])
    print()
    print_table(["", "prompts/s", "x one core", "CPU ms", "p50 ms", "p99 ms"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11, help="how often each is measured (11)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of each load (1)")
    parser.add_argument("--parts", default="embed,server", help="what to measure")
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, {options.rounds} rounds")
    if "embed" in options.parts:
        measure_embed(options.rounds)
    if "server" in options.parts:
        measure_server(options.rounds, options.seconds)


if __name__ == "__main__":
    main()
