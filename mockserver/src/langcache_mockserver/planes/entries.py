"""The entries of a cache on the console: pages of them, all of them, and many to store at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pydantic_core import to_json
from starlette.responses import Response, StreamingResponse

from langcache.engine.expiry import millis_left
from langcache_mockserver.domain.cache_rules import CacheRulesError, apply_rules
from langcache_mockserver.domain.caches import NewEntry
from langcache_mockserver.domain.registry import Access, moment
from langcache_mockserver.http.exchange import exchange_of
from langcache_mockserver.http.problems import FieldError, ProblemError, invalid
from langcache_mockserver.http.response import JSONResponse
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.http.validation import spell
from langcache_mockserver.planes.console_access import console_operation
from langcache_mockserver.planes.service import service_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from starlette.requests import Request

    from langcache.engine.storage import CacheEntry, EntryPage
    from langcache_mockserver.domain.hit_counts import HitCount
    from langcache_mockserver.domain.registry import CacheSettings
    from langcache_mockserver.http.bodies import Bodies

_MOST_LISTED = 500
_LISTED = 50
_MOST_CHARACTERS = 1024
_ATTRIBUTE = re.compile(r"attributes\[(.+)\]", re.DOTALL)
_ORDERS = ("newest", "oldest")


class _Asked(NamedTuple):
    """What the query of a request asks for."""

    cursor: str
    limit: int
    newest_first: bool
    attributes: dict[str, str]
    text: str


async def _list(request: Request) -> Response:
    service, cache_id = service_of(request), exchange_of(request).cache_id
    page = await _page(request, _asked(request, ("cursor", "limit", "order", "text")))
    total = await service.caches.size(cache_id)
    counts = [service.caches.hit_count(cache_id, entry.id) for entry in page.entries]
    now = service.clock()

    def answer() -> Response:
        entries = [
            {**_fields(entry, now), **_hits(count)}
            for entry, count in zip(page.entries, counts, strict=True)
        ]
        return JSONResponse({"entries": entries, "cursor": page.cursor, "total": total})

    return await service.workers.run(answer)


async def _export(request: Request) -> Response:
    service = service_of(request)
    asked = _asked(request, ("text",))._replace(limit=_MOST_LISTED, newest_first=False)
    first = await _page(request, asked)  # what goes wrong now still has a status of its own

    async def lines() -> AsyncIterator[bytes]:
        page = first
        while True:
            yield await service.workers.run(_lines, page.entries, service.clock())
            if page.cursor is None:
                return
            page = await _page(request, asked._replace(cursor=page.cursor))

    return StreamingResponse(lines(), media_type="application/jsonl")


async def _store(request: Request) -> Response:
    service, cache_id = service_of(request), exchange_of(request).cache_id
    body = await service.bodies.read(request, "StoreEntriesRequest")
    cache = service.gate.registry.cache(cache_id)
    checked = await service.workers.run(_checked, body["entries"], cache, service.bodies)
    ids = await service.caches.set_many(cache_id, list(checked.good.values()))
    ids_by_index = dict(zip(checked.good, ids, strict=True))
    return JSONResponse(
        {
            "stored": len(ids),
            "entryIds": [ids_by_index.get(index) for index in range(len(body["entries"]))],
            "errors": checked.errors,
        }
    )


class _Checked(NamedTuple):
    """The entries that may be stored, by their indexes, and what is wrong with the others."""

    good: dict[int, NewEntry]
    errors: list[dict[str, object]]


def _checked(entries: Sequence[Any], cache: CacheSettings | None, bodies: Bodies) -> _Checked:
    """Check entries as the data plane checks the body of one."""
    good: dict[int, NewEntry] = {}
    errors: list[dict[str, object]] = []
    for index, entry in enumerate(entries):
        broken = bodies.check(entry, "SetRequest")
        if not broken:
            body = cast("dict[str, Any]", entry)
            try:
                body = body if cache is None else apply_rules(cache, body)
            except CacheRulesError as error:
                broken = [
                    FieldError(spell(path), "configured", message) for path, message in error.broken
                ]
            else:
                good[index] = NewEntry(
                    body["prompt"],
                    body["response"],
                    body.get("attributes", {}),
                    body.get("ttlMillis"),
                )
        errors.extend({"index": index, **each._asdict()} for each in broken)
    return _Checked(good, errors)


async def _page(request: Request, asked: _Asked) -> EntryPage:
    try:
        return await service_of(request).caches.list_entries(
            exchange_of(request).cache_id, **asked._asdict()
        )
    except NotImplementedError:
        detail = "the storage of this server cannot list entries"
        raise ProblemError(501, detail) from None
    except ValueError:
        detail = "cursor: must be the cursor of a page of this storage; start again without one"
        raise ProblemError(404, detail) from None


def _asked(request: Request, names: Iterable[str]) -> _Asked:
    """Return what the query asks for; it may have these parameters, and attributes."""
    values: dict[str, str] = {}
    attributes: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        attribute = _ATTRIBUTE.fullmatch(name)
        if attribute is None and name not in names:
            allowed = ", ".join([*names, "attributes[NAME]"])
            message = f"must be one of {allowed}, got a name of {len(name)} characters"
            raise invalid(FieldError("query", "additionalProperties", message))
        target, key = (values, name) if attribute is None else (attributes, attribute[1])
        if key in target:
            raise invalid(FieldError(name, "duplicate", "must be given once, got more than one"))
        target[key] = value
    limit = values.get("limit", str(_LISTED))
    if not (limit.isdecimal() and limit.isascii() and 1 <= int(limit[:4]) <= _MOST_LISTED):
        message = f"must be from 1 to {_MOST_LISTED}, got {len(limit)} characters"
        raise invalid(FieldError("limit", "range", message))
    order = values.get("order", _ORDERS[0])
    if order not in _ORDERS:
        message = f"must be one of {', '.join(_ORDERS)}, got {len(order)} characters"
        raise invalid(FieldError("order", "enum", message))
    text = values.get("text", "")
    if len(text) > _MOST_CHARACTERS:
        message = f"must have at most {_MOST_CHARACTERS} characters, got {len(text)}"
        raise invalid(FieldError("text", "maxLength", message))
    cursor = values.get("cursor", "")
    return _Asked(cursor, int(limit), order == _ORDERS[0], attributes, text)


def _lines(entries: Iterable[CacheEntry], now: float) -> bytes:
    return b"".join(to_json(_fields(entry, now), inf_nan_mode="null") + b"\n" for entry in entries)


def _fields(entry: CacheEntry, now: float) -> dict[str, object]:
    return {
        "id": entry.id,
        "prompt": entry.prompt,
        "response": entry.response,
        "attributes": dict(entry.attributes),
        "createdAt": moment(entry.created_at),
        "updatedAt": moment(entry.updated_at),
        "ttlMillis": millis_left(entry.expires_at, now),
    }


def _hits(count: HitCount | None) -> dict[str, object]:
    if count is None:
        return {"hits": 0, "lastHitAt": None}
    return {"hits": count.hits, "lastHitAt": moment(count.last_hit_at)}


_CACHE = "/console/v1/caches/{cacheId}"

ROUTES = [
    *routes_of(
        f"{_CACHE}/entries",
        GET=console_operation("listEntries", _list, Access.CONSOLE),
        POST=console_operation("storeEntries", _store, Access.WRITE),
    ),
    *routes_of(f"{_CACHE}/export", GET=console_operation("exportEntries", _export, Access.CONSOLE)),
]
"""The routes of the entries of a cache."""
