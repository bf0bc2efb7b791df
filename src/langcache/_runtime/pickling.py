"""What of a request and its response is pickled: nothing secret.

A request holds the API key and the prompt, so only its method and URL are kept.
"""

from __future__ import annotations

import copy

import httpx

from langcache._runtime.log import SECRET_HEADERS


def public_request(request: httpx.Request) -> httpx.Request:
    """Return a request with the method and the URL of another, and nothing else."""
    return httpx.Request(request.method, request.url.copy_with(username=None, password=None))


def public_response(response: httpx.Response) -> httpx.Response:
    """Return a copy of a response without its request's headers and body, and without cookies."""
    public = copy.copy(response)
    public.headers = httpx.Headers(
        [pair for pair in response.headers.multi_items() if pair[0] not in SECRET_HEADERS]
    )
    public.history = [public_response(each) for each in response.history]
    try:
        request = response.request
    except RuntimeError:  # a response that somebody made without one
        return public
    public.request = public_request(request)
    return public
