"""Rules of attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache_mockserver.contract.errors import NotCheckedError, require
from langcache_mockserver.contract.probe import EVERYTHING, EXACT, SEMANTIC
from langcache_mockserver.contract.rule import Certainty, rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langcache_mockserver.contract.probe import Probe

_ODD_VALUES = (
    "two words",
    "50%",
    "a%20b%2Cc%25",  # percent-encoded, as RedisVL sends it
    "caf%C3%A9%2F",
    "a b/c?d#e&f=g+h",
    "{curly} [square] (round) <angle> |pipe| \\back",
    "'single' \"double\" `back`",
    "@user:tag -not *any ~near $money !bang ^up; a.b-c_d",
    "Ünïcode 漢字 🤖",
    "UPPER lower",
    "x" * 500,
)
_NONE_CONFIGURED = "attributes: no attributes are configured for this cache."


@rule("attributes.round-trip")
def round_trip(probe: Probe) -> None:
    """Attributes come back as they were stored, and filter, whatever characters they have."""
    (name,) = _names(probe, 1)
    prompt = probe.unique("What is an attribute, {}?")
    for value in _ODD_VALUES:
        stored = probe.store(prompt, attributes={name: value})
        for strategy in (EXACT, SEMANTIC):
            found = probe.search(prompt, strategy, attributes={name: value}, max_results=EVERYTHING)
            shown = f"the entry of {value[:60]!r} by {strategy[0]}"
            require([each.id for each in found] == [stored], shown, f"{len(found)} entries")
            got = found[0].attributes
            require(got == {name: value}, f"the attribute {value[:60]!r}", "another one")


@rule("attributes.comma", Certainty.UNCERTAIN)
def comma(probe: Probe) -> None:
    """A value with a comma is refused with a 400."""
    (name,) = _names(probe, 1)
    answer = probe.set(_entry(probe, {name: "a,b"}))
    answer.must_be_problem(400, "/errors/invalid-data")


@rule("attributes.long-value", Certainty.UNCERTAIN)
def long_value(probe: Probe) -> None:
    """A value of more than 500 characters is refused with a 400."""
    (name,) = _names(probe, 1)
    answer = probe.set(_entry(probe, {name: "x" * 501}))
    answer.must_be_problem(400, "/errors/invalid-data")


@rule("attributes.empty-value", Certainty.UNCERTAIN)
def empty_value(probe: Probe) -> None:
    """An empty value is refused with a 400."""
    (name,) = _names(probe, 1)
    answer = probe.set(_entry(probe, {name: ""}))
    answer.must_be_problem(400, "/errors/invalid-data")


@rule("attributes.filter")
def equality(probe: Probe) -> None:
    """An attribute filters by equality of the whole value."""
    (name,) = _names(probe, 1)
    prompt = probe.unique("What is a filter, {}?")
    values = ("north", "north east", "northern", "North")
    ids = {value: probe.store(prompt, attributes={name: value}) for value in values}
    for strategy in (EXACT, SEMANTIC):
        found = _found(probe, prompt, strategy, {name: "nor"})
        require(not found & set(ids.values()), "no entry for a part of a value", "one")
        for value in ("north", "north east", "northern"):
            found = _found(probe, prompt, strategy, {name: value})
            expected = f"the entry of {value!r} alone by {strategy[0]}"
            require(found == {ids[value]}, expected, f"{len(found)} entries")


@rule("attributes.case", Certainty.UNCERTAIN)
def case(probe: Probe) -> None:
    """The case of a value matters."""
    (name,) = _names(probe, 1)
    prompt = probe.unique("What is a capital letter, {}?")
    probe.store(prompt, attributes={name: "north"})
    for strategy in (EXACT, SEMANTIC):
        found = _found(probe, prompt, strategy, {name: "NORTH"})
        require(not found, "no entry for a value in other case", "one")


@rule("attributes.all-must-match")
def all_must_match(probe: Probe) -> None:
    """Of several attributes, all must match."""
    first, second = _names(probe, 2)
    prompt = probe.unique("What is a pair, {}?")
    both = probe.store(prompt, attributes={first: "a", second: "b"})
    probe.store(prompt, attributes={first: "a", second: "c"})
    probe.store(prompt, attributes={first: "a"})
    for strategy in (EXACT, SEMANTIC):
        found = _found(probe, prompt, strategy, {first: "a", second: "b"})
        require(found == {both}, "the one entry that has both", f"{len(found)} entries")


@rule("attributes.no-filter")
def no_filter(probe: Probe) -> None:
    """A search without attributes finds entries that have some, too."""
    (name,) = _names(probe, 1)
    prompt = probe.unique("What is an open question, {}?")
    stored = probe.store(prompt, attributes={name: "a"})
    filters: list[dict[str, str] | None] = [None, {}]
    for attributes in filters:
        for strategy in (EXACT, SEMANTIC):
            found = _found(probe, prompt, strategy, attributes)
            require(stored in found, f"the entry by {strategy[0]}", f"{len(found)} other entries")


@rule("attributes.upsert")
def upsert(probe: Probe) -> None:
    """A `set` of the same prompt and attributes replaces the entry, under the same id."""
    first, second = _names(probe, 2)
    prompt = probe.unique("What is a repetition, {}?")
    ids = [
        probe.store(prompt, "First.", {first: "a", second: "b"}),
        probe.store(prompt, "Second.", {second: "b", first: "a"}),
    ]
    require(ids[0] == ids[1], "the same id", "another id")
    found = probe.search(prompt, EXACT, attributes={first: "a"}, max_results=EVERYTHING)
    require(len(found) == 1, "one entry", f"{len(found)} entries")
    require(found[0].response == "Second.", "the later response", "another one")


@rule("attributes.separate", Certainty.UNCERTAIN)
def separate(probe: Probe) -> None:
    """The same prompt with other attributes is another entry."""
    (name,) = _names(probe, 1)
    prompt = probe.unique("What is an identity, {}?")
    ids = [probe.store(prompt, attributes=each) for each in ({name: "a"}, {name: "b"}, None)]
    require(len(set(ids)) == 3, "three ids", len(set(ids)))


@rule("attributes.undeclared", Certainty.STRICT)
def undeclared(probe: Probe) -> None:
    """An attribute that the cache does not declare is refused with a 400."""
    _names(probe, 1)
    attributes = {probe.unique("undeclared_{}"): "a"}
    entry = _entry(probe, attributes)
    probe.set(entry).must_be_problem(400, "/errors/invalid-data")
    query = {"prompt": entry["prompt"], "attributes": attributes}
    probe.send("search", query).must_be_problem(400, "/errors/invalid-data")


@rule("attributes.none-configured", Certainty.STRICT)
def none_configured(probe: Probe) -> None:
    """A cache without attributes refuses any with a 400 whose text clients know."""
    if probe.target.attributes:
        raise NotCheckedError("the cache has attributes")
    answer = probe.set(_entry(probe, {"user": "a"})).must_be_problem(400, "/errors/invalid-data")
    detail: str = answer.member("detail", str)
    require(detail == _NONE_CONFIGURED, _NONE_CONFIGURED, detail[:100])


def _names(probe: Probe, count: int) -> tuple[str, ...]:
    """Return the names of so many attributes that the cache has."""
    names = probe.target.attributes[:count]
    if len(names) < count:
        given = len(probe.target.attributes)
        raise NotCheckedError(f"it needs the names of {count} attributes of the cache, has {given}")
    return names


def _entry(probe: Probe, attributes: Mapping[str, str]) -> dict[str, object]:
    prompt = probe.unique("What is refused, {}?")
    return {"prompt": prompt, "response": "r", "attributes": attributes, "ttlMillis": 60_000}


def _found(
    probe: Probe, prompt: str, strategy: tuple[str, ...], attributes: Mapping[str, str] | None
) -> set[str]:
    found = probe.search(prompt, strategy, attributes=attributes, max_results=EVERYTHING)
    return {each.id for each in found if each.prompt == prompt}


RULES = [
    round_trip,
    comma,
    long_value,
    empty_value,
    equality,
    case,
    all_must_match,
    no_filter,
    upsert,
    separate,
    undeclared,
    none_configured,
]
