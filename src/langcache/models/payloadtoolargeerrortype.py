# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`PayloadTooLargeErrorType`."""

from langcache.types import OpenStrEnum


class PayloadTooLargeErrorType(OpenStrEnum):
    """What kind of 413 it is."""

    ROOT_ERRORS_PAYLOAD_TOO_LARGE = "/errors/payload-too-large"


PayloadTooLargeErrorURI = PayloadTooLargeErrorType
"""An older name of `PayloadTooLargeErrorType`."""
