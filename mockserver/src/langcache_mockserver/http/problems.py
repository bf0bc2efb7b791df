"""Errors as the contract's problem objects."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from langcache.engine.storage import StorageError, StorageFullError
from langcache_mockserver.http.call import call_of
from langcache_mockserver.http.response import JSONAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from langcache.engine.embedders import EmbedderError

_log = logging.getLogger("langcache_mockserver")

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
        message: What was allowed and what was given; sizes and kinds, never the value itself.
    """

    field: str
    rule: str
    message: str


class ProblemError(Exception):
    """A request that is answered with a problem object.

    Args:
        status: The HTTP status, which also decides title and type.
        detail: What went wrong this time; shown to the caller, so without prompts and keys.
        fields: The rules broken, for a 400.
        headers: Headers of the answer.
        kind: The type, in place of the one that goes with the status.
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


def invalid(fields: Sequence[FieldError]) -> ProblemError:
    """Return the 400 for these violations, of which there must be at least one."""
    return ProblemError(400, f"{fields[0].field}: {fields[0].message}", fields=fields)


def response(problem: ProblemError, instance: str) -> JSONAnswer:
    """Return the answer for a problem.

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
    return JSONAnswer(body, problem.status, problem.headers)


def _other_kind(status: int) -> tuple[str, str]:
    """Return title and type for a status that the contract doesn't have."""
    kind = _KINDS[500][1] if status >= 500 else "about:blank"
    try:
        return HTTPStatus(status).phrase, kind
    except ValueError:
        return f"Status {status}", kind


def failed_dependency(request: Request, error: StorageError | EmbedderError) -> JSONAnswer:
    """Return the answer for a request that storage or embedder failed.

    What they say goes to the log: it may name hosts and files, which are not the caller's affair.
    """
    _log.error("request %s: %s", call_of(request).request_id, error)
    if isinstance(error, StorageFullError):
        problem = ProblemError(
            424, "the storage has no room", kind="/errors/database-out-of-memory"
        )
    elif isinstance(error, StorageError):
        problem = ProblemError(424, "the storage can't be used at the moment")
    else:
        problem = ProblemError(424, "the embedding can't be made at the moment")
    return response(problem, request.scope["path"])


def not_found() -> ProblemError:
    """Return the 404 for a path that no route has."""
    return ProblemError(404, "there is no such path")
