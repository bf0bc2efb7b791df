"""Tests of projects that use the plugin of pytest, which run in a process of their own."""

WITHOUT_OTHERS = [
    f"-pno:{name}"
    for name in ("anyio", "cacheprovider", "hypothesispytest", "respx", "schemathesis")
]
"""Options that leave out the plugins of others, which take seconds to import."""
