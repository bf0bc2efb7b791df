"""The test controls over HTTP, under `/_mock/v1`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from starlette.responses import Response

from langcache_mockserver.controls.clock import Clock, ClockError
from langcache_mockserver.controls.recording import from_json, to_line
from langcache_mockserver.http.bodies import Bodies, read_bytes
from langcache_mockserver.http.documents import MOCK_DOCUMENT
from langcache_mockserver.http.problems import FieldError, ProblemError, invalid
from langcache_mockserver.http.request import media_type_of
from langcache_mockserver.http.response import JSONResponse
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.http.validation import request_schemas
from langcache_mockserver.planes.service import service_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from langcache_mockserver.controls.faults import ActiveFault
    from langcache_mockserver.controls.journal import JournalEntry, JournalFilter
    from langcache_mockserver.controls.server_controls import Controls

MAX_BODY_BYTES = 256 << 20
"""The largest request body of the test controls, in bytes. They have their own limit."""

_SCHEMAS = request_schemas(MOCK_DOCUMENT)
_JSON_LINES = ("application/jsonl", "application/x-ndjson")

# The Python names of a fault's members, and how many of their units are one in Python.
_FAULT_NAMES = {
    "cacheId": ("cache_id", 1),
    "retryAfter": ("retry_after", 1),
    "latencyMillis": ("latency", 1000),
    "dripBytes": ("drip_bytes", 1),
    "dripIntervalMillis": ("drip_interval", 1000),
}
_WHOLE = ("nth", "seed", "times", "status", "retryAfter", "dripBytes")


async def _document(_request: Request) -> Response:
    return Response(MOCK_DOCUMENT, media_type="application/json")


async def _reset(request: Request) -> Response:
    controls = _controls(request)
    cache_id = (await _body(request, "ResetRequest")).get("cacheId")
    if cache_id is None:
        await service_of(request).workers.run(controls.state.reset)
        controls.reset_observation()
    else:
        await service_of(request).workers.run(controls.state.reset, cache_id)
    return Response(status_code=204)


async def _seed(request: Request) -> Response:
    query = _query(request, cacheId=_name)
    media_type = media_type_of(request.headers.get("content-type", ""))
    if media_type in _JSON_LINES:
        lines = await read_bytes(request, MAX_BODY_BYTES)
        seed = await _bodies(request).parse(_as_array(lines), "SeedRequest")
    else:
        seed = await _body(request, "SeedRequest")
    cache_id = seed.get("cacheId", query.get("cacheId"))
    state = _controls(request).state
    try:
        ids = await service_of(request).workers.run(state.seed, seed["entries"], cache_id)
    except ValueError as error:
        raise _refused(error) from None
    return JSONResponse({"entryIds": ids}, 201)


async def _dump(request: Request) -> Response:
    query = _query(request, cacheId=_name, vectors=_boolean)
    controls = _controls(request)
    cache_ids = request.query_params.getlist("cacheId")
    vectors = query.get("vectors", True)
    dump = await service_of(request).workers.run(controls.dump, cache_ids, vectors=vectors)
    return await service_of(request).workers.run(JSONResponse, dump)


async def _load(request: Request) -> Response:
    dump = await _body(request, "State")
    try:
        count = await service_of(request).workers.run(_controls(request).load, cast("Any", dump))
    except (ClockError, ValueError) as error:
        raise _refused(error) from None
    return JSONResponse({"entries": count})


async def _faults(request: Request) -> Response:
    return JSONResponse({"faults": [_fault_json(each) for each in _controls(request).faults]})


async def _add_fault(request: Request) -> Response:
    options: dict[str, Any] = {}
    for name, value in (await _body(request, "Fault")).items():
        python_name, units = _FAULT_NAMES.get(name, (name, 1))
        options[python_name] = int(value) if name in _WHOLE else value
        if units != 1:
            options[python_name] = value / units
    try:
        active = _controls(request).faults.add(**options)
    except ValueError as error:
        raise _refused(error) from None
    return JSONResponse(_fault_json(active), 201)


async def _clear_faults(request: Request) -> Response:
    _controls(request).faults.clear()
    return Response(status_code=204)


async def _remove_fault(request: Request) -> Response:
    if not _controls(request).faults.remove(request.path_params["faultId"]):
        raise ProblemError(404, "there is no fault of this id")
    return Response(status_code=204)


async def _journal(request: Request) -> Response:
    query = _query(
        request,
        operation=str,
        cacheId=str,
        status=int,
        outcome=str,
        fault=str,
        since=float,
        limit=_count,
    )
    limit = query.pop("limit", None)
    if "cacheId" in query:
        query["cache_id"] = query.pop("cacheId")
    journal = _controls(request).journal
    found = journal.find(**cast("JournalFilter", query))
    shown = found if limit is None else found[max(0, len(found) - limit) :]
    return JSONResponse(
        {
            "count": len(found),
            "bodies": journal.bodies,
            "requests": [_entry_json(entry) for entry in shown],
        }
    )


async def _set_journal(request: Request) -> Response:
    _controls(request).journal.bodies = (await _body(request, "JournalSettings"))["bodies"]
    return Response(status_code=204)


async def _clear_journal(request: Request) -> Response:
    _controls(request).journal.clear()
    return Response(status_code=204)


def _clock_endpoint(
    change: Callable[[Clock, dict[str, Any]], object], schema: str | None = None
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that changes the clock and returns its time."""

    async def endpoint(request: Request) -> Response:
        body = {} if schema is None else await _body(request, schema)
        try:
            clock = _controls(request).clock
            change(clock, body)
        except (ClockError, ValueError) as error:
            raise _refused(error) from None
        return JSONResponse({"now": clock(), "frozen": clock.frozen})

    return endpoint


