"""A server with a caching proxy, in front of an upstream of the tests' own."""

import contextlib
from dataclasses import replace

from langcache_mockserver import Settings, create_app
from langcache_mockserver.background import Background
from langcache_mockserver.configuration import configuration_of
from langcache_mockserver.http.uvicorn_server import listen


@contextlib.contextmanager
def proxy_of(upstream):
    """Run a server in development mode that waits for a busy machine; yields its URL."""
    settings = Settings(proxy_openai=upstream.openai_url, proxy_anthropic=upstream.anthropic_url)
    configuration = configuration_of(settings)
    patient = replace(configuration.proxy, budget_seconds=30.0)
    app = create_app(settings, configuration=replace(configuration, proxy=patient))
    background = Background(app, listen("127.0.0.1", 0), "127.0.0.1")
    background.start()
    try:
        yield background.url
    finally:
        background.stop()
