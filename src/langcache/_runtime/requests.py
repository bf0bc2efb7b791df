"""Builds the requests of a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import httpx

if TYPE_CHECKING:
    from langcache.httpclient import AsyncHttpClient, HttpClient

_BUILD_REQUEST = httpx.Client.build_request  # also that of AsyncClient

_MOST_TEMPLATES = 16


class Requests:
    """Builds requests like `httpx.Client.build_request`, but merges the headers only once.

    Merging the headers of the client and of the call takes most of the time of `build_request`, and
    the result is nearly always that of the call before.
    """

    __slots__ = ("_templates",)

    def __init__(self) -> None:
        self._templates: dict[
            tuple[str, str, bool], tuple[list[tuple[bytes, bytes]], dict[str, str], httpx.Headers]
        ] = {}

    def build(
        self,
        client: HttpClient | AsyncHttpClient,
        method: str,
        url: httpx.URL,
        server_url: str,
        content: bytes | None,
        headers: dict[str, str],
        timeout: float | None,
    ) -> httpx.Request:
        """Build a request.

        Args:
            client: The HTTP client that will send it.
            method: The HTTP method.
            url: The URL.
            server_url: The base URL, which determines the Host header.
            content: The body, if there is one.
            headers: The headers of the call, none of which may depend on the body.
            timeout: The timeout of each operation of the client in seconds, or None for its own.
        """
        if not _is_plain(client):
            return build_request(client, method, url, content, headers, timeout)
        http = cast("httpx.Client", client)
        key = (method, server_url, content is None)
        of_client = http.headers.raw
        known = self._templates.get(key)
        if known is None or known[0] != of_client or known[1] != headers:
            request = build_request(client, method, url, content, headers, timeout)
            if len(self._templates) >= _MOST_TEMPLATES:
                self._templates.clear()
            self._templates[key] = of_client, headers, httpx.Headers(request.headers)
            return request
        merged = httpx.Headers(known[2])
        if content is not None:
            merged["Content-Length"] = str(len(content))
        limits = http.timeout if timeout is None else httpx.Timeout(timeout)
        request = httpx.Request(
            method,
            url,
            headers=merged,
            stream=httpx.ByteStream(content or b""),
            extensions={"timeout": limits.as_dict()},
        )
        request.read()
        return request


def _is_plain(client: Any) -> bool:
    """Return whether requests of a client depend only on what `Requests.build` knows."""
    method = getattr(client.build_request, "__func__", None)
    return method is _BUILD_REQUEST and not client.cookies and not client.params


def build_request(
    client: HttpClient | AsyncHttpClient,
    method: str,
    url: httpx.URL,
    content: bytes | None,
    headers: dict[str, str],
    timeout: float | None,
) -> httpx.Request:
    """Build a request with the client's own method."""
    # Passing None as the timeout would disable it.
    return client.build_request(
        method,
        url,
        content=content,
        headers=headers,
        timeout=httpx.USE_CLIENT_DEFAULT if timeout is None else timeout,
    )
