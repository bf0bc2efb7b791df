"""A recording of the responses of another LangCache, and its replay."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter, defaultdict
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from starlette.responses import Response

from langcache_mockserver.http.bodies import read_bytes
from langcache_mockserver.http.exchange import exchange_of
from langcache_mockserver.http.problems import ProblemError
from langcache_mockserver.http.request import decode_id, path_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx
    from starlette.requests import Request

Mode: TypeAlias = Literal["off", "record", "replay"]

_SENT = ("authorization", "content-type")
_KEPT = ("content-type", "retry-after", "www-authenticate")
_TIMEOUT = 60.0  # seconds that an upstream may take to connect, and for each read
_MOST_ANSWER_BYTES = 64 << 20
_MASK = "***"


@dataclass(frozen=True, slots=True)
class RecordedExchange:
    """One recorded request and its response, without the key.

    Attributes:
        operation: The contract's `operationId`.
        cache_id: The id of the cache.
        entry_id: The id of the entry for `deleteById`, else "".
        request: The body of the request, or "".
        status: The HTTP status of the response.
        headers: The headers of the response that matter to a client, by name.
        body: The body of the response, or "".
    """

    operation: str
    cache_id: str
    entry_id: str
    request: str
    status: int
    headers: dict[str, str]
    body: str


class Recording:
    """Records or replays the responses of the data plane, or is off.

    - Recording: each request goes to another LangCache, whose response is passed on and recorded.
      Keys are not recorded; a key that the response repeats is masked.
    - Replaying: a request gets the recorded response of the same operation, entry id and body (as
      JSON: spelling and order of members do not matter). If there are several, the n-th such
      request gets the n-th, and the last is repeated. Cache ids only matter if the recording has
      several caches. Keys do not matter.

    Args:
        max_body_bytes: The largest request body to accept.
    """

    def __init__(self, max_body_bytes: int = 1 << 20) -> None:
        self._max_body_bytes = max_body_bytes
        self.mode: Mode = "off"
        self.exchanges: list[RecordedExchange] = []
        self._lock = threading.Lock()
        self._upstream = ""
        self._upstream_key: str | None = None
        self._file: Path | None = None
        self._client: httpx.AsyncClient | None = None
        self._answers: dict[tuple[str, ...], list[RecordedExchange]] = {}
        self._asked: Counter[tuple[str, ...]] = Counter()
        self._one_cache = True

    def record(
        self,
        upstream: str,
        *,
        key: str | None = None,
        file: str | os.PathLike[str] | None = None,
    ) -> None:
        """Record from now on. Earlier recordings are dropped.

        Args:
            upstream: The base URL of the other LangCache.
            key: Its API key; by default that of each request.
            file: The file to write the exchanges to as they come, one JSON object per line; an
                existing file is replaced. They are in `exchanges`, too.

        Raises:
            OSError: The file cannot be written.
            ValueError: `upstream` is not an http or https URL.
        """
        if not upstream.startswith(("http://", "https://")):
            raise ValueError("upstream: must be an http or https URL")
        with self._lock:
            self._file = None if file is None else Path(file)
            if self._file is not None:
                self._file.write_text("", encoding="utf-8")
            self._upstream, self._upstream_key = upstream.rstrip("/"), key
            self.exchanges = []
            self.mode = "record"

    def replay(
        self, recorded: str | os.PathLike[str] | Iterable[RecordedExchange] | None = None
    ) -> None:
        """Replay a recording from now on, from its beginning.

        Args:
            recorded: The file or the exchanges; by default the current recording.

        Raises:
            OSError: The file cannot be read.
            ValueError: A line of the file is not an exchange.
        """
        if recorded is None:
            exchanges = self.exchanges
        elif isinstance(recorded, str | os.PathLike):
            exchanges = read_exchanges(Path(recorded).read_text(encoding="utf-8"))
        else:
            exchanges = list(recorded)
        answers: defaultdict[tuple[str, ...], list[RecordedExchange]] = defaultdict(list)
        one_cache = len({each.cache_id for each in exchanges}) <= 1
        for each in exchanges:
            answers[_identity(each, one_cache=one_cache)].append(each)
        with self._lock:
            self.exchanges, self._answers, self._one_cache = exchanges, answers, one_cache
            self._asked.clear()
            self.mode = "replay"

    def stop(self) -> None:
        """Neither record nor replay. The recording stays in `exchanges`."""
        self.mode = "off"

    def rewind(self) -> None:
        """Replay from the beginning again."""
        with self._lock:
            self._asked.clear()

    async def answer(self, request: Request) -> Response | None:
        """Return the response to a request of the data plane, or None if it is off.

        Raises:
            ProblemError: 404, if nothing was recorded for the request; 413, if its body is too
                large; 424, if the other LangCache cannot be reached or its response is too large.
        """
        if self.mode == "record":
            return await self._ask(request)
        if self.mode == "replay":
            return await self._replayed(request)
        return None

    async def aclose(self) -> None:
        """Close the connections to the other LangCache."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _ask(self, request: Request) -> Response:
        import httpx  # here, because few need it and it takes time

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=_TIMEOUT)
        body = await read_bytes(request, self._max_body_bytes)
        headers = {name: request.headers[name] for name in _SENT if name in request.headers}
        if self._upstream_key is not None:
            headers["authorization"] = f"Bearer {self._upstream_key}"
        try:
            async with self._client.stream(
                request.method,
                self._upstream + request.scope["path"],  # percent-encoded as it came
                content=body,
                headers={"accept-encoding": "identity", **headers},
            ) as answer:
                answer.headers.encoding = "latin-1"  # so that every value can be written as it came
                content = await _content(answer)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            kind = type(error).__name__
            raise ProblemError(424, f"the upstream cannot be reached: {kind}") from None
        key = headers.get("authorization", "").partition(" ")[2].strip()
        text = content.decode(errors="replace")
        text = text.replace(key, _MASK) if key else text
        exchange = RecordedExchange(
            operation=exchange_of(request).operation,
            cache_id=path_id(request, "cacheId"),
            entry_id=_entry_id(request),
            request=body.decode(errors="replace"),
            status=answer.status_code,
            headers={name: answer.headers[name] for name in _KEPT if name in answer.headers},
            body=text,
        )
        self._keep(exchange)
        return _response(exchange)

    def _keep(self, exchange: RecordedExchange) -> None:
        with self._lock:
            self.exchanges.append(exchange)
            if self._file is not None:
                with self._file.open("a", encoding="utf-8") as file:
                    file.write(to_line(exchange))

    async def _replayed(self, request: Request) -> Response:
        body = await read_bytes(request, self._max_body_bytes)
        asked = RecordedExchange(
            operation=exchange_of(request).operation,
            cache_id=path_id(request, "cacheId"),
            entry_id=_entry_id(request),
            request=body.decode(errors="replace"),
            status=0,
            headers={},
            body="",
        )
        with self._lock:
            identity = _identity(asked, one_cache=self._one_cache)
            answers = self._answers.get(identity)
            if not answers:
                detail = f"the recording has no response to this {asked.operation}"
                raise ProblemError(404, detail)
            answer = answers[min(self._asked[identity], len(answers) - 1)]
            self._asked[identity] += 1
        return _response(answer)


