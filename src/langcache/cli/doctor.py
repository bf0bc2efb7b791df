"""The subcommand `doctor`: what is installed, and whether it works."""

from __future__ import annotations

import json
import os
import platform
import re
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias
from urllib.request import getproxies, proxy_bypass

import httpx
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from langcache import __version__
from langcache.cli.target import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["doctor"]

Section: TypeAlias = dict[str, str | int | bool | None]

_PACKAGES = (
    "langcache-mockserver",
    "langcache-minilm",
    "langcache-minilm-pair",
    "httpx",
    "pydantic",
    "numpy",
    "numkong",
    "onnxruntime",
    "tokenizers",
    "redis",
    "litellm",
    "sentence-transformers",
)
_VARIABLES = (
    *("LANGCACHE_API_KEY", "LANGCACHE_CACHE_ID", "LANGCACHE_DEBUG", "LANGCACHE_SERVER_URL"),
)
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+).*extra == ['\"]([a-z-]+)['\"]")
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SECONDS = 5.0


class CheckError(Exception):
    """A check failed. The message names the failure and holds no secret."""


def doctor(
    server_url: Annotated[
        str,
        typer.Option(
            envvar="LANGCACHE_SERVER_URL",
            metavar="URL",
            help="Check that the server at this URL answers /health.",
        ),
    ] = "",
    storage: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Check the Redis at this URL: redis://, rediss:// or unix://.",
        ),
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as one JSON object.")
    ] = False,
) -> None:
    """Show what is installed, and check that it works.

    Values of environment variables, passwords and keys are never shown.

    Exit status: 0 if every check passed, 1 if a check failed, 2 if an argument is wrong.
    """
    if storage and not storage.startswith(_REDIS_SCHEMES):
        raise typer.BadParameter(
            f"must be a URL with one of {', '.join(_REDIS_SCHEMES)}", param_hint="--storage"
        )
    report: dict[str, Section] = {
        "system": {"python": platform.python_version(), "platform": platform.platform()},
        "packages": {"langcache": __version__, **{name: _version(name) for name in _PACKAGES}},
        "extras": _extras(),
        "environment": _environment(),
    }
    problems: dict[str, str] = {}

    def check(name: str, section: Callable[[], Section]) -> None:
        try:
            report[name] = section()
        except CheckError as error:
            problems[name] = str(error)

    check("embedding_model", _embedding_model)
    check("verifier", _verifier)
    if server_url:
        check("server", lambda: _server(server_url))
        if "server" in report:
            check("console", lambda: _console(server_url))
    if storage:
        check("storage", lambda: _redis(storage))
        if "storage" in report:
            check("storage_memory", lambda: _redis_memory(storage))
    hints = _hints(server_url, report.get("storage", {}), report.get("storage_memory", {}))
    if as_json:
        parts = {"ok": not problems, "problems": problems, "hints": hints, **report}
        typer.echo(json.dumps(parts, indent=2))
    else:
        _print(report, problems)
        for hint in hints:
            typer.echo(f"Hint: {hint}")
    raise typer.Exit(1 if problems else 0)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _extras() -> Section:
    """Return for each extra whether its packages are installed, or which of them are missing."""
    needed: dict[str, list[str]] = {}
    for requirement in distribution("langcache").requires or ():
        if match := _REQUIREMENT.match(requirement):
            needed.setdefault(match[2], []).append(match[1])
    missing = {extra: [name for name in needed[extra] if not _version(name)] for extra in needed}
    return {
        extra: f"missing: {', '.join(names)}" if names else "installed"
        for extra, names in sorted(missing.items())
    }


def _environment() -> Section:
    names = {name for name in os.environ if name.startswith("LANGCACHE_")}
    return {name: name in names for name in sorted({*names, *_VARIABLES})}


def _embedding_model() -> Section:
    """Return the default embedding model; loads it and embeds a word."""
    if _extras()["engine"] != "installed":
        return {"model": None}
    try:
        from langcache.engine import create_embedder

        embedder = create_embedder("minilm")
        (vector,) = embedder.embed(["word"])
    except Exception as error:
        raise CheckError(f"cannot be loaded: {type(error).__name__}") from error
    return {"model": embedder.model_id, "dimensions": len(vector)}


