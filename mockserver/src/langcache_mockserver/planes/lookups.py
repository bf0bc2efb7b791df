"""The console's view of lookups: the latest of a cache, and those with labels for `tune`."""

from __future__ import annotations

import json
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from langcache_mockserver.domain.registry import Access, moment
from langcache_mockserver.http.exchange import exchange_of
from langcache_mockserver.http.problems import FieldError, invalid
from langcache_mockserver.http.response import JSONResponse
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.planes.console_access import console_operation
from langcache_mockserver.planes.service import service_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from langcache_mockserver.domain.lookups import LookupRecord

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
    cursor, limit = _asked(request)
    if lookups is None:
        page: dict[str, Any] = {
            "lookups": [],
            "cursor": None,
            "hasMore": False,
            "startsOver": False,
        }
        return JSONResponse({"recorded": 0, **page})
    try:
        found = lookups.page(exchange_of(request).cache_id, cursor, limit)
    except ValueError as error:
        raise invalid(FieldError("cursor", "format", str(error))) from None
    return JSONResponse(
        {
            "recorded": lookups.most,
            "lookups": [_as_json(lookup) for lookup in found.lookups],
            "cursor": found.cursor,
            "hasMore": found.has_more,
            "startsOver": found.starts_over,
        }
    )


async def _export_lookups(request: Request) -> Response:
    service = service_of(request)
    rows = await service.caches.labelled_lookups(exchange_of(request).cache_id)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return Response(
        text,
        media_type="application/jsonl",
        headers={"content-disposition": 'attachment; filename="lookups.jsonl"'},
    )


def _asked(request: Request) -> tuple[str, int]:
    """Return the cursor and the limit that a request asks for.

    Raises:
        ProblemError: 400, if the query has anything else.
    """
    asked = {"cursor": "", "limit": str(_USUAL_LOOKUPS)}
    for name, values in groupby(sorted(request.query_params.multi_items()), itemgetter(0)):
        if name not in asked:
            message = f"must be one of cursor, limit, got a name of {len(name)} characters"
            raise invalid(FieldError("query", "additionalProperties", message))
        (_, asked[name]), *others = values
        if others:
            raise invalid(FieldError(name, "duplicate", "must be given once, got more than one"))
    text = asked["limit"]
    limit = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    if not 1 <= limit <= _MOST_LOOKUPS:
        message = f"must be from 1 to {_MOST_LOOKUPS}, got {len(text)} characters"
        raise invalid(FieldError("limit", "range", message))
    return asked["cursor"], limit


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


_CACHE = "/console/v1/caches/{cacheId}"

ROUTES = [
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
