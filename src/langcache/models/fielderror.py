# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`FieldError`."""

from typing_extensions import TypedDict

from langcache.types import BaseModel


class FieldError(BaseModel):
    """One rule that one field of a request breaks."""

    field: str
    """The path of the field in the request, such as `attributes.topic`."""

    rule: str
    """The rule that it breaks, such as `maxLength`."""

    message: str
    """What was allowed and what was given, in words."""


class FieldErrorTypedDict(TypedDict):
    """A `FieldError` as a dict."""

    field: str
    rule: str
    message: str
