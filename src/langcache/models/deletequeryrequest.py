# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`DeleteQueryRequest`."""

from typing_extensions import TypedDict

from langcache.types import BaseModel


class DeleteQueryRequest(BaseModel):
    """A request to delete entries."""

    attributes: dict[str, str]
    """Entries that have all of these attributes are deleted.

    Without attributes, all entries are deleted. At most 5 name-value pairs; names must match
    `^[a-zA-Z0-9_-]{1,32}$`.
    """


class DeleteQueryRequestTypedDict(TypedDict):
    """The dict form of `DeleteQueryRequest`."""

    attributes: dict[str, str]
