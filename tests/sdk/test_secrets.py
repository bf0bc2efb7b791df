"""What leaves the process in a pickle, which logs and task queues keep: no key and no prompt."""

import copy
import pickle

import httpx
import pytest
import respx

from langcache import LangCache, errors

URL = "http://langcache.test/v1/caches/c/entries/search"
SECRETS = ("k3y-of-the-api", "pr0mpt", "c00kie", "h3ader", "passw0rd")


def search(**options):
    with LangCache("http://langcache.test", "k3y-of-the-api", "c", retry_config=None) as cache:
        method = cache.with_raw_response.search if options.pop("raw", False) else cache.search
        return method(prompt="pr0mpt", http_headers={"x-custom": "h3ader"}, **options)


def error_of(**options):
    with pytest.raises((errors.LangCacheError, errors.NoResponseError)) as caught:
        search(**options)
    return caught.value


def assert_public(value):
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps(value, protocol).decode("latin-1")
        assert not [secret for secret in SECRETS if secret in pickled]


@pytest.mark.parametrize("status", [200, 400, 401, 404, 413, 424, 429, 500, 418, 503])
@respx.mock
def test_an_error_with_a_response_is_pickled_without_secrets(status):
    respx.post(URL).respond(status, headers={"set-cookie": "id=c00kie", "x-request-id": "r-1"})
    error = error_of()
    assert error.raw_response.request.headers["authorization"] == "Bearer k3y-of-the-api"
    assert_public(error)
    again = pickle.loads(pickle.dumps(error))
    assert (again.status_code, again.request_id, str(again)) == (status, "r-1", str(error))
    assert (again.raw_response.request.method, again.raw_response.request.url) == ("POST", URL)
    assert again.raw_response.content == error.raw_response.content


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
@respx.mock
def test_a_network_error_is_pickled_without_secrets(kind):
    respx.post(URL).mock(side_effect=kind("broken"))
    error = error_of()
    assert error.request.headers["authorization"] == "Bearer k3y-of-the-api"
    assert_public(error)
    for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert (type(again), str(again), again.request.url) == (type(error), str(error), URL)


def test_an_error_without_a_request_is_pickled():
    again = pickle.loads(pickle.dumps(errors.NoResponseError("broken")))
    assert (str(again), again.attempts) == ("broken", 1)


@respx.mock
def test_a_raw_response_is_pickled_without_secrets():
    respx.post(URL).respond(200, json={"data": []}, headers={"set-cookie": "id=c00kie"})
    raw = search(raw=True)
    assert raw.http_response.headers["set-cookie"] == "id=c00kie"  # the response itself is whole
    assert_public(raw)
    again = pickle.loads(pickle.dumps(raw))
    assert (again.parsed, again.status_code, again.attempts) == (raw.parsed, 200, 1)


def test_the_password_of_a_url_is_not_pickled():
    request = httpx.Request("GET", "http://user:passw0rd@langcache.test/")
    assert_public(errors.APIError("e", httpx.Response(500, request=request), "e"))
