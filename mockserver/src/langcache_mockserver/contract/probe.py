"""Requests to the LangCache under check, and a record of the entries that they left there."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import quote

import httpx

from langcache_mockserver.contract.document import OPERATIONS, violations
from langcache_mockserver.contract.errors import (
    DepartureError,
    FailureError,
    NotCheckedError,
    require,
)
from langcache_mockserver.http.request import media_type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langcache_mockserver.contract.target import Target

SEMANTIC = ("semantic",)
EXACT = ("exact",)
EVERYTHING = 100
"""A `maxResults` for all entries of a cache with few entries besides those of a rule."""

_TTL_MILLIS = 600_000  # so that the entries of a killed check expire
_ATTEMPTS = 4
_LONGEST_WAIT_SECONDS = 30.0
_SHOWN_CHARACTERS = 200


class Answer(NamedTuple):
    """A response of the LangCache.

    Attributes:
        status: The HTTP status.
        body: The parsed body; None if there is none or it is not JSON.
        summary: Status and, of a problem, type and detail; for messages.
    """

    status: int
    body: Any
    summary: str

    def must_be(self, status: int) -> Answer:
        """Return this response, which must have this status."""
        if self.status >= 500:
            raise FailureError(str(status), self.summary)
        require(self.status == status, str(status), self.summary)
        return self

    def member(self, name: str, kind: type[Any]) -> Any:
        """Return a member of the body, which must be of a JSON type."""
        value = _members(self.body).get(name)
        # A boolean is an int in Python, not in JSON.
        holds = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        require(holds, f"a member `{name}` in the body", f"{self.summary} without a good one")
        return value

    def must_be_problem(self, status: int, *kinds: str) -> Answer:
        """Return this response, which must be a problem of this status and one of these types."""
        self.must_be(status)
        expected = f"a problem of type {' or '.join(kinds)}"
        require(self.member("type", str) in kinds, expected, self.summary)
        self.member("title", str)
        stated = self.body.get("status", status)
        require(stated == status, f"status {status} in the body, too", repr(stated)[:20])
        return self


class Found(NamedTuple):
    """An entry in the response to a search, with the members of the contract."""

    id: str
    prompt: str
    response: str
    attributes: dict[str, str]
    similarity: float
    strategy: str


class Probe:
    """Sends the requests of the rules.

    Each answer is held against the contract's document: see `departures`. Every entry that is
    stored is remembered, to be deleted by `clean_up`, and expires in ten minutes at the latest
    unless a rule says otherwise.

    Args:
        target: The LangCache, and what may be done there.
        client: Sends the requests.
        sleep: Waits for some seconds.

    Attributes:
        target: The LangCache, and what may be done there.
        sleep: Waits for some seconds.
        seen: The operations that had a response.
        departures: How responses differed from those that the document describes, by operation.
    """

    def __init__(
        self, target: Target, client: httpx.Client, sleep: Callable[[float], object]
    ) -> None:
        self.target = target
        self.sleep = sleep
        self.seen: set[str] = set()
        self.departures: dict[str, list[str]] = {}
        self._client = client
        self._written: dict[tuple[str, str], None] = {}

    def unique(self, text: str) -> str:
        """Fill the `{}` of a text with a unique word, so that it hits no existing entry."""
        return text.format(secrets.token_hex(4))

    def send(
        self,
        operation: str,
        body: object = None,
        *,
        content: bytes | None = None,
        cache_id: str | None = None,
        entry_id: str = "",
        authorization: str | None = "",
    ) -> Answer:
        """Send a request and return the response, whatever it is.

        Args:
            operation: The contract's `operationId`.
            body: The body, to be sent as JSON; None is no body.
            content: The bytes of the body, in place of `body`.
            cache_id: The cache, if it is not the target's own.
            entry_id: The entry, for `deleteById`.
            authorization: The `Authorization` header; None for none, "" for that of the target's
                key.

        Raises:
            FailureError: There was no response.
            NotCheckedError: The rate limit stays reached; or a strategy is asked for
                that the cache does not have.
        """
        self._require_strategies(_members(body).get("searchStrategies"))
        described = OPERATIONS[operation]
        path = described.path.format(
            cacheId=quote(self.target.cache_id if cache_id is None else cache_id, safe=""),
            entryId=quote(entry_id, safe=""),
        )
        if content is None and body is not None:
            content = json.dumps(body).encode()
        response = self._request(described.method, path, content, authorization)
        self.seen.add(operation)
        known = self.departures.setdefault(operation, [])
        media_type = media_type_of(response.headers.get("content-type", ""))
        broken = violations(described, response.status_code, media_type, response.content)
        known.extend(text for text in map(self._masked, broken) if text not in known)
        return self._answer(response)

    def get(self, path: str) -> Answer:
        """Send a GET to a path without an operation."""
        return self._answer(self._request("GET", path, None, ""))

    def store(
        self,
        prompt: str,
        response: str = "A response.",
        attributes: Mapping[str, str] | None = None,
        *,
        ttl_millis: int | None = _TTL_MILLIS,
    ) -> str:
        """Store an entry, which must succeed with any 2xx, and return its id."""
        body: dict[str, object] = {"prompt": prompt, "response": response}
        if attributes is not None:
            body["attributes"] = attributes
        if ttl_millis is not None:
            body["ttlMillis"] = ttl_millis
        answer = self.set(body)
        if answer.status != 200:  # only one rule checks that it is a 201
            answer.must_be(201)
        entry_id: str = answer.member("entryId", str)
        return entry_id

    def set(self, body: Mapping[str, object], **options: Any) -> Answer:
        """Send a `set`, and remember the entry that it stores."""
        answer = self.send("set", body, **options)
        entry_id = _members(answer.body).get("entryId")
        if isinstance(entry_id, str) and entry_id:
            self._written[options.get("cache_id") or self.target.cache_id, entry_id] = None
        return answer

    def search(
        self,
        prompt: str,
        strategies: Sequence[str] | None = SEMANTIC,
        *,
        threshold: float | None = None,
        attributes: Mapping[str, str] | None = None,
        max_results: int | None = None,
        cache_id: str | None = None,
    ) -> list[Found]:
        """Search, which must succeed; None leaves a member out."""
        members = {
            "prompt": prompt,
            "searchStrategies": strategies,
            "similarityThreshold": threshold,
            "attributes": attributes,
            "maxResults": max_results,
        }
        body = {name: value for name, value in members.items() if value is not None}
        return found_in(self.send("search", body, cache_id=cache_id).must_be(200))

    def clean_up(self) -> None:
        """Delete the entries of the check that are still there; ignore failures."""
        while self._written:
            (cache_id, entry_id), _ = self._written.popitem()
            try:
                self.send("deleteById", cache_id=cache_id, entry_id=entry_id)
            except (DepartureError, NotCheckedError):
                continue

    def _require_strategies(self, asked: object) -> None:
        if isinstance(asked, list | tuple):
            missing = {"exact", "semantic"}.difference(self.target.strategies)
            for strategy in missing.intersection(cast("Sequence[object]", asked)):
                raise NotCheckedError(f"the cache has no strategy {strategy}")

    def _request(
        self, method: str, path: str, content: bytes | None, authorization: str | None
    ) -> httpx.Response:
        headers: dict[str, str] = {}
        if content is not None:
            headers["content-type"] = "application/json"
        if authorization is not None:
            headers["authorization"] = authorization or f"Bearer {self.target.api_key}"
        url = self.target.url.rstrip("/") + path
        for _ in range(_ATTEMPTS):
            try:
                response = self._client.request(method, url, content=content, headers=headers)
            except httpx.HTTPError as error:
                raise FailureError("an answer", f"none: {type(error).__name__}") from error
            if response.status_code != 429:
                return response
            after = response.headers.get("retry-after", "")
            seconds = float(after) if after.isdecimal() else 1.0
            self.sleep(min(seconds, _LONGEST_WAIT_SECONDS))
        raise NotCheckedError("the rate limit is reached")

    def _answer(self, response: httpx.Response) -> Answer:
        try:
            body = response.json()
        except (ValueError, RecursionError):
            body = None
        summary = str(response.status_code)
        if response.is_error:
            members = _members(body)
            told = [members.get("type"), members.get("detail") or members.get("title")]
            summary = " ".join([summary, *(str(each) for each in told if each is not None)])
        return Answer(response.status_code, body, self._masked(summary))

    def _masked(self, text: str) -> str:
        masked = text.replace(self.target.api_key, "***")
        return f"{masked[:_SHOWN_CHARACTERS]}…" if len(masked) > _SHOWN_CHARACTERS else masked


def _members(body: object) -> dict[str, Any]:
    """Return the members of a body; none if it is not an object."""
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}


def found_in(answer: Answer) -> list[Found]:
    """Return the entries in the response to a search."""
    data: list[Any] = answer.member("data", list)
    try:
        return [
            Found(
                entry["id"],
                entry["prompt"],
                entry["response"],
                entry["attributes"],
                float(entry["similarity"]),
                entry["searchStrategy"],
            )
            for entry in data
        ]
    except (KeyError, TypeError, ValueError) as error:
        wanted = "entries with id, prompt, response, attributes, similarity and searchStrategy"
        raise DepartureError(wanted, f"others ({type(error).__name__})") from None
