"""A LangCache server for tests, contract tests and self-hosting."""

from langcache_mockserver.app import create_app
from langcache_mockserver.server import MockServer
from langcache_mockserver.settings import Settings, SettingsError

__all__ = ["MockServer", "Settings", "SettingsError", "create_app"]
