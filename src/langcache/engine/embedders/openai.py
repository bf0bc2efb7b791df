"""Embedders behind an endpoint that speaks OpenAI's embeddings API."""

from __future__ import annotations

import json
import os
import random
import re
import time
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import numpy as np
from typing_extensions import override

from langcache.engine.embedders._arrays import unit_rows, without_lone_surrogates
from langcache.engine.embedders._texts import TextEmbedder
from langcache.engine.embedders.errors import EmbedderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from langcache.engine.embedders.base import EmbedderCache

__all__ = ["OpenAIEmbedder"]

_BASE_URL = "https://api.openai.com/v1"
_RETRYABLE_STATUSES = frozenset({408, 409, 429})
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 8.0
_LONGEST_RETRY_AFTER_SECONDS = 60.0


class OpenAIEmbedder(TextEmbedder):
    """Embeds by an HTTP endpoint: OpenAI's, or another one that is compatible.

    An instance is thread-safe. Texts are sent in batches, one request after the other; a batch
    takes little longer than a single text. Each request opens a connection of its own, through the
    proxies that the environment names. Redirects are refused, so that the key stays where it
    belongs.

    What the endpoint computes may differ in the last digits from one request to the next. Lone
    surrogates are sent as U+FFFD.

    Args:
        model: Name of the model.
        api_key: Sent as a bearer token. None for the variable OPENAI_API_KEY; without either no
            token is sent, which only OpenAI's own endpoint cannot do with.
        base_url: What "/embeddings" is appended to. None for the variable OPENAI_BASE_URL, or
            else OpenAI's own.
        dimensions: How many dimensions to ask for. None for what the model has; not every model
            can be asked for others.
        batch_size: How many texts to send in one request.
        timeout: How long to wait for the endpoint to connect or to go on, in seconds.
        max_retries: How often to try again what failed with 408, 409, 429 or 5xx, or without an
            answer. The pause before is random, up to 0.5 s, and up to twice as much each time; or
            as long as the endpoint asks for, up to a minute.
        cache: Keeps the vectors, so that no text is embedded twice. None for no cache.

    Raises:
        ValueError: An argument is out of its range, `base_url` is not an http or https URL, or
            OpenAI's own endpoint is left without a key.
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
                raise ValueError(f"{name} must be at least {least}, got {value}")
        if not timeout > 0:
            raise ValueError(f"timeout must be above 0, got {timeout}")
        api_key = api_key or os.environ.get("OPENAI_API_KEY")
        base_url = base_url or os.environ.get("OPENAI_BASE_URL") or _BASE_URL
        address = urlsplit(base_url)
        if address.scheme not in ("http", "https") or not address.hostname or address.port == 0:
            raise ValueError("base_url must be an http or https URL")
        if address.username is not None or address.query or address.fragment:
            raise ValueError("base_url must have no user, query or fragment")
        if not api_key and base_url == _BASE_URL:
            raise ValueError("api_key is not given, and OPENAI_API_KEY is not set")
        if api_key and not re.fullmatch(r"[!-~]+", api_key):
            raise ValueError("api_key must be printable ASCII without spaces")
        self._model = model
        self._api_key = api_key
        self._url = base_url.rstrip("/") + "/embeddings"
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
        """Name of the model, with "@" and the number of dimensions when that was asked for."""
        return self._model if self._requested is None else f"{self._model}@{self._requested}"

    @property
    @override
    def dimensions(self) -> int:
        """Length of each vector.

        Unless it was asked for, only the endpoint can tell: if nothing has been embedded yet, one
        word is, with all the errors that `embed` may raise.
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
        answer = self._post(json.dumps(body).encode())
        vectors = unit_rows(_vectors(answer, len(texts)), len(texts), self._dimensions)
        self._dimensions = vectors.shape[1]
        return vectors

    def _post(self, body: bytes) -> bytes:
        # Not at the top: who embeds otherwise need not pay for an import of HTTP.
        from langcache.engine.embedders._http import post

        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        attempt = 0
        while True:
            # Random, so that many clients do not come back all at once.
            longest_pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)
            pause = random.uniform(0, longest_pause)  # noqa: S311
            try:
                answer = post(self._url, body, headers, self._timeout)
            except ConnectionError as error:
                failure = EmbedderError(f"the endpoint cannot be reached ({error})")
            else:
                if answer.status == 200:
                    return answer.body
                failure = EmbedderError(
                    f"the endpoint answered {answer.status}{_code(answer.body)}",
                    status=answer.status,
                )
                if answer.status not in _RETRYABLE_STATUSES and answer.status < 500:
                    raise failure
                asked = _seconds(answer.retry_after)
                pause = pause if asked is None else asked
            if attempt == self._max_retries:
                raise failure
            attempt += 1
            time.sleep(pause)


def _vectors(answer: bytes, count: int) -> list[Any]:
    """Return the vectors of an answer in the order of the texts."""
    try:
        items = cast("list[dict[str, Any]]", json.loads(answer)["data"])
        by_index = {item["index"]: item["embedding"] for item in items}
        if len(items) != count:
            raise EmbedderError(f"the endpoint answered {len(items)} vectors for {count} texts")
        return [by_index[index] for index in range(count)]
    except (ValueError, TypeError, LookupError) as error:
        raise EmbedderError("the endpoint answered something else than vectors") from error


def _code(body: bytes) -> str:
    """Return an error's code in brackets, such as " (insufficient_quota)", if there is one.

    The message beside it is left out, as it may quote the key or a text.
    """
    try:
        code = json.loads(body)["error"]["code"]
    except (ValueError, TypeError, LookupError):
        return ""
    return f" ({code})" if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,60}", code) else ""


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After header, or None when it has a date or nothing."""
    if retry_after is None or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", retry_after.strip()):
        return None
    return min(float(retry_after), _LONGEST_RETRY_AFTER_SECONDS)
