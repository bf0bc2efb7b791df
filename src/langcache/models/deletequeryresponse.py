# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`DeleteQueryResponse`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from langcache.types import BaseModel


class DeleteQueryResponse(BaseModel):
    """The result of deleting entries."""

    deleted_entries_count: Annotated[int, Field(alias="deletedEntriesCount")]
    """The number of entries that were deleted. At least 0."""


class DeleteQueryResponseTypedDict(TypedDict):
    """The dict form of `DeleteQueryResponse`."""

    deleted_entries_count: int
