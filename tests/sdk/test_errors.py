import json
import pickle
import zlib

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from langcache import LangCache, errors
from langcache.errors import ERRORS_BY_STATUS

URL = "http://langcache.test/v1/caches/c/entries/search"


@pytest.fixture
def cache():
    with LangCache(
        server_url="http://langcache.test", cache_id="c", api_key="k", retry_config=None
    ) as client:
        yield client


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequest"),
        (401, "Authentication"),
        (403, "Forbidden"),
        (404, "NotFound"),
        (405, "MethodNotAllowed"),
        (413, "PayloadTooLarge"),
        (415, "UnsupportedMediaType"),
        (424, "ResourceUnavailable"),
        (424, "FailedDependency"),
        (429, "TooManyRequests"),
        (500, "Unexpected"),
    ],
)
@respx.mock
def test_each_status_has_its_class_with_typed_data(cache, status, name):
    cls = getattr(errors, f"{name}ErrorResponseContent")
    kind = cls.data_type.model_fields["type"].annotation
    for member in kind:
        body = json.dumps(
            {"title": "T", "status": status, "detail": "D", "instance": "/i", "type": member.value}
        )
        respx.post(URL).respond(status, content=body, headers={"x-request-id": "req-1"})
        with pytest.raises(errors.LangCacheError) as caught:
            cache.search(prompt="p")
        error = caught.value
        assert type(error) is cls
        assert error.data.type is member
        assert (error.data.title, error.data.detail, error.data.status) == ("T", "D", status)
        assert (str(error), error.message, error.body) == (body, body, body)
        assert (error.status_code, error.request_id, error.attempts) == (status, "req-1", 1)
        assert error.headers["x-request-id"] == "req-1"
        assert error.raw_response.status_code == status


def test_every_class_is_of_one_status():
    classes = {
        value
        for name, value in vars(errors).items()
        if isinstance(value, type) and name.endswith("ErrorResponseContent")
    }
    assert classes == set(ERRORS_BY_STATUS.values())


@pytest.mark.parametrize("status", [304, 402, 418, 451, 501, 502, 503, 599])
@respx.mock
def test_a_status_outside_of_the_contract_is_an_api_error(cache, status):
    respx.post(URL).respond(status, text="what?")
    with pytest.raises(errors.APIError) as caught:
        cache.search(prompt="p")
    assert (caught.value.status_code, str(caught.value)) == (status, "what?")


@respx.mock
def test_an_error_without_a_body_says_its_status(cache):
    respx.post(URL).respond(503)
    with pytest.raises(errors.APIError, match="HTTP 503 Service Unavailable") as caught:
        cache.search(prompt="p")
    assert caught.value.body == ""


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data": 1}', b"\xff", b"<html>", b"null"])
@respx.mock
def test_a_success_with_another_body_is_a_validation_error(cache, body):
    respx.post(URL).respond(200, content=body)
    with pytest.raises(errors.ResponseValidationError) as caught:
        cache.search(prompt="p")
    assert caught.value.status_code == 200
    assert caught.value.cause
    assert str(pickle.loads(pickle.dumps(caught.value)).cause) == str(caught.value.cause)


def outcome(call):
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        return error
    return None


