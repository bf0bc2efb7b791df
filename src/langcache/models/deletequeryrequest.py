# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`DeleteQueryRequest`."""

from typing_extensions import TypedDict

from langcache.types import BaseModel


class DeleteQueryRequest(BaseModel):
    """Which entries to delete."""

    attributes: dict[str, str]
    """Entries that have all of these attributes are deleted; with none given, all entries are.

    At most 5 entries; names must match `^[a-zA-Z0-9_-]{1,32}$`.
    """


class DeleteQueryRequestTypedDict(TypedDict):
    """A `DeleteQueryRequest` as a dict."""

    attributes: dict[str, str]
