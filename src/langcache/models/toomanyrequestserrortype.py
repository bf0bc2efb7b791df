# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`TooManyRequestsErrorType`."""

from langcache.types import OpenStrEnum


class TooManyRequestsErrorType(OpenStrEnum):
    """The kind of a 429."""

    ROOT_ERRORS_TOO_MANY_REQUESTS = "/errors/too-many-requests"


TooManyRequestsErrorURI = TooManyRequestsErrorType
"""An older name of `TooManyRequestsErrorType`."""
