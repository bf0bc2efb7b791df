"""Check an environment into which only the wheel of the SDK was installed."""

import importlib.metadata
import sys

EXPECTED = {
    "annotated-types",
    "anyio",
    "certifi",
    "exceptiongroup",  # Python 3.10 only
    "h11",
    "httpcore",
    "httpx",
    "idna",
    "langcache",
    "pydantic",
    "pydantic-core",
    "sniffio",  # older anyio only
    "typing-extensions",
    "typing-inspection",
}

installed = {d.name.lower().replace("_", "-") for d in importlib.metadata.distributions()}
unexpected = installed - EXPECTED - {"pip", "setuptools"}
assert not unexpected, f"the SDK brings {sorted(unexpected)}"

import langcache  # noqa: E402

langcache.LangCache(server_url="https://api.example.com", cache_id="c", api_key="k").close()
try:
    import langcache.engine
except ImportError as error:
    message = str(error)
else:
    sys.exit("langcache.engine was imported without its extra")
assert "\n" not in message, message
assert "needs the extra engine" in message, message
print(f"langcache {langcache.__version__} alone: {len(installed)} distributions; {message}")
