"""The embedder for endpoints with OpenAI's embeddings API."""

from __future__ import annotations

import json
import random
import re
import time
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from typing_extensions import override

from langcache.engine.embedders._arrays import unit_rows, without_lone_surrogates
from langcache.engine.embedders._endpoint import check_timeout, openai_endpoint
from langcache.engine.embedders._texts import TextEmbedder
from langcache.engine.embedders.errors import EmbedderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from langcache.engine.embedders.base import EmbedderCache

__all__ = ["OpenAIEmbedder"]

_RETRYABLE_STATUSES = frozenset({408, 409, 429})
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 8.0
_LONGEST_RETRY_AFTER_SECONDS = 60.0


class OpenAIEmbedder(TextEmbedder):
    """Embeds with an HTTP endpoint: OpenAI's or a compatible one.

    An instance is thread-safe. Texts are sent in batches, one request after the other. Each request
    opens its own connection and uses the proxies that the environment names. Redirects are refused,
    so that the key is not sent to another host.

    An endpoint may return vectors that differ in the last digits between requests. Lone surrogates
    are sent as U+FFFD.

    Args:
        model: Name of the model.
        api_key: The bearer token. None for the variable OPENAI_API_KEY. Without either, no token is
            sent, which only compatible endpoints may accept.
        base_url: The URL to append "/embeddings" to. None for the variable OPENAI_BASE_URL, or
            else OpenAI's URL.
        dimensions: The number of dimensions to request. None for the model's own number; not every
            model supports others.
        batch_size: The largest number of texts in a request.
        timeout: How long to wait to connect, and for each read, in seconds.
        max_retries: How often to retry a request that failed with status 408, 409, 429 or 5xx, or
            without a response. The pause is random, up to 0.5 s before the first retry and up to
            twice as long before each further one; or as long as Retry-After asks, up to a minute.
        cache: Keeps the vectors, so that no text is embedded twice. None for no cache.

    Raises:
        ValueError: An argument is out of range, `base_url` is not an http or https URL, or the key
            for OpenAI's own endpoint is missing.
    """

    def __init__(
        self,
        model: str = "text-embedding-3-small",
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        dimensions: int | None = None,
        batch_size: int = 256,
        timeout: float = 30.0,
        max_retries: int = 2,
        cache: EmbedderCache | None = None,
    ) -> None:
        super().__init__(cache)
        for name, value, least in (
            ("dimensions", dimensions, 1),
            ("batch_size", batch_size, 1),
            ("max_retries", max_retries, 0),
        ):
            if value is not None and value < least:
                raise ValueError(f"{name}: must be at least {least}, got {value}")
        check_timeout(timeout)
        self._model = model
        self._api_key, base_url = openai_endpoint(api_key, base_url)
        self._url = f"{base_url}/embeddings"
        self._requested = dimensions
        self._dimensions = dimensions
        self._batch_size = batch_size
        self._timeout = timeout
        self._max_retries = max_retries

    def __repr__(self) -> str:
        return f"OpenAIEmbedder({self.model_id!r})"

    @property
    @override
    def model_id(self) -> str:
        """Name of the model, followed by "@" and the number of dimensions if one was requested."""
        return self._model if self._requested is None else f"{self._model}@{self._requested}"

    @property
    @override
    def dimensions(self) -> int:
        """Length of each vector.

        Unless a number was requested or a text has been embedded, this embeds one word to find
        out, and may raise any error of `embed`.
        """
        if self._dimensions is None:
            self.embed_uncached(["dimensions"])
        return cast("int", self._dimensions)

    @override
    def embed_uncached(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not len(texts):
            return np.empty((0, self.dimensions), np.float32)
        return np.concatenate(
            [
                self._embed_batch(texts[start : start + self._batch_size])
                for start in range(0, len(texts), self._batch_size)
            ]
        )

    def _embed_batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        body: dict[str, Any] = {
            "model": self._model,
            "input": [without_lone_surrogates(text) for text in texts],
        }
        if self._requested is not None:
            body["dimensions"] = self._requested
        response = self._post(json.dumps(body).encode())
        vectors = unit_rows(_vectors(response, len(texts)), len(texts), self._dimensions)
        self._dimensions = vectors.shape[1]
        return vectors

    def _post(self, body: bytes) -> bytes:
        # Imported here because only this embedder needs HTTP.
        from langcache.engine.embedders._http import post

        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        attempt = 0
        while True:
            # Random, so that many clients do not retry at the same time.
            longest_pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)
            pause = random.uniform(0, longest_pause)  # noqa: S311
            try:
                response = post(self._url, body, headers, self._timeout)
            except ConnectionError as error:
                failure = EmbedderError(f"the endpoint cannot be reached ({error})")
            else:
                if response.status == 200:
                    return response.body
                failure = EmbedderError(
                    f"the endpoint returned {response.status}{_code(response.body)}",
                    status=response.status,
                )
                if response.status not in _RETRYABLE_STATUSES and response.status < 500:
                    raise failure
                asked = _seconds(response.retry_after)
                pause = pause if asked is None else asked
            if attempt == self._max_retries:
                raise failure
            attempt += 1
            time.sleep(pause)


def _vectors(response: bytes, count: int) -> list[Any]:
    """Return the vectors of a response in the order of the texts."""
    try:
        items = cast("list[dict[str, Any]]", json.loads(response)["data"])
        by_index = {item["index"]: item["embedding"] for item in items}
        if len(items) != count:
            raise EmbedderError(f"the endpoint returned {len(items)} vectors for {count} texts")
        return [by_index[index] for index in range(count)]
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise EmbedderError("the endpoint returned something other than vectors") from error


def _code(body: bytes) -> str:
    """Return an error's code in brackets, such as " (insufficient_quota)", if there is one.

    The error's message is left out, because it may quote the key or a text.
    """
    try:
        code = json.loads(body)["error"]["code"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
    return f" ({code})" if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,60}", code) else ""


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After header, or None if it is a date or missing."""
    if retry_after is None or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", retry_after.strip()):
        return None
    return min(float(retry_after), _LONGEST_RETRY_AFTER_SECONDS)
