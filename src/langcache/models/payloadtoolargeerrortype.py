# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`PayloadTooLargeErrorType`."""

from langcache.types import OpenStrEnum


class PayloadTooLargeErrorType(OpenStrEnum):
    """The kind of a 413."""

    ROOT_ERRORS_PAYLOAD_TOO_LARGE = "/errors/payload-too-large"


PayloadTooLargeErrorURI = PayloadTooLargeErrorType
"""An older name of `PayloadTooLargeErrorType`."""
