"""Time and memory of the engine: embedding, inserting, searching.

    uv run --with usearch benchmarks/engine_speed.py [--sizes 1000 10000 100000 1000000]

Everything runs in one thread. The vectors are random, 384 numbers wide, of unit length; a query is
one of them with noise, at a similarity of about 0.95. The floor of a search is numpy alone: the
fastest product of matrix and vector that numpy has, and its largest element. usearch (HNSW,
float32, its own defaults) takes part up to 100k entries when it is installed. The contenders take
turns, and a ratio is the median of the ratios within a round, so that other work on the machine
does not count much.
"""

import argparse
import gc
import importlib
import os
import platform
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from _sdk import median_ratio, print_table, rounds

from langcache.engine import CacheEntry, InMemoryStorage, MiniLMEmbedder, SQLiteStorage

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
DIMENSIONS = 384
SCOPE = ("ns", "model", "")
ROUNDS = 31
LARGEST_FOR_USEARCH = 100_000
LARGEST_FOR_SQLITE = 100_000
ENTRIES_FOR_MEMORY = 100_000

# Each entry has three attributes: one value in 100, one in 10, one in 3.
FILTERS: dict[str, dict[str, str] | None] = {
    "no filter": None,
    "1 attribute, 1 % of entries": {"user": "7"},
    "1 attribute, 33 % of entries": {"tier": "1"},
    "3 attributes, 0.3 % of entries": {"user": "7", "language": "7", "tier": "1"},
}


VALUES = [str(number) for number in range(100)]


