"""Filters in queries of the query engine, against the same filters evaluated in Python."""

from __future__ import annotations

import math
import operator
import time

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis_servers import wait_for_index
from stored_entries import EAST, SCOPE
from stored_entries import make_entry as entry

from langcache.engine import InMemoryStorage, Num, Tag, Text
from langcache.engine.storage.base import meets
from langcache.engine.storage.redis import RedisStorage
from langcache.engine.storage.redis._conditions import NUMBER_FIELDS, condition_of, filter_fields

pytestmark = pytest.mark.query_engine

# Texts that a tokenizer may split, fold or stem in its own way, or drop.
WORDS = [
    "red",
    "Red",
    "RÉD",
    "wines",
    "wine",
    "the",
    "a",
    "ﬁsh",
    "ǅ",
    "İ",
    "ß",
    "हिन्दी",
    "ไทย",
    "日本語",
]
WORDS += ["e\u0301", "é", "x_y", "x-y", "don't", "3.14", "1e5", "@user", "{x}", "*", "%", "|"]
TAGS = ["ann", "Ann", "a,b", "a|b", "", "{x}", "ü|*", " ann", "3"]
NUMBERS = [0.0, -0.0, 1.0, -1.5, 0.1, 1e300, -1e300, 5e-324, 2.0**53, 3.0, math.inf, -math.inf]
TEXTS = [*map(repr, NUMBERS), "nan", "3", " 3 ", "1_0", "three", "9007199254740993", ""]

ATTRIBUTES = [
    {},
    *({"user": tag} for tag in TAGS),
    *({"age": text} for text in TEXTS),
    *({"topic": word} for word in WORDS),
    {"topic": "red wine"},
    {"topic": "wine, red"},
    {"topic": "Red-Wine and the fish", "user": "ann", "age": "3"},
    {"topic": " ".join(f"word{number}" for number in range(300)) + " red"},
    {"topic": "red", "age": "1", "price": "3"},
    {"user": "ann", "price": "1"},
]


def rivals(name):
    """Other names whose numbers take the fields of a name's."""
    number = {name: "1"}
    found = []
    for _ in range(2):
        # A name that comes first in the order takes the field.
        others = (f"A{number}" for number in range(100_000))
        (taken,) = (
            each
            for each in filter_fields(number)
            if each in NUMBER_FIELDS
            if each not in filter_fields(dict.fromkeys(found, "1"))
        )
        found.append(next(each for each in others if taken in filter_fields({each: "1"})))
        number = {name: "1", **dict.fromkeys(found, "1")}
    return found


RIVAL, OTHER = rivals("age")
ATTRIBUTES += [
    {RIVAL: "3"},
    {RIVAL: "3", "age": "1"},
    {RIVAL: "1", "age": "3", "user": "ann"},
    {RIVAL: "3", OTHER: "3", "age": "1"},
    {RIVAL: "1", OTHER: "1", "age": "3"},
]

