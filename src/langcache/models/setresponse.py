# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`SetResponse`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from langcache.types import BaseModel


class SetResponse(BaseModel):
    """The stored entry."""

    entry_id: Annotated[str, Field(alias="entryId")]
    """The id of the entry."""


class SetResponseTypedDict(TypedDict):
    """The dict form of `SetResponse`."""

    entry_id: str
