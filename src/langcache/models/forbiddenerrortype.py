# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`ForbiddenErrorType`."""

from langcache.types import OpenStrEnum


class ForbiddenErrorType(OpenStrEnum):
    """The kind of a 403."""

    ROOT_ERRORS_INSUFFICIENT_PERMISSIONS = "/errors/insufficient-permissions"


ForbiddenErrorURI = ForbiddenErrorType
"""An older name of `ForbiddenErrorType`."""
