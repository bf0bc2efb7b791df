"""Typed model of gen.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from document import ContractError, load_yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from pathlib import Path


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Outputs(_Settings):
    """The paths of the output, relative to the root of the repository.

    The generator owns its directories: any other file in them is stale.
    """

    sdk: str
    models: str
    errors: str
    sdk_docs: str
    model_docs: str
    error_docs: str
    contract: str

    @property
    def directories(self) -> tuple[str, ...]:
        """The generated directories."""
        return (self.models, self.errors, self.model_docs, self.error_docs)


class Global(_Settings):
    """The path parameter that is set on the client, and its default environment variable."""

    parameter: str
    environment: str


class Security(_Settings):
    """The security scheme that the client uses, and the environment variable of its key."""

    scheme: str
    environment: str


class OperationSettings(_Settings):
    """An operation that has a method."""

    id: str
    models: str = Field(pattern=r"^[A-Z]\w*$")
    accepts_request: bool = False


class Examples(_Settings):
    """How the examples in the pages create a client."""

    variable: str
    arguments: dict[str, str]


class Settings(_Settings):
    """The content of gen.yaml."""

    contract: str
    package: str
    server_environment: str
    class_name: str = Field(alias="class")
    outputs: Outputs
    global_: Global = Field(alias="global")
    security: Security
    operations: tuple[OperationSettings, ...]
    without_method: dict[str, str]
    aliases: dict[str, str]
    examples: Examples

    def older_names(self, name: str) -> tuple[str, ...]:
        """Return the aliases of a name."""
        return tuple(alias for alias, target in self.aliases.items() if target == name)


def load_settings(path: Path) -> Settings:
    """Read gen.yaml."""
    try:
        return Settings.model_validate(load_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(str(part) for part in first["loc"])
        raise ContractError(f"{path.name}#/{place}", first["msg"]) from error
