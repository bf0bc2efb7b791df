# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`AuthenticationErrorType`."""

from langcache.types import OpenStrEnum


class AuthenticationErrorType(OpenStrEnum):
    """The kind of a 401."""

    ROOT_ERRORS_AUTHENTICATION_FAILED = "/errors/authentication-failed"


AuthenticationErrorURI = AuthenticationErrorType
"""An older name of `AuthenticationErrorType`."""
