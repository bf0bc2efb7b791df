# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`MethodNotAllowedErrorType`."""

from langcache.types import OpenStrEnum


class MethodNotAllowedErrorType(OpenStrEnum):
    """The kind of a 405."""

    ROOT_ERRORS_METHOD_NOT_ALLOWED = "/errors/method-not-allowed"
