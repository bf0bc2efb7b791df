# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`UnexpectedErrorType`."""

from langcache.types import OpenStrEnum


class UnexpectedErrorType(OpenStrEnum):
    """The kind of a 500. All values but the first come from older services."""

    ROOT_ERRORS_UNEXPECTED_ERROR = "/errors/unexpected-error"
    ROOT_ERRORS_CACHE_AUTHENTICATION = "/errors/cache/authentication"
    ROOT_ERRORS_CACHE_UNEXPECTED_ERROR = "/errors/cache/unexpected-error"
    ROOT_ERRORS_EMBEDDINGS_UNEXPECTED_ERROR = "/errors/embeddings/unexpected-error"


UnexpectedErrorURI = UnexpectedErrorType
"""An older name of `UnexpectedErrorType`."""
