"""A storage that hangs: one use waits for it, and the others do not."""

import threading
from dataclasses import replace

import pytest
from langcache_mockserver.domain.circuit import Circuit, guarded
from langcache_mockserver.domain.registry import Access, CacheSettings, Key, Registry

from langcache.engine import InMemoryStorage
from langcache.engine.storage import StorageBackend, StorageError, StorageFullError


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def circuit(clock):
    return Circuit(clock)


def fail(clock, seconds, error=StorageError):
    def function():
        clock.now += seconds
        raise error("it does not answer")

    return function


def outcome(circuit, function):
    try:
        return circuit.call(function)
    except StorageError as error:
        return str(error)


def test_after_a_slow_failure_uses_fail_at_once_for_a_moment(circuit, clock):
    assert outcome(circuit, fail(clock, 5)) == "it does not answer"
    for _ in range(3):
        assert outcome(circuit, pytest.fail) == "the storage did not answer a moment ago"
        clock.now += 0.3
    clock.now += 0.2
    assert outcome(circuit, lambda: "well") == "well"
    assert outcome(circuit, lambda: "well") == "well"


def test_quick_failures_are_no_reason(circuit, clock):
    for error in (StorageError, StorageFullError):
        assert outcome(circuit, fail(clock, 0.5, error)) == "it does not answer"
        assert outcome(circuit, lambda: "well") == "well"
    assert outcome(circuit, fail(clock, 5, StorageFullError)) == "it does not answer"
    assert outcome(circuit, lambda: "well") == "well"


def test_errors_that_are_none_of_the_storage_pass(circuit, clock):
    with pytest.raises(ValueError, match="other"):
        circuit.call(fail(clock, 5, lambda text: ValueError("other")))
    assert outcome(circuit, lambda: "well") == "well"


def test_a_trial_that_ends_in_another_error_leaves_the_next_use_to_try(circuit, clock):
    outcome(circuit, fail(clock, 5))
    clock.now += 1.1
    with pytest.raises(ValueError, match="cursor"):
        circuit.call(fail(clock, 0, lambda text: ValueError("cursor")))
    assert outcome(circuit, fail(clock, 5)) == "it does not answer"
    clock.now += 1.1
    with pytest.raises(ValueError, match="cursor"):
        circuit.call(fail(clock, 0, lambda text: ValueError("cursor")))
    assert outcome(circuit, lambda: "well") == "well"


def test_one_use_tries_again_while_the_others_go_on_failing(circuit, clock):
    outcome(circuit, fail(clock, 5))
    clock.now += 1.1
    tried, go_on = threading.Event(), threading.Event()

    def hang():
        tried.set()
        go_on.wait(10)
        clock.now += 5
        raise StorageError("it does not answer")

    trial = threading.Thread(target=outcome, args=(circuit, hang))
    trial.start()
    assert tried.wait(10)
    assert outcome(circuit, pytest.fail) == "the storage did not answer a moment ago"
    go_on.set()
    trial.join(10)
    assert outcome(circuit, pytest.fail) == "the storage did not answer a moment ago"
    clock.now += 1.1
    assert outcome(circuit, lambda: "well") == "well"


class Shared(InMemoryStorage):
    """A storage that counts what is read of it, as if other processes could change it."""

    is_shared = True

    def __init__(self):
        super().__init__()
        self.read = 0
        self.is_full = False

    def set_record(self, collection, key, text):
        if self.is_full and text is not None:
            raise StorageFullError("no room")
        super().set_record(collection, key, text)

    def records(self, collection):
        found = super().records(collection)
        self.read += len(found)
        return found

    def record(self, collection, key):
        self.read += 1
        return super().records(collection).get(key)


def test_only_a_shared_storage_is_guarded():
    own, shared = InMemoryStorage(), Shared()
    assert guarded(own) is own
    storage = guarded(shared)
    assert isinstance(storage, StorageBackend)
    assert storage.is_shared
    assert storage.usage is None
    storage.set_record("c", "k", "text")
    assert storage.record("c", "k") == "text"
    assert storage.namespace_size("n") == 0


CACHE = CacheSettings(id="c", name="c", created_at="2026")


def key(number):
    grants = {"*": Access.FULL}
    return Key(id=f"k{number}", name="", digest=f"d{number}", grants=grants, created_at="2026")


def test_who_is_unknown_costs_one_record_however_many_there_are():
    now = 100.0
    storage = Shared()
    registry = Registry(storage, monotonic=lambda: now)
    other = Registry(storage, monotonic=lambda: now)
    for number in range(200):
        other.add_key(key(number))
    now += 0.001
    registry.refresh()
    storage.read = 0
    for _ in range(100):
        now += 0.001
        registry.refresh()  # as for an unknown key or cache
        assert registry.key_of_digest("unknown") is None
    assert storage.read == 100


def test_what_another_process_changes_is_known_at_the_next_refresh():
    now = 100.0
    storage = Shared()
    one, two = (Registry(storage, monotonic=lambda: now) for _ in range(2))
    for registry, other in ((one, two), (two, one)):
        registry.add_key(key(1))
        now += 0.001
        other.refresh()
        assert other.key_of_digest("d1")
        registry.change_key("k1", lambda _key: None)
        now += 0.001
        other.refresh()
        assert other.key_of_digest("d1") is None


def test_what_another_process_removes_meanwhile_stays_removed():
    storage = Shared()
    one, two = (Registry(storage) for _ in range(2))
    one.add_key(key(1))
    one.add_cache(CACHE)

    def rotate(former):
        two.change_key("k1", lambda _key: None)
        return replace(former, digest="d2")

    assert one.change_key("k1", rotate) is None
    assert one.minted_keys() == []

    def change(former):
        two.change_cache(CACHE.id, lambda _cache: None)
        return replace(former, default_ttl_millis=7)

    assert one.change_cache(CACHE.id, change) is None
    assert one.caches() == []


def test_changes_of_two_processes_at_once_add_up():
    storage = Shared()
    one, two = (Registry(storage) for _ in range(2))
    one.add_cache(CACHE)
    others = iter([True])

    def change(former):
        if next(others, False):
            two.change_cache(CACHE.id, lambda cache: replace(cache, default_threshold=0.5))
        return replace(former, default_ttl_millis=7)

    one.change_cache(CACHE.id, change)
    assert one.cache(CACHE.id) == replace(CACHE, default_threshold=0.5, default_ttl_millis=7)


def test_a_key_is_revoked_in_a_storage_without_room():
    now = 100.0
    storage = Shared()
    one, two = (Registry(storage, monotonic=lambda: now) for _ in range(2))
    one.add_key(key(1))
    two.refresh()
    storage.is_full = True
    one.change_key("k1", lambda _key: None)
    assert one.key_of_digest("d1") is None
    now += 1.1
    two.refresh()
    assert two.key_of_digest("d1") is None
    with pytest.raises(StorageFullError):
        one.add_key(key(2))


def test_a_change_without_a_revision_is_known_some_seconds_later():
    now = 100.0
    storage = Shared()
    registry = Registry(storage, monotonic=lambda: now)
    registry.refresh()
    other = Registry(storage, monotonic=lambda: now)
    other.add_key(key(1))
    storage.set_record("server revisions", "latest", None)  # the other died before it
    now += 1
    registry.refresh()
    assert registry.key_of_digest("d1") is None
    now += 10
    registry.refresh()
    assert registry.key_of_digest("d1")
