# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`SetResponse`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from langcache.types import BaseModel


class SetResponse(BaseModel):
    """What was stored."""

    entry_id: Annotated[str, Field(alias="entryId")]
    """The id of the entry."""


class SetResponseTypedDict(TypedDict):
    """A `SetResponse` as a dict."""

    entry_id: str
