"""Request bodies, parsed and checked by the schemas of a document."""

from __future__ import annotations

import json
import math
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from jsonschema_rs import Draft202012Validator, ValidationError

from langcache_mockserver.http.problems import FieldError, ProblemError, invalid
from langcache_mockserver.http.relaxed_limits import relax

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence


MAX_FIELD_ERRORS = 20
"""The maximum number of violations in a response."""

_MANY_VALUES = 200  # of a body with more, only the first violation is listed

Schemas: TypeAlias = "Mapping[str, Draft202012Validator]"
"""The validators of request bodies, by the names of their schemas."""

_BODY = "body"  # the field of a violation by the body as a whole
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MAX_DIGITS = 309  # of an integer within the range of a double, without the sign

_RULES = {
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "minProperties": "must have at least {} members",
    "maxProperties": "must have at most {} members",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "pattern": "must match {}",
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "const": "must be {}",
    "exclusiveMinimum": "must be more than {}",
    "falseSchema": "must not be given",
    "uniqueItems": "must not have the same item twice",
}


def request_schemas(document: bytes, relaxed: Collection[str] = ()) -> Schemas:
    """Return the validators of the request bodies of an OpenAPI document.

    Args:
        document: The document, as JSON. Its request bodies must be references to its schemas.
        relaxed: The names of the limits to relax, of `limits.LIMITS`.
    """
    contract = json.loads(document)
    schemas = relax(contract["components"]["schemas"], relaxed)
    components = {"schemas": schemas}
    bodies = (
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for path in contract["paths"].values()
        for operation in path.values()
        if "requestBody" in operation
    )
    return {
        reference.rpartition("/")[2]: Draft202012Validator(
            {"$ref": reference, "components": components}
        )
        for reference in bodies
    }


def parse_body(body: bytes, schema: str, schemas: Schemas) -> dict[str, Any]:
    """Parse a request body and check it against the schema of its operation.

    Beyond what the schema says, a body must be unambiguous: JSON in UTF-8 (RFC 8259) without
    NaN, infinities, numbers beyond the range of a double, repeated member names or lone
    surrogates.

    Args:
        body: The body.
        schema: The name of its schema, such as `SetRequest`.
        schemas: The validators, by name.

    Returns:
        The members of the body. Integers may be floats without a fraction, which JSON Schema
        counts as integers.

    Raises:
        ProblemError: 400, with every broken rule, up to `MAX_FIELD_ERRORS`; only the first one if
            the body has more than 200 values.
    """
    value = _parse(body)
    if b"\\u" in body:  # only an escape can make a lone surrogate
        # Before the validator, which may not be safe with such strings.
        _refuse(_lone_surrogates(value))
    errors = field_errors(value, schemas[schema])
    if errors:
        raise invalid(*errors)
    members: Any = value
    return members


def field_errors(value: object, validator: Draft202012Validator) -> list[FieldError]:
    """Return the rules that a value breaks: up to `MAX_FIELD_ERRORS`, or one of a large value."""
    try:
        if validator.is_valid(value):
            return []
        errors = validator.iter_errors(value) if _is_small(value) else [_first(validator, value)]
        violations = (
            FieldError(spell(path), rule, message)
            for error in errors
            for path, rule, message in broken_rules(error)
        )
        return list(islice(violations, MAX_FIELD_ERRORS))
    except ValueError:  # the validator has its own limit of nesting
        return [FieldError(_BODY, "depth", "must not be nested so deeply")]


def _parse(body: bytes) -> object:
    try:
        return _DECODER.decode(body.decode())
    except UnicodeDecodeError as error:
        message = f"must be UTF-8, got an invalid byte at position {error.start}"
        raise _invalid_body("encoding", message) from None
    except json.JSONDecodeError as error:
        message = f"must be JSON, got an error at line {error.lineno} column {error.colno}"
        raise _invalid_body("json", message) from None
    except RecursionError:
        raise _invalid_body("depth", "must not be nested so deeply") from None


def _invalid_body(rule: str, message: str) -> ProblemError:
    return invalid(FieldError(_BODY, rule, message))


def _unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                message = "must be given once, got more than one"
                raise invalid(FieldError(spell([name]), "duplicate", message))
            seen.add(name)
    return members


