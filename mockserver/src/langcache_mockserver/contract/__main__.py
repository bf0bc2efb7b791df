"""The command `python -m langcache_mockserver.contract`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from langcache_mockserver.contract.check import check_contract
from langcache_mockserver.contract.target import UnusableError

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEY = "LANGCACHE_API_KEY"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a LangCache and print the report.

    Args:
        arguments: The command line's arguments; by default those of the process.

    Returns:
        The exit status: 0 if no rule is broken, 1 if some are, 2 if the service cannot be used or
        the report cannot be written.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    key: str = given.key or os.environ.get(_KEY, "")
    if not key:
        parser.error(f"a key is needed: --key or {_KEY}")
    try:
        report = check_contract(
            given.url,
            cache_id=given.cache,
            api_key=key,
            attributes=[name for name in given.attributes.split(",") if name],
            strategies=[name for name in given.strategies.split(",") if name],
            other_cache_id=given.other_cache,
            forbidden_cache_id=given.forbidden_cache,
            strict=given.strict,
            allow_destructive=given.destructive,
            wait=not given.no_wait,
            timeout=given.timeout,
        )
        if given.json is not None:
            given.json.write_text(report.to_json() + "\n", encoding="utf-8")
    except (UnusableError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: error: {error}\n")
        return 2
    print(report)
    return 1 if report.departures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="langcache_mockserver.contract",
        description="Check whether a LangCache keeps the contract, and say where it departs.",
        epilog="It stores entries of its own in the cache and deletes them again. Exit status: "
        "0 no departure, 1 departures, 2 the service cannot be used.",
        allow_abbrev=False,
    )
    parser.add_argument("--url", required=True, help="base URL of the service")
    parser.add_argument("--cache", required=True, metavar="ID", help="cache to use; best empty")
    parser.add_argument("--key", help=f"API key (default: the environment variable {_KEY})")
    parser.add_argument(
        "--attributes",
        metavar="NAMES",
        default="",
        help="names of attributes that the cache has, with commas between; two or more for all",
    )
    parser.add_argument(
        "--strategies",
        metavar="NAMES",
        default="exact,semantic",
        help="search strategies that the cache has (default: exact,semantic)",
    )
    parser.add_argument("--other-cache", metavar="ID", help="second cache that the key may use")
    parser.add_argument("--forbidden-cache", metavar="ID", help="cache that the key may not use")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="undeclared caches, keys and attributes must be refused, too",
    )
    parser.add_argument(
        "--destructive", action="store_true", help="all entries of the cache may be deleted"
    )
    parser.add_argument("--no-wait", action="store_true", help="don't wait for a TTL to pass")
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS", help="per answer (default: 30)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
