"""The contract's document: its operations, and a check of responses against them."""

from __future__ import annotations

import json
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from jsonschema_rs import Draft202012Validator

from langcache_mockserver.http.documents import CONTRACT

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

_DOCUMENT: dict[str, Any] = json.loads(CONTRACT)
_MAX_VIOLATIONS = 5  # of one body; more rarely help


class Operation(NamedTuple):
    """An operation of the contract.

    Attributes:
        id: Its `operationId`.
        method: The HTTP method.
        path: The path, with the parameters `{cacheId}` and `{entryId}`.
        responses: The responses that the document describes, by status.
    """

    id: str
    method: str
    path: str
    responses: dict[str, dict[str, Any]]


OPERATIONS: dict[str, Operation] = {
    operation["operationId"]: Operation(
        operation["operationId"], method.upper(), path, operation["responses"]
    )
    for path, item in _DOCUMENT["paths"].items()
    for method, operation in item.items()
    if isinstance(operation, dict) and "operationId" in operation
}
"""The operations of the contract, by `operationId`."""


def violations(operation: Operation, status: int, media_type: str, body: bytes) -> list[str]:
    """Return how a response differs from those that the contract describes for an operation.

    Args:
        operation: The operation of the request.
        status: The HTTP status of the response.
        media_type: Its content type without parameters, in lower case; "" if it has none.
        body: Its body.

    Returns:
        One text for each violation; names, rules and kinds, never a value of the body.
    """
    if str(status) not in operation.responses:
        return [f"{status}: the document has no such status"]
    response = _resolved(operation.responses[str(status)])
    content = response.get("content")
    if content is None:
        return [f"{status}: a body of {len(body)} bytes, where none is described"] if body else []
    if media_type not in content:
        given = media_type or "missing"
        return [f"{status}: the content type must be {', '.join(content)}, got {given[:100]}"]
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return [f"{status}: a body of {len(body)} bytes that isn't JSON"]
    schema: dict[str, Any] = content[media_type]["schema"]
    errors = islice(_validator(json.dumps(schema)).iter_errors(value), _MAX_VIOLATIONS)
    return [f"{status}: {_spell(error)}" for error in errors]


def _resolved(response: dict[str, Any]) -> dict[str, Any]:
    reference = response.get("$ref")
    if reference is None:
        return response
    resolved: dict[str, Any] = _DOCUMENT["components"]["responses"][reference.rpartition("/")[2]]
    return resolved


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(schema), "components": _DOCUMENT["components"]})


def _spell(error: ValidationError) -> str:
    path = ".".join(str(step)[:64] for step in error.instance_path) or "body"
    return f"{path} breaks {error.kind.name}: {error.kind.value!r}"[:300]
