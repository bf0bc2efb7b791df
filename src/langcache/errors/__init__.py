# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""The exceptions that a call can raise.

    LangCacheError                                the service responded with an error
    ├── BadRequestErrorResponseContent            status 400
    ├── AuthenticationErrorResponseContent        status 401
    ├── ForbiddenErrorResponseContent             status 403
    ├── NotFoundErrorResponseContent              status 404
    ├── MethodNotAllowedErrorResponseContent      status 405
    ├── PayloadTooLargeErrorResponseContent       status 413
    ├── UnsupportedMediaTypeErrorResponseContent  status 415
    ├── FailedDependencyErrorResponseContent      status 424
    │   ResourceUnavailableErrorResponseContent   an older name of the same class
    ├── TooManyRequestsErrorResponseContent       status 429
    ├── UnexpectedErrorResponseContent            status 500
    ├── APIError                                  any other status that is not 2xx
    └── ResponseValidationError                   a 2xx with an invalid body

    NoResponseError                               no complete response; also one of:
        httpx.TimeoutException                    a timeout
        httpx.NetworkError                        a failed or broken connection
        httpx.RequestError                        any other failure, such as an invalid response

The class of a `LangCacheError` depends on the status only; `data` has the parsed body of an error
status. A `NoResponseError` is also the most specific `httpx` error for the failure, such as
`httpx.ConnectError` or `httpx.ReadTimeout`. Classes are imported on first use.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from langcache._runtime.errors import (
    APIError,
    LangCacheError,
    NoResponseError,
    ProblemError,
    ResponseValidationError,
)

if TYPE_CHECKING:
    from langcache.errors.authenticationerrorresponsecontent import (
        AuthenticationErrorResponseContent,
        AuthenticationErrorResponseContentData,
    )
    from langcache.errors.badrequesterrorresponsecontent import (
        BadRequestErrorResponseContent,
        BadRequestErrorResponseContentData,
    )
    from langcache.errors.faileddependencyerrorresponsecontent import (
        FailedDependencyErrorResponseContent,
        FailedDependencyErrorResponseContentData,
        ResourceUnavailableErrorResponseContent,
        ResourceUnavailableErrorResponseContentData,
    )
    from langcache.errors.forbiddenerrorresponsecontent import (
        ForbiddenErrorResponseContent,
        ForbiddenErrorResponseContentData,
    )
    from langcache.errors.methodnotallowederrorresponsecontent import (
        MethodNotAllowedErrorResponseContent,
        MethodNotAllowedErrorResponseContentData,
    )
    from langcache.errors.notfounderrorresponsecontent import (
        NotFoundErrorResponseContent,
        NotFoundErrorResponseContentData,
    )
    from langcache.errors.payloadtoolargeerrorresponsecontent import (
        PayloadTooLargeErrorResponseContent,
        PayloadTooLargeErrorResponseContentData,
    )
    from langcache.errors.toomanyrequestserrorresponsecontent import (
        TooManyRequestsErrorResponseContent,
        TooManyRequestsErrorResponseContentData,
    )
    from langcache.errors.unexpectederrorresponsecontent import (
        UnexpectedErrorResponseContent,
        UnexpectedErrorResponseContentData,
    )
    from langcache.errors.unsupportedmediatypeerrorresponsecontent import (
        UnsupportedMediaTypeErrorResponseContent,
        UnsupportedMediaTypeErrorResponseContentData,
    )

