"""The options that say what a command works on, and what they stand for."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeAlias

import typer

from langcache.cli.target import USAGE, TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langcache.cli.target import Target

__all__ = [
    "ApiKeyFile",
    "AsJson",
    "AttributeOptions",
    "CacheId",
    "Embedder",
    "ServerUrl",
    "StorageName",
    "attributes_of",
    "fail",
    "is_utf8",
    "open_target",
    "print_json",
]

ServerUrl: TypeAlias = Annotated[
    str,
    typer.Option(
        "--server-url",
        envvar="LANGCACHE_SERVER_URL",
        metavar="URL",
        help="The LangCache server, such as http://127.0.0.1:8080.",
        rich_help_panel="Where",
    ),
]
CacheId: TypeAlias = Annotated[
    str,
    typer.Option(
        "--cache-id",
        envvar="LANGCACHE_CACHE_ID",
        metavar="ID",
        help="The cache; with --storage its name, llmcache by default.",
        rich_help_panel="Where",
    ),
]
ApiKeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file",
        metavar="PATH",
        help="A file that holds the API key. Without it: the environment variable "
        "LANGCACHE_API_KEY.",
        rich_help_panel="Where",
    ),
]
StorageName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--storage",
        metavar="STORAGE",
        help="Instead of a server: sqlite:PATH, or a redis:// URL. Needs the extra engine.",
        rich_help_panel="Where",
    ),
]
Embedder: TypeAlias = Annotated[
    str,
    typer.Option(
        "--embedder",
        metavar="NAME",
        help="With --storage, what embeds: minilm, openai:MODEL or sentence-transformers:NAME.",
        rich_help_panel="Where",
    ),
]
AttributeOptions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--attribute", metavar="NAME=VALUE", help="An attribute. Can be given several times."
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_LONGEST_KEY = 4096
_BAD_BYTES = re.compile("[\ud800-\udfff]")


def open_target(
    server_url: str,
    cache_id: str,
    api_key_file: Path | None,
    storage: str,
    embedder: str = "minilm",
    *,
    attribute_names: Sequence[str] = (),
    verifier: str | None = None,
    creates: bool = False,
) -> Target:
    """Return what a command works on.

    Args:
        server_url: The URL of a server, or "".
        cache_id: The id of the cache, or "".
        api_key_file: A file with the API key.
        storage: A storage of this machine, which goes before the server, or "".
        embedder: What embeds for this storage.
        attribute_names: The names of the attributes that the command will use.
        verifier: What may turn candidates down, for a storage of this machine.
        creates: Whether to create a file of such a storage that does not exist.

    Raises:
        TargetError: The options contradict each other, or the storage cannot be opened.
    """
    if storage:
        from langcache.cli.local_target import LocalTarget

        name = cache_id or "llmcache"
        return LocalTarget(storage, name, embedder, attribute_names, verifier, creates=creates)
    if not server_url:
        message = "--server-url: is required (or LANGCACHE_SERVER_URL, or --storage)"
        raise TargetError(message, USAGE)
    if not cache_id:
        raise TargetError("--cache-id: is required (or LANGCACHE_CACHE_ID)", USAGE)
    from langcache.cli.server_target import ServerTarget

    return ServerTarget(server_url, cache_id, _api_key(api_key_file))


def _api_key(path: Path | None) -> str:
    if path is None:
        return os.environ.get("LANGCACHE_API_KEY", "")
    try:
        with path.open(encoding="utf-8") as file:
            key = file.read(_LONGEST_KEY + 1).strip()
    except OSError as error:
        message = f"--api-key-file: cannot be read ({error.strerror or type(error).__name__})"
        raise TargetError(message, USAGE) from None
    except UnicodeDecodeError:
        raise TargetError("--api-key-file: must be UTF-8", USAGE) from None
    if not key or len(key) > _LONGEST_KEY or len(key.split()) > 1:
        raise TargetError("--api-key-file: must hold one API key and nothing else", USAGE)
    return key


def attributes_of(options: Sequence[str] | None) -> dict[str, str]:
    """Return the attributes of options such as `topic=ai`.

    Raises:
        typer.BadParameter: An option is malformed, or a name comes twice.
    """
    attributes: dict[str, str] = {}
    for option in options or ():
        name, equals, value = option.partition("=")
        if not equals or not name:
            raise typer.BadParameter("must be NAME=VALUE", param_hint="--attribute")
        if not is_utf8(option):
            raise typer.BadParameter("must be UTF-8", param_hint="--attribute")
        if name in attributes:
            raise typer.BadParameter(f"{name} must be given once", param_hint="--attribute")
        attributes[name] = value
    return attributes


def is_utf8(text: str) -> bool:
    """Return whether a text can be written as UTF-8: other bytes become lone surrogates."""
    return text.isascii() or not _BAD_BYTES.search(text)


def fail(error: TargetError) -> NoReturn:
    """Print what is wrong and exit."""
    typer.echo(f"langcache: {error}", err=True)
    raise typer.Exit(error.status) from None


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    typer.echo(text)
