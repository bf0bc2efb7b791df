"""Answers of any size: an entry may be large, and a search may ask for all of them."""

import asyncio
import json

import pytest
from langcache_mockserver import Settings, SimilarityTable
from langcache_mockserver.domain import caches
from langcache_mockserver.http import response
from langcache_mockserver.planes import data

from langcache.engine import InMemoryStorage

MANY = 2_147_483_647


@pytest.fixture
def client(serve):
    with serve(Settings(), embedder=SimilarityTable({})) as client:
        yield client


def store(client, path, count, response):
    for number in range(count):
        body = {"prompt": f"p{number}", "response": response, "attributes": {"n": str(number)}}
        assert client.post(f"{path}/entries", json=body).status_code == 201


def search(client, path, **options):
    body = {"prompt": "p0", "similarityThreshold": 0, "maxResults": MANY, **options}
    answer = client.post(f"{path}/entries/search", json=body)
    assert answer.status_code == 200
    return answer.json()["data"]


@pytest.mark.parametrize("strategies", [["semantic"], ["exact", "semantic"]])
def test_an_answer_ends_before_it_is_too_large(client, cache_path, monkeypatch, strategies):
    store(client, cache_path, 20, "r" * 1000)
    monkeypatch.setattr(caches, "MOST_CHARACTERS", 5 * 1020)
    found = search(client, cache_path, searchStrategies=strategies)
    assert len(found) == 5
    assert found[0]["prompt"] == "p0"
    monkeypatch.setattr(caches, "MOST_CHARACTERS", 10)
    assert [each["prompt"] for each in search(client, cache_path, maxResults=19)] == ["p0"]


def test_everything_that_is_not_too_large_is_answered(client, cache_path):
    store(client, cache_path, 250, "r")
    assert len(search(client, cache_path)) == 250
    assert len(search(client, cache_path, maxResults=249)) == 249
    body = {"prompt": "p0", "similarityThreshold": 0, "maxResults": MANY, "context": []}
    answer = client.post(f"{cache_path}/conversations/search", json=body).json()
    assert (answer["actualPrompt"], len(answer["data"])) == ("p0", 250)


def test_a_large_answer_is_not_written_in_the_event_loop(client, cache_path, monkeypatch):
    written = []

    def json_of(content):
        body = response.json_of(content)
        written.append((len(body), in_event_loop()))
        return body

    monkeypatch.setattr(data, "json_of", json_of)
    store(client, cache_path, 3, "r")
    store(client, cache_path, 3, "r" * 200_000)
    search(client, cache_path, maxResults=1)
    search(client, cache_path)
    assert [loop for _, loop in written] == [True, False]
    assert written[1][0] > 600_000


def in_event_loop():
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def test_a_search_for_many_is_not_made_in_the_event_loop(serve, cache_path):
    searched = []

    class Storage(InMemoryStorage):
        def is_quick(self, scope):
            return True  # a subclass is not taken to be

        def search_top_together(self, searches):
            searched.append(in_event_loop())
            return super().search_top_together(searches)

    with serve(Settings(), embedder=SimilarityTable({}), storage=Storage()) as client:
        store(client, cache_path, 3, "r")
        for most in (1, 100, 101, MANY):
            search(client, cache_path, maxResults=most)
    assert searched == [True, True, False, False]


def test_no_more_is_read_than_may_be_answered(serve, cache_path, monkeypatch):
    asked = []

    class Storage(InMemoryStorage):
        def search_top_together(self, searches):
            asked.append(searches[0].limit)
            return super().search_top_together(searches)

        def find_exact(self, *args, limit, **kwargs):
            asked.append(limit)
            return super().find_exact(*args, limit=limit, **kwargs)

    monkeypatch.setattr(caches, "MOST_CHARACTERS", 200 * 20)
    with serve(Settings(), embedder=SimilarityTable({}), storage=Storage()) as client:
        store(client, cache_path, 300, "r" * 15)
        assert 150 < len(search(client, cache_path)) < 250
        assert max(asked) <= 2048
        asked.clear()
        search(client, cache_path, searchStrategies=["exact"])
        assert max(asked) <= 128


def test_the_limit_fits_what_clients_accept():
    widest = json.dumps("\U0001f600", ensure_ascii=False).encode()
    assert caches.MOST_CHARACTERS * (len(widest) - 2) < 64 << 20
