# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`ForbiddenErrorType`."""

from langcache.types import OpenStrEnum


class ForbiddenErrorType(OpenStrEnum):
    """What kind of 403 it is."""

    ROOT_ERRORS_INSUFFICIENT_PERMISSIONS = "/errors/insufficient-permissions"


ForbiddenErrorURI = ForbiddenErrorType
"""An older name of `ForbiddenErrorType`."""