comparisons = st.sampled_from(
    [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
)
ranges = st.sampled_from(["both", "neither", "left", "right"])
equalities = st.sampled_from([operator.eq, operator.ne])
values = st.sampled_from(NUMBERS)
phrases = st.sampled_from(
    [word for word in [*WORDS, "red wine", "wine red", "word7", "word299"] if word.strip("{}*%|")]
)
leaves = st.one_of(
    st.builds(
        lambda compare, value: compare(Tag("user"), value), equalities, st.sampled_from(TAGS)
    ),
    st.builds(lambda values: Tag("user") == values, st.lists(st.sampled_from(TAGS), max_size=3)),
    st.builds(lambda pattern: Tag("user") % pattern, st.sampled_from(["a*", "*", "a|b"])),
    st.builds(
        lambda compare, name, value: compare(Num(name), value),
        comparisons,
        st.sampled_from(["age", "price", RIVAL, OTHER]),
        values,
    ),
    st.builds(lambda low, high, kind: Num("age").between(low, high, kind), values, values, ranges),
    st.builds(
        lambda compare, name, value: compare(Num(name), value),
        comparisons,
        st.sampled_from(["inserted_at", "updated_at"]),
        st.sampled_from([900.0, 905.0, 905.5, 1e300, -math.inf]),
    ),
    st.builds(lambda compare, words: compare(Text("topic"), words), equalities, phrases),
    st.builds(
        lambda pattern: Text("topic") % pattern, st.sampled_from(["re*", "%rad%", "red wine", "*"])
    ),
    st.builds(lambda text: Text("prompt") == text, st.sampled_from(["prompt 3", "prompt", "30"])),
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(operator.and_, inner, inner),
        st.builds(operator.or_, inner, inner),
        st.builds(operator.invert, inner),
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def filled(query_engine_url):
    """A storage with entries that have all these attributes, and one in memory with the same."""
    prefix = "langcache-test-filters"
    entries = [
        entry(
            str(number),
            attributes=attributes,
            created_at=900.0 + number / 10,
            updated_at=900.0 + number,
        )
        for number, attributes in enumerate(ATTRIBUTES)
    ]
    with redis.Redis.from_url(query_engine_url) as client:
        # A flat index finds all: what a graph misses is not the filter's fault.
        storage = RedisStorage(
            sync_client=client, prefix=prefix, search="query-engine", index_algorithm="flat"
        )
        storage.clear()
        memory = InMemoryStorage()
        for each in entries:
            storage.store(each)
            memory.store(each)
        wait_for_index(storage, 3)
        yield storage, memory
        storage.clear()
        client.execute_command("FT.DROPINDEX", f"{prefix}:v3:2")


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(expressions)
def test_a_filter_finds_what_it_finds_in_memory(filled, expression):
    found, expected = (
        [
            match.entry.id
            for match in each.search_filtered(EAST, *SCOPE, 0.9, expression, limit=len(ATTRIBUTES))
        ]
        for each in filled
    )
    assert found == expected
    first, expected = (each.search_filtered(EAST, *SCOPE, 0.9, expression) for each in filled)
    assert [match.entry for match in first] == [match.entry for match in expected]


@pytest.mark.parametrize("other", [~(Tag("user") == "3"), Num(RIVAL) < 3.0])
def test_the_opposite_of_an_opposite_is_the_filter_itself(filled, other):
    number = Num(RIVAL) < 1e300
    found, expected = (
        [match.entry.id for match in each.search_filtered(EAST, *SCOPE, 0.9, both, limit=99)]
        for each, both in zip(filled, [~~number & other, number & other], strict=True)
    )
    assert found == expected
    assert len(found) > 1


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(expressions)
# Redis finds more than it should where one negation in another is beside a third.
@example(~~(Num(RIVAL) < 1e300) & ~(Tag("user") == "ann"))
def test_the_queries_of_a_filter_find_all_matches_and_only_matches(filled, expression):
    storage, memory = filled
    condition = condition_of(expression)
    matching = {each.id for each in memory.entries("ns") if meets(each, expression)}
    client = storage._connection.sync_client()
    found = []
    for query in (condition.wide, condition.narrow):
        command = ("FT.SEARCH", "langcache-test-filters:v3:2", query, "LIMIT", 0, 1000)
        reply = client.execute_command(*command, "NOCONTENT", "DIALECT", 2, NEVER_DECODE=True)
        keys = [each[b"id"] for each in reply[b"results"]] if isinstance(reply, dict) else reply[1:]
        found.append({key.rpartition(b":")[2].decode() for key in keys})
    wide, narrow = found
    assert narrow <= matching <= wide


def commands(storage, act):
    """The names of the commands that are sent by what is done."""
    client = storage._connection.sync_client()
    sent = []
    send = client.execute_command
    client.execute_command = lambda *args, **kwargs: (sent.append(args[0]), send(*args, **kwargs))[
        1
    ]
    try:
        act()
    finally:
        del client.execute_command
    return sent


@pytest.mark.parametrize(
    "expression",
    [
        Num("age").between(10**6, 10**7),
        ~(Num("price") < 10**6) & (Num("price") >= 0),
        Text("topic") == "nowhere",
        (Text("topic") == "red wine") & (Tag("user") == "nobody"),
        Num("inserted_at") > 10**6,
        Tag("user") == [],
    ],
    ids=str,
)
def test_a_filter_that_no_entry_meets_is_one_round_trip(filled, expression):
    storage, _ = filled
    storage.search_filtered(EAST, *SCOPE, 0.9, Num("age") > 10)

    def search():
        assert storage.search_filtered(EAST, *SCOPE, 0.9, expression) == []

    # Every 5 seconds the storage also asks about its index, but not twice in succession.
    sent = min(commands(storage, search), commands(storage, search), key=len)
    # The second says whether there is an entry at all.
    assert sent in (["FT.SEARCH"], ["FT.SEARCH", "HGET"])


def test_what_is_not_in_the_query_is_looked_for_in_few_rounds(redis_url, redis_prefix):
    storage = RedisStorage(url=redis_url, prefix=redis_prefix, search="query-engine", timeout=60)
    for number in range(300):
        storage.store(entry(str(number), attributes={"topic": "wine" if number else "beer"}))
    wait_for_index(storage, 3)
    storage.search(EAST, *SCOPE, 0.9)
    pattern = Text("topic") % "be*r"

    def search():
        assert storage.search_filtered(EAST, *SCOPE, 0.9, pattern)[0].entry.id == "0"

    search()  # what the storage has to know of the namespace is read now
    assert len(commands(storage, search)) <= 4
    storage.close()


def test_a_filter_that_is_nested_very_deep_is_evaluated_here(filled):
    storage, memory = filled
    for combine in (operator.and_, operator.or_, lambda left, right: ~(left & right)):
        expression = Num("age") >= 0
        for number in range(200):
            expression = combine(expression, Num("age") != number + 10)
        assert [
            match.entry.id for match in storage.search_filtered(EAST, *SCOPE, 0.9, expression)
        ] == [match.entry.id for match in memory.search_filtered(EAST, *SCOPE, 0.9, expression)]


def test_a_filter_of_many_values_is_evaluated_here(filled):
    storage, _ = filled
    users = [*(f"user {number}" for number in range(5000)), "ann"]
    (match,) = storage.search_filtered(EAST, *SCOPE, 0.9, Tag("user") == users)
    assert match.entry.attributes["user"] == "ann"


def test_a_filter_finds_a_live_entry_behind_many_that_have_expired(redis_url, redis_prefix):
    storage = RedisStorage(url=redis_url, prefix=redis_prefix, search="query-engine")
    now = time.time()
    for number in range(40):
        storage.store(entry(str(number), attributes={"age": "3"}, expires_at=now + 0.5))
    near = np.array([math.cos(0.1), math.sin(0.1), 0], np.float32)
    storage.store(entry("live", near, attributes={"age": "3"}))
    time.sleep(0.6)
    assert storage.search_filtered(EAST, *SCOPE, 0.9, Num("age") == 3)[0].entry.id == "live"
    storage.close()
