# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`FailedDependencyErrorType`."""

from langcache.types import OpenStrEnum


class FailedDependencyErrorType(OpenStrEnum):
    """The kind of a 424. All values but the first two come from older services."""

    ROOT_ERRORS_RESOURCE_UNAVAILABLE = "/errors/resource-unavailable"
    ROOT_ERRORS_DATABASE_OUT_OF_MEMORY = "/errors/database-out-of-memory"
    ROOT_ERRORS_DATABASE_RESOURCE_DATABASE_UNAVAILABLE = (
        "/errors/database/resource-database-unavailable"
    )
    ROOT_ERRORS_DATABASE_OUT_OF_MEMORY_OLD = "/errors/database/out-of-memory"
    ROOT_ERRORS_EMBEDDINGS_UNAUTHORIZED = "/errors/embeddings/unauthorized"
    ROOT_ERRORS_EMBEDDINGS_TOO_MANY_REQUESTS = "/errors/embeddings/too-many-requests"
    ROOT_ERRORS_CACHE_INDEX_NOT_FOUND = "/errors/cache/index-not-found"


ResourceUnavailableErrorURI = FailedDependencyErrorType
"""An older name of `FailedDependencyErrorType`."""
