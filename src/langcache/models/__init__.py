# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""The models of the API: requests, responses and their parts.

For each model there is also a `TypedDict`, named `<model>TypedDict`. Models are imported on first
use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langcache.models.authenticationerrortype import (
        AuthenticationErrorType,
        AuthenticationErrorURI,
    )
    from langcache.models.badrequesterrortype import BadRequestErrorType, BadRequestErrorURI
    from langcache.models.cacheentry import CacheEntry, CacheEntryTypedDict
    from langcache.models.conversationalsearchbody import (
        ConversationalSearchBody,
        ConversationalSearchBodyTypedDict,
    )
    from langcache.models.conversationalsearchop import (
        ConversationalSearchGlobals,
        ConversationalSearchGlobalsTypedDict,
    )
    from langcache.models.conversationalsearchresponsecontent import (
        ConversationalSearchResponseContent,
        ConversationalSearchResponseContentTypedDict,
    )
    from langcache.models.deletebyidop import (
        DeleteByIDGlobals,
        DeleteByIDGlobalsTypedDict,
        DeleteByIDRequest,
        DeleteByIDRequestTypedDict,
    )
    from langcache.models.deletequeryop import DeleteQueryGlobals, DeleteQueryGlobalsTypedDict
    from langcache.models.deletequeryrequest import DeleteQueryRequest, DeleteQueryRequestTypedDict
    from langcache.models.deletequeryresponse import (
        DeleteQueryResponse,
        DeleteQueryResponseTypedDict,
    )
    from langcache.models.faileddependencyerrortype import (
        FailedDependencyErrorType,
        ResourceUnavailableErrorURI,
    )
    from langcache.models.fielderror import FieldError, FieldErrorTypedDict
    from langcache.models.flushop import (
        FlushGlobals,
        FlushGlobalsTypedDict,
        FlushRequest,
        FlushRequestTypedDict,
    )
    from langcache.models.forbiddenerrortype import ForbiddenErrorType, ForbiddenErrorURI
    from langcache.models.healthop import (
        HealthGlobals,
        HealthGlobalsTypedDict,
        HealthRequest,
        HealthRequestTypedDict,
    )
    from langcache.models.healthresponse import HealthResponse, HealthResponseTypedDict
    from langcache.models.methodnotallowederrortype import MethodNotAllowedErrorType
    from langcache.models.notfounderrortype import NotFoundErrorType, NotFoundErrorURI
    from langcache.models.payloadtoolargeerrortype import (
        PayloadTooLargeErrorType,
        PayloadTooLargeErrorURI,
    )
    from langcache.models.searchop import SearchGlobals, SearchGlobalsTypedDict
    from langcache.models.searchrequest import SearchRequest, SearchRequestTypedDict
    from langcache.models.searchresponse import SearchResponse, SearchResponseTypedDict
    from langcache.models.searchstrategy import SearchStrategy
    from langcache.models.security import Security, SecurityTypedDict
    from langcache.models.setop import SetGlobals, SetGlobalsTypedDict
    from langcache.models.setrequest import SetRequest, SetRequestTypedDict
    from langcache.models.setresponse import SetResponse, SetResponseTypedDict
    from langcache.models.toomanyrequestserrortype import (
        TooManyRequestsErrorType,
        TooManyRequestsErrorURI,
    )
    from langcache.models.unexpectederrortype import UnexpectedErrorType, UnexpectedErrorURI
    from langcache.models.unsupportedmediatypeerrortype import UnsupportedMediaTypeErrorType

__all__ = [
    "AuthenticationErrorType",
    "AuthenticationErrorURI",
    "BadRequestErrorType",
    "BadRequestErrorURI",
    "CacheEntry",
    "CacheEntryTypedDict",
    "ConversationalSearchBody",
    "ConversationalSearchBodyTypedDict",
    "ConversationalSearchGlobals",
    "ConversationalSearchGlobalsTypedDict",
    "ConversationalSearchResponseContent",
    "ConversationalSearchResponseContentTypedDict",
    "DeleteByIDGlobals",
    "DeleteByIDGlobalsTypedDict",
    "DeleteByIDRequest",
    "DeleteByIDRequestTypedDict",
    "DeleteQueryGlobals",
    "DeleteQueryGlobalsTypedDict",
    "DeleteQueryRequest",
    "DeleteQueryRequestTypedDict",
    "DeleteQueryResponse",
    "DeleteQueryResponseTypedDict",
    "FailedDependencyErrorType",
    "FieldError",
    "FieldErrorTypedDict",
    "FlushGlobals",
    "FlushGlobalsTypedDict",
    "FlushRequest",
    "FlushRequestTypedDict",
    "ForbiddenErrorType",
    "ForbiddenErrorURI",
    "HealthGlobals",
    "HealthGlobalsTypedDict",
    "HealthRequest",
    "HealthRequestTypedDict",
    "HealthResponse",
    "HealthResponseTypedDict",
    "MethodNotAllowedErrorType",
    "NotFoundErrorType",
    "NotFoundErrorURI",
    "PayloadTooLargeErrorType",
    "PayloadTooLargeErrorURI",
    "ResourceUnavailableErrorURI",
    "SearchGlobals",
    "SearchGlobalsTypedDict",
    "SearchRequest",
    "SearchRequestTypedDict",
    "SearchResponse",
    "SearchResponseTypedDict",
    "SearchStrategy",
    "Security",
    "SecurityTypedDict",
    "SetGlobals",
    "SetGlobalsTypedDict",
    "SetRequest",
    "SetRequestTypedDict",
    "SetResponse",
    "SetResponseTypedDict",
    "TooManyRequestsErrorType",
    "TooManyRequestsErrorURI",
    "UnexpectedErrorType",
    "UnexpectedErrorURI",
    "UnsupportedMediaTypeErrorType",
]

