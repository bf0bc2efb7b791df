"""An offline upstream for the tests: OpenAI's and Anthropic's HTTP APIs on a loopback port.

Its answers depend on the whole request, so that two requests have the same answer only if they
are the same request (apart from `stream`), and it keeps what reaches it:

    with Upstream() as upstream:
        client = openai.OpenAI(base_url=upstream.openai_url, api_key="key", max_retries=0)
        ...
        assert upstream.count == 1
"""

from __future__ import annotations

import pytest

from .server import ReceivedRequest, Upstream

__all__ = ["ReceivedRequest", "Upstream", "upstream"]


@pytest.fixture
def upstream():
    """An upstream of the test's own."""
    with Upstream() as running:
        yield running
