"""Sends requests with aiohttp."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import map_aiohttp_exceptions

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence


class Transport(AiohttpTransport):
    """A transport of httpx that can also send without the requests and responses of httpx."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request of httpx."""
        with _httpx_errors():
            return await super().handle_async_request(request)

    async def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        timeout: aiohttp.ClientTimeout,
        max_bytes: int,
    ) -> tuple[int, Sequence[tuple[bytes, bytes]], bytes, str]:
        """Send a request on the same session, with the same errors, and read the response.

        Args:
            method: The HTTP method.
            url: The URL.
            headers: The request headers.
            content: The request body, if there is one.
            timeout: The timeouts.
            max_bytes: The largest response body to accept.

        Returns:
            The status, the headers, the body as it arrived, and the reason phrase.

        Raises:
            httpx.RequestError: There is no complete response, or its body is too large.
        """
        session = cast("object", self.client)
        if not isinstance(session, aiohttp.ClientSession):
            session = self.client = self.get_client()
        try:
            async with session.request(
                method,
                url,
                headers=headers,
                data=content,
                allow_redirects=False,
                auto_decompress=False,
                timeout=timeout,
            ) as response:
                body = await _read(response, max_bytes)
                return response.status, response.raw_headers, body, response.reason or ""
        except Exception:
            with _httpx_errors(), map_aiohttp_exceptions():
                raise


@contextmanager
def _httpx_errors() -> Generator[None]:
    """Raise errors of aiohttp that `httpx_aiohttp` does not know, such as no HTTP, as httpx's."""
    try:
        yield
    except aiohttp.ClientError as error:
        raise httpx.RemoteProtocolError(str(error)) from error


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if (response.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    parts: list[bytes] = []
    size = 0
    while part := await response.content.readany():
        size += len(part)
        if size > max_bytes:
            raise _too_large(max_bytes)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(max_bytes: int) -> httpx.RequestError:
    return httpx.RequestError(f"the response body must have at most {max_bytes} bytes")


def timeout_of(
    connect: float | None, read: float | None, pool: float | None
) -> aiohttp.ClientTimeout:
    """Return timeouts of httpx as those of aiohttp, as the transport does."""
    return aiohttp.ClientTimeout(sock_connect=connect, sock_read=read, connect=pool)
