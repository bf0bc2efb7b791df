# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`DeleteQueryResponse`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from langcache.types import BaseModel


class DeleteQueryResponse(BaseModel):
    """How much was deleted."""

    deleted_entries_count: Annotated[int, Field(alias="deletedEntriesCount")]
    """The number of entries that were deleted. At least 0."""


class DeleteQueryResponseTypedDict(TypedDict):
    """A `DeleteQueryResponse` as a dict."""

    deleted_entries_count: int
