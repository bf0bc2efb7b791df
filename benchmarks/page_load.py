"""The page on a cache of many entries, and what it costs a server that nobody looks at.

    uv run benchmarks/page_load.py [ENTRIES] [ROUNDS]

Needs a `chromium` on the PATH. Each tab is opened in a new browser context, so that nothing is
cached; the time is that from the navigation until the tab shows its data. A cache of 1,000 entries
takes turns with the large one. Then the CPU time of the servers without a request, and what a
search takes more when lookups are kept.
"""

import shutil
import sys
import time
from statistics import median

import httpx
import numpy as np
from _sdk import print_table
from langcache_mockserver import MockServer
from playwright.sync_api import sync_playwright

from langcache.engine import CacheEntry, InMemoryStorage, MiniLMEmbedder

CACHE = "support"
IDLE_SECONDS = 10
SEARCHES = 300
FEW = 1000
TABS = {
    "Playground": "",
    "Entries": "page/entries",
    "Lookups": "page/lookups",
    "Savings": "page/savings",
    "Server": "page/server",
}
PATHS = {
    "`GET /console/v1/caches/{cacheId}/entries`": "entries",
    "the same, with a text to find": "entries?text=question%2099",
    "the same, filtered by an attribute": "entries?attributes[topic]=3",
}


def filled(count: int, model_id: str) -> InMemoryStorage:
    """Return a storage with so many entries, whose vectors are random."""
    storage = InMemoryStorage()
    rng = np.random.default_rng(7)
    now = time.time()
    for start in range(0, count, 1000):
        vectors = rng.standard_normal((1000, 384), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        storage.store_many(
            CacheEntry(
                id=f"{start + row:032x}",
                prompt=f"What is the answer to question {start + row}?",
                response=f"The answer to question {start + row}. " * 5,
                embedding=vectors[row],
                namespace=CACHE,
                embedding_model_id=model_id,
                attributes={"topic": str(row % 10)},
                created_at=now + row / 1000,
                updated_at=now + row / 1000,
            )
            for row in range(1000)
        )
    return storage


def opened(browser, url: str) -> float:
    """Open a page in a new context; return the seconds until it shows its data."""
    context = browser.new_context()
    page = context.new_page()
    started = time.perf_counter()
    page.goto(url)
    page.wait_for_selector("body[data-ready]")
    seconds = time.perf_counter() - started
    context.close()
    return seconds


def row_of(name: str, seconds: list[list[float]]) -> list[str]:
    few, many = zip(*seconds, strict=True)
    return [name, f"{median(few):.3f}", f"{median(many):.3f}", f"{min(many):.3f}"]


def fetched(client: httpx.Client, path: str) -> float:
    started = time.perf_counter()
    assert client.get(path).is_success
    return time.perf_counter() - started


def searched(client: httpx.Client) -> float:
    """Search often; return the CPU seconds of one search, its client included."""
    body = {"prompt": "What is the answer to question 7?"}
    headers = {"authorization": "Bearer key"}
    before = time.process_time()
    for _ in range(SEARCHES):
        client.post(f"/v1/caches/{CACHE}/entries/search", json=body, headers=headers)
    return (time.process_time() - before) / SEARCHES


def main() -> None:
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    embedder = MiniLMEmbedder()
    few = MockServer(embedder=embedder, storage=filled(FEW, embedder.model_id))
    many = MockServer(embedder=embedder, storage=filled(entries, embedder.model_id))
    rows: list[list[str]] = []
    with few, many, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"))
        for name, tab in TABS.items():
            seconds = [
                [opened(browser, f"{server.url}/{tab}?cache={CACHE}") for server in (few, many)]
                for _ in range(rounds)
            ]
            rows.append(row_of(name, seconds))
        browser.close()
        clients = [
            httpx.Client(base_url=f"{server.url}/console/v1/caches/{CACHE}")
            for server in (few, many)
        ]
        for name, path in PATHS.items():
            seconds = [[fetched(client, path) for client in clients] for _ in range(rounds)]
            rows.append(row_of(name, seconds))
        for client in clients:
            client.close()
        sizes = [f"{FEW:,} entries", f"{entries:,} entries", f"{entries:,} entries, least"]
        print_table(["seconds", *sizes], rows)
        before = time.process_time()
        time.sleep(IDLE_SECONDS)
        used = (time.process_time() - before) / IDLE_SECONDS
        print(f"\nCPU of both servers, idle: {used:.2%} of a core")
    storage = filled(FEW, embedder.model_id)
    servers = [
        MockServer(embedder=embedder, storage=storage, record_lookups=kept, listen=False)
        for kept in ("0", "1000")
    ]
    with servers[0], servers[1], servers[0].client() as off, servers[1].client() as on:
        searched(off), searched(on)
        costs = [(searched(off), searched(on)) for _ in range(3 * rounds)]
    more = median(after - before for before, after in costs) * 1e6
    print(f"lookups that are kept: {more:.0f} us more CPU for a search")


if __name__ == "__main__":
    main()
