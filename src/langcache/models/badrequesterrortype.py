# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`BadRequestErrorType`."""

from langcache.types import OpenStrEnum


class BadRequestErrorType(OpenStrEnum):
    """The kind of a 400."""

    ROOT_ERRORS_INVALID_DATA = "/errors/invalid-data"


BadRequestErrorURI = BadRequestErrorType
"""An older name of `BadRequestErrorType`."""
