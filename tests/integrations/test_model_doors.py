"""The doors that wrap the models of a framework.

The frameworks bring many packages, so they are installed into environments of their own, from the
package registry. `.ci/all` does that, with the newest releases and the oldest ones that are
supported; here is what needs none of them.
"""

import gc
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest

from langcache.answers import Answer, AnswerCache, Request
from langcache.integrations._endings import ending_of
from langcache.integrations._streams import recorded


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("llama-index", "llama_index"),
        ("pydantic-ai", "pydantic_ai"),
        ("openai-agents", "agents"),
    ],
)
def test_without_its_library_the_import_names_the_extra(name, library):
    if find_spec(library) is not None:
        pytest.skip(f"{library} is installed here")
    with pytest.raises(ImportError, match=f'needs the extra {name}; see\\s"Install"'):
        __import__(f"langcache.integrations.{name.replace('-', '_')}")


def look_up(cache):
    """A lookup that finds nothing, and for whose answer other calls wait."""
    return cache.look_up(Request(door="test", text="How do I reset my password?"), lambda _: None)


class Recording:
    def __init__(self, last=None):
        self.events = []
        self.last = last

    @property
    def is_complete(self):
        return self.events[-1:] == [self.last]

    def add(self, event):
        self.events.append(event)

    def answer(self):
        return Answer(None, self.events)


@pytest.fixture
def cache():
    with AnswerCache(verifier=None, budget=30, single_flight=600) as cache:
        yield cache


@pytest.mark.parametrize("read", [0, 1])
def test_a_stream_that_is_not_read_to_its_end_keeps_no_other_call_waiting(cache, read):
    stream = recorded(cache, look_up(cache), Recording(), iter("abc"))
    for _ in range(read):
        next(stream)
    del stream
    gc.collect()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(look_up, cache).result(60).outcome == "miss"
    assert cache.statistics.stores == 0


@pytest.mark.parametrize("last", [None, "c"])
def test_a_stream_that_is_read_to_its_end_is_stored_once(cache, last):
    assert list(recorded(cache, look_up(cache), Recording(last), iter("abc"))) == list("abc")
    assert cache.statistics.stores == 1


def test_a_stream_that_is_read_to_its_last_event_is_stored(cache):
    stream = recorded(cache, look_up(cache), Recording("b"), iter("ab"))
    assert [next(stream), next(stream)] == ["a", "b"]
    assert cache.statistics.stores == 1


@pytest.mark.parametrize(
    ("reasons", "ending"),
    [
        ([], "complete"),
        (["stop"], "complete"),
        (["MAX_TOKENS"], "truncated"),
        (["length", "content_filter"], "filtered"),
        (["completed", "failed"], "failed"),
    ],
)
def test_how_an_answer_ended(reasons, ending):
    assert ending_of(reasons) == ending
