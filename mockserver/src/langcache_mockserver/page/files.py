"""The templates and files of the page. Nothing is read before somebody looks."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jinja2 import Environment

TABS = ("playground", "lookups", "entries", "savings", "server")
"""The tabs of the page, the first of which is at `/`."""

DOCUMENTS = {
    "data": ("Caches", "/openapi.json"),
    "console": ("Console", "/console/openapi.json"),
    "control": ("Control plane", "/control/openapi.json"),
    "mock": ("Test controls", "/_mock/v1/openapi.json"),
}
"""The OpenAPI documents: their titles and paths."""

_HERE = Path(__file__).parent
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Asset(NamedTuple):
    """A file of the page.

    Attributes:
        content: Its bytes.
        media_type: Its media type.
        tag: Stands for its content.
    """

    content: bytes
    media_type: str
    tag: str


def asset(name: str) -> Asset | None:
    """Return a file by its name, or None if there is none."""
    return _assets().get(name)


def render(template: str, **values: object) -> str:
    """Return a template with values; they are escaped."""
    return _environment().get_template(template, globals=_GLOBALS).render(values)


@cache
def _assets() -> dict[str, Asset]:
    assets: dict[str, Asset] = {}
    for path in (_HERE / "static").iterdir():
        if path.suffix in _MEDIA_TYPES:
            content = path.read_bytes()
            tag = hashlib.sha256(content).hexdigest()[:12]
            assets[path.name] = Asset(content, _MEDIA_TYPES[path.suffix], tag)
    return assets


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        autoescape=True,
        loader=FileSystemLoader(_HERE / "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def _address(name: str) -> str:
    """Return the address of a file, which changes with its content."""
    return f"/page/static/{name}?{_assets()[name].tag}"


_GLOBALS = {
    "address": _address,
    "documents": DOCUMENTS,
    "tabs": TABS,
    "version": version("langcache-mockserver"),
}
