# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`BadRequestErrorType`."""

from langcache.types import OpenStrEnum


class BadRequestErrorType(OpenStrEnum):
    """What kind of 400 it is."""

    ROOT_ERRORS_INVALID_DATA = "/errors/invalid-data"


BadRequestErrorURI = BadRequestErrorType
"""An older name of `BadRequestErrorType`."""