async def _recording(request: Request) -> Response:
    recording = _controls(request).recording
    return JSONResponse({"mode": recording.mode, "count": len(recording.exchanges)})


async def _set_recording(request: Request) -> Response:
    recording = _controls(request).recording
    body = await _body(request, "Recording")
    mode = body["mode"]
    try:
        if mode == "record":
            recording.record(body.get("upstream", ""), key=body.get("upstreamKey"))
        elif mode == "replay":
            given = body.get("exchanges")
            recording.replay(None if given is None else [from_json(each) for each in given])
        else:
            recording.stop()
    except ValueError as error:
        raise _refused(error) from None
    return await _recording(request)


async def _exchanges(request: Request) -> Response:
    lines = "".join(map(to_line, _controls(request).recording.exchanges))
    return Response(lines, media_type=_JSON_LINES[0])


def _controls(request: Request) -> Controls:
    return cast("Controls", service_of(request).controls)


def _bodies(request: Request) -> Bodies:
    return Bodies(_SCHEMAS, MAX_BODY_BYTES, service_of(request).workers)


async def _body(request: Request, schema: str) -> dict[str, Any]:
    """Return the body of a request; none at all counts as `{}`."""
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return await _bodies(request).parse(b"{}", schema)
    return await _bodies(request).read(request, schema)


def _as_array(lines: bytes) -> bytes:
    """Return JSON Lines as a `SeedRequest`; each value stays on its line, for messages."""
    texts = lines.rstrip().split(b"\n")
    separated = [text + b"," if text.strip() else text for text in texts[:-1]]
    return b'{"entries":[' + b"\n".join([*separated, texts[-1]]) + b"]}"


def _query(request: Request, **kinds: Callable[[str], Any]) -> dict[str, Any]:
    """Return the query parameters, which must have these names and types."""
    values: dict[str, Any] = {}
    for name, text in request.query_params.items():
        if name not in kinds:
            message = f"must be one of {', '.join(kinds)}, got a name of {len(name)} characters"
            raise invalid(FieldError("query", "additionalProperties", message))
        try:
            values[name] = kinds[name](text)
        except ValueError:
            kind = kinds[name].__name__.strip("_")
            message = f"must be of type {kind}, got {len(text)} characters"
            raise invalid(FieldError(name, "type", message)) from None
    return values


def _name(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError
    return int(text)


def _refused(error: Exception) -> ProblemError:
    """Return the 400 for a refused value. The message may begin with the value's name."""
    if isinstance(error, ClockError):
        return ProblemError(400, str(error))
    name, separator, message = str(error).partition(": ")
    if not separator:
        name, message = "body", str(error)
    names = {python_name: json_name for json_name, (python_name, _) in _FAULT_NAMES.items()}
    return invalid(FieldError(names.get(name, name), "value", message))


def _fault_json(active: ActiveFault) -> dict[str, Any]:
    members = asdict(active.fault) | {"key": active.masked_key}
    shown = {"id": active.id, "matched": active.matched, "struck": active.struck}
    names = {
        python_name: (json_name, units) for json_name, (python_name, units) in _FAULT_NAMES.items()
    }
    for name, value in members.items():
        json_name, units = names.get(name, (name, 1))
        if value is not None:
            shown[json_name] = value * units if units != 1 else value
    return shown


def _entry_json(entry: JournalEntry) -> dict[str, Any]:
    shown = {
        "time": entry.time,
        "durationMillis": entry.duration_millis,
        "requestId": entry.request_id,
        "operation": entry.operation,
        "method": entry.method,
        "path": entry.path,
        "cacheId": entry.cache_id,
        "key": entry.key,
        "status": entry.status,
        "outcome": entry.outcome,
        "fault": entry.fault,
    }
    if entry.request_body is not None:
        shown |= {"requestBody": entry.request_body, "responseBody": entry.response_body}
    return shown


_V1 = "/_mock/v1"

ROUTES = [
    *routes_of(f"{_V1}/openapi.json", GET=_document),
    *routes_of(f"{_V1}/reset", POST=_reset),
    *routes_of(f"{_V1}/seed", POST=_seed),
    *routes_of(f"{_V1}/state", GET=_dump, PUT=_load),
    *routes_of(f"{_V1}/faults", GET=_faults, POST=_add_fault, DELETE=_clear_faults),
    *routes_of(f"{_V1}/faults/{{faultId}}", DELETE=_remove_fault),
    *routes_of(f"{_V1}/journal", GET=_journal, PUT=_set_journal, DELETE=_clear_journal),
    *routes_of(f"{_V1}/clock", GET=_clock_endpoint(lambda _clock, _body: None)),
    *routes_of(
        f"{_V1}/clock/freeze",
        POST=_clock_endpoint(lambda clock, body: clock.freeze(body.get("at")), "FreezeRequest"),
    ),
    *routes_of(
        f"{_V1}/clock/set",
        POST=_clock_endpoint(lambda clock, body: clock.set(body["at"]), "SetClockRequest"),
    ),
    *routes_of(
        f"{_V1}/clock/advance",
        POST=_clock_endpoint(lambda clock, body: clock.advance(body["seconds"]), "AdvanceRequest"),
    ),
    *routes_of(
        f"{_V1}/clock/unfreeze", POST=_clock_endpoint(lambda clock, _body: clock.unfreeze())
    ),
    *routes_of(f"{_V1}/clock/reset", POST=_clock_endpoint(lambda clock, _body: clock.reset())),
    *routes_of(f"{_V1}/recording", GET=_recording, PUT=_set_recording),
    *routes_of(f"{_V1}/recording/exchanges", GET=_exchanges),
]
"""The routes of the test controls."""
