"""Answers in a Redis that several processes share."""

import time

import pytest

import langcache.integrations.litellm as integration

QUESTION = "How do I reset my password?"
PARAPHRASE = "How can I reset my password?"


@pytest.fixture
def redis(start_redis):
    return start_redis("--requirepass", "p@ss")


@pytest.fixture
def on_redis(redis, minilm):
    def enable(**settings):
        defaults = {"host": "127.0.0.1", "port": redis.port, "password": "p@ss"}
        return integration.enable(
            **{"embedding_model": minilm, "budget_seconds": 5.0, **defaults, **settings}
        )

    return enable


def test_an_answer_is_found_by_another_cache_on_the_same_redis(on_redis, ask):
    on_redis()
    assert not ask(QUESTION, "By mail.").is_hit
    on_redis()
    assert ask(QUESTION, "never asked") == ("By mail.", 1.0, True)
    reply = ask(PARAPHRASE, "never asked")
    assert (reply.text, reply.is_hit) == ("By mail.", True)
    assert reply.similarity > 0.9
    on_redis(index_name="another")
    assert not ask(QUESTION, "By phone.").is_hit


def test_the_environment_names_the_redis(on_redis, redis, ask, monkeypatch):
    on_redis()
    ask(QUESTION, "By mail.")
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
    monkeypatch.setenv("REDIS_PORT", str(redis.port))
    monkeypatch.setenv("REDIS_PASSWORD", "p@ss")
    on_redis(storage="redis", host=None, port=None, password=None)
    assert ask(QUESTION, "never asked").is_hit


def test_update_keeps_the_redis_or_takes_another_storage(on_redis, ask):
    on_redis()
    ask(QUESTION, "By mail.")
    integration.update(similarity_threshold=0.95)
    assert ask(QUESTION, "never asked").is_hit
    integration.update(storage="memory")
    assert not ask(QUESTION, "By phone.").is_hit


def test_a_redis_that_is_gone_fails_no_completion(on_redis, redis, ask, caplog):
    cache = on_redis()
    ask(QUESTION, "By mail.")
    redis.kill()
    assert ask(QUESTION, "asked again") == ("asked again", 0.0, False)
    assert cache.statistics.failures + cache.statistics.timeouts >= 1
    assert "p@ss" not in caplog.text


def test_a_ttl_holds(on_redis, ask):
    on_redis()
    ask(QUESTION, "By mail.", cache={"ttl": 1})
    assert ask(QUESTION, "never asked", cache={"no-store": True}).is_hit
    time.sleep(1.1)
    assert not ask(QUESTION, "asked again").is_hit
