"""Fixtures: caches of answers that load their models once."""

import pytest

from langcache.answers import AnswerCache
from langcache.engine import InMemoryStorage, MiniLMEmbedder, create_verifier

# For the code on a page, which shows the default time limit of a lookup.
PATIENT = {'AnswerCache("sqlite:answers.db")': 'AnswerCache("sqlite:answers.db", budget=30)'}


@pytest.fixture(scope="session")
def minilm():
    return MiniLMEmbedder()


@pytest.fixture(scope="session")
def auto():
    """The verifier "auto", whose models are loaded once."""
    return create_verifier("auto")


@pytest.fixture
def make_cache(minilm, auto):
    """Make caches that wait for a busy machine."""
    made = []

    def make(backend="memory", verifier=auto, *, embedder=minilm, threshold=0.88, **settings):
        settings = {"budget": 30, **settings}
        cache = AnswerCache(backend, verifier, embedder=embedder, threshold=threshold, **settings)
        made.append(cache)
        return cache

    yield make
    for cache in made:
        cache.close()


@pytest.fixture
def answers(make_cache):
    return make_cache()


class Broken(InMemoryStorage):
    """A storage that fails, or hangs until it is released."""

    def __init__(self, released=None):
        super().__init__()
        self.released = released

    def _fail(self, asked):
        if self.released:
            self.released.wait()
        raise ConnectionError(asked)

    def is_quick(self, scope):
        return False

    def get(self, namespace, entry_id):
        self._fail(entry_id)

    def store(self, entry):
        self._fail(entry.prompt)
