"""The conformance tests of storage backends, to run on one of your own.

With pytest, in a test module:

    from langcache.engine.testing import StorageConformance

    class TestMyStorage(StorageConformance):
        def make(self, clock):
            return MyStorage(clock=clock)

With anything else: `check_storage(lambda clock: MyStorage(clock=clock))`.

The rules are plain `assert` statements, so Python must not run with -O.
"""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from langcache.engine.storage.entry import CacheEntry, Match, Scope, TopSearch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from langcache.engine.storage.base import StorageBackend

__all__ = ["ManualClock", "StorageConformance", "check_storage"]


class ManualClock:
    """A clock that stands still until it is set.

    Attributes:
        now: The present moment, in seconds since the epoch; 1000 to begin with.
    """

    def __init__(self) -> None:
        self.now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def check_storage(make: Callable[[Callable[[], float]], StorageBackend]) -> None:
    """Run every test of `StorageConformance`, one after the other, until one fails.

    Args:
        make: Takes a clock and returns an empty storage that uses it. It is called for each test.

    Raises:
        AssertionError: The storage breaks a rule. The traceback names the test, which is the rule.
            Errors of the storage itself are not caught.
    """

    class Conformance(StorageConformance):
        def make(self, clock: Callable[[], float]) -> StorageBackend:
            return make(clock)

    conformance = Conformance()
    for name in dir(conformance):
        if name.startswith("test_"):
            getattr(conformance, name)()


class _Caller:
    """Calls a backend's methods by their names."""

    def __init__(self, backend: StorageBackend) -> None:
        self.backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def end(self) -> None:
        self.backend.close()


class _AsyncCaller(_Caller):
    """Calls the asynchronous twins of a backend's methods by the names without the `a`."""

    def __init__(self, backend: StorageBackend) -> None:
        super().__init__(backend)
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name: str) -> Any:
        twin = getattr(self.backend, f"a{name}")

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._loop.run_until_complete(twin(*args, **kwargs))

        return call

    def entries(self, namespace: str) -> list[CacheEntry]:
        async def collect(entries: AsyncIterator[CacheEntry]) -> list[CacheEntry]:
            return [entry async for entry in entries]

        return self._loop.run_until_complete(collect(self.backend.aentries(namespace)))

    def end(self) -> None:
        self._loop.run_until_complete(self.backend.aclose())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


def _rule(
    check: Callable[[Any, Any, ManualClock], None],
) -> Callable[[StorageConformance], None]:
    """Make a test of a rule; it runs on an empty storage, with its methods and with their twins."""

    def test(self: StorageConformance) -> None:
        for caller in (_Caller, _AsyncCaller):
            clock = ManualClock()
            storage = caller(self.make(clock))
            try:
                check(self, storage, clock)
            finally:
                storage.end()

    test.__name__ = check.__name__
    test.__qualname__ = check.__qualname__
    return test


@contextmanager
def _refused() -> Generator[None]:
    try:
        yield
    except ValueError:
        return
    raise AssertionError("no ValueError was raised")


class _Near:
    """Equal to numbers that differ by no more than 1e-6."""

    def __init__(self, expected: float | Sequence[float]) -> None:
        self._expected = expected

    def __eq__(self, other: object) -> bool:
        return bool(np.allclose(np.array(other), self._expected, rtol=0, atol=1e-6))

    def __hash__(self) -> int:
        raise TypeError("numbers that are near have no hash")

    def __repr__(self) -> str:
        return f"{self._expected} +- 1e-6"


def _vector(*numbers: float) -> NDArray[np.float32]:
    array = np.array(numbers, np.float32)
    return (array / np.linalg.norm(array)).astype(np.float32)


def _at_similarity(similarity: float) -> NDArray[np.float32]:
    """Return a vector whose similarity to `_EAST` is the given one."""
    cosine = 2 * similarity - 1
    return np.array([cosine, math.sqrt(1 - cosine**2), 0.0], np.float32)


_EAST = _vector(1, 0, 0)
_NORTH = _vector(0, 1, 0)
_UP = _vector(0, 0, 1)
_SCOPE = Scope("ns", "model")


def _bad_embeddings() -> list[Any]:
    return [
        _EAST.astype(np.float64),
        [1.0, 0.0, 0.0],
        _EAST[None],
        np.float32(1),
        _vector(1, 0),
        _vector(1, 0, 0, 0),
        np.empty(0, np.float32),
        np.zeros(3, np.float32),
        2 * _EAST,
        np.array([math.nan, 0, 1], np.float32),
        np.array([math.inf, 0, 0], np.float32),
        np.array([3e38, 0, 0], np.float32),
    ]


def _entry(id: str = "1", embedding: NDArray[np.float32] = _EAST, **changes: Any) -> CacheEntry:
    fields: dict[str, Any] = {
        "id": id,
        "prompt": f"prompt {id}",
        "response": f"response {id}",
        "embedding": embedding,
        "namespace": "ns",
        "embedding_model_id": "model",
        "created_at": 900.0,
        "updated_at": 900.0,
    }
    return CacheEntry(**(fields | changes))