_MODULES = {
    "SetRequest": "setrequest",
    "SetRequestTypedDict": "setrequest",
    "SetResponse": "setresponse",
    "SetResponseTypedDict": "setresponse",
    "SearchRequest": "searchrequest",
    "SearchRequestTypedDict": "searchrequest",
    "ConversationalSearchBody": "conversationalsearchbody",
    "ConversationalSearchBodyTypedDict": "conversationalsearchbody",
    "CacheEntry": "cacheentry",
    "CacheEntryTypedDict": "cacheentry",
    "SearchResponse": "searchresponse",
    "SearchResponseTypedDict": "searchresponse",
    "ConversationalSearchResponseContent": "conversationalsearchresponsecontent",
    "ConversationalSearchResponseContentTypedDict": "conversationalsearchresponsecontent",
    "DeleteQueryRequest": "deletequeryrequest",
    "DeleteQueryRequestTypedDict": "deletequeryrequest",
    "DeleteQueryResponse": "deletequeryresponse",
    "DeleteQueryResponseTypedDict": "deletequeryresponse",
    "HealthResponse": "healthresponse",
    "HealthResponseTypedDict": "healthresponse",
    "FieldError": "fielderror",
    "FieldErrorTypedDict": "fielderror",
    "SetGlobals": "setop",
    "SetGlobalsTypedDict": "setop",
    "SearchGlobals": "searchop",
    "SearchGlobalsTypedDict": "searchop",
    "ConversationalSearchGlobals": "conversationalsearchop",
    "ConversationalSearchGlobalsTypedDict": "conversationalsearchop",
    "DeleteQueryGlobals": "deletequeryop",
    "DeleteQueryGlobalsTypedDict": "deletequeryop",
    "DeleteByIDGlobals": "deletebyidop",
    "DeleteByIDGlobalsTypedDict": "deletebyidop",
    "DeleteByIDRequest": "deletebyidop",
    "DeleteByIDRequestTypedDict": "deletebyidop",
    "FlushGlobals": "flushop",
    "FlushGlobalsTypedDict": "flushop",
    "FlushRequest": "flushop",
    "FlushRequestTypedDict": "flushop",
    "HealthGlobals": "healthop",
    "HealthGlobalsTypedDict": "healthop",
    "HealthRequest": "healthop",
    "HealthRequestTypedDict": "healthop",
    "Security": "security",
    "SecurityTypedDict": "security",
    "SearchStrategy": "searchstrategy",
    "BadRequestErrorType": "badrequesterrortype",
    "BadRequestErrorURI": "badrequesterrortype",
    "AuthenticationErrorType": "authenticationerrortype",
    "AuthenticationErrorURI": "authenticationerrortype",
    "ForbiddenErrorType": "forbiddenerrortype",
    "ForbiddenErrorURI": "forbiddenerrortype",
    "NotFoundErrorType": "notfounderrortype",
    "NotFoundErrorURI": "notfounderrortype",
    "MethodNotAllowedErrorType": "methodnotallowederrortype",
    "PayloadTooLargeErrorType": "payloadtoolargeerrortype",
    "PayloadTooLargeErrorURI": "payloadtoolargeerrortype",
    "UnsupportedMediaTypeErrorType": "unsupportedmediatypeerrortype",
    "FailedDependencyErrorType": "faileddependencyerrortype",
    "ResourceUnavailableErrorURI": "faileddependencyerrortype",
    "TooManyRequestsErrorType": "toomanyrequestserrortype",
    "TooManyRequestsErrorURI": "toomanyrequestserrortype",
    "UnexpectedErrorType": "unexpectederrortype",
    "UnexpectedErrorURI": "unexpectederrortype",
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
