"""`langcache migrate`."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from dataclasses import replace

import pytest
from langcache_minilm import MODEL_ID, PREVIOUS_MODEL_IDS
from langcache_mockserver import MockServer
from langcache_mockserver.watch import metrics
from typer.testing import CliRunner

from langcache.cli.app import create_app
from langcache.engine import SemanticCache, SQLiteStorage, StorageError, migration
from langcache.engine.migration import embed_anew, model_sizes
from langcache.engine.storage.other_models import NO_MODEL
from langcache.engine.storage.redis import RedisStorage
from langcache.engine.storage.redis._keys import FORMER_PREFIX

PROMPT = "What is the capital of France?"


def run(*arguments):
    return CliRunner().invoke(create_app(), ["migrate", *arguments])


@pytest.fixture
def path(tmp_path):
    """A file with two entries of the earlier model, one of this and one of another model."""
    path = tmp_path / "cache.db"
    with contextlib.closing(SQLiteStorage(path)) as storage:
        cache = SemanticCache("faq", storage=storage)
        models = [PREVIOUS_MODEL_IDS[0], PREVIOUS_MODEL_IDS[0], MODEL_ID, "other"]
        for number, model in enumerate(models):
            key = cache.store(f"{PROMPT} {number}", f"Paris {number}")
            storage.edit(
                "faq",
                key.removeprefix("faq:"),
                lambda entry, model=model: replace(entry, embedding_model_id=model),
            )
    return path


def test_entries_of_the_earlier_model_are_found_again(path):
    result = run("--storage", f"sqlite:{path}")
    assert result.exit_code == 0, result.output
    assert f"{PREVIOUS_MODEL_IDS[0]}: 2 entries wait" in result.output
    assert "other: 1 entries are left as they are" in result.output
    assert f"2 entries have the model {MODEL_ID} now" in result.output
    with contextlib.closing(SQLiteStorage(path)) as storage:
        assert model_sizes(storage) == {MODEL_ID: 3, "other": 1}
        [hit] = SemanticCache("faq", storage=storage).check(f"{PROMPT} 0")
        assert hit["response"] == "Paris 0"
    assert "embedded anew" not in run("--storage", f"sqlite:{path}").output


def test_a_dry_run_changes_nothing(path):
    result = run("--storage", f"sqlite:{path}", "--dry-run", "--from-model", "other")
    assert "other: 1 entries wait" in result.output
    with contextlib.closing(SQLiteStorage(path)) as storage:
        assert model_sizes(storage)["other"] == 1


def test_an_interrupted_migration_goes_on(path, monkeypatch):
    monkeypatch.setattr(migration, "_BATCH", 1)

    def interrupt(done):
        raise KeyboardInterrupt

    with contextlib.closing(SQLiteStorage(path)) as storage:
        embedder = SemanticCache(storage=storage).vectorizer
        models = {*PREVIOUS_MODEL_IDS, "other"}
        with pytest.raises(KeyboardInterrupt):
            embed_anew(storage, embedder, models, interrupt)
        assert embed_anew(storage, embedder, models) == 2
        assert model_sizes(storage) == {MODEL_ID: 4}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--storage", "memory"], 2),
        (["--storage", "nothing"], 2),
        (["--storage", "sqlite:/does/not/exist"], 3),
        (["--storage", "sqlite:x", "--embedder", "nothing"], 2),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(arguments, status):
    result = run(*arguments)
    assert result.exit_code == status
    assert result.output.count("\n") == 1


def waiting(server):
    """Return how many entries wait to be migrated, as the metrics of a server say it."""
    found = re.search(r"\nlangcache_entries_of_other_models (\d+)\n", metrics_of(server))
    return found and int(found[1])


def metrics_of(server):
    with server.client() as client:
        return client.get("/metrics").text


def test_a_server_says_how_many_entries_wait(path, caplog, monkeypatch):
    monkeypatch.setattr(metrics, "_LEAST_AGE_SECONDS", 0)
    monkeypatch.setattr(metrics, "_AGE_PER_COST", 0)
    with contextlib.closing(SQLiteStorage(path)) as storage:
        with MockServer(listen=False, storage=storage) as server:
            assert waiting(server) == 3
            first, *_ = storage.entries("faq")
            storage.delete("faq", [first.id])
            assert waiting(server) == 2
            storage.invalidate_namespace("faq")
            assert waiting(server) == 0
        with MockServer(listen=False, storage=storage) as server:
            assert waiting(server) == 0
    assert "3 entries are of another embedding model" in caplog.text
    assert "langcache migrate" in caplog.text


def test_statistics_show_the_entries_of_other_models(path):
    with contextlib.closing(SQLiteStorage(path)) as storage:
        statistics = SemanticCache("faq", storage=storage).statistics
        assert (statistics.entries, statistics.entries_of_other_models) == (4, 3)


def test_opening_a_cache_says_how_many_entries_wait(path, caplog):
    with contextlib.closing(SQLiteStorage(path)) as storage:
        [entry, *_] = storage.entries("faq")
        storage.store(replace(entry, namespace="other", embedding_model_id=NO_MODEL))
        SemanticCache("other", storage=storage)
        assert not caplog.text
        SemanticCache("faq", storage=storage)
    assert "3 entries of 'faq' are of another embedding model" in caplog.text
    assert "`langcache migrate`" in caplog.text


def test_opening_a_cache_in_redis_says_how_many_entries_wait(redis_url, redis_prefix, caplog):
    with contextlib.closing(RedisStorage(url=redis_url, prefix=redis_prefix)) as storage:
        cache = SemanticCache("faq", storage=storage)
        for number in range(250):
            cache.store(f"{PROMPT} {number}", "Paris")
        stored = list(storage.entries("faq"))
        SemanticCache("faq", storage=storage)
        assert not caplog.text
        # What is older than all others.
        storage.invalidate_namespace("faq")
        storage.store_many(replace(each, embedding_model_id="old") for each in stored[:220])
        storage.store_many(stored[220:])
        assert storage.model_sizes("faq") == {"old": 220, cache.vectorizer.model_id: 30}
        assert sum(storage.model_sizes("faq", oldest=7).values()) == 7
        SemanticCache("faq", storage=storage)
        assert caplog.text.count("220 entries of 'faq' are of another embedding model") == 1
        statistics = cache.statistics
        assert (statistics.entries, statistics.entries_of_other_models) == (250, 220)
        with MockServer(listen=False, storage=storage) as server:
            deadline = time.monotonic() + 20
            while waiting(server) is None:
                assert time.monotonic() < deadline
            assert waiting(server) == 220
        assert caplog.text.count("220 entries of 'faq'") == 2
        assert asyncio.run(storage.amodel_sizes("none")) == {}
        cache.clear()


def test_what_an_earlier_release_kept_in_redis_is_moved_and_embedded_anew(start_redis):
    url = start_redis().url
    with contextlib.closing(RedisStorage(url=url, prefix=FORMER_PREFIX)) as old:
        SemanticCache("faq", storage=old).store(PROMPT, "Paris")
        [stored] = old.entries("faq")
        old.store(replace(stored, embedding_model_id=PREVIOUS_MODEL_IDS[0]))
    with contextlib.closing(RedisStorage(url=url)) as storage:
        with pytest.raises(StorageError, match="langcache migrate"):
            SemanticCache("faq", storage=storage)
        result = run("--storage", url)
        assert result.exit_code == 0, result.output
        assert "1 entries were brought to this format" in result.output
    with contextlib.closing(RedisStorage(url=url)) as storage:
        cache = SemanticCache("faq", storage=storage)
        assert cache.check(PROMPT)[0]["response"] == "Paris"