def _ids(found: Iterable[CacheEntry | Match]) -> list[str]:
    return [each.entry.id if isinstance(each, Match) else each.id for each in found]


def _listed(
    storage: Any, namespace: str = "ns", *, limit: int, **asked: Any
) -> list[CacheEntry] | None:
    """Return the entries of all pages; None if the backend does not list entries in pages."""
    found: list[CacheEntry] = []
    cursor: str | None = ""
    while cursor is not None:
        try:
            page = storage.list_entries(namespace, cursor=cursor, limit=limit, **asked)
        except NotImplementedError:
            return None
        assert len(page.entries) <= limit
        found += page.entries
        cursor = page.cursor
    return found


class StorageConformance:
    """The rules of `StorageBackend`, one test each; subclass it and implement `make`.

    Each test runs twice: with the methods and with their asynchronous twins. The storage is closed
    at the end of each test.
    """

    def make(self, clock: Callable[[], float]) -> StorageBackend:
        """Return a new, empty storage that uses this clock."""
        raise NotImplementedError

    # What comes back

    @_rule
    def test_an_entry_comes_back_as_it_was_stored(self, storage: Any, clock: ManualClock) -> None:
        entry = _entry(
            attributes={"user": "Ω", "empty": "", "with,comma": "a,b"},
            metadata={"tokens": 3, "nested": {"list": [1, None]}},
            context_hash="c",
            updated_at=950.25,
            expires_at=2000.5,
        )
        storage.store(entry)
        scope = ("ns", "model", "c")
        assert storage.get("ns", "1") == entry
        assert storage.search(_EAST, *scope, 0.9).entry == entry
        assert [match.entry for match in storage.search_top(_EAST, *scope, 0.9)] == [entry]
        assert storage.find_exact("prompt 1", *scope) == [entry]
        assert list(storage.entries("ns")) == [entry]

    @_rule
    def test_no_metadata_and_empty_metadata_differ(self, storage: Any, clock: ManualClock) -> None:
        cases: list[dict[str, Any] | None] = [None, {}]
        for metadata in cases:
            storage.clear()
            storage.store(_entry(metadata=metadata))
            assert storage.get("ns", "1").metadata == metadata

    @_rule
    def test_an_empty_storage_answers_everything(self, storage: Any, clock: ManualClock) -> None:
        assert storage.search(_EAST, *_SCOPE, 0.0) is None
        assert storage.search_top(_EAST, *_SCOPE, 0.0) == []
        assert storage.find_exact("prompt", *_SCOPE) == []
        assert storage.get("ns", "1") is None
        assert list(storage.entries("ns")) == []
        assert storage.namespace_size("ns") == 0
        assert storage.delete("ns", ["1"]) == 0
        assert storage.delete_by_attributes("ns", {"a": "b"}) == 0
        assert storage.delete_by_attributes("ns", {}) == 0
        assert storage.invalidate_namespace("ns") == 0
        storage.clear()

    @_rule
    def test_what_was_passed_in_can_change_without_harm(
        self, storage: Any, clock: ManualClock
    ) -> None:
        embedding = np.array(_EAST)
        attributes, metadata = {"a": "b"}, {"list": [1]}
        storage.store(_entry(embedding=embedding, attributes=attributes, metadata=metadata))
        embedding[:] = _NORTH
        attributes["a"] = "changed"
        metadata["list"].append(2)
        stored = storage.get("ns", "1")
        assert np.array_equal(stored.embedding, _EAST)
        assert stored.attributes == {"a": "b"}
        assert stored.metadata == {"list": [1]}

    @_rule
    def test_what_comes_out_can_change_without_harm(self, storage: Any, clock: ManualClock) -> None:
        storage.store(_entry(attributes={"a": "b"}, metadata={"list": [1]}))
        for entry in (
            storage.get("ns", "1"),
            storage.search(_EAST, *_SCOPE, 0.9).entry,
            storage.find_exact("prompt 1", *_SCOPE)[0],
            next(iter(storage.entries("ns"))),
        ):
            entry.embedding[:] = _NORTH
            entry.attributes["a"] = "changed"
            entry.metadata["list"].append(2)
        assert storage.search(_EAST, *_SCOPE, 1.0).best_score == _Near(1)
        assert storage.get("ns", "1").attributes == {"a": "b"}
        assert storage.get("ns", "1").metadata == {"list": [1]}

    # Similarity and threshold

    @_rule
    def test_similarity_is_half_of_one_plus_the_cosine(
        self, storage: Any, clock: ManualClock
    ) -> None:
        for embedding, similarity in [
            (_EAST, 1.0),
            (-_EAST, 0.0),
            (_NORTH, 0.5),
            (_at_similarity(0.9), 0.9),
        ]:
            storage.clear()
            storage.store(_entry(embedding=embedding))
            assert storage.search(_EAST, *_SCOPE, 0.0).best_score == _Near(similarity)
            (match,) = storage.search_top(_EAST, *_SCOPE, 0.0)
            assert match.similarity == _Near(similarity)

    @_rule
    def test_identical_vectors_reach_threshold_one_and_never_exceed_it(
        self, storage: Any, clock: ManualClock
    ) -> None:
        for dimensions in [1, 2, 3, 384, 1536]:
            storage.clear()
            random = np.random.default_rng(dimensions)
            for number in range(20):
                embedding = _vector(*random.standard_normal(dimensions))
                scope = (str(number), "model", "")
                storage.store(_entry(embedding=embedding, namespace=str(number)))
                assert storage.search(embedding, *scope, 1.0).entry is not None
                assert storage.search(embedding, *scope, 1.0).best_score <= 1.0
                assert storage.search_top(embedding, *scope, 1.0)[0].similarity <= 1.0

    @_rule
    def test_a_similarity_equal_to_the_threshold_is_a_hit(
        self, storage: Any, clock: ManualClock
    ) -> None:
        storage.store(_entry(embedding=_at_similarity(0.9)))
        assert storage.search(_EAST, *_SCOPE, 0.9).entry is not None
        assert storage.search_top(_EAST, *_SCOPE, 0.9)
        assert storage.search(_EAST, *_SCOPE, 0.9001).entry is None
        assert not storage.search_top(_EAST, *_SCOPE, 0.9001)

    @_rule
    def test_a_near_miss_tells_the_best_score(self, storage: Any, clock: ManualClock) -> None:
        storage.store(_entry("far", _UP))
        storage.store(_entry("near", _at_similarity(0.8)))
        result = storage.search(_EAST, *_SCOPE, 0.9)
        assert result.entry is None
        assert result.best_score == _Near(0.8)

    @_rule
    def test_the_best_entry_wins_wherever_it_is(self, storage: Any, clock: ManualClock) -> None:
        order = [0.55, 0.9, 0.6, 0.95, 0.7]
        for similarity in order:
            storage.store(_entry(str(similarity), _at_similarity(similarity)))
        assert storage.search(_EAST, *_SCOPE, 0.5).entry.id == "0.95"
        storage.delete("ns", ["0.95"])
        assert storage.search(_EAST, *_SCOPE, 0.5).entry.id == "0.9"

    @_rule
    def test_of_equal_entries_the_most_recently_updated_wins(
        self, storage: Any, clock: ManualClock
    ) -> None:
        for id, updated_at in [("a", 901.0), ("b", 903.0), ("c", 902.0)]:
            storage.store(_entry(id, updated_at=updated_at))
        assert storage.search(_EAST, *_SCOPE, 0.9).entry.id == "b"
        assert _ids(storage.search_top(_EAST, *_SCOPE, 0.9)) == ["b"]
        assert _ids(storage.search_top(_EAST, *_SCOPE, 0.9, limit=2)) == ["b", "c"]
        assert _ids(storage.search_top(_EAST, *_SCOPE, 0.9, limit=9)) == ["b", "c", "a"]

    @_rule
    def test_of_equal_entries_the_most_recently_updated_wins_after_others_are_gone(
        self, storage: Any, clock: ManualClock
    ) -> None:
        for number in range(8):
            storage.store(_entry(str(number), updated_at=900.0 + (3 * number) % 8))
        storage.delete("ns", ["0", "1", "5"])
        assert storage.search(_EAST, *_SCOPE, 0.9).entry.id == "2"
        assert _ids(storage.search_top(_EAST, *_SCOPE, 0.9, limit=9)) == ["2", "7", "4", "6", "3"]

    # Scopes

    @_rule
    def test_entries_of_another_scope_are_no_candidates(
        self, storage: Any, clock: ManualClock
    ) -> None:
        others: list[dict[str, Any]] = [
            {"namespace": "other"},
            {"embedding_model_id": "other"},
            {"context_hash": "other"},
        ]
        for other in others:
            storage.clear()
            storage.store(_entry(**other))
            assert storage.search(_EAST, *_SCOPE, 0.0) is None
            assert storage.search_top(_EAST, *_SCOPE, 0.0) == []
            assert storage.find_exact("prompt 1", *_SCOPE) == []
            storage.store(_entry("near", _NORTH))
            assert storage.search(_EAST, *_SCOPE, 0.0).entry.id == "near"
            assert _ids(storage.search_top(_EAST, *_SCOPE, 0.0, limit=9)) == ["near"]

    @_rule
    def test_scopes_may_differ_in_dimensions(self, storage: Any, clock: ManualClock) -> None:
        storage.store(_entry("3d"))
        storage.store(_entry("2d", _vector(1, 0), embedding_model_id="small"))
        assert storage.search(_EAST, *_SCOPE, 0.9).entry.id == "3d"
        assert storage.search(_vector(1, 0), "ns", "small", "", 0.9).entry.id == "2d"
        assert storage.namespace_size("ns") == 2
        assert sorted(_ids(storage.entries("ns"))) == ["2d", "3d"]

    @_rule
    def test_the_same_id_in_two_namespaces_is_two_entries(
        self, storage: Any, clock: ManualClock
    ) -> None:
        storage.store(_entry(response="mine"))
        storage.store(_entry(response="theirs", namespace="other"))
        assert storage.get("ns", "1").response == "mine"
        assert storage.delete("other", ["1"]) == 1
        assert storage.get("ns", "1").response == "mine"

    # Replacing

    @_rule
    def test_an_entry_of_the_same_id_is_replaced(self, storage: Any, clock: ManualClock) -> None:
        cases: list[dict[str, Any]] = [
            {},
            {"embedding_model_id": "new"},
            {"context_hash": "new"},
            {"embedding": _NORTH},
        ]
        for changes in cases:
            storage.clear()
            storage.store(_entry("0", _UP))
            storage.store(_entry(attributes={"v": "old"}))
            fields: dict[str, Any] = {
                "prompt": "new",
                "response": "new",
                "attributes": {"v": "new"},
                "updated_at": 950.0,
            }
            new = _entry(**(fields | changes))
            storage.store(new)
            scope = ("ns", new.embedding_model_id, new.context_hash)
            assert storage.namespace_size("ns") == 2
            assert storage.get("ns", "1") == new
            assert storage.search(new.embedding, *scope, 0.99).entry == new
            assert _ids(storage.search_top(_EAST, *_SCOPE, 0.0, limit=9)).count("1") == (
                scope == _SCOPE
            )
            assert storage.find_exact("prompt 1", *_SCOPE) == []
            assert storage.search_top(_EAST, *scope, 0.0, attributes={"v": "old"}) == []
            assert _ids(storage.search_top(_EAST, *scope, 0.0, attributes={"v": "new"})) == ["1"]
            assert storage.delete_by_attributes("ns", {"v": "old"}) == 0

    @_rule
    def test_storing_twice_is_storing_once(self, storage: Any, clock: ManualClock) -> None:
        storage.store(_entry())
        storage.store(_entry())
        assert list(storage.entries("ns")) == [_entry()]

    # Removing

    @_rule
    def test_delete_counts_what_was_there(self, storage: Any, clock: ManualClock) -> None:
        for id in "abc":
            storage.store(_entry(id))
        assert storage.delete("ns", ["a", "a", "c", "unknown"]) == 2
        assert storage.delete("ns", ["a"]) == 0
        assert storage.delete("ns", []) == 0
        assert _ids(storage.entries("ns")) == ["b"]
        assert storage.get("ns", "a") is None
        assert storage.search(_EAST, *_SCOPE, 0.9).entry.id == "b"

    @_rule
    def test_delete_by_attributes_removes_all_that_have_them_in_every_scope(
        self, storage: Any, clock: ManualClock
    ) -> None:
        storage.store(_entry("1", attributes={"a": "x", "b": "y"}))
        storage.store(_entry("2", attributes={"a": "x"}))
        storage.store(_entry("3", attributes={"a": "x", "b": "y", "c": "z"}, context_hash="c"))
        storage.store(_entry("4", attributes={"a": "y", "b": "x"}))
        storage.store(_entry("5", attributes={"a": "x", "b": "y"}, namespace="other"))
        assert storage.delete_by_attributes("ns", {"a": "x", "b": "y"}) == 2
        assert _ids(storage.entries("ns")) == ["2", "4"]
        assert storage.namespace_size("other") == 1

    @_rule
    def test_delete_by_no_attributes_empties_the_namespace(
        self, storage: Any, clock: ManualClock
    ) -> None:
        storage.store(_entry("1", attributes={"a": "x"}))
        storage.store(_entry("2"))
        storage.store(_entry("3", namespace="other"))
        assert storage.delete_by_attributes("ns", {}) == 2
        assert storage.namespace_size("ns") == 0
        assert storage.namespace_size("other") == 1

    @_rule
    def test_invalidating_a_namespace_leaves_the_others(
        self, storage: Any, clock: ManualClock
    ) -> None:
        storage.store(_entry("1"))
        storage.store(_entry("2", context_hash="c"))
        storage.store(_entry("3", namespace="other"))
        assert storage.invalidate_namespace("ns") == 2
        assert storage.search(_EAST, *_SCOPE, 0.0) is None
        assert storage.get("ns", "1") is None
        assert storage.namespace_size("other") == 1
        storage.store(_entry("4"))
        assert _ids(storage.entries("ns")) == ["4"]

    @_rule
    def test_clear_removes_everything(self, storage: Any, clock: ManualClock) -> None:
        storage.store(_entry("1"))
        storage.store(_entry("2", namespace="other"))
        storage.clear()
        assert storage.namespace_size("ns") == storage.namespace_size("other") == 0
        assert storage.search(_EAST, *_SCOPE, 0.0) is None
        storage.store(_entry("1", _vector(1, 0)))
        assert storage.search(_vector(1, 0), *_SCOPE, 0.9).entry.id == "1"

    # Expiry

    @_rule
    def test_an_entry_is_gone_from_the_moment_it_expires(
        self, storage: Any, clock: ManualClock
    ) -> None:
        storage.store(_entry("short", expires_at=1010.0, attributes={"a": "b"}))
        storage.store(_entry("long", _NORTH, expires_at=1020.0, attributes={"a": "b"}))
        clock.now = 1009.999
        assert storage.search(_EAST, *_SCOPE, 0.9).entry.id == "short"
        assert storage.namespace_size("ns") == 2
        clock.now = 1010.0
        result = storage.search(_EAST, *_SCOPE, 0.9)
        assert result.entry is None
        assert result.best_score == _Near(0.5)
        assert _ids(storage.search_top(_EAST, *_SCOPE, 0.0, limit=9)) == ["long"]
        assert storage.find_exact("prompt short", *_SCOPE) == []
        assert storage.get("ns", "short") is None
        assert _ids(storage.entries("ns")) == ["long"]
        assert storage.namespace_size("ns") == 1
        assert storage.delete("ns", ["short"]) == 0
        assert storage.delete_by_attributes("ns", {"a": "b"}) == 1

    @_rule
    def test_entries_expire_one_after_the_other(self, storage: Any, clock: ManualClock) -> None:
        for number in range(6):
            storage.store(_entry(str(number), expires_at=1010.0 + number))
        for number in range(6):
            clock.now = 1010.0 + number
            expected = [str(later) for later in range(number + 1, 6)]
            assert storage.namespace_size("ns") == len(expected)
            assert sorted(_ids(storage.search_top(_EAST, *_SCOPE, 0.9, limit=9))) == expected
            storage.store(_entry("forever", _NORTH))
            storage.delete("ns", ["forever"])

    @_rule
    def test_a_scope_whose_entries_have_expired_is_empty(
        self, storage: Any, clock: ManualClock
    ) -> None:
        storage.store(_entry(expires_at=1010.0))
        clock.now = 1010.0
        assert storage.search(_EAST, *_SCOPE, 0.0) is None
        assert storage.invalidate_namespace("ns") == 0

    @_rule
    def test_expired_entries_are_not_counted_as_removed(
        self, storage: Any, clock: ManualClock
    ) -> None:
        storage.store(_entry("1", expires_at=1010.0, attributes={"a": "b"}))
        storage.store(_entry("2", expires_at=1020.0))
        storage.store(_entry("3"))
        clock.now = 1010.0
        assert storage.delete_by_attributes("ns", {"a": "b"}) == 0
        clock.now = 1020.0
        assert storage.invalidate_namespace("ns") == 1

    @_rule
    def test_an_entry_stored_again_lives_as_long_as_the_new_one_says(
        self, storage: Any, clock: ManualClock
    ) -> None:
        storage.store(_entry("longer", expires_at=1010.0))
        storage.store(_entry("longer"))
        storage.store(_entry("shorter"))
        storage.store(_entry("shorter", expires_at=1010.0))
        storage.store(_entry("back", expires_at=1010.0))
        clock.now = 1015.0
        storage.store(_entry("back", expires_at=1020.0))
        assert sorted(_ids(storage.entries("ns"))) == ["back", "longer"]
        clock.now = 1020.0
        assert _ids(storage.entries("ns")) == ["longer"]

    @_rule
    def test_dimensions_may_change_once_the_scope_has_expired(
        self, storage: Any, clock: ManualClock
    ) -> None:
        storage.store(_entry("old", expires_at=1010.0))
        clock.now = 1010.0
        storage.store(_entry("new", _vector(1, 0)))
        assert storage.search(_vector(1, 0), *_SCOPE, 0.9).entry.id == "new"

    # Many results, attributes, exact prompts

    @_rule
    def test_search_top_returns_the_best_first(self, storage: Any, clock: ManualClock) -> None:
        similarities = [0.7, 0.95, 0.6, 0.99, 0.8]
        for similarity in similarities:
            storage.store(_entry(str(similarity), _at_similarity(similarity)))
        found = storage.search_top(_EAST, *_SCOPE, 0.65, limit=3)
        assert _ids(found) == ["0.99", "0.95", "0.8"]
        assert [match.similarity for match in found] == _Near([0.99, 0.95, 0.8])
        assert _ids(storage.search_top(_EAST, *_SCOPE, 0.65, limit=9)) == [
            "0.99",
            "0.95",
            "0.8",
            "0.7",
        ]
        assert _ids(storage.search_top(_EAST, *_SCOPE, 0.65)) == ["0.99"]

    @_rule
    def test_search_top_finds_only_entries_with_all_attributes(
        self, storage: Any, clock: ManualClock
    ) -> None:
        storage.store(_entry("1", _at_similarity(0.99), attributes={"a": "x"}))
        storage.store(_entry("2", _at_similarity(0.95), attributes={"a": "x", "b": "y"}))
        storage.store(_entry("3", _at_similarity(0.90), attributes={"b": "y", "a": "x", "c": "z"}))
        storage.store(_entry("4", _at_similarity(0.85), attributes={"a": "y", "b": "x"}))
        storage.store(_entry("5", _at_similarity(0.80)))

        def found(attributes: Mapping[str, str] | None) -> list[str]:
            return _ids(storage.search_top(_EAST, *_SCOPE, 0.5, limit=9, attributes=attributes))

        assert found(None) == found({}) == ["1", "2", "3", "4", "5"]
        assert found({"a": "x"}) == ["1", "2", "3"]
        assert found({"a": "x", "b": "y"}) == ["2", "3"]
        assert found({"a": "X"}) == found({"x": "a"}) == found({"a": ""}) == found({"d": "x"}) == []

    @_rule
    def test_searches_find_together_what_each_finds_alone(
        self, storage: Any, clock: ManualClock
    ) -> None:
        for number, similarity in enumerate([0.99, 0.95, 0.9, 0.85, 0.8]):
            attributes = {"odd": str(number % 2)}
            storage.store(_entry(str(number), _at_similarity(similarity), attributes=attributes))
        storage.store(_entry("expired", expires_at=1000.0))
        storage.store(_entry("there", namespace="there"))
        there = Scope("there", "model")
        searches = [
            TopSearch(_EAST, *_SCOPE, 0.9),
            TopSearch(_EAST, *_SCOPE, 0.8, 9),
            TopSearch(_EAST, *_SCOPE, 0.8, 9, {"odd": "1"}),
            TopSearch(_UP, *_SCOPE, 0.9),
            TopSearch(_EAST, *there, 0.9, 9),
            TopSearch(_vector(1, 0), "nowhere", "model", "", 0.9),
        ]
        found = storage.search_top_together(searches)
        assert [_ids(each) for each in found] == [
            *(["0"], ["0", "1", "2", "3", "4"], ["1", "3"], [], ["there"], []),
        ]
        assert found[1][2].similarity == _Near(0.9)
        assert storage.search_top_together([]) == []
        with _refused():
            storage.search_top_together([*searches, TopSearch(_EAST, *_SCOPE, 1.1)])

    @_rule
    def test_find_exact_compares_the_whole_prompt_and_ignores_case(
        self, storage: Any, clock: ManualClock
    ) -> None:
        storage.store(_entry("1", prompt="Die Straße"))
        assert _ids(storage.find_exact("DIE STRASSE", *_SCOPE)) == ["1"]
        assert storage.find_exact("Die Straße ", *_SCOPE) == []
        assert storage.find_exact("Die", *_SCOPE) == []

    @_rule
    def test_find_exact_returns_the_most_recently_updated_first(
        self, storage: Any, clock: ManualClock
    ) -> None:
        for id, updated_at in [("a", 901.0), ("b", 903.0), ("c", 902.0)]:
            storage.store(_entry(id, prompt="same", updated_at=updated_at))
        assert _ids(storage.find_exact("SAME", *_SCOPE)) == ["b"]
        assert _ids(storage.find_exact("SAME", *_SCOPE, limit=2)) == ["b", "c"]
        assert _ids(storage.find_exact("SAME", *_SCOPE, limit=9)) == ["b", "c", "a"]

    @_rule
    def test_find_exact_finds_only_entries_with_all_attributes(
        self, storage: Any, clock: ManualClock
    ) -> None:
        storage.store(_entry("1", prompt="same", attributes={"a": "x"}))
        storage.store(_entry("2", prompt="same", attributes={"a": "y"}, updated_at=950.0))
        assert _ids(storage.find_exact("same", *_SCOPE, limit=9, attributes={"a": "x"})) == ["1"]
        assert _ids(storage.find_exact("same", *_SCOPE, limit=9, attributes={})) == ["2", "1"]
        assert storage.find_exact("same", *_SCOPE, attributes={"a": "z"}) == []

    @_rule
    def test_entries_come_in_the_order_they_were_stored(
        self, storage: Any, clock: ManualClock
    ) -> None:
        expected = [f"{number}" for number in range(50)]
        for id in expected:
            storage.store(_entry(id, context_hash=str(int(id) % 3)))
        storage.delete("ns", ["0", "20", "49"])
        assert _ids(storage.entries("ns")) == [id for id in expected if id not in ("0", "20", "49")]

    @_rule
    def test_entries_is_a_snapshot(self, storage: Any, clock: ManualClock) -> None:
        for id in "abc":
            storage.store(_entry(id))
        entries = storage.entries("ns")
        storage.delete("ns", ["a"])
        storage.store(_entry("b", _NORTH, response="changed"))
        storage.store(_entry("d"))
        assert list(entries) == [_entry(id) for id in "abc"]

    @_rule
    def test_many_are_stored_as_one_after_the_other(self, storage: Any, clock: ManualClock) -> None:
        storage.store(_entry("a", response="old"))
        entries = [_entry(f"{number}", namespace=f"n{number % 2}") for number in range(500)]
        again = [_entry("a", _NORTH, response="between"), _entry("a", _UP, response="new")]
        storage.store_many([*entries, *again])
        assert list(storage.entries("ns")) == [again[1]]
        assert _ids(storage.entries("n0")) == [each.id for each in entries[::2]]
        assert _ids(storage.entries("n1")) == [each.id for each in entries[1::2]]
        storage.store_many([])
        with _refused():
            storage.store_many([_entry("b"), _entry("c", _vector(1, 0))])
        assert storage.get("ns", "c") is None

    @_rule
    def test_a_distinct_entry_replaces_only_one_of_its_prompt_and_attributes(
        self, storage: Any, clock: ManualClock
    ) -> None:
        def store(*entries: CacheEntry) -> list[str]:
            return storage.store_distinct(entries, [f"other {each.id}" for each in entries])

        attributes = {"a": "x", "b": "y"}
        assert store(_entry("1", prompt="p", attributes=attributes, response="old")) == ["1"]
        turned = _entry("1", prompt="p", attributes={"b": "y", "a": "x"}, response="new")
        assert store(turned) == ["1"]
        assert storage.get("ns", "1") == turned
        others = [
            _entry("1", prompt="P", attributes=attributes),
            _entry("1", prompt="p", attributes={"a": "x"}, response="last"),
            _entry("2", prompt="p"),
            _entry("2", prompt="q"),
        ]
        assert store(*others) == ["other 1", "other 1", "2", "other 2"]
        assert storage.get("ns", "1") == turned
        assert storage.get("ns", "other 1").response == "last"
        assert store(_entry("2", prompt="p", expires_at=1001.0)) == ["2"]
        clock.now = 1001.0
        assert store(_entry("2", prompt="anew")) == ["2"]
        assert store() == []

    # Pages; a backend need not list them

    @_rule
    def test_pages_list_every_entry_once(self, storage: Any, clock: ManualClock) -> None:
        storage.store_many(
            _entry(f"{number}", context_hash=str(number % 3)) for number in range(20)
        )
        storage.store(_entry("4", context_hash="1", response="changed"))
        storage.delete("ns", ["0", "10"])
        expected = [f"{number}" for number in range(20) if number not in (0, 4, 10)] + ["4"]
        for limit in (1, 7, 18, 100):
            found = _listed(storage, limit=limit)
            if found is None:
                return
            assert _ids(found) == expected
            assert found[-1] == storage.get("ns", "4")
            assert _ids(_listed(storage, limit=limit, newest_first=True) or []) == expected[::-1]
        assert _listed(storage, "empty", limit=1) == []

    @_rule
    def test_pages_list_what_is_asked_for(self, storage: Any, clock: ManualClock) -> None:
        storage.store(_entry("1", prompt="What is a Fjord?", attributes={"a": "x", "b": "y"}))
        storage.store(_entry("2", response="a FJORD is an inlet", attributes={"a": "x"}))
        storage.store(_entry("3", attributes={"a": "z"}))
        storage.store(_entry("4", prompt="fjords", expires_at=1001.0))

        def found(**asked: Any) -> list[str] | None:
            entries = _listed(storage, limit=2, **asked)
            return None if entries is None else _ids(entries)

        if found() is None:
            return
        assert found(text="fjord") == ["1", "2", "4"]
        assert found(attributes={"a": "x"}) == ["1", "2"]
        assert found(attributes={"a": "x", "b": "y"}) == ["1"]
        assert found(attributes={"a": "x"}, text="INLET", newest_first=True) == ["2"]
        assert found(text="glacier") == []
        clock.now = 1001.0
        assert found(text="fjord") == ["1", "2"]

    @_rule
    def test_pages_miss_no_entry_that_changes_meanwhile(
        self, storage: Any, clock: ManualClock
    ) -> None:
        storage.store_many(_entry(id) for id in "abcdef")
        try:
            page = storage.list_entries("ns", limit=2)
        except NotImplementedError:
            return
        assert _ids(page.entries) == ["a", "b"]
        storage.store(_entry("c", response="changed"))
        storage.store(_entry("g"))
        storage.delete("ns", ["d"])
        found: list[CacheEntry] = []
        while page.cursor:
            page = storage.list_entries("ns", limit=2, cursor=page.cursor)
            found += page.entries
        assert _ids(found) == ["e", "f", "c"]
        assert found[-1].response == "changed"

    @_rule
    def test_a_bad_page_is_refused(self, storage: Any, clock: ManualClock) -> None:
        storage.store(_entry())
        if _listed(storage, limit=1) is None:
            return
        for asked in ({"limit": 0}, {"cursor": "nonsense"}, {"cursor": "a.1.zz"}):
            with _refused():
                storage.list_entries("ns", **asked)

    # Bad input

    @_rule
    def test_a_bad_embedding_is_refused_and_nothing_changes(
        self, storage: Any, clock: ManualClock
    ) -> None:
        for embedding in _bad_embeddings():
            storage.clear()
            storage.store(_entry())
            for id in ("1", "2"):
                with _refused():
                    storage.store(_entry(id, embedding))
            with _refused():
                storage.search(embedding, *_SCOPE, 0.9)
            with _refused():
                storage.search_top(embedding, *_SCOPE, 0.9)
            assert list(storage.entries("ns")) == [_entry()]
            assert storage.search(_EAST, *_SCOPE, 1.0).entry == _entry()

    @_rule
    def test_a_refused_entry_makes_no_namespace_and_no_scope(
        self, storage: Any, clock: ManualClock
    ) -> None:
        with _refused():
            storage.store(_entry(embedding=2 * _EAST))
        storage.store(_entry(embedding=_vector(1, 0)))
        assert storage.namespace_size("ns") == 1

    @_rule
    def test_a_bad_threshold_is_refused(self, storage: Any, clock: ManualClock) -> None:
        for threshold in [-0.1, 1.1, math.nan, math.inf]:
            storage.clear()
            for search in (storage.search, storage.search_top):
                with _refused():
                    search(_EAST, *_SCOPE, threshold)

    @_rule
    def test_a_bad_limit_is_refused(self, storage: Any, clock: ManualClock) -> None:
        for limit in [0, -1]:
            storage.clear()
            with _refused():
                storage.search_top(_EAST, *_SCOPE, 0.5, limit=limit)
            with _refused():
                storage.find_exact("prompt", *_SCOPE, limit=limit)

    @_rule
    def test_a_time_that_is_no_number_is_refused(self, storage: Any, clock: ManualClock) -> None:
        cases: list[dict[str, Any]] = [{"updated_at": math.nan}, {"expires_at": math.nan}]
        for times in cases:
            storage.clear()
            with _refused():
                storage.store(_entry(**times))
            assert storage.namespace_size("ns") == 0

    # Editing and threads

    @_rule
    def test_an_edit_replaces_the_entry(self, storage: Any, clock: ManualClock) -> None:
        storage.store(_entry())
        edited = _entry(response="edited", updated_at=950.0)

        def change(entry: CacheEntry) -> CacheEntry:
            return edited if entry.response == "response 1" else entry

        assert storage.edit("ns", "1", change) == edited
        assert storage.edit("ns", "1", change) == edited
        assert list(storage.entries("ns")) == [edited]
        assert storage.edit("ns", "unknown", change) is None
        assert storage.edit("other", "1", change) is None

    @_rule
    def test_the_version_of_a_scope_changes_with_its_entries(
        self, storage: Any, clock: ManualClock
    ) -> None:
        scope = Scope(*_SCOPE)

        def edit(entry: CacheEntry) -> CacheEntry:
            return replace(entry, response="edited")

        def changes(change: Callable[[], object]) -> None:
            before = storage.backend.version(scope)
            change()
            after = storage.backend.version(scope)
            assert before is None or after is not before

        storage.store(_entry("1", attributes={"a": "b"}))
        changes(lambda: storage.store(_entry("2", expires_at=1010.0)))
        changes(lambda: storage.store(_entry("2", response="other", expires_at=1010.0)))
        changes(lambda: storage.store_many([_entry("3"), _entry("4"), _entry("5")]))
        changes(lambda: storage.edit("ns", "5", edit))
        changes(lambda: storage.delete("ns", ["3"]))
        changes(lambda: storage.delete_by_attributes("ns", {"a": "b"}))
        changes(lambda: setattr(clock, "now", 1010.0))
        changes(lambda: storage.search(_EAST, *_SCOPE, 0.9))
        changes(lambda: storage.invalidate_namespace("ns"))
        storage.store(_entry("1"))
        changes(storage.clear)
        storage.store(_entry("1"))

    @_rule
    def test_records_are_kept_by_collection_and_key(self, storage: Any, clock: ManualClock) -> None:
        assert storage.records("a") == {}
        storage.set_record("a", "k", "1")
        storage.set_record("a", "k", "2")
        storage.set_record("a", "\u03a9 k", "")
        storage.set_record("b", "k", "3")
        assert storage.records("a") == {"k": "2", "\u03a9 k": ""}
        storage.set_record("a", "k", None)
        storage.set_record("a", "absent", None)
        assert storage.records("a") == {"\u03a9 k": ""}
        assert storage.records("b") == {"k": "3"}

    @_rule
    def test_a_record_is_replaced_if_it_is_still_the_old_one(
        self, storage: Any, clock: ManualClock
    ) -> None:
        assert not storage.replace_record("a", "k", "1", "2")
        assert storage.replace_record("a", "k", None, "1")
        assert not storage.replace_record("a", "k", None, "2")
        assert storage.replace_record("a", "k", "1", "2")
        assert not storage.replace_record("a", "k", "1", "3")
        assert not storage.replace_record("a", "k", "1", None)
        assert storage.records("a") == {"k": "2"}
        assert storage.replace_record("a", "k", "2", "")
        assert not storage.replace_record("a", "k", None, "3")
        assert storage.replace_record("a", "k", "", None)
        assert not storage.replace_record("a", "k", "", "3")
        assert storage.replace_record("a", "k", None, None)
        assert storage.records("a") == {}

    @_rule
    def test_records_outlive_the_entries(self, storage: Any, clock: ManualClock) -> None:
        storage.set_record("ns", "k", "1")
        storage.store(_entry())
        storage.invalidate_namespace("ns")
        storage.clear()
        assert storage.records("ns") == {"k": "1"}

    @_rule
    def test_threads_lose_nothing(self, storage: Any, clock: ManualClock) -> None:
        expected = [str(number) for number in range(40)]

        def store(numbers: Sequence[str]) -> None:
            for id in numbers:
                storage.backend.store(_entry(id, context_hash=str(int(id) % 3)))
                storage.backend.search(_EAST, "ns", "model", "0", 0.9)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(store, [expected[start::4] for start in range(4)]))
        assert sorted(_ids(storage.entries("ns")), key=int) == expected
        assert storage.namespace_size("ns") == 40
