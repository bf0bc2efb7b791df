"""Rules of what is refused: a 400 for each limit of the contract, and the 413."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langcache_mockserver.contract.errors import DepartureError, require
from langcache_mockserver.contract.rule import Certainty, Rule, rule

if TYPE_CHECKING:
    from langcache_mockserver.contract.probe import Answer, Probe

_CERTAIN = Certainty.CERTAIN
_UNCERTAIN = Certainty.UNCERTAIN  # where the service may be more generous than its documents
_INVALID = "/errors/invalid-data"
_ABSENT = object()
_LARGE_BODY_BYTES = 4 << 20
_VALID: dict[str, dict[str, Any]] = {
    "set": {"response": "r", "ttlMillis": 60_000},
    "search": {},
    "conversationalSearch": {},
}


def _limit(
    operation: str, field: str, name: str, what: str, value: object, certainty: Certainty = _CERTAIN
) -> Rule:
    """Make the rule that a value of a field is refused.

    Args:
        operation: The operation.
        field: The field.
        name: What comes after the operation in the rule's name.
        what: The value in words.
        value: The value.
        certainty: What it means that it is not refused.
    """

    def check(probe: Probe) -> None:
        body = {**_VALID[operation], "prompt": probe.unique("What is a limit, {}?"), field: value}
        body = {member: each for member, each in body.items() if each is not _ABSENT}
        answer = probe.set(body) if operation == "set" else probe.send(operation, body)
        answer.must_be_problem(400, _INVALID)
        _must_blame(answer, field)

    statement = f"`{operation}` with {what} is a 400 that names `{field}`."
    return Rule(f"limits.{operation}-{name}", statement, check, certainty)


def _must_blame(answer: Answer, field: str) -> None:
    fields: list[Any] = answer.member("fields", list)
    names = [
        str(cast("dict[str, object]", each).get("field"))
        for each in fields
        if isinstance(each, dict)
    ]
    blamed = any(name.startswith(field) for name in names)
    require(blamed, f"`{field}` among the fields", ", ".join(names)[:100] or "no field")


@rule("limits.json")
def malformed(probe: Probe) -> None:
    """A body that is not a JSON object is a 400."""
    for content in (b"", b"{", b'"text"', b"[]", b"null"):
        for operation in ("set", "search"):
            answer = probe.send(operation, content=content)
            answer.must_be_problem(400, _INVALID)


@rule("limits.delete-query-attributes", destructive=True)
def no_attributes(probe: Probe) -> None:
    """`deleteQuery` with attributes that are missing or no object is a 400 and deletes nothing."""
    # Destructive, because a service that isn't so exact may take them for "all entries".
    bodies: list[dict[str, object]] = [{}, *({"attributes": each} for each in (None, ["a"], "a"))]
    for body in bodies:
        answer = probe.send("deleteQuery", body).must_be_problem(400, _INVALID)
        _must_blame(answer, "attributes")


@rule("limits.large-body", Certainty.UNCERTAIN)
def large_body(probe: Probe) -> None:
    """A body of 4 MiB is a 413."""
    prompt = probe.unique("What is large, {}?")
    try:
        answer = probe.set({**_VALID["set"], "prompt": prompt, "response": "x" * _LARGE_BODY_BYTES})
    except DepartureError as error:
        # A service need not read on once it knows; then the connection may break before the answer.
        raise DepartureError("413", f"no answer ({error.got})") from error
    answer.must_be_problem(413, "/errors/payload-too-large")


RULES = [
    _limit("set", "prompt", "no-prompt", "no prompt", _ABSENT),
    _limit("set", "prompt", "empty-prompt", "an empty prompt", ""),
    _limit("set", "prompt", "prompt-type", "a number as prompt", 1),
    _limit("set", "prompt", "long-prompt", "a prompt of 1025 characters", "x" * 1025, _UNCERTAIN),
    _limit("set", "response", "no-response", "no response", _ABSENT),
    _limit("set", "response", "response-type", "a list as response", []),
    _limit("set", "ttlMillis", "ttl-zero", "a TTL of 0", 0),
    _limit("set", "ttlMillis", "ttl-negative", "a TTL of -1", -1),
    _limit("set", "ttlMillis", "ttl-type", "a text as TTL", "1000"),
    _limit("set", "ttlMillis", "long-ttl", "a TTL over a year", 31_556_952_001, _UNCERTAIN),
    _limit("set", "attributes", "attributes-type", "a list as attributes", ["a"]),
    _limit("set", "attributes", "attribute-type", "a number as attribute", {"name": 1}),
    _limit("set", "attributes", "attribute-name", "a space in an attribute's name", {"a b": "c"}),
    _limit(
        "set",
        "attributes",
        "long-attribute-name",
        "an attribute's name of 33 characters",
        {"n" * 33: "a"},
        _UNCERTAIN,
    ),
    _limit(
        "set",
        "attributes",
        "many-attributes",
        "six attributes",
        {f"name{number}": "a" for number in range(6)},
        _UNCERTAIN,
    ),
    _limit("set", "nobody", "unknown-member", "a member that it does not have", 1, _UNCERTAIN),
    _limit("search", "prompt", "no-prompt", "no prompt", _ABSENT),
    _limit("search", "prompt", "empty-prompt", "an empty prompt", ""),
    _limit(
        "search", "prompt", "long-prompt", "a prompt of 1025 characters", "x" * 1025, _UNCERTAIN
    ),
    _limit("search", "similarityThreshold", "threshold-below", "a threshold below 0", -0.01),
    _limit("search", "similarityThreshold", "threshold-above", "a threshold above 1", 1.01),
    _limit("search", "similarityThreshold", "threshold-type", "a text as threshold", "0.9"),
    _limit("search", "searchStrategies", "strategy", "a strategy that there isn't", ["telepathy"]),
    _limit("search", "searchStrategies", "strategies-type", "a text as strategies", "exact"),
    _limit("search", "searchStrategies", "no-strategies", "no strategies", [], _UNCERTAIN),
    _limit("search", "maxResults", "max-results-zero", "maxResults 0", 0),
    _limit("search", "maxResults", "max-results-type", "a text as maxResults", "1"),
    _limit("conversationalSearch", "prompt", "no-prompt", "no prompt", _ABSENT),
    _limit("conversationalSearch", "context", "context-type", "a text as context", "before"),
    malformed,
    no_attributes,
    large_body,
]
