import functools

import pytest

from langcache import engine


@pytest.fixture(scope="session", autouse=True)
def models_are_loaded_once():
    """A command is a program of its own and loads its models; here, many run in one process."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (engine, engine.cache):
            for name in ("create_embedder", "create_verifier"):
                patch.setattr(module, name, functools.cache(getattr(module, name)))
        yield
