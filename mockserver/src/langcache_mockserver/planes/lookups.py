"""The console's view of lookups: the latest of a cache, and those with labels for `tune`."""

from __future__ import annotations

import json
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import Response

from langcache_mockserver.domain.registry import Access, moment
from langcache_mockserver.domain.savings import savings_of
from langcache_mockserver.http.exchange import exchange_of
from langcache_mockserver.http.problems import FieldError, ProblemError, invalid
from langcache_mockserver.http.response import JSONResponse
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.planes.console_access import console_operation
from langcache_mockserver.planes.service import service_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from langcache_mockserver.domain.lookups import LookupRecord
    from langcache_mockserver.domain.savings import Durations, Savings

_MOST_LOOKUPS = 1000
_USUAL_LOOKUPS = 100
_NO_LOOKUPS: dict[str, Any] = {
    "recorded": 0,
    "lookups": [],
    "cursor": None,
    "hasMore": False,
    "startsOver": False,
}


async def _list_lookups(request: Request) -> Response:
    lookups = service_of(request).lookups
    asked = _asked(request)
    if lookups is None:
        return JSONResponse(_NO_LOOKUPS)
    try:
        found = lookups.page(exchange_of(request).cache_id, **asked._asdict())
    except ValueError:
        detail = "cursor: must be the cursor of a page of lookups; start again without one"
        raise ProblemError(404, detail) from None
    return JSONResponse(
        {
            "recorded": lookups.most,
            "lookups": [_as_json(lookup) for lookup in found.lookups],
            "cursor": found.cursor,
            "hasMore": found.has_more,
            "startsOver": found.starts_over,
        }
    )


async def _savings(request: Request) -> Response:
    service = service_of(request)
    may_see = await service.gate.enter_console(request)
    lookups = service.lookups
    if lookups is None:
        return JSONResponse({"recorded": 0, "caches": []})
    savings = await service.workers.run(lambda: savings_of(*lookups.everything()))
    caches = [_saved(each) for each in savings if may_see(each.cache_id)]
    return JSONResponse({"recorded": lookups.most, "caches": caches})


async def _export_lookups(request: Request) -> Response:
    service = service_of(request)
    rows = await service.caches.labelled_lookups(exchange_of(request).cache_id)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return Response(
        text,
        media_type="application/jsonl",
        headers={"content-disposition": 'attachment; filename="lookups.jsonl"'},
    )


class _Asked(NamedTuple):
    """What the query of a request asks for."""

    cursor: str
    limit: int
    latest: bool


def _asked(request: Request) -> _Asked:
    """Return what the query of a request asks for.

    Raises:
        ProblemError: 400, if the query has anything else.
    """
    asked = {"cursor": "", "latest": "false", "limit": str(_USUAL_LOOKUPS)}
    for name, values in groupby(sorted(request.query_params.multi_items()), itemgetter(0)):
        if name not in asked:
            message = f"must be one of {', '.join(asked)}, got a name of {len(name)} characters"
            raise invalid(FieldError("query", "additionalProperties", message))
        (_, asked[name]), *others = values
        if others:
            raise invalid(FieldError(name, "duplicate", "must be given once, got more than one"))
    text = asked["limit"]
    limit = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    if not 1 <= limit <= _MOST_LOOKUPS:
        message = f"must be from 1 to {_MOST_LOOKUPS}, got {len(text)} characters"
        raise invalid(FieldError("limit", "range", message))
    if asked["latest"] not in {"true", "false"}:
        message = f"must be true or false, got {len(asked['latest'])} characters"
        raise invalid(FieldError("latest", "type", message))
    return _Asked(asked["cursor"], limit, asked["latest"] == "true")


def _as_json(lookup: LookupRecord) -> dict[str, Any]:
    return {
        "lookedUpAt": moment(lookup.at),
        "prompt": lookup.prompt,
        "outcome": lookup.outcome,
        "searchStrategy": lookup.strategy,
        "threshold": lookup.threshold,
        "similarity": lookup.similarity,
        "entryId": lookup.entry_id or None,
        "cachedPrompt": lookup.cached_prompt or None,
        "responseCharacters": lookup.response_characters,
        "accepted": lookup.accepted,
        "reason": lookup.reason,
        "check": lookup.check,
        "probability": lookup.probability,
        "millis": lookup.seconds * 1000,
    }


def _saved(savings: Savings) -> dict[str, Any]:
    return {
        "cacheId": savings.cache_id,
        "lookups": savings.lookups,
        "hits": savings.hits,
        "promptTokens": savings.prompt_tokens,
        "responseTokens": savings.response_tokens,
        "hitMillis": _millis(savings.hit_durations),
        "missMillis": _millis(savings.miss_durations),
        "answerSeconds": savings.answer_seconds,
    }


def _millis(durations: Durations | None) -> dict[str, float] | None:
    return durations and {"p50": durations.p50 * 1000, "p99": durations.p99 * 1000}


_CACHE = "/console/v1/caches/{cacheId}"

ROUTES = [
    *routes_of("/console/v1/savings", GET=console_operation("listSavings", _savings, enters=True)),
    *routes_of(
        f"{_CACHE}/lookups",
        GET=console_operation("listLookups", _list_lookups, Access.CONSOLE),
    ),
    *routes_of(
        f"{_CACHE}/lookups/export",
        GET=console_operation("exportLookups", _export_lookups, Access.CONSOLE),
    ),
]
"""The routes of lookups."""
