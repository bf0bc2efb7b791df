# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`FieldError`."""

from typing_extensions import TypedDict

from langcache.types import BaseModel


class FieldError(BaseModel):
    """A rule that a field of the request breaks."""

    field: str
    """The path of the field in the request, such as `attributes.topic`."""

    rule: str
    """The broken rule, such as `maxLength`."""

    message: str
    """What is allowed and what was given."""


class FieldErrorTypedDict(TypedDict):
    """The dict form of `FieldError`."""

    field: str
    rule: str
    message: str
