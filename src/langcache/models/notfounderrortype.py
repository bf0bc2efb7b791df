# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`NotFoundErrorType`."""

from langcache.types import OpenStrEnum


class NotFoundErrorType(OpenStrEnum):
    """The kind of a 404. All values but the first come from older services."""

    ROOT_ERRORS_RESOURCE_NOT_FOUND = "/errors/resource-not-found"
    ROOT_ERRORS_CACHE_NOT_FOUND = "/errors/cache/not-found"
    ROOT_ERRORS_CACHE_ENTRY_NOT_FOUND = "/errors/cache/entry/not-found"
    ROOT_ERRORS_RESOURCE_NOT_FOUND_OLD = "/errors/resource/not-found"
    ROOT_ERRORS_TOKEN_NOT_FOUND = "/errors/token/not-found"  # noqa: S105


NotFoundErrorURI = NotFoundErrorType
"""An older name of `NotFoundErrorType`."""
