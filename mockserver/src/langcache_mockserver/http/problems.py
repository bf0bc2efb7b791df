"""Errors as the contract's problem objects."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from langcache_mockserver.http.response import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KINDS = {
    400: ("Invalid data", "/errors/invalid-data"),
    401: ("Authentication failed", "/errors/authentication-failed"),
    403: ("Insufficient permissions", "/errors/insufficient-permissions"),
    404: ("Resource not found", "/errors/resource-not-found"),
    405: ("Method not allowed", "/errors/method-not-allowed"),
    413: ("Payload too large", "/errors/payload-too-large"),
    415: ("Unsupported media type", "/errors/unsupported-media-type"),
    424: ("Resource unavailable", "/errors/resource-unavailable"),
    429: ("Too many requests", "/errors/too-many-requests"),
    500: ("Unexpected error", "/errors/unexpected-error"),
}


class FieldError(NamedTuple):
    """One rule that one field of a request breaks.

    Attributes:
        field: The path of the field, such as `attributes.topic` or `context[0]`.
        rule: The keyword of the rule, such as `maxLength`.
        message: What is allowed and what was given: sizes and types, never the value itself.
    """

    field: str
    rule: str
    message: str


class ProblemError(Exception):
    """A request whose response is a problem object.

    Args:
        status: The HTTP status, which also determines title and type.
        detail: What went wrong. The caller sees it, so it must not contain prompts or keys.
        fields: The rules that fields of the request break, for a 400.
        headers: Headers of the response.
        kind: The type, if it is not the usual one of the status.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        fields: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        kind: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.fields = fields
        self.headers = headers
        self.kind = kind


def invalid(*fields: FieldError) -> ProblemError:
    """Return the 400 for these violations; at least one."""
    return ProblemError(400, f"{fields[0].field}: {fields[0].message}", fields=fields)


def unauthorized(detail: str) -> ProblemError:
    """Return the 401 for a missing, malformed or unknown bearer token."""
    return ProblemError(401, detail, headers={"WWW-Authenticate": "Bearer"})


def not_found() -> ProblemError:
    """Return the 404 for a path that no route has."""
    return ProblemError(404, "there is no such path")


def problem_response(problem: ProblemError, instance: str) -> JSONResponse:
    """Return the response for a problem.

    Args:
        problem: The problem.
        instance: The path of the request, percent-encoded as it came.
    """
    title, kind = _KINDS.get(problem.status) or _other_kind(problem.status)
    body: dict[str, object] = {
        "title": title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
        "type": problem.kind or kind,
    }
    if problem.fields:
        body["fields"] = [field._asdict() for field in problem.fields]
    return JSONResponse(body, problem.status, problem.headers)


def _other_kind(status: int) -> tuple[str, str]:
    """Return title and type for a status that the contract does not have."""
    kind = _KINDS[500][1] if status >= 500 else "about:blank"
    try:
        return HTTPStatus(status).phrase, kind
    except ValueError:
        return f"Status {status}", kind
