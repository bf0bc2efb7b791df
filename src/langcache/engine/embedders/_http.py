"""One HTTP request with the standard library, because the engine requires no HTTP client."""

from __future__ import annotations

from http.client import HTTPException, IncompleteRead
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPResponse as _Response

__all__ = ["HTTPResponse", "post"]

_MOST_BYTES = 256 << 20  # of a response; 2048 vectors of 3072 numbers take about 80 MB
_PART_BYTES = 1 << 20


class HTTPResponse(NamedTuple):
    """The response of an endpoint.

    Attributes:
        status: HTTP status.
        retry_after: Value of the header of that name, or None.
        body: The whole body.
    """

    status: int
    retry_after: str | None
    body: bytes


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> HTTPResponse:
    """Send a POST request to an http or https URL and return the response, whatever its status.

    Uses the proxies that the environment names. Redirects are not followed.

    Args:
        url: The URL.
        body: The request's body.
        headers: The request's headers.
        timeout: How long to wait to connect, and for each read, in seconds.

    Raises:
        ConnectionError: There is no response, an incomplete one, or one of more than 256 MiB. The
            message is one line.
    """
    request = Request(url, body, dict(headers))  # noqa: S310 - the caller knows the scheme
    try:
        try:
            response = cast("_Response", _opener.open(request, timeout=timeout))
        except HTTPError as error:
            # A response with an error status.
            response = cast("_Response", error)
        with response:
            return HTTPResponse(
                response.status, response.headers.get("Retry-After"), _body_of(response)
            )
    except (HTTPException, OSError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        # Other messages may quote the endpoint.
        words = str(reason) if isinstance(reason, OSError) else type(reason).__name__
        raise ConnectionError(" ".join(words.split()) or type(reason).__name__) from None


def _body_of(response: _Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := response.read(_PART_BYTES):
        parts.append(part)
        size += len(part)
        if size > _MOST_BYTES:
            raise OSError(f"the response has more than {_MOST_BYTES} bytes")
    if response.length:  # what is missing of the declared length
        raise IncompleteRead(b"", response.length)
    return b"".join(parts)


class _NoRedirects(HTTPRedirectHandler):
    @override
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_opener = build_opener(_NoRedirects)
