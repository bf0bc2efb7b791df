# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`AuthenticationErrorType`."""

from langcache.types import OpenStrEnum


class AuthenticationErrorType(OpenStrEnum):
    """What kind of 401 it is."""

    ROOT_ERRORS_AUTHENTICATION_FAILED = "/errors/authentication-failed"


AuthenticationErrorURI = AuthenticationErrorType
"""An older name of `AuthenticationErrorType`."""