_KINDS = {
    "operation": str,
    "cacheId": str,
    "entryId": str,
    "request": str,
    "status": int,
    "headers": dict,
    "body": str,
}


def to_line(exchange: RecordedExchange) -> str:
    """Return an exchange as a line of a recording."""
    value = dict(zip(_KINDS, astuple(exchange), strict=True))
    return json.dumps(value, ensure_ascii=False) + "\n"


def from_json(value: dict[str, Any]) -> RecordedExchange:
    """Return the exchange of a JSON object of a recording.

    Raises:
        ValueError: The object is not an exchange.
    """
    if {name: type(member) for name, member in value.items()} != _KINDS:
        raise ValueError("must be a recorded exchange")
    return RecordedExchange(*(value[name] for name in _KINDS))


def read_exchanges(lines: str) -> list[RecordedExchange]:
    """Return the exchanges of a recording: one JSON object per line.

    Raises:
        ValueError: A line is not an exchange; the message has its number.
    """
    exchanges: list[RecordedExchange] = []
    for number, line in enumerate(lines.split("\n"), start=1):
        if line.strip():
            try:
                exchanges.append(from_json(dict(json.loads(line))))
            except (TypeError, ValueError):
                raise ValueError(f"line {number}: must be a recorded exchange") from None
    return exchanges


async def _content(answer: httpx.Response) -> bytes:
    content = bytearray()
    async for part in answer.aiter_bytes():
        content += part
        if len(content) > _MOST_ANSWER_BYTES:
            detail = f"the response of the upstream must have at most {_MOST_ANSWER_BYTES} bytes"
            raise ProblemError(424, detail)
    return bytes(content)


def _response(exchange: RecordedExchange) -> Response:
    return Response(exchange.body.encode(), exchange.status, exchange.headers)


def _entry_id(request: Request) -> str:
    return decode_id(request.path_params.get("entryId", ""), "entryId")


def _identity(exchange: RecordedExchange, *, one_cache: bool) -> tuple[str, ...]:
    cache_id = "" if one_cache else exchange.cache_id
    return exchange.operation, cache_id, exchange.entry_id, _canonical(exchange.request)


def _canonical(body: str) -> str:
    """Return a body in a spelling that is the same for all spellings of its JSON."""
    try:
        value = json.loads(body, parse_float=_number)
        return json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        return body


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number
