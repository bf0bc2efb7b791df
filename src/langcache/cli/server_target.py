"""A cache of a LangCache server, for the commands."""

from __future__ import annotations

import ipaddress
import re
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
from pydantic_core import from_json, to_json

from langcache.cli.target import USAGE, RowError, TargetError, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langcache.cli.target import Row

_TIMEOUT = httpx.Timeout(5.0, read=120.0, write=60.0)
_NO_KEY = "any"  # what a server in development accepts as well as any other key
_TOGETHER = 250  # with more, a slow embedder might not be done within the timeout
_PARALLEL = 4
_MOST_BYTES = 900_000  # a server accepts 1 MiB unless it is told otherwise
_PASSING = frozenset({408, 424, 429, 502, 503, 504})
_LOOKUPS = re.compile(
    r'langcache_lookups_total\{cache="((?:[^"\\]|\\.)*)",outcome="(\w+)"\} ([0-9.e+]+)'
)


class ServerTarget:
    """A cache of a server.

    What the official API cannot do uses the server's console, which other servers may not have.

    Args:
        server_url: The URL of the server.
        cache_id: The id of the cache.
        api_key: The API key, or "" for none.

    Raises:
        TargetError: The URL or the key is malformed.
    """

    def __init__(self, server_url: str, cache_id: str, api_key: str) -> None:
        self.parallel = _PARALLEL
        self.together = _TOGETHER
        try:
            url = httpx.URL(server_url)
        except (httpx.InvalidURL, ValueError):
            raise TargetError("--server-url: must be a URL", USAGE) from None
        if url.scheme not in ("http", "https") or not url.host:
            raise TargetError("--server-url: must begin with http:// or https://", USAGE)
        if not api_key and _is_loopback(url.host):
            api_key = _NO_KEY
        base = url.copy_with(userinfo=b"", query=None, fragment=None)
        try:
            headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
            self._client = httpx.Client(
                base_url=base,
                headers=httpx.Headers(headers, encoding="ascii"),
                timeout=_TIMEOUT,
                verify=_verify(url),
            )
        except UnicodeEncodeError:
            raise TargetError("the API key: must be ASCII", USAGE) from None
        cache = _segment(cache_id)
        self._data = f"v1/caches/{cache}"
        self._console = f"console/v1/caches/{cache}"
        self._cache_id = cache_id
        self._url = str(base)
        self._stores_many: bool | None = None
        self.name: str = f"{base} {cache_id}"
        self.place: str = self.name

    def search(
        self,
        prompt: str,
        *,
        threshold: float | None,
        attributes: dict[str, str],
        limit: int,
        verifier: str | None,
    ) -> dict[str, Any]:
        """Return what a search comes to and why; without the console, only its hits."""
        body: dict[str, Any] = {"prompt": prompt}
        if attributes:
            body["attributes"] = attributes
        if threshold is not None:
            body["similarityThreshold"] = threshold
        asked = body if verifier is None else {**body, "verify": verifier}
        answer = self._send("POST", f"{self._console}/explain", {**asked, "maxCandidates": limit})
        if answer.is_success:
            return answer.json()
        if answer.status_code not in (401, 403, 404, 405):
            raise _error(answer)
        answer = self._asked("POST", f"{self._data}/entries/search", {**body, "maxResults": limit})
        return _of_hits(answer.json()["data"], threshold)

    def store(self, rows: Sequence[Row]) -> list[RowError]:
        """Store rows and return those that are not stored."""
        if self._stores_many is not False:
            errors = self._store_many(rows)
            if errors is not None:
                self._stores_many = True
                return errors
            self._stores_many = False
        return [error for row in rows if (error := self._store_one(row)) is not None]

    def _store_many(self, rows: Sequence[Row]) -> list[RowError] | None:
        """Store rows by the console; return None if the server or the key has no access to it."""
        errors: list[RowError] = []
        for group in _groups(rows):
            body = {"entries": [_body(row) for row in group]}
            answer = self._send("POST", f"{self._console}/entries", body)
            if answer.is_success:
                errors += [
                    RowError(group[int(each["index"])].line, f"{each['field']}: {each['message']}")
                    for each in answer.json()["errors"]
                ]
            elif answer.status_code in (400, 413) and len(group) > 1:
                half = len(group) // 2
                for part in (group[:half], group[half:]):
                    errors += self._store_many(part) or []
            elif answer.status_code in (400, 413):
                errors.append(RowError(group[0].line, _detail(answer)))
            elif answer.status_code in (401, 403, 404, 405) and self._stores_many is None:
                return None
            else:
                raise _error(answer)
        return errors

    def _store_one(self, row: Row) -> RowError | None:
        answer = self._send("POST", f"{self._data}/entries", _body(row))
        if answer.is_success:
            return None
        if answer.status_code in (400, 413, 422):
            return RowError(row.line, _detail(answer))
        raise _error(answer)

    def set(self, row: Row) -> str:
        """Store one entry and return its id."""
        return self._asked("POST", f"{self._data}/entries", _body(row)).json()["entryId"]

    def delete(self, entry_ids: Sequence[str]) -> int:
        """Delete entries and return how many there were."""
        count = 0
        for entry_id in entry_ids:
            answer = self._send("DELETE", f"{self._data}/entries/{_segment(entry_id)}")
            if answer.is_success:
                count += 1
            elif answer.status_code != 404:
                raise _error(answer)
        if not count:
            self._asked("GET", f"{self._data}/health")  # is it the cache that is not there?
        return count

    def delete_by_attributes(self, attributes: dict[str, str]) -> int:
        """Delete the entries that have attributes and return how many there were."""
        body = {"attributes": attributes}
        answer = self._asked("DELETE", f"{self._data}/entries", body).json()
        return answer["deletedEntriesCount"]

    def flush(self) -> None:
        """Delete all entries."""
        self._asked("POST", f"{self._data}/flush")

    def export(self) -> Iterator[dict[str, Any]]:
        """Yield all entries, as the console exports them."""
        try:
            with self._client.stream("GET", f"{self._console}/export") as answer:
                if answer.status_code in (404, 405):
                    answer.read()
                    raise _without_console(answer, "export a cache")
                if not answer.is_success:
                    answer.read()
                    raise _error(answer)
                for line in _lines(answer.iter_bytes()):
                    yield from_json(line)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None

    def stats(self) -> dict[str, Any]:
        """Return how many entries the cache has, and its lookups by outcome if they are known."""
        answer = self._send("GET", f"{self._console}/entries?limit=1")
        if answer.status_code in (404, 405):
            raise _without_console(answer, "count the entries of a cache")
        if not answer.is_success:
            raise _error(answer)
        numbers: dict[str, Any] = {"entries": answer.json()["total"]}
        metrics = self._send("GET", "metrics")
        lookups = {
            outcome: int(float(number))
            for cache, outcome, number in _LOOKUPS.findall(
                metrics.text if metrics.is_success else ""
            )
            if cache == self._cache_id
        }
        if lookups:
            numbers["lookups"] = lookups
        return numbers

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _asked(self, method: str, path: str, body: object = None) -> httpx.Response:
        answer = self._send(method, path, body)
        if not answer.is_success:
            raise _error(answer)
        return answer

    def _unreachable(self, error: httpx.HTTPError) -> TargetError:
        return TargetError(f"{self._url} cannot be reached ({reason_of(error)})", passing=True)

    def _send(self, method: str, path: str, body: object = None) -> httpx.Response:
        try:
            if body is None:
                return self._client.request(method, path)
            return self._client.request(
                method,
                path,
                content=to_json(body),
                headers={"content-type": "application/json"},
            )
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None


