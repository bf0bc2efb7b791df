"""Searching by the query engine: with a stand-in for it on a real Redis, and with the real one.

The stand-in knows the few commands and the one grammar that the storage uses, as they are
documented, and looks at the hashes in the Redis. So what the storage sends and how it reads the
answers is run everywhere.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import re
import threading
import time

import numpy as np
import pytest
import redis
import redis.asyncio
from redis_servers import wait_for_index
from stored_entries import EAST, NORTH, SCOPE
from stored_entries import make_entry as entry

from langcache.engine import StorageError
from langcache.engine.storage.entry import Scope
from langcache.engine.storage.redis import RedisStorage
from langcache.engine.storage.redis._codec import scope_token
from langcache.engine.storage.redis._queries import nearest
from langcache.engine.testing import StorageConformance


class Engine:
    """Answers FT.* over the hashes of a Redis."""

    def __init__(self, url, protocol=2):
        self.client = redis.Redis.from_url(url, protocol=2)
        self.protocol = protocol
        self.indexes = {}
        self.indexing = False
        self.progress = b"indexing"
        self.scan = b"OK"
        self.warning = []
        self.commands = []

    def answer(self, command, arguments):
        self.commands.append(command)
        arguments = [_bytes(argument) for argument in arguments]
        name = arguments[0] if arguments else None
        if command == "FT.CREATE":
            if name in self.indexes:
                raise redis.ResponseError("Index already exists")
            self.indexes[name] = self._definition(arguments[1:])
            return b"OK"
        if command == "FT._LIST":
            return list(self.indexes)
        if name not in self.indexes:
            raise redis.ResponseError("Unknown index name (or name is an alias itself)")
        if command == "FT.DROPINDEX":
            assert len(arguments) == 1, "the entries must stay"
            del self.indexes[name]
            return b"OK"
        if command == "FT.INFO":
            return self._info(name)
        assert command == "FT.SEARCH"
        return self._search(self.indexes[name], arguments[1], arguments[2:])

    def _definition(self, arguments):
        assert arguments[:4] == [b"ON", b"HASH", b"PREFIX", b"1"]
        assert arguments[5] == b"SCHEMA"
        rest = iter(arguments[6:])
        schema = {}
        field = kind = None
        for each in rest:
            if each in {b"SORTABLE", b"SEPARATOR"}:
                assert each == b"SORTABLE" or next(rest) == b","
                continue
            field, kind = each, next(rest)
            options = {}
            if kind == b"VECTOR":
                algorithm = next(rest)
                assert algorithm in {b"HNSW", b"FLAT"}
                flat = [next(rest) for _ in range(int(next(rest)))]
                options = dict(zip(flat[::2], flat[1::2], strict=True))
                assert options[b"TYPE"] == b"FLOAT32"
                assert (b"M" in options) == (algorithm == b"HNSW")
                options[b"algorithm"] = algorithm
            schema[field] = (kind, options)
        return arguments[4], schema

    def _info(self, name):
        prefix, schema = self.indexes[name]
        attributes = []
        for field, (kind, options) in schema.items():
            facts = [b"identifier", field, b"attribute", field, b"type", kind]
            if kind == b"VECTOR":
                facts += [b"algorithm", options[b"algorithm"], b"data_type", options[b"TYPE"]]
                facts += [b"dim", int(options[b"DIM"])]
                facts += [b"distance_metric", options[b"DISTANCE_METRIC"]]
            if field == b"updated" and self.protocol == 2:
                facts.append(b"SORTABLE")
            attributes.append(self._map(facts))
        definition = [b"key_type", b"HASH", b"prefixes", [prefix], b"default_score", b"1"]
        indexing = int(self.indexing) if self.protocol == 3 else b"%d" % self.indexing
        facts = [b"index_name", name, b"index_definition", self._map(definition)]
        facts += [b"attributes", attributes, self.progress, indexing, b"percent_indexed", b"1"]
        errors = [b"indexing failures", 0, b"background indexing status", self.scan]
        facts += [b"Index Errors", self._map(errors)]
        facts += [b"num_docs", sum(1 for _ in self.client.scan_iter(prefix + b"*", count=1000))]
        return self._map(facts)

    def _map(self, flat):
        if self.protocol == 2:
            return flat
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def _search(self, index, query, arguments):
        prefix, schema = index
        options = {}
        rest = iter(arguments)
        for each in rest:
            counts = {b"PARAMS": 1 + 2, b"SORTBY": 2, b"LIMIT": 2}
            count = int(next(rest)) if each == b"RETURN" else counts.get(each, 1)
            options[each] = [next(rest) for _ in range(count)]
        assert options[b"DIALECT"] == [b"2"]
        if int(options[b"LIMIT"][1]) > 10_000:
            raise redis.ResponseError("LIMIT exceeds maximum of 10000")
        knn = re.fullmatch(
            rb"\((.*)\)=>\[KNN (\d+) @(\w+) \$vector"
            rb"(?: EF_RUNTIME \d+)?(?: HYBRID_POLICY (?:BATCHES|ADHOC_BF))? AS distance\]",
            query,
        )
        condition = knn[1] if knn else query
        found = []
        for key in self.client.scan_iter(match=prefix + b"*", count=1000):
            fields = self.client.hgetall(key) if self.client.type(key) == b"hash" else {}
            if fields and not self.indexing and self._matches(condition, fields, schema):
                found.append((key, fields))
        if knn:
            found = self._neighbours(found, knn, schema, options)
        else:
            found.sort(key=lambda each: float(each[1].get(b"updated", b"0")), reverse=True)
        first, count = map(int, options[b"LIMIT"])
        found = found[first : first + count]
        if b"RETURN" in options:
            wanted = options[b"RETURN"]
            found = [
                (key, {name: fields[name] for name in wanted if name in fields})
                for key, fields in found
            ]
        return self._reply(found)

    def _matches(self, condition, fields, schema):
        tokens = re.findall(rb"@\w+:(?:\{[^}]*\}|\[[^\]]*\])|[()|-]", condition)
        rest = re.sub(rb"@\w+:(?:\{[\w|]*\}|\[[^\]]*\])|[()|\s-]", b"", condition)
        assert not rest, f"Syntax error near {rest}"
        found = self._either(tokens, fields, schema)
        assert not tokens, f"Syntax error near {tokens}"
        return found

    def _either(self, tokens, fields, schema):
        found = self._all(tokens, fields, schema)
        while tokens[:1] == [b"|"]:
            del tokens[0]
            found = self._all(tokens, fields, schema) or found
        return found

    def _all(self, tokens, fields, schema):
        found = self._one(tokens, fields, schema)
        while tokens and tokens[0] not in {b"|", b")"}:
            found = self._one(tokens, fields, schema) and found
        return found

    def _one(self, tokens, fields, schema):
        token = tokens.pop(0)
        if token == b"-":
            return not self._one(tokens, fields, schema)
        if token == b"(":
            found = self._either(tokens, fields, schema)
            assert tokens.pop(0) == b")"
            return found
        name, _, value = token[1:].partition(b":")
        kind, _ = schema[name]
        if value.startswith(b"{"):
            assert kind == b"TAG"
            tags = fields.get(name, b"").lower().split(b",")
            return any(each in tags for each in value[1:-1].split(b"|"))
        assert kind == b"NUMERIC"
        if name not in fields:
            return False
        number = float(fields[name])
        least, most = value[1:-1].split()
        above = number > float(least[1:]) if least[:1] == b"(" else number >= float(least)
        below = number < float(most[1:]) if most[:1] == b"(" else number <= float(most)
        return above and below

    def _neighbours(self, found, knn, schema, options):
        kind, described = schema[knn[3]]
        assert kind == b"VECTOR"
        _, name, blob = options[b"PARAMS"]
        assert name == b"vector"
        assert len(blob) == 4 * int(described[b"DIM"])
        query = np.frombuffer(blob, "<f4")
        near = []
        for key, fields in found:
            if len(fields.get(knn[3], b"")) == len(blob):
                distance = 1 - float(np.frombuffer(fields[knn[3]], "<f4").dot(query))
                near.append((distance, key, {b"distance": repr(distance).encode(), **fields}))
        near.sort(key=lambda each: each[:2])
        return [(key, fields) for _, key, fields in near[: int(knn[2])]]

    def _reply(self, found):
        if self.protocol == 3:
            results = [
                {b"id": key, b"extra_attributes": fields, b"values": []} for key, fields in found
            ]
            return {b"total_results": len(results), b"results": results, b"warning": self.warning}
        reply = [len(found)]
        for key, fields in found:
            reply += [key, [part for item in fields.items() for part in item]]
        return reply


def _bytes(text):
    return text.encode() if isinstance(text, str) else text


class Client(redis.Redis):
    engine: Engine

    def execute_command(self, *args, **options):
        if args[0].startswith("FT."):
            return self.engine.answer(args[0], args[1:])
        return super().execute_command(*args, **options)


class AsyncClient(redis.asyncio.Redis):
    engine: Engine

    async def execute_command(self, *args, **options):
        if args[0].startswith("FT."):
            return self.engine.answer(args[0], args[1:])
        return await super().execute_command(*args, **options)


class EngineStorage(RedisStorage):
    """A storage on the stand-in, which closes its clients."""

    def __init__(self, engine, url, **arguments):
        self.engine = engine
        clients = (AsyncClient.from_url(url), Client.from_url(url))
        for client in clients:
            client.engine = engine
        self.clients = clients
        super().__init__(clients[0], sync_client=clients[1], **arguments)

    def close(self):
        self.clients[1].close()

    async def aclose(self):
        self.clients[1].close()
        await self.clients[0].aclose()


class OnStandIn(StorageConformance):
    protocol = 2

    @pytest.fixture(autouse=True)
    def server(self, redis_url, redis_prefix):
        self.prefixes = (f"{redis_prefix}-{number}" for number in itertools.count())
        self.url = redis_url
        self.engine = Engine(redis_url, self.protocol)
        yield
        self.engine.client.close()

    def make(self, clock):
        return EngineStorage(
            self.engine,
            self.url,
            prefix=next(self.prefixes),
            search="query-engine",
            clock=clock,
        )


class TestOnTheStandIn(OnStandIn):
    pass


class TestOnTheStandInWithRESP3(OnStandIn):
    protocol = 3


del OnStandIn


@pytest.fixture
def engine(redis_url):
    engine = Engine(redis_url)
    yield engine
    engine.client.close()


@pytest.fixture
def make(engine, redis_url, redis_prefix):
    """Make storages on the stand-in, of one prefix."""
    made = []

    def make(**arguments):
        storage = EngineStorage(
            engine, redis_url, **({"prefix": redis_prefix, "clock": lambda: 1000.0} | arguments)
        )
        made.append(storage)
        return storage

    yield make
    for storage in made:
        storage.close()


def test_the_way_of_searching_is_found_out_and_logged_once(make, caplog):
    storage = make()
    assert storage.search_mode is None
    storage.store(entry())
    with caplog.at_level(logging.INFO, "langcache.engine"):
        storage.search(EAST, *SCOPE, 0.9)
        storage.search_top(NORTH, *SCOPE, 0.9)
        storage.find_exact("x", *SCOPE)
    assert storage.search_mode == "query-engine"
    assert [record.message for record in caplog.records] == [
        "Redis storage: searches are done in the mode 'query-engine'"
    ]


def test_a_search_with_filters_is_one_round_trip(make, engine):
    storage = make()
    storage.store(entry(attributes={"a": "b"}))
    storage.search(EAST, *SCOPE, 0.9)
    engine.commands.clear()
    calls = []
    clients = storage.clients[1]
    send = clients.execute_command
    clients.execute_command = lambda *args, **kwargs: (
        calls.append(args[0]),
        send(*args, **kwargs),
    )[1]
    assert storage.search_top(EAST, *SCOPE, 0.9, attributes={"a": "b"})
    assert calls == engine.commands == ["FT.SEARCH"]


@pytest.mark.parametrize("dimensions", [3, 4000])
def test_a_search_is_packed_as_the_client_packs_it(dimensions):
    options = b" EF_RUNTIME 64"
    vector = np.ones(dimensions, "<f4").tobytes()
    for condition in (b"", b"@tags:{h1 | h2}", b"@n0:[(1.0 inf]" * 1000):
        search = nearest(b"index", dimensions, 2, options, 5000, b"hscope", condition)
        command = search.command(vector)
        client = redis.connection.Connection()
        assert command.packed == b"".join(client.pack_command(*command.parts))
        assert vector in command.parts


def test_an_entry_of_a_plain_storage_is_found_by_the_engine_and_the_other_way(make):
    plain, by_engine = make(search="plain"), make(search="query-engine")
    plain.store(entry("1"))
    by_engine.store(entry("2", NORTH))
    assert by_engine.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert plain.search(NORTH, *SCOPE, 0.9).entry.id == "2"


def test_an_index_of_another_kind_is_refused(make, engine, redis_prefix):
    storage = make()
    storage.store(entry())
    storage.prepare(3)
    name = f"{redis_prefix}:v3:2".encode()
    prefix, schema = engine.indexes[name]
    wrong = {
        "another prefix": (prefix + b"x", schema),
        "a field is missing": (prefix, {k: v for k, v in schema.items() if k != b"tags"}),
        "other dimensions": (
            prefix,
            schema | {b"v3": (b"VECTOR", schema[b"v3"][1] | {b"DIM": b"4"})},
        ),
        "another distance": (
            prefix,
            schema | {b"v3": (b"VECTOR", schema[b"v3"][1] | {b"DISTANCE_METRIC": b"L2"})},
        ),
    }
    for index in wrong.values():
        engine.indexes[name] = index
        with pytest.raises(StorageError, match=r"index .* of another kind"):
            make().search(EAST, *SCOPE, 0.9)
        assert make(overwrite=True).search(EAST, *SCOPE, 0.9).entry.id == "1"
        assert engine.indexes[name] == (prefix, schema)


def test_two_who_make_the_index_at_once_both_find(make, engine):
    storages = [make() for _ in range(8)]
    storages[0].store(entry())
    barrier = threading.Barrier(len(storages))
    found = []

    def search(storage):
        barrier.wait()
        found.append(storage.search(EAST, *SCOPE, 0.9).entry.id)

    threads = [threading.Thread(target=search, args=[storage]) for storage in storages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["1"] * len(storages)


def test_one_who_makes_the_index_between_our_look_and_our_try_does_no_harm(make, engine):
    storage = make()
    storage.store(entry())
    answer = engine.answer

    def late(command, arguments):
        if command == "FT.CREATE" and not engine.indexes:
            answer(command, arguments)
        return answer(command, arguments)

    engine.answer = late
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"


def test_an_index_may_be_flat(make, engine):
    storage = make(index_algorithm="flat")
    storage.store(entry())
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    (info,) = engine.indexes.values()
    assert b"FLAT" in str(info).encode()
    with pytest.raises(StorageError, match="of another kind"):
        make().search(EAST, *SCOPE, 0.9)
    assert make(overwrite=True).search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert b"HNSW" in str(list(engine.indexes.values())).encode()


def test_the_first_entry_makes_the_index(make, engine, redis_prefix):
    storage = make()
    storage.store(entry())
    assert list(engine.indexes) == [f"{redis_prefix}:v3:2".encode()]
    engine.commands.clear()
    storage.store(entry("2"))
    assert engine.commands == []
    storage.store(entry(namespace="wider", embedding=np.array([1, 0, 0, 0], np.float32)))
    assert len(engine.indexes) == 2


@pytest.mark.parametrize("refused", ["FT.INFO", "FT.CREATE"])
def test_an_entry_is_stored_though_the_index_can_not_be_made(make, engine, refused):
    answer = engine.answer

    def refuse(command, arguments):
        if command == refused:
            raise redis.ResponseError("OOM command not allowed when used memory > 'maxmemory'.")
        return answer(command, arguments)

    engine.answer = refuse
    storage = make()
    storage.store(entry())
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    engine.answer = answer
    assert make().search(EAST, *SCOPE, 0.9).entry.id == "1"


def test_an_unknown_algorithm_is_refused(redis_url):
    with pytest.raises(ValueError, match="index_algorithm: must be 'hnsw' or 'flat'"):
        RedisStorage(url=redis_url, index_algorithm="ivf")


def test_while_the_index_is_built_the_entries_are_compared_here(make, engine):
    storage = make()
    storage.store(entry())
    engine.indexing = True
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert storage.find_exact("prompt 1", *SCOPE)
    assert storage.search_mode == "query-engine"
    engine.indexing = False
    time.sleep(0.3)
    engine.commands.clear()
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert engine.commands[-1] == "FT.SEARCH"


@pytest.mark.parametrize("protocol", [2, 3])
def test_an_index_that_was_given_up_for_lack_of_memory_is_not_relied_on(make, engine, protocol):
    engine.protocol = protocol
    engine.scan = b"OOM failure"
    storage = make()
    storage.store(entry())
    storage.prepare(3)
    assert storage.search_mode == "query-engine"
    engine.commands.clear()
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert storage.find_exact("prompt 1", *SCOPE)[0].id == "1"
    assert "FT.SEARCH" not in engine.commands


def test_while_a_large_index_is_built_what_it_has_is_found(make, engine, caplog, monkeypatch):
    monkeypatch.setattr("langcache.engine.storage.redis.backend.PLAIN_LIMIT", 1)
    storage = make()
    for number in range(3):
        storage.store(entry(str(number)))
    answer = engine.answer

    def build(command, arguments):
        engine.indexing = command == "FT.INFO"
        return answer(command, arguments)

    engine.answer = build
    for _ in range(2):
        assert storage.search(EAST, *SCOPE, 0.9).entry is not None
        assert storage.find_exact("prompt 1", *SCOPE)[0].id == "1"
    assert caplog.text.count("being built") == 1
    assert storage.find_exact("another", *SCOPE) == []


def test_a_large_scope_without_memory_for_an_index_is_an_error(make, engine, monkeypatch):
    monkeypatch.setattr("langcache.engine.storage.redis.backend.PLAIN_LIMIT", 1)
    answer = engine.answer

    def refuse(command, arguments):
        if command == "FT.CREATE":
            raise redis.ResponseError("OOM command not allowed when used memory > 'maxmemory'.")
        return answer(command, arguments)

    engine.answer = refuse
    storage = make()
    for number in range(3):
        storage.store(entry(str(number)))
    with pytest.raises(StorageError, match="no index of 3 entries yet"):
        storage.search(EAST, *SCOPE, 0.9)


def test_an_index_that_is_gone_is_made_anew(make, engine):
    storage = make()
    storage.store(entry())
    storage.search(EAST, *SCOPE, 0.9)
    engine.indexes.clear()
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    engine.indexes.clear()
    engine.indexing = True
    assert storage.find_exact("PROMPT 1", *SCOPE)[0].id == "1"


@pytest.mark.parametrize("progress", [b"indexing", b"backfill_in_progress"])
def test_an_index_made_anew_by_a_restarted_server_is_not_relied_on(
    make, engine, monkeypatch, progress
):
    storage = make()
    storage.store(entry())
    storage.search(EAST, *SCOPE, 0.9)
    engine.indexing, engine.progress = True, progress
    answer = engine.answer

    def break_once(command, arguments):
        engine.answer = answer
        raise redis.ConnectionError("Connection closed by server.")

    engine.answer = break_once
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    engine.answer = break_once
    assert storage.find_exact("prompt 1", *SCOPE)[0].id == "1"


def test_a_restart_that_broke_no_connection_is_found_out(make, engine, monkeypatch):
    monkeypatch.setattr("langcache.engine.storage.redis._query_engine._TRUSTED_SECONDS", 0.05)
    storage = make()
    storage.store(entry())
    storage.search(EAST, *SCOPE, 0.9)
    engine.indexing = True
    time.sleep(0.1)
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"


def test_results_that_are_not_complete_are_an_error(make, engine):
    engine.protocol = 3
    storage = make()
    storage.store(entry())
    storage.prepare(3)
    engine.warning = [b"Timeout limit was reached"]
    with pytest.raises(StorageError, match="stopped before the end"):
        storage.search(EAST, *SCOPE, 0.9)


def test_results_that_come_too_late_to_be_complete_are_an_error(make, engine):
    storage = make(timeout=0.2)
    storage.store(entry())
    storage.prepare(3)
    answer = engine.answer

    def late(command, arguments):
        time.sleep(0.25)
        return answer(command, arguments)

    engine.answer = late
    with pytest.raises(StorageError, match="no answer in time"):
        storage.search(EAST, *SCOPE, 0.9)


def test_other_warnings_of_the_engine_are_logged_once(make, engine, caplog):
    engine.protocol = 3
    engine.warning = [b"Index contains partial data due to an indexing failure"]
    storage = make()
    storage.store(entry())
    for _ in range(2):
        assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert caplog.text.count("partial data") == 1


REFUSED = {
    "a search without vectors": ("FT.SEARCH", lambda query: b"KNN" not in query[1]),
    "sorting": ("FT.SEARCH", lambda query: b"SORTBY" in query),
    "a time": ("FT.SEARCH", lambda query: b"TIMEOUT" in query),
    "sortable fields": ("FT.CREATE", lambda query: b"SORTABLE" in query),
    "vectors": ("FT.CREATE", lambda query: b"VECTOR" in query),
}


@pytest.mark.parametrize("refused", REFUSED)
def test_an_engine_that_lacks_something_is_done_without(make, engine, caplog, refused):
    name, lacks = REFUSED[refused]
    answer = engine.answer

    def refuse(command, arguments):
        if command == name and lacks([_bytes(argument) for argument in arguments]):
            raise redis.ResponseError("Could not parse field spec")
        return answer(command, arguments)

    engine.answer = refuse
    storage = make()
    storage.store(entry())
    with caplog.at_level(logging.INFO, "langcache.engine"):
        assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
        assert storage.find_exact("prompt 1", *SCOPE)
    assert storage.search_mode == "plain"
    assert "Could not parse field spec" in caplog.text
    assert not engine.indexes
    with pytest.raises(StorageError, match="needs Redis's query engine"):
        make(search="query-engine").search(EAST, *SCOPE, 0.9)


def options_of(engine):
    """A list of the options of each search for the nearest from now on."""
    asked = []
    answer = engine.answer

    def listen(command, arguments):
        knn = command == "FT.SEARCH" and re.search(rb"\$vector(.*) AS", _bytes(arguments[1]))
        if knn:
            asked.append(knn[1].decode().split())
        return answer(command, arguments)

    engine.answer = listen
    return asked


def test_the_graph_is_walked_where_a_scope_is_a_large_part_of_a_large_index(
    make, engine, monkeypatch
):
    monkeypatch.setattr("langcache.engine.storage.redis._query_engine._LARGE_INDEX", 20)
    storage = make()
    for number in range(18):
        storage.store(entry(str(number)))
    storage.store(entry(namespace="small"))
    storage.prepare(3)
    asked = options_of(engine)
    storage.search(EAST, *SCOPE, 0.9)
    assert "BATCHES" not in asked[-1]  # a small index
    storage.store(entry("18", attributes={"a": "b"}))
    storage = make()
    storage.prepare(3)
    storage.search(EAST, *SCOPE, 0.9)
    assert asked[-1] == ["EF_RUNTIME", "64", "HYBRID_POLICY", "BATCHES"]
    storage.search(EAST, "small", *SCOPE[1:], 0.9)
    assert asked[-1] == ["EF_RUNTIME", "64"]
    storage.search_top(EAST, *SCOPE, 0.9, attributes={"a": "b"})
    assert asked[-1] == ["EF_RUNTIME", "64"]


@pytest.mark.parametrize(
    ("unknown", "left"), [(b"HYBRID_POLICY", ["EF_RUNTIME", "64"]), (b"EF_RUNTIME", [])]
)
def test_options_that_an_engine_does_not_know_are_left_out(make, engine, unknown, left):
    answer = engine.answer

    def refuse(command, arguments):
        if command == "FT.SEARCH" and unknown in _bytes(arguments[1]):
            raise redis.ResponseError("Invalid option")
        return answer(command, arguments)

    engine.answer = refuse
    asked = options_of(engine)
    storage = make()
    storage.store(entry())
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert storage.search_mode == "query-engine"
    assert asked[-1] == left


def test_a_flat_index_is_asked_without_options(make, engine):
    asked = options_of(engine)
    storage = make(index_algorithm="flat")
    storage.store(entry())
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert asked[-1] == []


@pytest.mark.parametrize(
    "reason",
    [
        "LOADING Redis is loading",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "Uninitialized cluster state, could not perform command",
        "Could not send query to cluster",
        "Timeout limit was reached",
    ],
)
def test_a_passing_trouble_does_not_decide_the_way_of_searching(make, engine, reason):
    storage = make()
    storage.store(entry())
    answer = engine.answer

    def trouble(command, arguments):
        raise redis.ResponseError(reason)

    engine.answer = trouble
    with pytest.raises(StorageError):
        storage.search(EAST, *SCOPE, 0.9)
    assert storage.search_mode is None
    engine.answer = answer
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert storage.search_mode == "query-engine"


@pytest.mark.parametrize("prefix", ["permanent", "unknown command"])
def test_a_prefix_is_not_taken_for_part_of_an_error(make, engine, redis_prefix, prefix):
    answer = engine.answer

    def named(command, arguments):
        if command != "FT.CREATE" and arguments[0] not in engine.indexes:
            raise redis.ResponseError(f"{arguments[0].decode()}: no such index")
        return answer(command, arguments)

    engine.answer = named
    storage = make(prefix=f"{redis_prefix} {prefix}")
    storage.store(entry())
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert storage.search_mode == "query-engine"


def test_an_index_that_others_replace_at_the_same_time_does_no_harm(make, engine, redis_prefix):
    storage = make(overwrite=True)
    storage.store(entry())
    storage.prepare(3)
    name = f"{redis_prefix}:v3:2".encode()
    prefix, schema = engine.indexes[name]
    engine.indexes[name] = (prefix, {k: v for k, v in schema.items() if k != b"tags"})
    answer = engine.answer

    def dropped_already(command, arguments):
        if command == "FT.DROPINDEX":
            engine.answer = answer
            answer(command, arguments)
        return answer(command, arguments)

    engine.answer = dropped_already
    assert make(overwrite=True).search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert engine.indexes[name] == (prefix, schema)


def results_without_entries(reply):
    return [0]


def results_without_fields(reply):
    return [part if isinstance(part, (int, bytes)) else [] for part in reply]


# What an engine makes of its results that does not know all entries, or cannot read them.
BLIND = {"no entry": results_without_entries, "keys only": results_without_fields}


@pytest.fixture(params=BLIND)
def blind(request, engine):
    """Make the engine find no entries of a namespace, until `engine.answer` is put back."""
    answer = engine.answer

    def blind(namespace):
        def look(command, arguments):
            reply = answer(command, arguments)
            token = scope_token(Scope(namespace, *SCOPE[1:]))
            hides = command == "FT.SEARCH" and token in _bytes(arguments[1])
            return BLIND[request.param](reply) if hides else reply

        engine.answer = look

    return blind


def test_auto_does_without_an_engine_that_does_not_find_what_is_there(make, blind, caplog):
    storage = make()
    storage.store(entry())
    storage.store(entry(namespace="hidden"))
    blind("hidden")
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert storage.search_mode == "query-engine"
    assert storage.search(EAST, "hidden", *SCOPE[1:], 0.9).entry.id == "1"
    assert storage.search_mode == "plain"
    assert caplog.text.count("does not find entries that exist") == 1
    assert storage.find_exact("prompt 1", "hidden", *SCOPE[1:])[0].id == "1"
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"


def test_an_exact_search_finds_out_about_such_an_engine_as_well(make, blind):
    storage = make()
    storage.store(entry())
    blind("ns")
    assert storage.find_exact("prompt 1", *SCOPE)[0].id == "1"
    assert storage.search_mode == "plain"


def test_such_an_engine_is_an_error_where_it_is_demanded(make, blind):
    storage = make(search="query-engine")
    storage.store(entry())
    blind("ns")
    for _ in range(2):
        with pytest.raises(StorageError, match="does not find entries that exist"):
            storage.search(EAST, *SCOPE, 0.9)
        with pytest.raises(StorageError, match="does not find entries that exist"):
            storage.find_exact("prompt 1", *SCOPE)


def test_an_engine_is_kept_when_there_is_nothing_to_find(make, engine):
    now = [1000.0]
    storage = make(clock=lambda: now[0])
    storage.store(entry(expires_at=1010.0))
    now[0] = 1020.0
    for _ in range(2):
        assert storage.search(EAST, *SCOPE, 0.9) is None
        assert storage.find_exact("prompt 1", *SCOPE) == []
    storage.store(entry("2", attributes={"a": "b"}))
    assert storage.search_top(EAST, *SCOPE, 0.9, attributes={"a": "c"}) == []
    assert storage.find_exact("another", *SCOPE) == []
    assert storage.search_mode == "query-engine"
    engine.commands.clear()
    assert storage.search_top(EAST, *SCOPE, 0.9, attributes={"a": "c"}) == []
    assert engine.commands == ["FT.SEARCH"]


def test_an_entry_indexed_just_after_a_search_found_none_is_found(make, engine):
    storage = make()
    storage.store(entry())
    storage.prepare(3)
    answer = engine.answer

    def late(command, arguments):
        engine.answer = answer
        return [0]

    engine.answer = late
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert storage.search_mode == "query-engine"


def test_many_equal_entries_do_not_make_a_search_ask_for_all(make, engine):
    storage = make()
    storage.store(entry())
    storage.prepare(3)
    asked = []
    answer = engine.answer
    stored = next(iter(engine.client.scan_iter(match=f"{storage._keys.entries.decode()}*")))
    fields = engine.client.hgetall(stored)

    def crowd(command, arguments):
        if command != "FT.SEARCH":
            return answer(command, arguments)
        asked.append(int(re.search(rb"KNN (\d+)", arguments[1])[1]))
        flat = [part for item in fields.items() for part in item]
        return [asked[-1], *[stored, flat] * asked[-1]]

    engine.answer = crowd
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert max(asked) <= 2048
    storage.search_top(EAST, *SCOPE, 0.9, limit=20_000)
    assert max(asked) <= 10_000


def test_more_equal_entries_than_are_asked_for_at_first_come_in_order(make):
    storage = make()
    for number in range(60):
        storage.store(entry(str(number), updated_at=900.0 + (7 * number) % 60))
    expected = sorted(range(60), key=lambda number: -((7 * number) % 60))
    found = storage.search_top(EAST, *SCOPE, 0.9, limit=5)
    assert [match.entry.id for match in found] == [str(number) for number in expected[:5]]
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == str(expected[0])


def test_damaged_hashes_among_the_neighbours_do_not_hide_the_others(make, engine, caplog):
    storage = make()
    for number in range(20):
        storage.store(entry(str(number), response="right"))
    angle = 0.1
    near = np.array([math.cos(angle), math.sin(angle), 0], np.float32)
    storage.store(entry("whole", near))
    for key in engine.client.scan_iter(match=f"{storage._keys.entries.decode()}*"):
        if not key.endswith(b":whole"):
            engine.client.hset(key, "response", "cut")
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "whole"
    assert "holds no entry, or a damaged one" in caplog.text


def test_without_an_engine_auto_is_plain_and_query_engine_an_error(start_redis, caplog):
    url = start_redis().url
    auto = RedisStorage(url=url)
    with caplog.at_level(logging.INFO, "langcache.engine"):
        assert auto.prepare(3) == auto.search_mode == "plain"
    assert "the mode 'plain'" in caplog.text
    auto.store(entry())
    assert auto.search(EAST, *SCOPE, 0.9).entry.id == "1"
    demanding = RedisStorage(url=url, search="query-engine")
    with pytest.raises(StorageError, match="needs Redis's query engine"):
        demanding.search(EAST, *SCOPE, 0.9)
    for storage in (auto, demanding):
        storage.close()


# On the real one.


@pytest.fixture
def on_engine(redis_url, redis_prefix):
    storage = RedisStorage(url=redis_url, prefix=redis_prefix, search="query-engine")
    yield storage
    assert storage.search_mode in ("query-engine", None)  # None: it has never searched
    storage.close()


@pytest.mark.query_engine
def test_clients_made_from_a_url_do_not_pack_searches(on_engine, monkeypatch):
    sent = []

    def noted(send):
        return lambda connection, *args, **options: (
            sent.append(args[0]),
            send(connection, *args, **options),
        )[1]

    for module in (redis.connection, redis.asyncio.connection):
        connection = module.AbstractConnection
        monkeypatch.setattr(connection, "send_command", noted(connection.send_command))
    on_engine.store(entry())
    assert on_engine.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert "FT.INFO" in sent
    sent.clear()
    assert on_engine.search(EAST, *SCOPE, 0.9).entry.id == "1"

    async def main():
        found = await on_engine.asearch(EAST, *SCOPE, 0.9)
        await on_engine.aclose()
        return found.entry.id

    assert asyncio.run(main()) == "1"
    assert "FT.SEARCH" not in sent


@pytest.mark.query_engine
def test_the_engine_finds_what_a_comparison_with_all_entries_finds(on_engine):
    random = np.random.default_rng(0)
    vectors = random.standard_normal((2000, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for number, vector in enumerate(vectors):
        on_engine.store(entry(str(number), vector, attributes={"tenth": str(number % 10)}))
    right = 0
    for number in range(100):
        query = vectors[number] + 0.1 * random.standard_normal(32).astype(np.float32)
        query /= np.linalg.norm(query)
        tenth = {"tenth": str(number % 10)}
        (nearest,) = on_engine.search_top(query, *SCOPE, 0.0)
        right += nearest.entry.id == str(int((vectors @ query).argmax()))
        (nearest,) = on_engine.search_top(query, *SCOPE, 0.0, attributes=tenth)
        own = np.flatnonzero(np.arange(2000) % 10 == number % 10)
        right += nearest.entry.id == str(int(own[(vectors[own] @ query).argmax()]))
    assert right >= 195


@pytest.mark.query_engine
def test_a_flat_index_finds_what_a_comparison_with_all_entries_finds(redis_url, redis_prefix):
    random = np.random.default_rng(1)
    vectors = random.standard_normal((500, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    storage = RedisStorage(
        url=redis_url, prefix=redis_prefix, search="query-engine", index_algorithm="flat"
    )
    for number, vector in enumerate(vectors):
        storage.store(entry(str(number), vector))
    for query in vectors[:50] * -1:
        (nearest,) = storage.search_top(query, *SCOPE, 0.0)
        assert nearest.entry.id == str(int((vectors @ query).argmax()))
    storage.close()


@pytest.mark.query_engine
@pytest.mark.parametrize(("first", "then"), [("hnsw", "flat"), ("flat", "hnsw")])
def test_processes_that_run_search_an_index_that_another_replaces(
    redis_url, redis_prefix, first, then
):
    arguments = {"url": redis_url, "prefix": redis_prefix, "search": "query-engine"}
    running = RedisStorage(**arguments, index_algorithm=first, overwrite=True)
    for number in range(20):
        running.store(entry(str(number)))
    assert running.search(EAST, *SCOPE, 0.9)
    other = RedisStorage(**arguments, index_algorithm=then, overwrite=True)
    assert other.search(EAST, *SCOPE, 0.9)
    for _ in range(2):
        assert len(running.search_top(EAST, *SCOPE, 0.9, limit=30)) == 20
        assert running.find_exact("prompt 3", *SCOPE)[0].id == "3"
        assert len(other.search_top(EAST, *SCOPE, 0.9, limit=30)) == 20
        running._engine._seen.clear()
    with redis.Redis.from_url(redis_url, protocol=2) as client:
        info = client.execute_command("FT.INFO", f"{redis_prefix}:v3:2", NEVER_DECODE=True)
        assert then.upper().encode() in str(info).encode()  # they do not replace it in turn
    for storage in (running, other):
        storage.close()


@pytest.mark.query_engine
def test_in_a_scope_with_many_equal_vectors_all_entries_are_compared(on_engine):
    equal = [entry(str(number), updated_at=900.0 + number) for number in range(150)]
    on_engine.store_many([*equal, entry("other", NORTH), entry("alone", context_hash="c")])
    wait_for_index(on_engine, 3)
    client = on_engine._connection.sync_client()
    queries = []
    send = client.execute_command

    def noted(*args, **options):
        queries.append(args[2] if args[0] == "FT.SEARCH" else b"")
        return send(*args, **options)

    client.execute_command = noted
    assert on_engine.search(EAST, *SCOPE, 0.9).entry.id == "149"
    queries.clear()
    assert on_engine.search(NORTH, *SCOPE, 0.9).entry.id == "other"
    assert b"ADHOC_BF" in queries[-1]
    assert on_engine.search(EAST, *SCOPE[:2], "c", 0.9).entry.id == "alone"
    assert b"ADHOC_BF" not in queries[-1]


@pytest.mark.query_engine
def test_an_index_over_entries_that_are_there_already_finds_them_all(
    on_engine, redis_url, redis_prefix
):
    random = np.random.default_rng(0)
    vectors = random.standard_normal((1000, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with_none = RedisStorage(url=redis_url, prefix=redis_prefix, search="plain")
    for number, vector in enumerate(vectors):
        with_none.store(entry(str(number), vector))
    with_none.close()
    found = [on_engine.search(vector, *SCOPE, 0.999).entry.id for vector in vectors]
    assert found == [str(number) for number in range(1000)]


@pytest.mark.query_engine
def test_entries_that_were_stored_are_in_the_index_before_the_first_search(
    on_engine, redis_url, redis_prefix
):
    random = np.random.default_rng(0)
    vectors = random.standard_normal((300, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for number, vector in enumerate(vectors):
        on_engine.store(entry(str(number), vector))
    with redis.Redis.from_url(redis_url, protocol=3) as client:
        while client.execute_command("FT.INFO", f"{redis_prefix}:v32:2")[b"indexing"]:
            time.sleep(0.01)  # a busy machine takes longer than a search waits
    assert on_engine.search(vectors[7], *SCOPE, 0.9).entry.id == "7"
    assert on_engine._engine.is_ready(32)  # so it was not compared here


@pytest.mark.query_engine
def test_expired_neighbours_do_not_hide_a_live_one(on_engine):
    now = time.time()
    for number in range(30):
        on_engine.store(entry(str(number), expires_at=now + 0.5))
    on_engine.store(entry("live", np.array([math.cos(0.1), math.sin(0.1), 0], np.float32)))
    time.sleep(0.6)
    assert on_engine.search(EAST, *SCOPE, 0.9).entry.id == "live"
    assert on_engine.namespace_size("ns") == 1


@pytest.mark.query_engine
def test_the_engine_answers_by_both_protocols(on_engine, redis_url, redis_prefix):
    on_engine.store(entry(attributes={"a": "b, c-d.e{f}"}))
    for protocol in (2, 3):
        storage = RedisStorage(
            url=redis_url,
            prefix=redis_prefix,
            search="query-engine",
            connection_kwargs={"protocol": protocol},
        )
        (match,) = storage.search_top(EAST, *SCOPE, 1.0, attributes={"a": "b, c-d.e{f}"})
        assert match.entry.id == "1"
        assert storage.find_exact("PROMPT 1", *SCOPE)[0].id == "1"
        storage.close()


@pytest.mark.query_engine
def test_auto_takes_the_engine_where_there_is_one(redis_url, redis_prefix):
    async def main():
        storage = RedisStorage(url=redis_url, prefix=redis_prefix)
        await storage.astore(entry(attributes={"a": "{x|y}, *-z"}))
        found = await storage.asearch_top(EAST, *SCOPE, 0.9, attributes={"a": "{x|y}, *-z"})
        exact = await storage.afind_exact("prompt 1", *SCOPE)
        await storage.aclose()
        return storage.search_mode, found[0].entry.id, exact[0].id

    assert asyncio.run(main()) == ("query-engine", "1", "1")


@pytest.mark.query_engine
def test_a_cluster_whose_nodes_search_for_themselves_is_searched_here(start_cluster):
    node, *_ = start_cluster(query_engine=True)
    url = f"redis+cluster://127.0.0.1:{node.port}"
    names = [f"ns{number}" for number in range(20)]
    storage, demanding = RedisStorage(url=url), RedisStorage(url=url, search="query-engine")
    for name in names:
        storage.store(entry(namespace=name))
    found = [storage.search(EAST, name, *SCOPE[1:], 0.9) for name in names]
    assert [each.entry.namespace for each in found] == names
    assert storage.search_mode == "plain"
    for name in names:
        with pytest.raises(StorageError, match="search coordinator"):
            demanding.search(EAST, name, *SCOPE[1:], 0.9)
    storage.close()
    demanding.close()


@pytest.mark.query_engine
@pytest.mark.parametrize("search", ["auto", "query-engine"])
def test_a_full_redis_without_an_index_is_searched_here(start_redis, search):
    server = start_redis(query_engine=True)
    storage = RedisStorage(url=server.url, search=search)
    with server.client() as client:
        plain = RedisStorage(sync_client=client, search="plain")
        plain.store(entry())
        client.config_set("maxmemory", "1mb")
        assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
        assert storage.find_exact("prompt 1", *SCOPE)[0].id == "1"
        assert storage.search_mode is None
        client.config_set("maxmemory", "0")
        deadline = time.monotonic() + 10
        while storage.search_mode is None:
            assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
            assert time.monotonic() < deadline
    assert storage.search_mode == "query-engine"
    storage.close()


@pytest.mark.query_engine
def test_processes_that_begin_at_once_share_an_index(on_engine, redis_url, redis_prefix):
    on_engine.store(entry())

    async def search():
        storage = RedisStorage(url=redis_url, prefix=redis_prefix, search="query-engine")
        found = await storage.asearch(EAST, *SCOPE, 0.9)
        await storage.aclose()
        return found.entry.id

    async def main():
        return await asyncio.gather(*(search() for _ in range(16)))

    assert asyncio.run(main()) == ["1"] * 16


@pytest.mark.query_engine
def test_an_index_that_was_dropped_is_made_anew(on_engine, redis_url, redis_prefix):
    on_engine.store(entry())
    assert on_engine.search(EAST, *SCOPE, 0.9).entry.id == "1"
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("FT.DROPINDEX", f"{redis_prefix}:v3:2")
    deadline = time.monotonic() + 10
    while on_engine.search_top(EAST, *SCOPE, 0.9) == []:
        assert time.monotonic() < deadline
    assert on_engine.search(EAST, *SCOPE, 0.9).entry.id == "1"
