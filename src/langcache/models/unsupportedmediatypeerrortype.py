# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`UnsupportedMediaTypeErrorType`."""

from langcache.types import OpenStrEnum


class UnsupportedMediaTypeErrorType(OpenStrEnum):
    """The kind of a 415."""

    ROOT_ERRORS_UNSUPPORTED_MEDIA_TYPE = "/errors/unsupported-media-type"
