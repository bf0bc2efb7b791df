# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`MethodNotAllowedErrorType`."""

from langcache.types import OpenStrEnum


class MethodNotAllowedErrorType(OpenStrEnum):
    """What kind of 405 it is."""

    ROOT_ERRORS_METHOD_NOT_ALLOWED = "/errors/method-not-allowed"
