"""What happens when Redis fails: clear errors in time, no wrong answer, and it goes on after."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import numpy as np
import pytest
import redis
from stored_entries import EAST, SCOPE
from stored_entries import make_entry as entry

from langcache.engine import EmbeddingsCache, StorageError, StorageFullError
from langcache.engine.storage.redis import RedisStorage


def eventually(check, seconds=20):
    """Wait until a check does not raise, and is true."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(StorageError, redis.RedisError):
            if check():
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def closing_all(*storages):
    yield
    for storage in storages:
        storage.close()


def test_acknowledged_entries_survive_a_killed_redis_and_every_failure_is_clear(start_redis):
    server = start_redis("--appendonly", "yes", "--appendfsync", "always")
    storages = [RedisStorage(url=server.url, search="plain", timeout=2) for _ in range(3)]
    acknowledged = [[] for _ in storages]
    failures, wrong = [], []
    stop = threading.Event()

    def work(number, storage):
        random = np.random.default_rng(number)
        while not stop.is_set():
            vector = random.standard_normal(8).astype(np.float32)
            vector /= np.linalg.norm(vector)
            id = f"{number}-{random.integers(1 << 40)}"
            try:
                storage.store(entry(id, vector))
                acknowledged[number].append((id, vector))
                found = storage.search(vector, *SCOPE, 0.999)
                if found is None or found.entry is None or found.entry.id != id:
                    wrong.append(found)
            except StorageError as error:
                failures.append(error)
                time.sleep(0.02)

    threads = [threading.Thread(target=work, args=arguments) for arguments in enumerate(storages)]
    with closing_all(*storages):
        for thread in threads:
            thread.start()
        eventually(lambda: all(len(each) > 20 for each in acknowledged))
        server.kill()
        eventually(lambda: failures)
        before = [len(each) for each in acknowledged]
        server.start()
        eventually(
            lambda: all(
                len(each) > many + 5 for each, many in zip(acknowledged, before, strict=True)
            )
        )
        stop.set()
        for thread in threads:
            thread.join()
        assert not wrong
        assert all(str(error).startswith("Redis: ") for error in failures)
        for id, vector in (each for some in acknowledged for each in some):
            for storage in storages[:2]:
                assert storage.search(vector, *SCOPE, 0.999).entry.id == id


def test_what_a_restart_has_lost_is_not_found_any_more(start_redis):
    server = start_redis()
    storage = RedisStorage(url=server.url, search="plain", timeout=2)
    with closing_all(storage):
        storage.store(entry())
        assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
        server.kill()
        server.start()
        # The broken connection is noticed, and the call made once more.
        assert storage.search(EAST, *SCOPE, 0.9) is None
        storage.store(entry("2"))
        assert storage.search(EAST, *SCOPE, 0.9).entry.id == "2"


def test_a_paused_redis_gives_errors_in_time_and_answers_again_after(start_redis):
    server = start_redis()
    storage = RedisStorage(url=server.url, search="plain", timeout=0.5)

    async def all_at_once():
        calls = [
            storage.astore(entry()),
            storage.asearch(EAST, *SCOPE, 0.9),
            storage.adelete("ns", ["1"]),
            storage.aclear(),
        ]
        found = await asyncio.gather(*calls, return_exceptions=True)
        server.resume()
        assert (await storage.asearch(EAST, *SCOPE, 0.9)).entry.id == "1"
        await storage.aclose()
        return found

    storage.store(entry())
    for act in (
        lambda: storage.store(entry()),
        lambda: storage.search(EAST, *SCOPE, 0.9),
        lambda: storage.get("ns", "1"),
        storage.clear,
    ):
        server.pause()
        started = time.monotonic()
        with pytest.raises(StorageError, match="no answer in time"):
            act()
        assert time.monotonic() - started < 10
        server.resume()
        eventually(lambda: storage.search(EAST, *SCOPE, 0.9).entry.id == "1")
    server.pause()
    started = time.monotonic()
    found = asyncio.run(all_at_once())
    assert time.monotonic() - started < 10
    assert len(found) == 4
    assert all(isinstance(each, StorageError) for each in found)


