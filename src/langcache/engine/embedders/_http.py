"""One HTTP request, with what the standard library has: the engine brings no HTTP client."""

from __future__ import annotations

from http.client import HTTPException
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.client import HTTPResponse

__all__ = ["Answer", "post"]


class Answer(NamedTuple):
    """What an endpoint answered.

    Attributes:
        status: HTTP status.
        retry_after: Value of the header of that name, or None.
        body: The whole body.
    """

    status: int
    retry_after: str | None
    body: bytes


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
    """Send a POST request to an http or https URL and return the answer, whatever its status.

    It goes through the proxies that the environment names, and follows no redirect.

    Args:
        url: The URL.
        body: The request's body.
        headers: The request's headers.
        timeout: How long to wait for the endpoint to connect or to go on, in seconds.

    Raises:
        ConnectionError: There is no answer, or not the whole of it. The message is one line.
    """
    request = Request(url, body, dict(headers))  # noqa: S310 - the caller knows the scheme
    try:
        try:
            response = cast("HTTPResponse", _opener.open(request, timeout=timeout))
        except HTTPError as error:
            # It is the answer, too.
            response = cast("HTTPResponse", error)
        with response:
            return Answer(response.status, response.headers.get("Retry-After"), response.read())
    except (HTTPException, OSError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        # Other words may be those of the other side.
        words = str(reason) if isinstance(reason, OSError) else type(reason).__name__
        raise ConnectionError(" ".join(words.split()) or type(reason).__name__) from None


class _NoRedirects(HTTPRedirectHandler):
    @override
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_opener = build_opener(_NoRedirects)
