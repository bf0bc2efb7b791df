# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`SetRequest`."""

from typing import Annotated

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from langcache.types import BaseModel


class SetRequest(BaseModel):
    """An entry to store."""

    prompt: str
    """The prompt that the entry answers. 1 to 1024 characters."""

    response: str
    """The response to return for this prompt and for prompts with the same meaning."""

    attributes: dict[str, str] | None = None
    """Names and values that searches can filter by.

    A value must not contain a comma. At most 5 name-value pairs; names must match
    `^[a-zA-Z0-9_-]{1,32}$`; each value: 1 to 500 characters, must match `^[^,]*$`.
    """

    ttl_millis: Annotated[int | None, Field(alias="ttlMillis")] = None
    """The time to live of the entry, in milliseconds.

    The default is that of the cache, which may be unlimited. 1 to 31556952000.
    """


class SetRequestTypedDict(TypedDict):
    """The dict form of `SetRequest`."""

    prompt: str
    response: str
    attributes: NotRequired[dict[str, str]]
    ttl_millis: NotRequired[int]
