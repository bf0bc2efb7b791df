import pytest


@pytest.fixture
def anyio_backend():
    """The engine's worker threads are asyncio's."""
    return "asyncio"
