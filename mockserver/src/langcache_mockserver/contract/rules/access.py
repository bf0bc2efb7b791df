"""Rules of who may do what, and of what there is: 401, 403, 404."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from langcache_mockserver.contract.errors import NotCheckedError
from langcache_mockserver.contract.rule import Certainty, Rule, rule
from langcache_mockserver.contract.rules.deleting import NOT_FOUND

if TYPE_CHECKING:
    from langcache_mockserver.contract.probe import Probe

_UNAUTHENTICATED = "/errors/authentication-failed"
_UNKNOWN_ENTRY = "0" * 32


def _refusal(name: str, statement: str, authorization: str | None) -> Rule:
    def check(probe: Probe) -> None:
        for operation, body in _calls(probe).items():
            answer = probe.send(
                operation, body, entry_id=_UNKNOWN_ENTRY, authorization=authorization
            )
            answer.must_be_problem(401, _UNAUTHENTICATED)

    return Rule(name, statement, check)


@rule("access.unknown-key", Certainty.STRICT)
def unknown_key(probe: Probe) -> None:
    """A key that nobody has issued is a 401."""
    authorization = f"Bearer {secrets.token_hex(20)}"
    for operation, body in _calls(probe).items():
        answer = probe.send(operation, body, entry_id=_UNKNOWN_ENTRY, authorization=authorization)
        answer.must_be_problem(401, _UNAUTHENTICATED)


@rule("access.forbidden-cache")
def forbidden_cache(probe: Probe) -> None:
    """A cache that the key has no grant for is a 403."""
    cache_id = probe.target.forbidden_cache_id
    if cache_id is None:
        raise NotCheckedError("no cache is given that the key has no grant for")
    for operation, body in _calls(probe).items():
        answer = probe.send(operation, body, entry_id=_UNKNOWN_ENTRY, cache_id=cache_id)
        answer.must_be_problem(403, "/errors/insufficient-permissions")


@rule("access.unknown-cache", Certainty.STRICT)
def unknown_cache(probe: Probe) -> None:
    """A cache that does not exist is a 404, or a 403 for a key of other caches alone."""
    for operation, body in _calls(probe).items():
        answer = probe.send(
            operation, body, entry_id=_UNKNOWN_ENTRY, cache_id=secrets.token_hex(16)
        )
        if answer.status != 403:
            answer.must_be_problem(404, *NOT_FOUND)


@rule("access.unknown-path")
def unknown_path(probe: Probe) -> None:
    """A path that the service does not have is a 404."""
    for path in ("/v1/no-such-thing", f"/v1/caches/{secrets.token_hex(16)}/no/such/thing"):
        probe.get(path).must_be(404)


@rule("access.unknown-path-problem", Certainty.UNCERTAIN)
def unknown_path_problem(probe: Probe) -> None:
    """The 404 of a path that the service does not have is a problem like any other."""
    probe.get("/v1/no-such-thing").must_be_problem(404, *NOT_FOUND)


def _calls(probe: Probe) -> dict[str, object]:
    """Return requests that do no harm if they are let through, by operation."""
    prompt = probe.unique("Is anybody there, {}?")
    return {"search": {"prompt": prompt, "searchStrategies": ["exact"]}, "deleteById": None}


RULES = [
    _refusal("access.no-key", "A request without an `Authorization` header is a 401.", None),
    _refusal("access.empty-key", "An empty bearer token is a 401.", "Bearer"),
    _refusal("access.no-bearer", "A header of another scheme is a 401.", "Basic dTpw"),
    _refusal("access.bare-key", "A token without its scheme is a 401.", "token"),
    unknown_key,
    forbidden_cache,
    unknown_cache,
    unknown_path,
    unknown_path_problem,
]