def _refuse_constant(name: str) -> object:
    raise _invalid_body("json", f"must be JSON, got {name}")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _out_of_range(text)
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise _out_of_range(text)
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unambiguous,
    parse_constant=_refuse_constant,
    parse_float=_finite,
    parse_int=_integer,
)


def _out_of_range(text: str) -> ProblemError:
    message = f"numbers must be within the range of a double, got one of {len(text)} characters"
    return _invalid_body("range", message)


def _is_small(value: object) -> bool:
    """Return whether the validator may collect all violations, at 40 microseconds each.

    Each value of a body, at any depth, may break a rule.
    """
    values = [value]
    for item in values:
        if isinstance(item, list):
            values.extend(cast("list[object]", item))
        elif isinstance(item, dict):
            values.extend(cast("dict[str, object]", item).values())
        if len(values) > _MANY_VALUES:
            return False
    return True


def _first(validator: Draft202012Validator, value: object) -> ValidationError:
    try:
        validator.validate(value)
    except ValidationError as error:
        return error
    raise AssertionError("an invalid value has an error")


def _refuse(violations: Iterable[FieldError]) -> None:
    listed = list(islice(violations, MAX_FIELD_ERRORS))
    if listed:
        raise invalid(*listed)


def _lone_surrogates(value: object) -> Iterator[FieldError]:
    """Find the strings and names, at any depth, that are not Unicode text."""
    # Every value with the position of its parent, which takes less memory than its path.
    found: list[tuple[int, str | int, object]] = [(0, "", value)]

    def path_of(at: int) -> str:
        path: list[str | int] = []
        while at:
            path.insert(0, found[at][1])
            at = found[at][0]
        return spell(path)

    for at, (_, _, item) in enumerate(found):
        if isinstance(item, str):
            if not _is_text(item):
                message = f"must not have a lone surrogate, {_size(item)}"
                yield FieldError(path_of(at), "unicode", message)
        elif isinstance(item, list):
            items = cast("list[object]", item)
            found.extend((at, index, child) for index, child in enumerate(items))
        elif isinstance(item, dict):
            for name, child in cast("dict[str, object]", item).items():
                if not _is_text(name):
                    message = f"must not have a name with a lone surrogate, {_size(name)}"
                    yield FieldError(path_of(at), "unicode", message)
                found.append((at, name, child))


def _is_text(string: str) -> bool:
    try:
        string.encode()
    except UnicodeEncodeError:
        return False
    return True


def broken_rules(error: ValidationError) -> Iterator[tuple[list[str | int], str, str]]:
    """Yield the rules that a value breaks, from an error of the validator.

    Returns:
        The path of each field, the keyword of the rule, and what is allowed and what was given.
    """
    path, rule, limit = error.instance_path, error.kind.name, error.kind.value
    if rule == "required":
        yield [*path, limit], rule, "is required"
    elif rule == "additionalProperties":
        for name in limit:
            message = f"unknown field, a name of {len(name)} characters"
            yield [*path, name], rule, message
    elif rule == "propertyNames":
        message = f"the name of each member {_rule(limit)}, {_size(limit.instance)}"
        yield path, rule, message
    else:
        yield path, rule, f"{_rule(error)}, {_size(error.instance)}"


def _rule(error: ValidationError) -> str:
    limit = error.kind.value
    if isinstance(limit, list):
        limit = ", ".join(map(str, cast("list[object]", limit)))
    return _RULES.get(error.kind.name, f"must hold to {error.kind.name}").format(limit)


def _size(value: object) -> str:
    """Describe a value by its size or type, without revealing it."""
    if value is None or isinstance(value, bool):
        return "got null" if value is None else "got a boolean"
    if isinstance(value, int | float):
        number = repr(value)
        return f"got {number}" if len(number) <= 32 else f"got a number of {len(number)} characters"
    if isinstance(value, str):
        return f"got {len(value)} characters"
    if isinstance(value, list):
        return f"got {len(cast('list[object]', value))} items"
    return f"got {len(cast('dict[str, object]', value))} members"


def spell(path: Sequence[str | int]) -> str:
    """Write a path as `context[0]` or `attributes.topic`, with `*` for a name unfit to show."""
    spelled = ""
    for step in path:
        if isinstance(step, int):
            spelled += f"[{step}]"
        else:
            spelled += f".{step if _NAME.fullmatch(step) else '*'}"
    return spelled.removeprefix(".") or _BODY
