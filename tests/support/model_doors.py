"""What holds for every door that wraps the model of a framework, against an upstream that counts.

The tests of a framework subclass `ModelDoorTests` and give it a fixture `door`: a `ModelDoor`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest
from answer_caches import Broken

from langcache.answers import Hit

ASKED = "How do I reset my password?"
PARAPHRASE = "How can I reset my password?"
EARLIER = (("user", "Hello"), ("assistant", "Hello!"))
SYSTEM = ("system", "Answer as a pirate.")


class ModelDoor:
    """A wrapped model.

    Attributes:
        cache: The cache in front of it.
    """

    def __init__(self, upstream, cache):
        self.upstream = upstream
        self.cache = cache

    def ask(self, text=ASKED, *, earlier=(), stream=False, **changes):
        """Return the answer, or the events of a stream in a list.

        `earlier` are pairs of roles and texts. Changes: `model`, `temperature`, `with_tool`.
        """
        return asyncio.run(self.aask(text, earlier=earlier, stream=stream, **changes))

    async def aask(self, text=ASKED, *, earlier=(), stream=False, **changes):
        raise NotImplementedError

    async def leave_stream(self):
        """Read one event of a stream, and close it."""
        raise NotImplementedError

    def gather(self, count, *, stream):
        """Ask at the same time, and return the answers or exceptions."""

        async def main():
            calls = [self.aask(stream=stream) for _ in range(count)]
            return await asyncio.gather(*calls, return_exceptions=True)

        return asyncio.run(main())

    def same(self, result, other):
        """Whether two answers, or two lists of events, are equal but for ids, time and usage."""
        if isinstance(result, list):
            pairs = zip(result, other, strict=True)
            return all(self.same(one, another) for one, another in pairs)
        return type(result) is type(other) and self.plain(result) == self.plain(other)

    def plain(self, result):
        """Return an answer or an event without ids, times and usage."""
        raise NotImplementedError

    def tokens(self, result):
        """Return the number of tokens that an answer reports."""
        raise NotImplementedError

    def hit(self, result):
        """Return how an answer was found, or None."""
        return getattr(result, "langcache", None)


def without(value, *names):
    """Return a value in which the members of mappings with these names are left out."""
    if isinstance(value, dict):
        return {key: without(each, *names) for key, each in value.items() if key not in names}
    return [without(each, *names) for each in value] if isinstance(value, list) else value


class ModelDoorTests:
    @pytest.mark.parametrize("stream", [False, True])
    def test_a_paraphrase_does_not_reach_the_upstream(self, door, upstream, stream):
        first = door.ask(stream=stream)
        again = door.ask(stream=stream)
        other = door.ask(PARAPHRASE, stream=stream)
        assert upstream.count == 1
        assert door.same(first, again)
        assert door.same(first, other)
        counted = door.cache.statistics
        assert (counted.exact_hits, counted.semantic_hits) == (1, 1)
        if stream:
            assert len(first) > 5

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("How do I enable dark mode?", "How do I disable dark mode?"),
            ("How many retries are allowed in 5 minutes?",) * 2,
            (ASKED, "What are your opening hours?"),
        ],
    )
    def test_another_question_reaches_the_upstream(self, door, upstream, first, second):
        door.ask(first)
        door.ask(second.replace("5", "6"))
        assert upstream.count == 2

    @pytest.mark.parametrize(
        "changes",
        [
            {"model": "gpt-4o"},
            {"temperature": 0.9},
            {"with_tool": True},
            {"earlier": [SYSTEM]},
            {"earlier": EARLIER},
            {"stream": True},
        ],
    )
    def test_what_shapes_an_answer_separates_answers(self, door, upstream, changes):
        door.ask()
        changed = door.ask(**changes)
        assert upstream.count == 2
        assert door.same(door.ask(**changes), changed)
        assert upstream.count == 2

    def test_another_tenant_reaches_the_upstream(self, door, upstream):
        for tenant in ("acme", "umbrella"):
            with door.cache.scope(tenant=tenant):
                door.ask()
                door.ask(PARAPHRASE)
        assert upstream.count == 2

    @pytest.mark.parametrize("stream", [False, True])
    def test_with_a_tool_only_the_same_call_hits(self, door, upstream, stream):
        upstream.call_tool_next("clock", zone="UTC")
        first = door.ask(with_tool=True, stream=stream)
        assert door.same(door.ask(with_tool=True, stream=stream), first)
        assert upstream.count == 1
        door.ask(PARAPHRASE, with_tool=True, stream=stream)
        assert upstream.count == 2

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_call_can_be_explained(self, door, upstream, stream):
        def explained(text):
            return door.cache.explain(door.ask, text, stream=stream)

        assert explained(ASKED).outcome == "miss"
        door.ask(stream=stream)
        assert explained(ASKED).outcome == "hit"
        similar = explained(PARAPHRASE)
        assert (similar.outcome, similar.question) == ("hit", PARAPHRASE)
        assert [each.prompt for each in similar.lookup.candidates] == [ASKED]
        assert explained("How do I delete my password?").outcome == "rejected"
        assert upstream.count == 1

    def test_a_bypass_reaches_the_upstream_and_stores_nothing(self, door, upstream):
        with door.cache.bypass():
            door.ask()
        door.ask()
        assert upstream.count == 2

    def test_nothing_is_billed_twice(self, door, upstream):
        first, again = door.ask(), door.ask(PARAPHRASE)
        assert door.tokens(first) > 0
        assert door.tokens(again) == 0
        assert door.hit(first) is None
        hit = door.hit(again)
        assert isinstance(hit, Hit)
        assert hit.source == "similar"
        assert hit.saved
        assert door.cache.report_wrong(hit)
        door.ask(PARAPHRASE)
        assert upstream.count == 2

    @pytest.mark.parametrize("stream", [False, True])
    def test_an_error_is_passed_on_and_nothing_is_stored(self, door, upstream, stream):
        upstream.fail_next(429)
        with pytest.raises(Exception, match="429"):
            door.ask(stream=stream)
        door.ask(stream=stream)
        assert upstream.count == 2

    def test_a_broken_stream_is_passed_on_and_not_stored(self, door, upstream):
        upstream.break_stream_next(after=3)
        with pytest.raises(Exception, match=r"closed|Connection error|incomplete"):
            door.ask(stream=True)
        whole = door.ask(stream=True)
        assert door.same(door.ask(stream=True), whole)
        assert upstream.count == 2

    def test_a_stream_that_is_left_is_not_stored(self, door, upstream):
        asyncio.run(door.leave_stream())
        door.ask(stream=True)
        assert upstream.count == 2

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("reason", ["length", "content_filter"])
    def test_an_answer_that_was_cut_off_is_not_stored(self, door, upstream, stream, reason):
        upstream.finish_next(reason)
        with contextlib.suppress(Exception):  # some frameworks raise one
            door.ask(stream=stream)
        door.ask(stream=stream)
        assert upstream.count == 2

    @pytest.mark.parametrize("stream", [False, True])
    def test_concurrent_equal_calls_reach_the_upstream_once(self, door, upstream, stream):
        results = door.gather(50, stream=stream)
        assert upstream.count == 1
        assert all(door.same(each, results[0]) for each in results)

    def test_concurrent_calls_get_an_error_each(self, door, upstream):
        upstream.fail_next(500, times=3)
        results = door.gather(3, stream=False)
        assert all(isinstance(each, Exception) and "500" in str(each) for each in results)
        assert upstream.count == 3

    def test_a_cache_that_is_down_fails_no_call(self, door, upstream, make_cache):
        door.cache = make_cache(Broken())
        door.ask()
        assert len(door.ask(stream=True)) > 5
        assert upstream.count == 2

    def test_a_cache_that_hangs_is_waited_for_as_long_as_its_budget(
        self, door, upstream, make_cache
    ):
        released = threading.Event()
        door.cache = make_cache(Broken(released), budget=0.1)
        try:
            door.ask()
        finally:
            released.set()
        assert upstream.count == 1
        # The store does not wait again: the lookup has used up the budget.
        assert door.cache.statistics.timeouts == 1