@given(
    status=st.sampled_from([200, 201, 204, 400, 401, 404, 424, 429, 500, 502]),
    body=st.binary(max_size=200),
    content_type=st.sampled_from(
        ["application/json", "text/html; charset=nonsense", "application/json; charset=utf-16", ""]
    ),
    encoding=st.sampled_from([None, "gzip", "deflate", "unknown"]),
)
def test_any_bytes_as_a_response_give_a_result_or_a_typed_error(
    status, body, content_type, encoding
):
    def answer(request):
        headers = {"content-type": content_type}
        if encoding is not None:
            headers["content-encoding"] = encoding
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        cache = LangCache(
            server_url="http://langcache.test", cache_id="c", client=http, retry_config=None
        )
        for call in (lambda: cache.search(prompt="p"), cache.flush):
            error = outcome(call)
            assert error is None or isinstance(
                error, (errors.LangCacheError, errors.NoResponseError)
            )
            if error is not None:
                assert str(error)
                assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    "kind",
    [
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.ReadError,
        httpx.ReadTimeout,
        httpx.WriteError,
        httpx.WriteTimeout,
        httpx.PoolTimeout,
        httpx.CloseError,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
        httpx.LocalProtocolError,
        httpx.RemoteProtocolError,
        httpx.DecodingError,
        httpx.TooManyRedirects,
        httpx.RequestError,
    ],
)
@respx.mock
def test_a_network_error_is_ours_and_that_of_httpx(cache, kind):
    respx.post(URL).mock(side_effect=kind("broken"))
    with pytest.raises(errors.NoResponseError) as caught:
        cache.search(prompt="p")
    assert isinstance(caught.value, kind)
    where = " (http://langcache.test)" if kind.__name__.startswith("Connect") else ""
    assert str(caught.value) == caught.value.message == f"broken{where}"
    assert caught.value.request.url == URL
    assert caught.value.attempts == 1
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.attempts) == (type(caught.value), f"broken{where}", 1)


def test_an_unknown_network_error_keeps_to_its_nearest_class(cache):
    class Odd(httpx.ReadError):
        pass

    with respx.mock:
        respx.post(URL).mock(side_effect=Odd("odd"))
        with pytest.raises(httpx.ReadError) as caught:
            cache.search(prompt="p")
    assert isinstance(caught.value, errors.NoResponseError)
    assert isinstance(caught.value.__cause__, Odd)


@respx.mock
def test_the_last_error_is_raised_with_the_number_of_attempts(cache):
    from langcache.utils import BackoffStrategy, RetryConfig

    retries = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 60_000), True)
    route = respx.post(URL)
    route.side_effect = [
        httpx.Response(503),
        httpx.ConnectError("down"),
        httpx.Response(429, headers={"retry-after-ms": "1"}),
        httpx.Response(401, json={"title": "T", "type": "/errors/authentication-failed"}),
    ]
    with pytest.raises(errors.AuthenticationErrorResponseContent) as caught:
        cache.search(prompt="p", retries=retries)
    assert caught.value.attempts == route.call_count == 4


def test_errors_pickle_with_their_data():
    response = httpx.Response(
        400,
        json={
            "title": "T",
            "type": "/errors/invalid-data",
            "fields": [{"field": "prompt", "rule": "maxLength", "message": "too long"}],
        },
        request=httpx.Request("POST", URL),
    )
    error = errors.BadRequestErrorResponseContent.from_response(response)
    error.attempts = 3
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is errors.BadRequestErrorResponseContent
    assert (again.data, str(again), again.attempts) == (error.data, str(error), 3)


def test_the_tree_in_the_docstring_names_every_class():
    for name in errors.__all__:
        if not name.endswith("Data") and name != "ERRORS_BY_STATUS":
            assert name in errors.__doc__, name


def charsets():
    import encodings
    import pkgutil

    return sorted({module.name for module in pkgutil.iter_modules(encodings.__path__)})


@pytest.mark.parametrize("status", [200, 418, 500])
@pytest.mark.parametrize("charset", [*charsets(), "rot13", "zip", "bz2", "\0", "x" * 1000])
def test_no_charset_breaks_an_error(status, charset):
    response = httpx.Response(
        status,
        headers=[(b"content-type", b"text/plain; charset=" + charset.encode())],
        content=rb"what? \d \u12 xn--\xff-99999999999" + zlib.compress(b"bomb"),
    )
    with httpx.Client(transport=httpx.MockTransport(lambda request: response)) as http:
        cache = LangCache("http://langcache.test", "k", "c", client=http, retry_config=None)
        error = outcome(lambda: cache.search(prompt="p"))
    assert isinstance(error, errors.LangCacheError)
    assert error.status_code == status
    assert "bomb" not in str(error)
