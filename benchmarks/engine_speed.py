"""Time and memory of the engine: embedding, inserting, searching.

    uv run --with recallm --with 'usearch<2.26' benchmarks/engine_speed.py [--sizes 1000 10000 ...]

Everything runs in one thread, except that a background thread builds the index. The vectors are
random, 384 numbers wide, of length 1, which is the hardest case for an approximate index. With
--like-text, few directions matter much and many matter little, as in the embeddings of texts. A
query is one of the vectors with noise, at a similarity of about 0.95; "near hits" are of queries at
a similarity of 0.90 to 0.92, just above the threshold 0.9. The floor of a search is numpy alone:
its fastest product of matrix and vector, and the largest element of that. If they are installed,
usearch (HNSW, float32, its own defaults) takes part up to 100k entries, and recallm's
InMemoryStorage up to 10k. The contenders take turns, and a ratio is the median of the ratios within
a round, so that other work on the machine matters little.
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

from langcache.engine import (
    CacheEntry,
    InMemoryStorage,
    MiniLMEmbedder,
    SQLiteStorage,
)
from langcache.engine.search.index_tuning import IndexTuning
from langcache.engine.storage import TopSearch

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
DIMENSIONS = 384
RECALLM = "llm_semantic_cache"
SCOPE = ("ns", "model", "")
ROUNDS = 31
LARGEST_FOR_USEARCH = 100_000
LARGEST_FOR_RECALLM = 10_000
LARGEST_FOR_SQLITE = 100_000
ENTRIES_FOR_MEMORY = 100_000
LEAST_ROWS = IndexTuning().least_rows

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
    parser.add_argument("--like-text", action="store_true")
    options = parser.parse_args()
    if not ONE_THREAD.items() <= os.environ.items():
        # numpy reads them when it is imported.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})
    recallm = importlib.import_module(RECALLM) if find_spec(RECALLM) else None
    peers = [name for name in (RECALLM, "usearch") if find_spec(name)]
    packages = ["numpy", "numkong", "onnxruntime", "tokenizers", *map(distribution, peers)]
    versions = [f"{name} {metadata.version(name)}" for name in packages]
    python = f"Python {platform.python_version()}"
    print(", ".join([cpu(), f"{os.cpu_count()} cores", platform.system(), python, *versions]))
    print()
    embedding()
    memory()
    for name in {RECALLM, "usearch"} - set(peers):
        print(f"\n{distribution(name)} is not installed, so it does not take part.")
    inserted: list[list[str]] = []
    built: list[list[str]] = []
    searched: list[list[str]] = []
    for size in options.sizes:
        bench = Bench(size, like_text=options.like_text)
        inserted.append(bench.insert())
        if size > LEAST_ROWS:
            built.append(bench.build())
        searched.extend(bench.search(recallm))
    print("\n### Insert, vectors given\n")
    print_table(
        ["entries", "memory, entries/s", "SQLite, entries/s",
         "SQLite opened in s", "usearch, vectors/s"],
        inserted,
    )  # fmt: skip
    if built:
        print("\n### The index, built in the background\n")
        print_table(
            ["entries", "inserts/s meanwhile", "s until built then", "search meanwhile p50 ms",
             "p99 ms", "search built p50 ms", "p99 ms", "hits found", "near hits found"],
            built,
        )  # fmt: skip
    print("\n### Search\n")
    print_table(["entries", "search", "p50 ms", "x floor", "x no filter"], searched)


def distribution(module: str) -> str:
    return "recallm" if module == RECALLM else module


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
    vectors = unit_vectors(ENTRIES_FOR_MEMORY, seed=0, like_text=False)
    storage = InMemoryStorage()
    gc.collect()
    tracemalloc.start()
    for number, vector in enumerate(vectors):
        storage.store(make_entry(number, "prompt", "response", vector))
    wait_until_built(storage)
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    beside = taken / ENTRIES_FOR_MEMORY - vectors[0].nbytes
    print(f"\nMemory at {ENTRIES_FOR_MEMORY:,} entries: {vectors[0].nbytes:,} bytes of vector")
    print(f"and {beside:,.0f} bytes beside it and the texts, for each, the index included.")


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


class Bench:
    """A storage of a size, and queries for it."""

    def __init__(self, size: int, *, like_text: bool) -> None:
        self.size = size
        self.vectors = unit_vectors(size, seed=0, like_text=like_text)
        self.numbers = np.random.default_rng(1).integers(0, size, 2000)
        noise = np.random.default_rng(2).standard_normal((2000, DIMENSIONS), np.float32)
        self.queries = self.vectors[self.numbers] + 0.025 * noise
        self.queries /= np.linalg.norm(self.queries, axis=1, keepdims=True)
        self.near_queries = at_similarities(self.vectors[self.numbers], 0.90, 0.92)
        self.storage = InMemoryStorage()
        self.usearch: Any = None

    def entry(self, number: int) -> CacheEntry:
        prompt = f"What is the answer to number {number}?"
        return make_entry(number, prompt, "It is " * 20, self.vectors[number])

    def fill(self, storage: Any) -> float:
        """Store all entries and return the seconds it took, without those to make them."""
        seconds = 0.0
        gc.collect()
        for start in range(0, self.size, 1000):
            batch = [self.entry(number) for number in range(start, min(start + 1000, self.size))]
            seconds += timed(lambda batch=batch: [storage.store(each) for each in batch])
        return seconds

    def insert(self) -> list[str]:
        size = self.size
        seconds = self.fill(self.storage)
        # From here on, building the index would disturb the others.
        self.storage.close()
        index_rate = "-"
        if size <= LARGEST_FOR_USEARCH and find_spec("usearch"):
            index = importlib.import_module("usearch.index").Index(ndim=DIMENSIONS, metric="ip")
            taken = timed(lambda: index.add(np.arange(size), self.vectors, threads=1))
            index_rate = f"{size / taken:,.0f}"
            self.usearch = index
        return [
            f"{size:,}",
            f"{size / seconds:,.0f}",
            *sqlite(size, self.entry),
            index_rate,
        ]

    def build(self) -> list[str]:
        """Have the index built, and compare its answers with those of exact search."""
        self.storage = InMemoryStorage()
        filled = self.fill(self.storage)
        meanwhile: list[float] = []
        start = time.perf_counter()
        while is_building(self.storage):
            meanwhile.append(self.timed_search(len(meanwhile) % 2000))
            time.sleep(0.01)
        seconds = time.perf_counter() - start
        afterwards = [self.timed_search(number) for number in range(2000)]
        return [
            f"{self.size:,}",
            f"{self.size / filled:,.0f}",
            f"{seconds:.1f}",
            *(f"{value:.2f}" for value in np.percentile(meanwhile or [np.nan], [50, 99]) * 1e3),
            *(f"{value:.2f}" for value in np.percentile(afterwards, [50, 99]) * 1e3),
            f"{self.hits_found(self.queries):.4f}",
            f"{self.hits_found(self.near_queries):.4f}",
        ]

    def timed_search(self, number: int) -> float:
        return timed(lambda: self.storage.search_top(self.queries[number], *SCOPE, 0.9))

    def hits_found(self, queries: Any) -> float:
        """Return which part of the hits of exact search at the threshold 0.9 are found."""
        hits, found = 0, 0
        for start in range(0, len(queries), 100):
            some = queries[start : start + 100]
            products = self.vectors @ some.T
            for query, best in zip(some, products.argmax(axis=0), strict=True):
                if self.vectors[best] @ query < 0.8:
                    continue
                hits += 1
                matches = self.storage.search_top(query, *SCOPE, 0.9)
                found += bool(matches) and matches[0].entry.id == self.entry(best).id
        return found / hits

    def search(self, recallm: Any) -> list[list[str]]:
        size, vectors = self.size, self.vectors
        sequence = iter(np.resize(np.arange(1000), 10**6))
        repeat = max(1, 20_000 // size)

        def measure(search: Callable[[Any], Any]) -> Callable[[], float]:
            def run() -> float:
                chosen = [self.queries[next(sequence)] for _ in range(repeat)]
                search(chosen[0])  # brings back to the caches what the others have driven out
                return timed(lambda: [search(query) for query in chosen]) / repeat

            return run

        scores = np.empty(size, np.float32)

        def matmul(query: Any) -> Any:
            return np.matmul(vectors, query, out=scores).argmax()

        def vecdot(query: Any) -> Any:
            return np.vecdot(vectors, query, out=scores).argmax()

        def search_in(
            storage: InMemoryStorage, attributes: dict[str, str] | None
        ) -> Callable[[], float]:
            return measure(
                lambda query: storage.search_top(query, *SCOPE, 0.9, attributes=attributes)
            )

        def search_together(count: int) -> Callable[[], float]:
            def run() -> float:
                chosen = [
                    TopSearch(self.queries[next(sequence)], *SCOPE, 0.9) for _ in range(count)
                ]
                self.storage.search_top_together(chosen)
                return timed(lambda: self.storage.search_top_together(chosen)) / count

            return run

        contenders = {
            "numpy @": measure(matmul),
            "numpy vecdot": measure(vecdot),
            **{name: search_in(self.storage, attributes) for name, attributes in FILTERS.items()},
        }
        if size <= LEAST_ROWS:
            contenders |= {
                f"{count} at once, for each": search_together(count) for count in (4, 16)
            }
        else:
            exact = InMemoryStorage(exact=True)
            self.fill(exact)
            contenders |= {
                f"exact, {name}": search_in(exact, attributes)
                for name, attributes in FILTERS.items()
            }
        if self.usearch:
            contenders["usearch"] = measure(lambda query: self.usearch.search(query, 1))
        if recallm and size <= LARGEST_FOR_RECALLM:
            contenders["recallm"] = measure(recallm_search(recallm, self))
        measured = rounds(ROUNDS, contenders)
        pairs = zip(measured["numpy @"], measured["numpy vecdot"], strict=True)
        floors = [min(pair) for pair in pairs]
        if self.usearch:
            found = self.usearch.search(self.queries, 1, threads=1).keys[:, 0]
            print(f"\nusearch's recall at {size:,} entries: {(found == self.numbers).mean():.4f}")
        return [
            [
                f"{size:,}",
                name,
                f"{median(values) * 1e3:.3f}",
                f"{median_ratio(values, floors):.2f}",
                f"{median_ratio(values, measured['no filter']):.2f}" if name in FILTERS else "",
            ]
            for name, values in measured.items()
        ]


def is_building(storage: InMemoryStorage) -> bool:
    return bool(storage._builder and storage._builder._thread)


def wait_until_built(storage: InMemoryStorage) -> None:
    while is_building(storage):
        time.sleep(0.01)


def unit_vectors(size: int, *, seed: int, like_text: bool) -> Any:
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((size, DIMENSIONS), np.float32)
    if like_text:
        vectors *= np.arange(1, DIMENSIONS + 1, dtype=np.float32) ** -0.5
        # Turned, so that no number of a vector is larger than the others as a rule.
        turn, _ = np.linalg.qr(random.standard_normal((DIMENSIONS, DIMENSIONS), np.float32))
        vectors = vectors @ turn
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def at_similarities(vectors: Any, lowest: float, highest: float) -> Any:
    """Return a vector for each of some, at a similarity to it that is drawn from a range."""
    random = np.random.default_rng(3)
    cosines = 2 * random.uniform(lowest, highest, (len(vectors), 1)).astype(np.float32) - 1
    others = random.standard_normal(vectors.shape, np.float32)
    others -= (others * vectors).sum(axis=1, keepdims=True) * vectors
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    return cosines * vectors + np.sqrt(1 - cosines**2) * others


def recallm_search(recallm: Any, bench: Bench) -> Callable[[Any], Any]:
    storage = recallm.InMemoryStorage()
    for number in range(bench.size):
        entry = bench.entry(number)
        storage.store(
            recallm.CacheEntry(
                embedding=entry.embedding.tolist(),
                prompt_text=entry.prompt,
                context_hash="",
                namespace="ns",
                embedding_model_id="model",
                response={"text": entry.response},
            )
        )
    # It compares cosines.
    return lambda query: storage.search(query.tolist(), *SCOPE, 0.8)


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