def _segment(text: str) -> str:
    """Return an id as one segment of a path; bytes of the command line that are no UTF-8 stay."""
    return quote(text, safe="", errors="surrogateescape")


def _verify(url: httpx.URL) -> ssl.SSLContext | bool:
    """Return how to verify certificates. A server without TLS needs no authorities loaded."""
    return True if url.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines of a body; texts may hold other line breaks than these."""
    rest = b""
    for part in parts:
        lines = (rest + part).split(b"\n")
        rest = lines.pop()
        yield from lines
    if rest:
        yield rest


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _body(row: Row) -> dict[str, Any]:
    body: dict[str, Any] = {"prompt": row.prompt, "response": row.response}
    if row.attributes:
        body["attributes"] = row.attributes
    if row.ttl_millis is not None:
        body["ttlMillis"] = row.ttl_millis
    return body


def _groups(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield rows in groups whose bodies a server accepts; one that is too large comes alone."""
    start, size = 0, 0
    for number, row in enumerate(rows):
        # As JSON a character takes 6 bytes at most; texts that need so many are rare.
        more = len(to_json(_body(row)))
        if size + more > _MOST_BYTES and number > start:
            yield rows[start:number]
            start, size = number, 0
        size += more
    if start < len(rows):
        yield rows[start:]


def _of_hits(hits: list[dict[str, Any]], threshold: float | None) -> dict[str, Any]:
    """Return hits of the data plane as an explanation. What was rejected is not known."""
    candidates = [
        {
            **{name: hit.get(name) for name in ("id", "prompt", "response", "attributes")},
            "similarity": hit.get("similarity"),
            "reachesThreshold": True,
            "verdict": None,
            "served": number == 0,
        }
        for number, hit in enumerate(hits)
    ]
    return {
        "outcome": "hit" if hits else "miss",
        "response": hits[0].get("response") if hits else None,
        "threshold": threshold,
        "bestSimilarity": hits[0].get("similarity") if hits else None,
        "verify": None,
        "candidates": candidates,
    }


def _error(answer: httpx.Response) -> TargetError:
    hint = ""
    if answer.status_code in (401, 403):
        hint = " (--api-key-file or LANGCACHE_API_KEY)"
    return TargetError(
        f"the server answers {answer.status_code}: {_detail(answer)}{hint}",
        passing=answer.status_code in _PASSING,
    )


def _without_console(answer: httpx.Response, what: str) -> TargetError:
    detail = _detail(answer)
    if "such cache" in detail or "no cache of this id" in detail:
        return _error(answer)
    return TargetError(f"this server has no console, which is needed to {what}")


def _detail(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        detail = problem.get("detail") or problem.get("title")
    except (ValueError, AttributeError):
        detail = None
    return str(detail or answer.reason_phrase)[:300]