def test_a_given_async_client_without_a_time_out_is_waited_for_no_longer_either(start_redis):
    server = start_redis()

    async def main():
        async with redis.asyncio.Redis(port=server.port, socket_timeout=None) as client:
            storage = RedisStorage(client, search="plain", timeout=0.3)
            await storage.astore(entry())
            server.pause()
            with pytest.raises(StorageError, match="no answer in time"):
                await storage.asearch(EAST, *SCOPE, 0.9)
            server.resume()
            assert (await storage.asearch(EAST, *SCOPE, 0.9)).entry.id == "1"

    asyncio.run(asyncio.wait_for(main(), 20))


def test_nobody_there_is_an_error(tmp_path):
    storage = RedisStorage(url="redis://127.0.0.1:1", timeout=0.5)
    with closing_all(storage), pytest.raises(StorageError, match="refused"):
        storage.store(entry())
    storage = RedisStorage(url=f"unix://{tmp_path}/nothing.sock", timeout=0.5)
    with closing_all(storage), pytest.raises(StorageError):
        storage.records("a")


def test_a_full_redis_is_an_error_of_its_own_and_changes_nothing(start_redis):
    server = start_redis()
    storage = RedisStorage(url=server.url, search="plain")
    with closing_all(storage), server.client() as client:
        storage.store(entry("old"))
        client.config_set("maxmemory", "1mb")
        for refused in (entry("new"), entry("old", response="new"), entry(namespace="new")):
            with pytest.raises(StorageFullError, match="out of memory"):
                storage.store(refused)
        assert storage.search(EAST, *SCOPE, 0.9).entry == entry("old")
        assert storage.namespace_size("ns") == 1
        assert storage.namespace_size("new") == 0
        assert storage.delete("ns", ["old"]) == 1
        client.config_set("maxmemory", "0")
        storage.store(entry("new"))
        assert storage.search(EAST, *SCOPE, 0.9).entry.id == "new"


def test_an_exhausted_pool_is_an_error_in_time(start_redis):
    server = start_redis()
    storage = RedisStorage(
        url=server.url, search="plain", timeout=0.3, connection_kwargs={"max_connections": 1}
    )
    with closing_all(storage):
        storage.store(entry())
        with storage._connection.sync_client().pipeline() as holder:
            holder.watch("key")
            started = time.monotonic()
            with pytest.raises(StorageError, match=r"[Cc]onnection"):
                storage.search(EAST, *SCOPE, 0.9)
            assert time.monotonic() - started < 10
        assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"


def test_a_wrong_password_is_an_error_that_does_not_repeat_it(start_redis):
    server = start_redis("--requirepass", "right")
    right = RedisStorage(url=f"redis://:right@127.0.0.1:{server.port}", search="plain")
    wrong = RedisStorage(url=f"redis://:hunter2@127.0.0.1:{server.port}", search="plain")
    with closing_all(right, wrong):
        right.store(entry())
        with pytest.raises(StorageError) as caught:
            wrong.store(entry())
        assert "hunter2" not in str(caught.value)


def test_a_user_of_redis_needs_no_more_rights_than_are_documented(start_redis):
    server = start_redis()
    rights = ["~_langcache:*", "+@read", "+@write", "+@scripting", "+@connection", "+time"]
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "limited", "on", ">secret", *rights)
    storage = RedisStorage(url=f"redis://limited:secret@127.0.0.1:{server.port}")
    with closing_all(storage):
        storage.store(entry(expires_at=time.time() + 100))
        assert storage.search(EAST, *SCOPE, 0.9).entry.id == "1"
        assert storage.search_mode == "plain"
        assert storage.find_exact("prompt 1", *SCOPE)
        storage.set_record("a", "k", "v")
        assert storage.records("a") == {"k": "v"}
        assert storage.delete("ns", ["1"]) == 1
        storage.store(entry())
        storage.clear()
        assert storage.namespace_size("ns") == 0