def _verifier() -> Section:
    """Return the verifier that checks hits; loads its model and judges a pair."""
    if _extras()["engine"] != "installed":
        return {"verifier": None}
    try:
        from langcache.engine.verify import create_verifier

        verifier: Any = create_verifier("auto")
        verifier.verify("a word", ["another word"])
    except Exception as error:
        raise CheckError(f"cannot be loaded: {type(error).__name__}") from error
    return {"verifier": "auto", "model": verifier.model_id}


def _hints(server_url: str, storage: Section, memory: Section) -> list[str]:
    """Return what often goes wrong, where there are signs of it."""
    hints: list[str] = []
    try:
        host, path = httpx.URL(server_url).host, httpx.URL(server_url).path
    except (httpx.InvalidURL, ValueError):
        host, path = "", ""
    proxies = getproxies().keys() & {"http", "https", "all"}
    if host in _LOOPBACK and proxies and not proxy_bypass(host):
        hints.append(
            "a proxy is set (HTTP_PROXY or ALL_PROXY), and requests to this machine go through it:"
            " set NO_PROXY=localhost,127.0.0.1"
        )
    if "/v1" in path:
        hints.append("the server URL ends with the API's own path: leave out /v1 and what follows")
    if memory.get("eviction") == "noeviction" and memory.get("limit"):
        hints.append("Redis refuses to store once its memory is full: see maxmemory-policy")
    if storage.get("query_engine") is False:
        hints.append(
            "this Redis has no query engine: each process compares its own copy of the vectors,"
            " which suits some 50,000 entries a cache"
        )
    return hints


def _server(url: str) -> Section:
    try:
        with httpx.stream("GET", f"{url.rstrip('/')}/health", timeout=_SECONDS) as response:
            status = response.status_code
    # The message may repeat the URL, which may hold a password.
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise CheckError(f"cannot be reached: {reason_of(error)}") from error
    if status != 200:
        raise CheckError(f"GET /health must return 200, got {status}")
    return {"health": status}


def _console(url: str) -> Section:
    """Return the version of a server of this project, as far as anybody may see it."""
    try:
        found = httpx.get(f"{url.rstrip('/')}/console/v1", timeout=_SECONDS)
        return {"version": str(found.json()["version"]) if found.status_code == 200 else None}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return {"version": None}


def _redis(url: str) -> Section:
    try:
        redis: Any = import_module("redis")
    except ImportError as error:
        raise CheckError('needs the extra redis; see "Install" in the README') from error
    try:
        client = redis.Redis.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
    except ValueError as error:
        raise CheckError("must be a well-formed Redis URL") from error
    try:
        with client:
            server = client.info("server")["redis_version"]
            try:
                client.execute_command("FT._LIST")
                has_query_engine = True
            except redis.ResponseError:
                has_query_engine = False
    except redis.RedisError as error:
        raise CheckError(f"cannot be used: {type(error).__name__}") from error
    return {"version": server, "query_engine": has_query_engine}


def _redis_memory(url: str) -> Section:
    redis: Any = import_module("redis")
    try:
        with redis.Redis.from_url(url, socket_timeout=_SECONDS) as client:
            memory = client.info("memory")
    except redis.RedisError as error:
        raise CheckError(f"cannot be read: {type(error).__name__}") from error
    return {"limit": memory.get("maxmemory"), "eviction": memory.get("maxmemory_policy")}


def _print(report: dict[str, Section], problems: dict[str, str]) -> None:
    table = Table.grid(padding=(0, 2))
    for name, section in report.items():
        table.add_row(Text(name, "bold"))
        for key, value in section.items():
            table.add_row(Text(f"  {key}"), Text(_shown(name, value)))
    for name, problem in problems.items():
        table.add_row(Text(name, "bold"), Text(problem, "red"))
    Console(soft_wrap=True).print(table)


def _shown(section: str, value: str | int | bool | None) -> str:
    if isinstance(value, bool):
        yes, no = ("set", "not set") if section == "environment" else ("yes", "no")
        return yes if value else no
    return "not installed" if value is None else str(value)