__all__ = [
    "ERRORS_BY_STATUS",
    "APIError",
    "AuthenticationErrorResponseContent",
    "AuthenticationErrorResponseContentData",
    "BadRequestErrorResponseContent",
    "BadRequestErrorResponseContentData",
    "FailedDependencyErrorResponseContent",
    "FailedDependencyErrorResponseContentData",
    "ForbiddenErrorResponseContent",
    "ForbiddenErrorResponseContentData",
    "LangCacheError",
    "MethodNotAllowedErrorResponseContent",
    "MethodNotAllowedErrorResponseContentData",
    "NoResponseError",
    "NotFoundErrorResponseContent",
    "NotFoundErrorResponseContentData",
    "PayloadTooLargeErrorResponseContent",
    "PayloadTooLargeErrorResponseContentData",
    "ResourceUnavailableErrorResponseContent",
    "ResourceUnavailableErrorResponseContentData",
    "ResponseValidationError",
    "TooManyRequestsErrorResponseContent",
    "TooManyRequestsErrorResponseContentData",
    "UnexpectedErrorResponseContent",
    "UnexpectedErrorResponseContentData",
    "UnsupportedMediaTypeErrorResponseContent",
    "UnsupportedMediaTypeErrorResponseContentData",
]

_MODULES = {
    "BadRequestErrorResponseContent": "badrequesterrorresponsecontent",
    "BadRequestErrorResponseContentData": "badrequesterrorresponsecontent",
    "AuthenticationErrorResponseContent": "authenticationerrorresponsecontent",
    "AuthenticationErrorResponseContentData": "authenticationerrorresponsecontent",
    "ForbiddenErrorResponseContent": "forbiddenerrorresponsecontent",
    "ForbiddenErrorResponseContentData": "forbiddenerrorresponsecontent",
    "NotFoundErrorResponseContent": "notfounderrorresponsecontent",
    "NotFoundErrorResponseContentData": "notfounderrorresponsecontent",
    "MethodNotAllowedErrorResponseContent": "methodnotallowederrorresponsecontent",
    "MethodNotAllowedErrorResponseContentData": "methodnotallowederrorresponsecontent",
    "PayloadTooLargeErrorResponseContent": "payloadtoolargeerrorresponsecontent",
    "PayloadTooLargeErrorResponseContentData": "payloadtoolargeerrorresponsecontent",
    "UnsupportedMediaTypeErrorResponseContent": "unsupportedmediatypeerrorresponsecontent",
    "UnsupportedMediaTypeErrorResponseContentData": "unsupportedmediatypeerrorresponsecontent",
    "FailedDependencyErrorResponseContent": "faileddependencyerrorresponsecontent",
    "FailedDependencyErrorResponseContentData": "faileddependencyerrorresponsecontent",
    "ResourceUnavailableErrorResponseContent": "faileddependencyerrorresponsecontent",
    "ResourceUnavailableErrorResponseContentData": "faileddependencyerrorresponsecontent",
    "TooManyRequestsErrorResponseContent": "toomanyrequestserrorresponsecontent",
    "TooManyRequestsErrorResponseContentData": "toomanyrequestserrorresponsecontent",
    "UnexpectedErrorResponseContent": "unexpectederrorresponsecontent",
    "UnexpectedErrorResponseContentData": "unexpectederrorresponsecontent",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__


_NAMES_BY_STATUS = {
    400: "BadRequestErrorResponseContent",
    401: "AuthenticationErrorResponseContent",
    403: "ForbiddenErrorResponseContent",
    404: "NotFoundErrorResponseContent",
    405: "MethodNotAllowedErrorResponseContent",
    413: "PayloadTooLargeErrorResponseContent",
    415: "UnsupportedMediaTypeErrorResponseContent",
    424: "FailedDependencyErrorResponseContent",
    429: "TooManyRequestsErrorResponseContent",
    500: "UnexpectedErrorResponseContent",
}


class _ErrorsByStatus(Mapping[int, type[ProblemError[Any]]]):
    """A mapping that imports each class on first use."""

    def __getitem__(self, status: int) -> type[ProblemError[Any]]:
        name = _NAMES_BY_STATUS[status]
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

    def __iter__(self) -> Iterator[int]:
        return iter(_NAMES_BY_STATUS)

    def __len__(self) -> int:
        return len(_NAMES_BY_STATUS)


ERRORS_BY_STATUS: Mapping[int, type[ProblemError[Any]]] = _ErrorsByStatus()
"""The class for each error status of the contract."""
