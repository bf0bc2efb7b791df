# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`UnsupportedMediaTypeErrorType`."""

from langcache.types import OpenStrEnum


class UnsupportedMediaTypeErrorType(OpenStrEnum):
    """What kind of 415 it is."""

    ROOT_ERRORS_UNSUPPORTED_MEDIA_TYPE = "/errors/unsupported-media-type"
