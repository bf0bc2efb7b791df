"""What a caller sees of a storage or an embedder that fails."""

import httpx
import pytest
from langcache_mockserver import MockServer

from langcache.engine import (
    EmbedderError,
    FunctionEmbedder,
    InMemoryStorage,
    StorageError,
    StorageFullError,
)

SET = {"prompt": "Why?", "response": "So."}


class FailingStorage(InMemoryStorage):
    """A storage that fails in the way it is told."""

    error: Exception | None = None

    def __getattribute__(self, name):
        if name in ("store", "search_top", "invalidate_namespace", "namespace_size"):
            self._fail()
        return super().__getattribute__(name)

    def search_top_together(self, searches):
        self._fail()
        return super().search_top_together(searches)

    def _fail(self):
        if self.error is not None:
            raise self.error


@pytest.fixture
def storage():
    return FailingStorage()


@pytest.fixture
def client(storage, minilm):
    with (
        MockServer(storage=storage, embedder=minilm) as server,
        httpx.Client(
            base_url=server.url, headers={"authorization": "Bearer k"}, trust_env=False
        ) as client,
    ):
        yield client


def test_a_storage_that_fails_is_a_424_and_it_recovers(client, storage, caplog, check_problem):
    storage.error = StorageError("redis.internal:6379: out of reach")
    for path, body in [("entries", SET), ("entries/search", {"prompt": "Why?"}), ("flush", None)]:
        answer = client.post(f"/v1/caches/c/{path}", json=body)
        check_problem(answer, 424)
        assert "redis.internal" not in answer.text
    assert client.get("/health/readiness").status_code == 503
    assert client.get("/health/liveness").status_code == 200
    assert "redis.internal:6379: out of reach" in caplog.text
    storage.error = None
    assert client.post("/v1/caches/c/entries", json=SET).status_code == 201
    assert client.get("/health/readiness").status_code == 200


def test_a_storage_that_is_full_says_so(client, storage):
    storage.error = StorageFullError("redis.internal:6379: no room")
    answer = client.post("/v1/caches/c/entries", json=SET)
    assert (answer.status_code, answer.json()["type"]) == (424, "/errors/database-out-of-memory")


def test_an_embedder_that_fails_is_a_424(check_problem, caplog):
    def fail(_texts):
        raise EmbedderError("the endpoint answered 503")

    embedder = FunctionEmbedder(fail, model_id="m", dimensions=3)
    with MockServer(embedder=embedder) as server:
        answer = httpx.post(
            f"{server.url}/v1/caches/c/entries",
            json=SET,
            headers={"authorization": "Bearer k"},
            trust_env=False,
        )
    check_problem(answer, 424)
    assert "the endpoint answered 503" in caplog.text