def test_a_promoted_replica_goes_on_with_what_it_has(start_redis):
    master = start_redis()
    replica = start_redis("--replicaof", "127.0.0.1", str(master.port))
    storage = RedisStorage(url=master.url, search="plain", timeout=2)
    with closing_all(storage), replica.client() as client:
        storage.store(entry("1"))
        eventually(lambda: client.info("replication")["master_link_status"] == "up")
        storage.store(entry("2", np.array([0, 1, 0], np.float32)))
        eventually(lambda: client.zcard("_langcache:o:{ns}") == 2)
        behind = RedisStorage(sync_client=client, search="plain")
        with pytest.raises(StorageError, match="read only"):
            behind.store(entry("3"))
        master.kill()
        with pytest.raises(StorageError):
            storage.store(entry("3"))
        client.replicaof("NO", "ONE")
        assert behind.search(EAST, *SCOPE, 0.9).entry.id == "1"
        behind.store(entry("1", response="new"))
        assert behind.search(EAST, *SCOPE, 0.9).entry.response == "new"
        assert behind.namespace_size("ns") == 2


def test_a_failover_by_sentinel_is_followed(start_redis, tmp_path):
    master = start_redis()
    replica = start_redis("--replicaof", "127.0.0.1", str(master.port))
    with replica.client() as client:
        eventually(lambda: client.info("replication")["master_link_status"] == "up")
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(
        f"sentinel monitor cache 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds cache 500\n"
        "sentinel failover-timeout cache 2000\n"
    )
    sentinel = start_redis(str(configuration), "--sentinel")
    storage = RedisStorage(
        url=f"redis+sentinel://127.0.0.1:{sentinel.port}/cache", search="plain", timeout=2
    )
    with closing_all(storage), sentinel.client() as client:
        storage.store(entry("1"))
        eventually(lambda: len(client.sentinel_slaves("cache")) == 1)
        with replica.client() as other:
            eventually(lambda: other.zcard("_langcache:o:{ns}") == 1)
        master.kill()
        eventually(lambda: client.sentinel_masters()["cache"]["port"] == replica.port)
        eventually(lambda: storage.store(entry("2")) is None)
        assert storage.get("ns", "1") == entry("1")
        assert storage.namespace_size("ns") == 2

        async def search():
            found = await storage.asearch(EAST, *SCOPE, 0.9)
            await storage.aclose()
            return found

        assert asyncio.run(search()).entry is not None


def test_a_cluster_keeps_namespaces_on_its_nodes(start_cluster):
    nodes = start_cluster()
    clients = [node.client() for node in nodes]
    storage_url = f"redis+cluster://127.0.0.1:{nodes[0].port},127.0.0.1:{nodes[1].port}"
    storage = RedisStorage(url=storage_url, timeout=2)
    names = [f"ns{number}" for number in range(20)]
    not_for_clusters = RedisStorage(url=nodes[0].url)
    with closing_all(not_for_clusters), pytest.raises(StorageError, match="of a cluster"):
        sum(map(not_for_clusters.namespace_size, names))
    for name in names:
        storage.store(entry(namespace=name))
        storage.store(entry("2", namespace=name, expires_at=time.time() + 100))
    assert all(client.dbsize() for client in clients)
    for name in names:
        assert storage.search(EAST, name, "model", "", 0.9).entry is not None
        assert storage.find_exact("PROMPT 1", name, "model", "")[0].id == "1"
        assert len(list(storage.entries(name))) == 2
    storage.set_record("a", "k", "v")
    assert storage.records("a") == {"k": "v"}

    async def main():
        for name in names:
            assert (await storage.asearch(EAST, name, "model", "", 0.9)).entry is not None
        assert await storage.adelete(names[0], ["1"]) == 1
        await storage.aclear()
        sizes = [await storage.anamespace_size(name) for name in names]
        await storage.aclose()
        return sizes

    assert asyncio.run(main()) == [0] * len(names)
    storage.close()
    contents = [f"text {number}" for number in range(50)]
    items = [{"content": each, "model_name": "model", "embedding": [1.0]} for each in contents]
    with EmbeddingsCache(redis_url=storage_url) as embeddings:
        embeddings.mset(items)
        assert all(embeddings.mget(contents, "model"))

        async def read():
            found = await embeddings.amget(contents, "model")
            await embeddings.aclear()
            left = await embeddings.amexists(contents, "model")
            await embeddings.adisconnect()
            return found, left

        found, left = asyncio.run(read())
        assert all(found)
        assert not any(left)
    assert sum(client.dbsize() for client in clients) == 1
    for client in clients:
        client.close()
