"""Requests that are passed on to another server, and its responses."""

from __future__ import annotations

import re
import time
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

import httpx
from anyio import move_on_after

from langcache_mockserver.http.problems import ProblemError
from langcache_mockserver.http.request import media_type_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from starlette.types import Scope

CREDENTIALS = frozenset({b"authorization", b"x-api-key", b"api-key"})
"""The headers of a request that carry an API key, in lower case."""

_SHAPING = (b"openai-", b"anthropic-")
_HARMLESS = re.compile(rb"accept|content-type|idempotency-key|user-agent|x-stainless-.*")

# Of one connection only (RFC 9110, 7.6.1), made anew, or meant for one client.
_NOT_RETURNED = frozenset(
    (
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        *("content-encoding", "content-length", "date", "server", "set-cookie", "alt-svc"),
        *("strict-transport-security", "via", "x-request-id"),
    )
)
# What httpx decodes; it leaves any other coding as it is.
_DECODED = frozenset({"", "identity", "gzip", "deflate"})
_CONNECT_SECONDS = 10.0
_IDLE_CONNECTIONS = 100


def credentials_of(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request that carry an API key."""
    return [(name, value) for name, value in scope["headers"] if name in CREDENTIALS and value]


def shaping_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request that a provider's answer may depend on, in order."""
    return sorted((name, value) for name, value in scope["headers"] if name.startswith(_SHAPING))


def harmless_headers(scope: Scope) -> Iterator[tuple[bytes, bytes]]:
    """Yield the headers of a request that are passed on, but change no answer."""
    return ((name, value) for name, value in scope["headers"] if _HARMLESS.fullmatch(name))


def returned_headers(response: httpx.Response) -> dict[str, str]:
    """Return the headers of a response that are passed on to the client.

    The request id of the other server becomes `x-upstream-request-id`.
    """
    headers = response.headers
    headers.encoding = "latin-1"  # so that every value can be written as it came
    named = {each.strip().lower() for each in headers.get("connection", "").split(",")}
    dropped = _NOT_RETURNED | named
    returned = {name: value for name, value in headers.items() if name not in dropped}
    if "x-request-id" in headers:
        returned["x-upstream-request-id"] = headers["x-request-id"]
    return returned


class Forwarder:
    """Sends requests to other servers. It follows no redirects.

    Args:
        timeout_seconds: How long a response may take, from the first byte of the request to the
            last byte of the response.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds)),
            # `Admission` limits the requests under way.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=_IDLE_CONNECTIONS),
            # A cookie is for the client whose request brought it, not for all.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )

    async def send(
        self, url: str, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> ForwardedResponse:
        """Send a POST and return the response as soon as its headers are here.

        Args:
            url: The URL.
            headers: The headers, apart from those of the connection.
            body: The body.

        Raises:
            ProblemError: 502, if the server cannot be reached; 504, if it takes too long.
        """
        deadline = time.monotonic() + self._timeout_seconds
        try:
            request = self._client.build_request(
                "POST", url, content=body, headers=[*headers, (b"accept-encoding", b"identity")]
            )
            with move_on_after(self._timeout_seconds):  # those of httpx are for each step
                return ForwardedResponse(await self._client.send(request, stream=True), deadline)
            raise _too_slow()
        except httpx.TimeoutException:
            raise _too_slow() from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable(error) from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class ForwardedResponse:
    """A response whose body is still to come.

    Attributes:
        status: The HTTP status.
        headers: The headers that are passed on to the client.
        media_type: The media type, in lower case and without parameters.
    """

    def __init__(self, response: httpx.Response, deadline: float) -> None:
        self._response = response
        self._deadline = deadline
        self.status: int = response.status_code
        self.headers: dict[str, str] = returned_headers(response)
        encoding: str = response.headers.get("content-encoding", "")
        self._is_decoded = _DECODED.issuperset(each.strip().lower() for each in encoding.split(","))
        if not self._is_decoded:
            self.headers["content-encoding"] = encoding
        content_type: str = response.headers.get("content-type", "")
        self.media_type: str = media_type_of(content_type)

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the parts of the body as they come.

        Raises:
            ProblemError: 502, if the connection breaks; 504, if the body takes too long.
        """
        response = self._response
        parts = response.aiter_bytes() if self._is_decoded else response.aiter_raw()
        try:
            while (left := self._deadline - time.monotonic()) > 0:
                part = None
                with move_on_after(left) as scope:
                    part = await anext(parts, None)
                if part is not None:
                    yield part
                elif not scope.cancelled_caught:
                    return
            raise _too_slow()
        except httpx.TimeoutException:
            raise _too_slow() from None
        except httpx.HTTPError as error:
            raise _unreachable(error) from None
        finally:
            await self._response.aclose()

    async def aclose(self) -> None:
        """End the connection unless the body has been read."""
        await self._response.aclose()


def _unreachable(error: Exception) -> ProblemError:
    return ProblemError(502, f"the upstream cannot be reached: {type(error).__name__}")


def _too_slow() -> ProblemError:
    return ProblemError(504, "the upstream took too long to answer")