def attributes_of(number: int) -> dict[str, str]:
    return {
        "user": VALUES[number % 100],
        "language": VALUES[number % 10],
        "tier": VALUES[number % 3],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    sizes = parser.parse_args().sizes
    if not ONE_THREAD.items() <= os.environ.items():
        # numpy reads them when it is imported.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})
    packages = ["numpy", "onnxruntime", "tokenizers", "usearch"]
    versions = [f"{name} {metadata.version(name)}" for name in packages if find_spec(name)]
    python = f"Python {platform.python_version()}"
    print(", ".join([cpu(), f"{os.cpu_count()} cores", platform.system(), python, *versions]))
    print()
    embedding()
    memory()
    # After onnxruntime: usearch 2.26.6 in the other order kills the process.
    usearch = importlib.import_module("usearch.index") if find_spec("usearch") else None
    inserted: list[list[str]] = []
    searched: list[list[str]] = []
    for size in sizes:
        insert_and_search(size, usearch, inserted, searched)
    print("\n### Insert, vectors given\n")
    print_table(
        ["entries", "memory, entries/s", "SQLite, entries/s",
         "SQLite opened in s", "usearch, vectors/s"],
        inserted,
    )  # fmt: skip
    print("\n### Search\n")
    print_table(["entries", "search", "p50 ms", "x floor", "x no filter"], searched)


def embedding() -> None:
    embedder = MiniLMEmbedder()
    short = "How do I reset my password?"
    long = "Please tell me which of your plans has the most storage for a family of five people."
    cases: dict[str, tuple[Sequence[str], int]] = {
        "7 words": ([short], 1),
        "17 words": ([long], 1),
        "64 texts of 7 words in one call": ([short] * 64, 64),
    }

    def measure(texts: Sequence[str]) -> Callable[[], float]:
        return lambda: timed(lambda: embedder.embed(texts))

    measured = rounds(11, {name: measure(texts) for name, (texts, _) in cases.items()})
    print("### Embed, MiniLM\n")
    print_table(
        ["text", "ms per text"],
        [
            [name, f"{median(measured[name]) / count * 1e3:.2f}"]
            for name, (_, count) in cases.items()
        ],
    )


def memory() -> None:
    """What an entry takes beside its vector and texts; its id and its attributes are counted."""
    vector = np.full(DIMENSIONS, DIMENSIONS**-0.5, np.float32)
    storage = InMemoryStorage()
    gc.collect()
    tracemalloc.start()
    for number in range(ENTRIES_FOR_MEMORY):
        storage.store(make_entry(number, "prompt", "response", vector))
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    beside = taken / ENTRIES_FOR_MEMORY - vector.nbytes
    print(f"\nMemory at {ENTRIES_FOR_MEMORY:,} entries: {vector.nbytes:,} bytes of vector")
    print(f"and {beside:,.0f} bytes beside it and the texts, for each.")


def make_entry(number: int, prompt: str, response: str, vector: Any) -> CacheEntry:
    return CacheEntry(
        id=f"{number:032x}",
        prompt=prompt,
        response=response,
        embedding=vector,
        namespace="ns",
        embedding_model_id="model",
        attributes=attributes_of(number),
        created_at=1.0,
        updated_at=1.0,
    )


def insert_and_search(
    size: int, usearch: Any, inserted: list[list[str]], searched: list[list[str]]
) -> None:
    vectors = np.random.default_rng(0).standard_normal((size, DIMENSIONS), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [(f"What is the answer to number {number}?", "It is " * 20) for number in range(size)]

    def entry(number: int) -> CacheEntry:
        return make_entry(number, *texts[number], vectors[number])

    storage = InMemoryStorage()
    gc.collect()
    seconds = 0.0
    # Entries are made in batches outside the time that is taken.
    for start in range(0, size, 1000):
        batch = [entry(number) for number in range(start, min(start + 1000, size))]
        seconds += timed(lambda batch=batch: [storage.store(each) for each in batch])
    del batch
    index, index_rate = None, "-"
    if usearch and size <= LARGEST_FOR_USEARCH:
        index = usearch.Index(ndim=DIMENSIONS, metric="ip")
        taken = timed(lambda: index.add(np.arange(size), vectors, threads=1))
        index_rate = f"{size / taken:,.0f}"
    inserted.append(
        [
            f"{size:,}",
            f"{size / seconds:,.0f}",
            *sqlite(size, entry),
            index_rate,
        ]
    )

    numbers = np.random.default_rng(1).integers(0, size, 1000)
    noise = np.random.default_rng(2).standard_normal((1000, DIMENSIONS), np.float32)
    queries = vectors[numbers] + 0.025 * noise
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    sequence = iter(np.resize(np.arange(1000), 10**6))
    repeat = max(1, 20_000 // size)

    def measure(search: Callable[[Any], Any]) -> Callable[[], float]:
        def run() -> float:
            chosen = [queries[next(sequence)] for _ in range(repeat)]
            search(chosen[0])  # brings back to the caches what the others have driven out
            return timed(lambda: [search(query) for query in chosen]) / repeat

        return run

    scores = np.empty(size, np.float32)

    def matmul(query: Any) -> Any:
        return np.matmul(vectors, query, out=scores).argmax()

    def vecdot(query: Any) -> Any:
        return np.vecdot(vectors, query, out=scores).argmax()

    contenders = {
        "numpy @": measure(matmul),
        "numpy vecdot": measure(vecdot),
        **{
            name: measure(
                lambda query, attributes=attributes: storage.search_top(
                    query, *SCOPE, 0.9, attributes=attributes
                )
            )
            for name, attributes in FILTERS.items()
        },
    }
    if index:
        contenders["usearch"] = measure(lambda query: index.search(query, 1))
    measured = rounds(ROUNDS, contenders)
    floors = [min(pair) for pair in zip(measured["numpy @"], measured["numpy vecdot"], strict=True)]
    for name, values in measured.items():
        unfiltered = measured["no filter"]
        searched.append(
            [
                f"{size:,}",
                name,
                f"{median(values) * 1e3:.3f}",
                f"{median_ratio(values, floors):.2f}",
                f"{median_ratio(values, unfiltered):.2f}" if name in FILTERS else "",
            ]
        )
    if index:
        found = index.search(queries, 1, threads=1).keys[:, 0]
        print(f"\nusearch's recall at {size:,} entries: {(found == numbers).mean():.4f}")


def sqlite(size: int, entry: Callable[[int], CacheEntry]) -> tuple[str, str]:
    """Entries stored per second, and the seconds it takes to open the file."""
    if size > LARGEST_FOR_SQLITE:
        return "-", "-"
    entries = [entry(number) for number in range(size)]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "cache.sqlite3")
        storage = SQLiteStorage(path)
        stored = timed(lambda: [storage.store(each) for each in entries])
        storage.close()
        entries.clear()
        gc.collect()
        opened = timed(lambda: SQLiteStorage(path).close())
    return f"{size / stored:,.0f}", f"{opened:.2f}"


def cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
