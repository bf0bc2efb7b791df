import time

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langcache_mockserver import Clock, ClockError, MockServer, SimilarityTable

from langcache import LangCache
from langcache.engine import InMemoryStorage

MOMENTS = st.floats(0, 253_402_300_799, allow_nan=False)


def test_it_shows_the_time_of_the_system_to_begin_with_and_after_a_reset():
    clock = Clock()
    for _ in range(2):
        assert abs(clock() - time.time()) < 1
        clock.freeze(5)
        clock.reset()


def test_a_frozen_clock_stands_still_until_it_goes_on_from_there():
    now = [100.0]
    clock = Clock(lambda: now[0])
    clock.freeze()
    now[0] += 10
    assert (clock(), clock.frozen) == (100.0, True)
    clock.unfreeze()
    now[0] += 1
    assert (clock(), clock.frozen) == (101.0, False)
    clock.unfreeze()
    assert clock() == 101.0


@pytest.mark.parametrize("frozen", [False, True])
def test_set_and_advance_leave_it_going_or_standing(frozen):
    now = [100.0]
    clock = Clock(lambda: now[0])
    if frozen:
        clock.freeze()
    clock.set(1000)
    clock.advance(60)
    assert clock() == 1060
    now[0] += 5
    assert clock() == (1060 if frozen else 1065)


@given(MOMENTS, st.floats(0, 1e9))
def test_it_takes_any_moment_of_the_calendar(moment, seconds):
    clock = Clock(lambda: 0.0)
    clock.freeze(moment)
    assert clock() == moment
    if moment + seconds <= 253_402_300_799:
        clock.advance(seconds)
        assert clock() == moment + seconds


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), 1e12])
def test_other_moments_are_refused_and_change_nothing(value):
    clock = Clock()
    clock.freeze(7)
    for change in (clock.freeze, clock.set, clock.advance):
        with pytest.raises(ValueError, match=r"^(at|seconds): must be"):
            change(value)
    assert clock() == 7


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_entries_live_by_the_clock(minilm, storage, tmp_path):
    setting = f"sqlite:{tmp_path / 'entries'}" if storage == "sqlite" else storage
    with (
        MockServer(embedder=minilm, storage=setting) as server,
        LangCache(server.url, "key", "cache") as cache,
    ):
        server.clock.freeze()
        cache.set(prompt="p", response="r", ttl_millis=60_000)
        server.clock.advance(59.99)
        assert len(cache.search(prompt="p").data) == 1
        server.clock.advance(0.01)
        assert cache.search(prompt="p").data == []


def test_the_clock_can_be_controlled_over_http(minilm):
    with MockServer(embedder=minilm) as server:
        clock = f"{server.url}/_mock/v1/clock"
        assert httpx.post(f"{clock}/freeze", json={"at": 10}).json() == {"now": 10, "frozen": True}
        assert httpx.post(f"{clock}/advance", json={"seconds": 5}).json()["now"] == 15
        assert httpx.post(f"{clock}/set", json={"at": 99.5}).json() == {"now": 99.5, "frozen": True}
        assert httpx.get(clock).json() == {"now": 99.5, "frozen": True}
        assert httpx.post(f"{clock}/unfreeze").json()["frozen"] is False
        assert server.clock() < 200
        assert abs(httpx.post(f"{clock}/reset").json()["now"] - time.time()) < 60


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("set", {}, "at"),
        ("set", {"at": -1}, "at"),
        ("advance", {"seconds": "1"}, "seconds"),
        ("advance", {"seconds": 1e300}, "seconds"),
        ("freeze", {"when": 1}, "when"),
    ],
)
def test_a_bad_time_is_a_400_that_names_the_field(mock_server, check_problem, verb, body, field):
    with MockServer(listen=False) as server, server.client() as http:
        answer = http.post(f"/_mock/v1/clock/{verb}", json=body)
    assert check_problem(answer, 400)["fields"][0]["field"] == field


@pytest.mark.parametrize(
    "given_by_user",
    [{"clock": time.time}, {"storage": InMemoryStorage()}],
    ids=["clock", "storage"],
)
def test_a_clock_of_the_users_own_is_left_alone(minilm, check_problem, given_by_user):
    with (
        MockServer(embedder=minilm, listen=False, **given_by_user) as server,
        server.client() as http,
    ):
        with pytest.raises(ClockError, match="cannot be controlled"):
            _ = server.clock
        answer = http.post("/_mock/v1/clock/freeze")
        assert "cannot be controlled" in check_problem(answer, 400)["detail"]


def test_a_clock_given_to_storage_and_server_can_be_controlled(minilm):
    clock = Clock()
    storage = InMemoryStorage(clock=clock)
    with MockServer(embedder=minilm, listen=False, storage=storage, clock=clock) as server:
        assert server.clock is clock


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
@pytest.mark.parametrize(
    "go_back",
    [
        lambda clock: clock.reset(),
        lambda clock: clock.set(1.0),
        lambda clock: clock.freeze(1.0),
    ],
)
def test_going_back_does_not_bring_back_what_had_expired(storage, go_back, tmp_path):
    name = "memory" if storage == "memory" else f"sqlite:{tmp_path / 'cache.db'}"
    entries = [
        {"prompt": "p", "response": "r", "ttlMillis": 60_000},
        {"prompt": "q", "response": "r"},
    ]
    with MockServer(listen=False, storage=name, embedder=SimilarityTable({})) as server:
        server.seed(entries, "cache")
        server.clock.advance(61)
        go_back(server.clock)
        [cache] = server.dump()["caches"]
        assert [entry["prompt"] for entry in cache["entries"]] == ["q"]
