"""What is special to the storage in Redis: its keys, who sees what, and the clients."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import shutil
import string
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import redis
import redis.asyncio
from hypothesis import HealthCheck, example, given, reject, settings
from hypothesis import strategies as st
from stored_entries import EAST, NORTH, SCOPE
from stored_entries import make_entry as entry

from examples import examples
from langcache.engine import InMemoryStorage, StorageError
from langcache.engine.storage.create import create_storage, is_redis_url, is_storage_name
from langcache.engine.storage.redis import RedisStorage

SLOW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ANY_TEXT = st.text(st.characters(exclude_categories=())) | st.text(string.punctuation + " \n")


def ids(matches):
    return [match.entry.id for match in matches]


@pytest.fixture
def make(redis_url, redis_prefix):
    """Make storages that share their entries."""
    made = []

    def make(**arguments):
        fixed = {"url": redis_url, "prefix": redis_prefix, "search": "plain"}
        storage = RedisStorage(**(fixed | arguments))
        made.append(storage)
        return storage

    yield make
    for storage in made:
        storage.close()


@pytest.fixture
def storage(make):
    return make(clock=lambda: 1000.0)


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


# Filters, names and ids of all kinds.


@SLOW
@given(
    st.dictionaries(ANY_TEXT, ANY_TEXT, min_size=1, max_size=4),
    st.dictionaries(ANY_TEXT, ANY_TEXT, min_size=1, max_size=4),
)
@example({"a": string.punctuation}, {"a": string.punctuation[:-1]})
@example({"a": "x" * 10_240}, {"a": "x" * 10_239})
@example({"k" * 10_240: "Ω\ud800, \x00"}, {"k": "{a|b}"})
@example({"a": "b,c"}, {"a": "b"})
def test_attributes_are_stored_filtered_and_deleted_exactly(storage, first, second):
    storage.clear()
    storage.store(entry("first", attributes=first))
    storage.store(entry("second", attributes=second))
    assert storage.get("ns", "first").attributes == first
    for wanted in (first, second):
        expected = [
            id
            for id, held in (("first", first), ("second", second))
            if wanted.items() <= held.items()
        ]
        found = storage.search_top(EAST, *SCOPE, 0.9, limit=9, attributes=wanted)
        assert sorted(ids(found)) == expected
        exact = storage.find_exact("prompt first", *SCOPE, limit=9, attributes=wanted)
        assert [each.id for each in exact] == [id for id in expected if id == "first"]
    survives = not first.items() <= second.items()
    assert storage.delete_by_attributes("ns", first) == 2 - survives
    assert [each.id for each in storage.entries("ns")] == ["second"] * survives


@SLOW
@given(*[ANY_TEXT] * 6)
@example("", "", "", "", "", "")
@example("{a}", "{b}", "%", ":{}:", "*?[a-z]", "\ud800")
def test_names_and_texts_may_hold_any_characters(
    storage, namespace, other, id, model_id, context_hash, prompt
):
    storage.clear()
    stored = entry(
        id,
        namespace=namespace,
        embedding_model_id=model_id,
        context_hash=context_hash,
        prompt=prompt,
        response=prompt,
    )
    storage.store(stored)
    scope = (namespace, model_id, context_hash)
    assert storage.get(namespace, id) == stored
    assert storage.search(EAST, *scope, 0.9).entry == stored
    assert storage.find_exact(prompt, *scope) == [stored]
    assert list(storage.entries(namespace)) == [stored]
    if other != namespace:
        assert storage.get(other, id) is None
        assert storage.namespace_size(other) == 0
        assert storage.invalidate_namespace(other) == 0
    assert storage.namespace_bytes(namespace) > 0
    assert storage.delete(namespace, [id]) == 1
    assert storage.get(namespace, id) is None


def test_keys_of_a_namespace_share_a_hash_tag_and_all_begin_with_the_prefix(
    storage, client, redis_prefix
):
    before = set(client.scan_iter())
    storage.store(entry(namespace="a{b}c", expires_at=2000.0))
    storage.store(entry("2", namespace="a{b}c"))
    storage.delete("a{b}c", ["2"])
    storage.set_record("fields", "k", "v")
    new = {key.decode() for key in set(client.scan_iter()) - before}
    assert all(key.startswith(f"{redis_prefix}:") for key in new)
    tags = {key[key.index("{") : key.index("}")] for key in new if "{" in key}
    assert tags == {"{a%7Bb%7Dc"}
    assert len(new) == 6


def test_an_empty_namespace_leaves_no_key(storage, client, redis_prefix):
    for number in range(3):
        storage.store(entry(str(number), expires_at=2000.0))
    storage.delete("ns", ["0", "1", "2"])
    assert list(client.scan_iter(match=f"{redis_prefix}*")) == []


def test_clear_leaves_other_prefixes_alone(make, client, redis_prefix):
    mine, other = make(), make(prefix=f"{redis_prefix}-[a]*")
    client.set(f"{redis_prefix}x", "not ours")
    for storage in (mine, other):
        storage.store(entry())
        storage.store(entry(namespace="second"))
    mine.clear()
    assert mine.namespace_size("ns") == mine.namespace_size("second") == 0
    assert other.namespace_size("ns") == other.namespace_size("second") == 1
    other.clear()
    assert other.namespace_size("ns") == 0
    assert client.get(f"{redis_prefix}x") == b"not ours"


def test_clear_also_removes_entries_whose_bookkeeping_is_gone(make, client, redis_prefix):
    storage = make()
    storage.store(entry())
    client.delete(f"{redis_prefix}:n:{{ns}}")
    storage.clear()
    assert list(client.scan_iter(match=f"{redis_prefix}*")) == []


def test_a_namespace_whose_bookkeeping_was_evicted_can_be_used_again(make, client, redis_prefix):
    for lost in "nox":
        storage = make(clock=lambda: 1000.0)
        storage.store(entry("1", expires_at=2000.0))
        storage.search(EAST, *SCOPE, 0.9)
        client.delete(f"{redis_prefix}:{lost}:{{ns}}")
        storage.store(entry("2", NORTH))
        for each in (storage, make(clock=lambda: 1000.0)):
            assert each.search(NORTH, *SCOPE, 0.9).entry.id == "2"
        storage.clear()


def test_a_large_namespace_is_handled_in_batches(storage):
    expected = [str(number) for number in range(1234)]
    for id in expected:
        parity = {"parity": "odd" if int(id) % 2 else "even"}
        storage.store(entry(id, context_hash=str(int(id) % 3), attributes=parity))
    assert [each.id for each in storage.entries("ns")] == expected
    assert storage.namespace_size("ns") == 1234
    assert len(storage.search_top(EAST, "ns", "model", "0", 0.9, limit=1000)) == 412
    assert storage.delete_by_attributes("ns", {"parity": "odd"}) == 617
    assert storage.delete("ns", expected) == 617
    assert storage.namespace_size("ns") == 0


def test_bytes_are_those_of_the_texts_and_vectors(storage):
    memory = InMemoryStorage(clock=lambda: 1000.0)
    for each in (storage, memory):
        each.store(entry("1", prompt="Ω", attributes={"ä": "b"}, metadata={"tokens": 3}))
        each.store(entry("2", expires_at=1000.0))
    assert storage.namespace_bytes("ns") == memory.namespace_bytes("ns")


# Time.


def test_redis_itself_removes_what_expires_by_the_clock_of_the_wall(make, client, redis_prefix):
    storage = make()
    now = time.time()
    storage.store(entry("short", expires_at=now + 0.2))
    storage.store(entry("long", NORTH, expires_at=now + 100))
    storage.store(entry("forever", NORTH))
    key = f"{redis_prefix}:e:{{ns}}:"
    assert 0 < client.pttl(f"{key}short") <= 200
    assert 99_000 < client.pttl(f"{key}long") <= 100_000
    assert client.pttl(f"{key}forever") == -1
    time.sleep(0.25)
    assert not client.exists(f"{key}short")
    assert storage.namespace_size("ns") == 2
    assert storage.search(EAST, *SCOPE, 0.9).entry is None
    storage.store(entry("short"))
    assert client.pttl(f"{key}short") == -1


def test_with_another_clock_redis_removes_nothing_by_itself(storage, client, redis_prefix):
    storage.store(entry(expires_at=1001.0))
    assert client.pttl(f"{redis_prefix}:e:{{ns}}:1") == -1


def test_what_has_expired_is_removed_by_what_is_stored_next(make, client, redis_prefix):
    class Clock:
        now = 1000.0

        def __call__(self):
            return self.now

    clock = Clock()
    storage = make(clock=clock)
    for number in range(100):
        storage.store(entry(str(number), expires_at=1010.0))
    clock.now = 1010.0
    storage.store(entry("a", NORTH))
    storage.store(entry("b", NORTH))
    left = list(client.scan_iter(match=f"{redis_prefix}:e:*", count=1000))
    assert len(left) == 2
    assert client.zcard(f"{redis_prefix}:o:{{ns}}") == 2


def test_an_entry_evicted_by_redis_is_a_miss_and_forgotten(make, client, redis_prefix):
    storage = make()
    near = np.array([0.99, np.sqrt(1 - 0.99**2), 0], np.float32)
    storage.store(entry("evicted"))
    storage.store(entry("next", near))
    client.delete(f"{redis_prefix}:e:{{ns}}:evicted")
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "next"
    assert storage.namespace_size("ns") == 1


# Several storages on one Redis.


def test_what_one_storage_does_another_sees_at_once(make):
    one, two = make(clock=lambda: 1000.0), make(clock=lambda: 1000.0)
    for first, second in [(one, two), (two, one)]:
        first.clear()
        first.store(entry("1"))
        assert second.search(EAST, *SCOPE, 0.9).entry == entry("1")
        first.store(entry("1", response="changed"))
        assert second.search(EAST, *SCOPE, 0.9).entry.response == "changed"
        first.store(entry("1", NORTH))
        assert second.search(EAST, *SCOPE, 0.9).entry is None
        first.store(entry("1", context_hash="moved"))
        assert second.search(EAST, *SCOPE, 0.0) is None
        first.store(entry("2"))
        first.edit("ns", "2", lambda old: dataclasses.replace(old, attributes={"a": "b"}))
        assert ids(second.search_top(EAST, *SCOPE, 0.9, attributes={"a": "b"})) == ["2"]
        first.delete("ns", ["2"])
        assert second.search(EAST, *SCOPE, 0.0) is None
        first.store(entry("3"))
        first.invalidate_namespace("ns")
        assert second.search(EAST, *SCOPE, 0.0) is None
        first.store(entry("4"))
        assert second.search(EAST, *SCOPE, 0.9).entry.id == "4"
        first.set_record("fields", "k", "v")
        assert second.records("fields") == {"k": "v"}


@pytest.mark.parametrize("by_threads", [True, False])
def test_many_who_search_at_once_copy_the_vectors_once(start_redis, by_threads):
    server = start_redis()
    with server.client() as client:

        def sent():
            return client.info("stats")["total_net_output_bytes"]

        def search(storage):
            return storage.search(EAST, *SCOPE, 0.9).entry is not None

        async def search_all(storage):
            found = await asyncio.gather(*(storage.asearch(EAST, *SCOPE, 0.9) for _ in range(16)))
            await storage.aclose()
            return [each.entry is not None for each in found]

        alone, together = (RedisStorage(url=server.url, search="plain") for _ in range(2))
        vector = np.full(256, 1 / 16, np.float32)
        for number in range(3000):
            alone.store(entry(str(number), vector, context_hash="other"))
        alone.store(entry())
        start = sent()
        assert search(alone)
        once = sent() - start
        if by_threads:
            with ThreadPoolExecutor(16) as pool:
                assert all(pool.map(search, [together] * 16))
        else:
            assert all(asyncio.run(search_all(together)))
        assert sent() - start - once < 2 * once
        for storage in (alone, together):
            storage.close()


def test_more_removals_than_are_remembered_are_seen_all_the_same(make):
    one, two = make(), make()
    for number in range(1300):
        one.store(entry(str(number), updated_at=900.0 + number))
    assert two.search(EAST, *SCOPE, 0.9).entry.id == "1299"
    one.delete("ns", [str(number) for number in range(100, 1300)])
    one.store(entry("new", NORTH))
    assert len(two.search_top(EAST, *SCOPE, 0.9, limit=2000)) == 100
    assert two.search(EAST, *SCOPE, 0.9).entry.id == "99"
    assert two.search(NORTH, *SCOPE, 0.9).entry.id == "new"


def test_a_server_that_has_lost_its_last_changes_is_believed(make, client, redis_prefix):
    storage = make()
    storage.store(entry("kept"))
    saved = {key: client.dump(key) for key in client.scan_iter(match=f"{redis_prefix}*")}
    storage.store(entry("lost", NORTH))
    storage.delete("ns", ["kept"])
    assert storage.search(NORTH, *SCOPE, 0.9).entry.id == "lost"
    client.delete(*client.scan_iter(match=f"{redis_prefix}*"))
    for key, value in saved.items():
        client.restore(key, 0, value)
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "kept"
    assert storage.search(NORTH, *SCOPE, 0.9).entry is None


def test_a_server_that_has_lost_a_change_and_gone_on_is_believed(make, client, redis_prefix):
    storage = make()
    storage.store(entry(response="before"))
    saved = {key: client.dump(key) for key in client.scan_iter(match=f"{redis_prefix}*")}
    storage.store(entry(response="lost"))
    assert storage.search(EAST, *SCOPE, 0.9).entry.response == "lost"
    client.delete(*client.scan_iter(match=f"{redis_prefix}*"))
    for key, value in saved.items():
        client.restore(key, 0, value)
    make().store(entry("2", NORTH))
    assert storage.search(EAST, *SCOPE, 0.9).entry.response == "before"


WHERE = st.integers(0, 1)
ID = st.sampled_from("abcd")
NAMESPACE = st.sampled_from(["ns", "other"])
VECTOR = st.sampled_from([EAST, NORTH, -EAST])
OPERATION = st.one_of(
    st.tuples(st.just("store"), WHERE, ID, NAMESPACE, VECTOR, st.sampled_from(["", "c"])),
    st.tuples(st.just("delete"), WHERE, ID, NAMESPACE),
    st.tuples(st.just("delete_by_attributes"), WHERE, ID, NAMESPACE),
    st.tuples(st.just("invalidate_namespace"), WHERE, NAMESPACE),
    st.tuples(st.just("edit"), WHERE, ID, NAMESPACE, VECTOR),
    st.tuples(st.just("wait"), st.integers(1, 30)),
)


@settings(SLOW, max_examples=120)
@given(st.lists(OPERATION, max_size=25))
def test_two_storages_on_one_redis_answer_like_one_in_memory(make, operations):
    now = [1000.0]
    both = [make(clock=lambda: now[0]), make(clock=lambda: now[0])]
    model = InMemoryStorage(clock=lambda: now[0])
    both[0].clear()
    for number, (name, *arguments) in enumerate(operations):
        if name == "wait":
            now[0] += arguments[0]
        else:
            expected, actual = (
                perform(storage, name, arguments[1:], number, now[0])
                for storage in (model, both[arguments[0]])
            )
            assert actual == expected
        for storage in both:
            for namespace, context, vector in itertools.product(
                ["ns", "other"], ["", "c"], [EAST, NORTH]
            ):
                scope = (namespace, "model", context)
                found = storage.search_top(vector, *scope, 0.4, limit=9)
                assert found == model.search_top(vector, *scope, 0.4, limit=9)
            assert storage.namespace_size("ns") == model.namespace_size("ns")
    for namespace in ("ns", "other"):
        assert list(both[1].entries(namespace)) == list(model.entries(namespace))


def perform(storage, name, arguments, number, now):
    if name == "store":
        id, namespace, vector, context = arguments
        new = entry(
            id,
            vector,
            namespace=namespace,
            context_hash=context,
            attributes={"id": id},
            updated_at=float(number),
            expires_at=now + 50 if number % 2 else None,
        )
        return storage.store(new)
    if name == "delete":
        return storage.delete(arguments[1], [arguments[0]])
    if name == "delete_by_attributes":
        return storage.delete_by_attributes(arguments[1], {"id": arguments[0]})
    if name == "invalidate_namespace":
        return storage.invalidate_namespace(arguments[0])
    id, namespace, vector = arguments
    return storage.edit(
        namespace, id, lambda old: dataclasses.replace(old, embedding=vector, updated_at=number)
    )


STORED = st.builds(
    entry,
    ID,
    st.sampled_from([EAST, NORTH, EAST, NORTH, EAST[:2]]),
    namespace=NAMESPACE,
    context_hash=st.sampled_from(["", "c"]),
    expires_at=st.sampled_from([None, 990.0, 1005.0, 2000.0]),
)


@settings(SLOW, max_examples=examples(100))
@given(st.lists(STORED, max_size=6), st.lists(STORED, max_size=30))
@example([], [entry("z"), entry("a", context_hash="c"), entry("a"), entry("b", context_hash="c")])
@example(
    [entry("a", EAST[:2], expires_at=1005.0)] * 2,
    [entry("z", namespace="other"), entry("b", namespace="other"), entry("c"), entry("d")],
)
def test_storing_many_leaves_what_storing_one_by_one_leaves(
    make, client, redis_prefix, before, entries
):
    now = [1000.0]
    many, single = (make(prefix=f"{redis_prefix}{name}", clock=lambda: now[0]) for name in "ms")
    for storage in (many, single):
        now[0] = 1000.0
        storage.clear()
        for each in before:
            with contextlib.suppress(ValueError):
                storage.store(each)
    now[0] = 1010.0
    try:
        for each in entries:
            single.store(each)
    except ValueError:
        reject()  # the many may be stored: one that is refused is tried again after the others
    many.store_many(entries)
    for namespace in ("ns", "other"):
        newest = client.zrange(f"{redis_prefix}m:o:{{{namespace}}}", -1, -1, withscores=True)
        last = client.hget(f"{redis_prefix}m:n:{{{namespace}}}", "seq")
        assert all(number <= int(last) for _, number in newest)
    for storage, namespace in itertools.product((many, single), ("ns", "other")):
        # What has expired is removed by what is stored next.
        storage.store(entry("last", namespace=namespace, context_hash="last"))
    for namespace in ("ns", "other"):
        assert list(many.entries(namespace)) == list(single.entries(namespace))
    left, expected = (kept(client, f"{redis_prefix}{name}:") for name in "ms")
    assert left == expected


def kept(client, prefix):
    """Return what there is under a prefix, without the numbers that grow with the time."""
    found = {}
    for key in client.scan_iter(match=f"{prefix}*"):
        name = key.decode().removeprefix(prefix)
        if client.type(key) == b"hash":
            fields = client.hgetall(key)
            is_first = fields.pop(b"seq") == fields.pop(b"first", None)
            fields.pop(b"epoch", None)
            found[name] = (fields, is_first)
        elif name.startswith("x:"):
            found[name] = dict(client.zrange(key, 0, -1, withscores=True))
        elif name.startswith("o:"):
            members, numbers = zip(*client.zrange(key, 0, -1, withscores=True), strict=True)
            assert len(set(numbers)) == len(numbers)
            assert not set(members) & set(client.zrange(f"{prefix}t{name[1:]}", 0, -1))
            found[name] = members
    return found


def test_edits_by_several_storages_at_once_lose_nothing(make):
    make().store(entry(response=""))

    def add(letter):
        storage = make()
        for _ in range(10):
            storage.edit(
                "ns", "1", lambda old: dataclasses.replace(old, response=old.response + letter)
            )

    threads = [threading.Thread(target=add, args=[letter]) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(make().get("ns", "1").response) == sorted("abcd" * 10)


def test_a_search_while_others_write_finds_what_was_there_before(make):
    """An entry that nobody touches is found by every search."""
    storages = [make() for _ in range(3)]
    storages[0].store(entry("untouched"))
    done = threading.Event()
    missed = []

    def churn(storage, name):
        for number in range(150):
            storage.store(entry(f"{name}{number % 7}", NORTH))
            storage.delete("ns", [f"{name}{(number + 3) % 7}"])
        done.set()

    def search():
        while not done.is_set():
            found = storages[0].search(EAST, *SCOPE, 0.9)
            if found is None or found.entry is None:
                missed.append(found)

    threads = [threading.Thread(target=search) for _ in range(2)]
    threads += [
        threading.Thread(target=churn, args=[storage, name])
        for storage, name in zip(storages[1:], "ab", strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not missed
    assert ids(storages[0].search_top(EAST, *SCOPE, 0.9, limit=9)) == ["untouched"]


def test_an_entry_that_is_changed_in_the_middle_of_a_search_is_not_taken_for_the_old_one(make):
    one, two = make(), make()
    one.store(entry("1"))
    one.search(EAST, *SCOPE, 0.9)
    mirror = one._mirrors["ns"]
    look = mirror.entries.search_top

    def look_and_be_overtaken(*args, **kwargs):
        found = look(*args, **kwargs)
        mirror.entries.search_top = look
        two.store(entry("1", NORTH, response="changed"))
        one._connection.run(mirror.refresh(one._connection))
        return found

    mirror.entries.search_top = look_and_be_overtaken
    found = one.search(EAST, *SCOPE, 0.9)
    assert found.entry is None
    assert found.best_score == pytest.approx(0.5)


def test_a_cache_can_be_flushed_while_it_is_searched(make):
    searching, flushing = make(), make()
    done = threading.Event()
    wrong = []

    def flush():
        for _ in range(15):
            for number in range(20):
                flushing.store(entry(str(number)))
            flushing.invalidate_namespace("ns")
        done.set()

    thread = threading.Thread(target=flush)
    thread.start()
    while not done.is_set():
        found = searching.search(EAST, *SCOPE, 0.9)
        if found and found.entry and found.entry.response != f"response {found.entry.id}":
            wrong.append(found)
    thread.join()
    assert not wrong
    assert searching.search(EAST, *SCOPE, 0.0) is None


# Keys that hold something else.


@pytest.mark.parametrize(
    "spoil", ["string", "foreign hash", "response", "vector", "attributes", "times"]
)
def test_a_foreign_or_damaged_entry_is_skipped_with_a_warning(
    make, client, redis_prefix, caplog, spoil
):
    storage, fresh = make(), make()
    near = np.array([0.99, np.sqrt(1 - 0.99**2), 0], np.float32)
    storage.store(entry("spoilt", attributes={"a": "b"}))
    storage.store(entry("whole", near))
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "spoilt"
    key = f"{redis_prefix}:e:{{ns}}:spoilt"
    if spoil == "string":
        client.set(key, "x")
    elif spoil == "foreign hash":
        client.delete(key)
        client.hset(key, "a", "b")
    else:
        field = "v3" if spoil == "vector" else spoil
        client.hset(key, field, client.hget(key, field)[:-1])
    with caplog.at_level(logging.WARNING, "langcache.engine"):
        assert fresh.search(EAST, *SCOPE, 0.9).entry.id == "whole"
        assert storage.search(EAST, *SCOPE, 0.9).entry.id == "whole"
        assert ids(storage.search_top(EAST, *SCOPE, 0.9, limit=9)) == ["whole"]
        assert storage.find_exact("prompt spoilt", *SCOPE) == []
        assert storage.get("ns", "spoilt") is None
        assert [each.id for each in storage.entries("ns")] == ["whole"]
    assert "holds no entry, or a damaged one" in caplog.text
    assert "response spoilt" not in caplog.text
    storage.store(entry("spoilt"))
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "spoilt"


def test_a_foreign_hash_with_fields_of_ours_can_be_replaced_and_removed(storage, client):
    storage.store(entry("2"))
    (other,) = client.scan_iter(match=storage._keys.of("ns").entry("2"))
    key = other.removesuffix(b"2") + b"1"
    foreign = {"expires": "soon", "seq": "last", "scope": "all", "bytes": "many", "first": "no"}
    client.hset(key, mapping=foreign)
    assert storage.get("ns", "1") is None
    storage.store(entry())
    assert storage.search(EAST, *SCOPE, 0.9).entry is not None
    assert storage.get("ns", "1") == entry()
    client.hset(key, mapping={"expires": "soon", "bytes": "many"})
    assert storage.namespace_bytes("ns") > 0
    assert storage.delete("ns", ["1", "2"]) >= 1
    assert list(storage.entries("ns")) == []


def test_a_foreign_key_where_the_bookkeeping_belongs_is_an_error(make, client, redis_prefix):
    client.set(f"{redis_prefix}:n:{{ns}}", "x")
    storage = make()
    for act in (lambda: storage.store(entry()), lambda: storage.search(EAST, *SCOPE, 0.9)):
        with pytest.raises(StorageError, match="WRONGTYPE"):
            act()


def test_a_warning_is_logged_once_when_a_namespace_is_large(make, monkeypatch, caplog):
    monkeypatch.setattr("langcache.engine.storage.redis._local_copy.PLAIN_LIMIT", 3)
    storage = make()
    for number in range(5):
        storage.store(entry(str(number)))
        storage.search(EAST, *SCOPE, 0.9)
    assert caplog.text.count("which is a lot to search without") == 1


def test_copies_that_are_not_searched_any_more_are_forgotten(make, monkeypatch):
    monkeypatch.setattr("langcache.engine.storage.redis.backend._MIRRORS_BYTES", 50_000)
    storage = make()
    names = [f"ns{number}" for number in range(30)]
    for name in names:
        storage.store(entry(namespace=name))
        storage.search(EAST, name, "model", "", 0.9)
    assert list(storage._mirrors) == names[-len(storage._mirrors) :]
    assert 1 < len(storage._mirrors) < 15
    for name in names:
        assert storage.search(EAST, name, "model", "", 0.9).entry.id == "1"


# Input.


@pytest.mark.parametrize("metadata", [{1: 2}, {"a": (1,)}, {"a": float("nan")}, {"a": object()}])
def test_metadata_that_is_not_json_is_refused(storage, metadata):
    with pytest.raises(ValueError, match="metadata: must be JSON"):
        storage.store(entry(metadata=metadata))
    assert storage.namespace_size("ns") == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, ValueError),
        ({"url": "redis://h", "sync_client": redis.Redis()}, ValueError),
        ({"sync_client": redis.Redis(), "connection_kwargs": {"db": 1}}, ValueError),
        ({"url": "http://user:hunter2@h"}, ValueError),
        ({"url": "redis://user:hunter2@h:port"}, ValueError),
        ({"url": "redis+sentinel://:hunter2@h:26379"}, ValueError),
        ({"url": "redis+sentinel://:hunter2@h:x/service"}, ValueError),
        ({"url": "redis+sentinel://:hunter2@h/service?other=1"}, ValueError),
        ({"url": "redis+cluster://:hunter2@h:6379/0"}, ValueError),
        ({"url": "redis+cluster://:hunter2@"}, ValueError),
        ({"url": 1}, TypeError),
        ({"url": "redis://h", "prefix": ""}, ValueError),
        ({"url": "redis://h", "prefix": "a{b}"}, ValueError),
        ({"url": "redis://h", "prefix": 1}, TypeError),
        ({"url": "redis://h", "search": "fast"}, ValueError),
        ({"url": "redis://h", "timeout": 0}, ValueError),
        ({"url": "redis://h", "timeout": float("nan")}, ValueError),
        ({"url": "redis://h", "timeout": 1e300}, ValueError),
        ({"url": f"redis://:hunter2@{'a' * 64}.example"}, ValueError),
        ({"url": f"redis+cluster://:hunter2@h:1,{'a' * 64}:2"}, ValueError),
    ],
)
def test_bad_arguments_are_refused_without_repeating_a_password(arguments, error):
    with pytest.raises(error) as caught:
        RedisStorage(**arguments)
    assert "hunter2" not in str(caught.value)


# Clients.


def used_both_ways(storage):
    """Store and search by a storage, synchronously and asynchronously, and close it."""

    async def main():
        await storage.astore(entry("2", NORTH))
        found = await storage.asearch(EAST, *SCOPE, 0.9)
        await storage.aclose()
        return found

    storage.store(entry("1"))
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert asyncio.run(main()).entry.id == "1"


def test_a_url_may_name_a_socket(start_redis, tmp_path):
    start_redis("--unixsocket", str(tmp_path / "redis.sock"))
    used_both_ways(RedisStorage(url=f"unix://{tmp_path}/redis.sock"))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate by")
def test_a_url_may_ask_for_tls(start_redis, free_port, tmp_path):
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {key} -out {certificate}"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command.split(), *subject], check=True, capture_output=True)
    tls_port = free_port
    options = {
        "tls-port": str(tls_port),
        "tls-cert-file": certificate,
        "tls-key-file": key,
        "tls-ca-cert-file": certificate,
        "tls-auth-clients": "no",
    }
    start_redis(*(part for name, value in options.items() for part in (f"--{name}", value)))
    url = f"rediss://localhost:{tls_port}"
    used_both_ways(RedisStorage(url=url, connection_kwargs={"ssl_ca_certs": certificate}))
    distrustful = RedisStorage(url=url)
    with pytest.raises(StorageError, match="certificate"):
        distrustful.store(entry())
    distrustful.close()


def test_a_sync_call_without_a_sync_client_says_what_to_pass(redis_url, redis_prefix):
    async def main():
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            storage = RedisStorage(client, prefix=redis_prefix, search="plain")
            await storage.astore(entry())
            with pytest.raises(RuntimeError, match="pass a synchronous one"):
                storage.search(EAST, *SCOPE, 0.9)
            assert (await storage.asearch(EAST, *SCOPE, 0.9)).entry.id == "1"

    asyncio.run(main())


def test_async_calls_with_a_sync_client_run_in_a_thread(client, redis_prefix):
    storage = RedisStorage(sync_client=client, prefix=redis_prefix, search="plain")

    async def main():
        await storage.astore(entry())
        await storage.aclear()
        await storage.astore(entry())
        return await storage.asearch(EAST, *SCOPE, 0.9)

    assert asyncio.run(main()).entry.id == "1"


def test_clients_that_decode_responses_will_do(redis_url, redis_prefix):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        storage = RedisStorage(sync_client=client, prefix=redis_prefix, search="plain")
        storage.store(entry(attributes={"a": "Ω"}))
        storage.set_record("a", "Ω", "v")
        assert storage.search(EAST, *SCOPE, 0.9).entry.attributes == {"a": "Ω"}
        assert storage.records("a") == {"Ω": "v"}
        storage.clear()
        assert storage.namespace_size("ns") == 0


@pytest.mark.parametrize("protocol", [2, 3])
def test_both_protocols_will_do(make, protocol):
    storage = make(connection_kwargs={"protocol": protocol})
    storage.store(entry())
    storage.set_record("a", "k", "v")
    assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
    assert storage.get("ns", "1").id == "1"
    assert storage.records("a") == {"k": "v"}


def test_given_clients_are_not_closed(redis_url, redis_prefix):
    with redis.Redis.from_url(redis_url, single_connection_client=True) as client:
        storage = RedisStorage(sync_client=client, prefix=redis_prefix)
        storage.namespace_size("ns")
        before = client.client_id()
        storage.close()
        assert client.client_id() == before


def test_more_tasks_than_connections_take_turns(redis_url, redis_prefix):
    storage = RedisStorage(
        url=redis_url,
        prefix=redis_prefix,
        search="plain",
        connection_kwargs={"max_connections": 3},
    )

    async def main():
        await asyncio.gather(*(storage.astore(entry(str(number))) for number in range(100)))
        scope = (EAST, *SCOPE, 0.9)
        found = await asyncio.gather(*(storage.asearch(*scope) for _ in range(100)))
        await storage.aclose()
        return found

    assert all(each.entry is not None for each in asyncio.run(main()))


def test_a_closed_storage_of_a_url_refuses_everything(redis_url, redis_prefix):
    storage = RedisStorage(url=redis_url, prefix=redis_prefix)
    storage.namespace_size("ns")
    storage.close()
    storage.close()
    with pytest.raises(StorageError, match="closed"):
        storage.namespace_size("ns")


def test_one_storage_serves_several_event_loops(redis_url, redis_prefix):
    storage = RedisStorage(url=redis_url, prefix=redis_prefix, search="plain")
    loops = [asyncio.new_event_loop() for _ in range(2)]
    for number, loop in enumerate(loops * 2):
        loop.run_until_complete(storage.astore(entry(str(number))))
        assert loop.run_until_complete(storage.anamespace_size("ns")) == number + 1
    for loop in loops:
        loop.run_until_complete(storage.aclose())
        loop.close()


def test_no_repr_or_error_shows_a_password(redis_prefix):
    storage = RedisStorage(
        url="redis://user:hunter2@127.0.0.1:1/0", prefix=redis_prefix, timeout=0.5
    )
    with pytest.raises(StorageError) as caught:
        storage.namespace_size("ns")
    assert "hunter2" not in str(caught.value) + repr(storage)
    assert "\n" not in str(caught.value)
    storage.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://127.0.0.1:1/cache",
        "rediss+sentinel://127.0.0.1:1/cache",
        "redis+cluster://127.0.0.1:1",
        "rediss+cluster://127.0.0.1:1",
        "redis://127.0.0.1:1",
        "rediss://127.0.0.1:1",
        "unix:///nowhere",
    ],
)
def test_every_kind_of_url_names_a_storage(url):
    assert is_storage_name(url)
    assert is_redis_url(url)
    create_storage(url).close()
