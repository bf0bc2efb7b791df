"""A LangCache server for tests, contract tests and self-hosting.

Names are loaded when they are first used, because every run of pytest imports the pytest plugin.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langcache_mockserver.app import create_app
    from langcache_mockserver.configuration import ConfigurationError
    from langcache_mockserver.controls.clock import Clock, ClockError
    from langcache_mockserver.mock_server import MockServer
    from langcache_mockserver.settings import Settings, SettingsError
    from langcache_mockserver.similarity_table import SimilarityTable

__all__ = [
    "Clock",
    "ClockError",
    "ConfigurationError",
    "MockServer",
    "Settings",
    "SettingsError",
    "SimilarityTable",
    "create_app",
]

_HOMES = {
    "Clock": "controls.clock",
    "ClockError": "controls.clock",
    "ConfigurationError": "configuration",
    "MockServer": "mock_server",
    "Settings": "settings",
    "SettingsError": "settings",
    "SimilarityTable": "similarity_table",
    "create_app": "app",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
