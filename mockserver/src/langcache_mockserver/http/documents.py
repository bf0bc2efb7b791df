"""The OpenAPI documents that the server implements and serves."""

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent

CONTRACT = (_PACKAGE / "openapi.json").read_bytes()
"""The contract of the data plane (OpenAPI 3.1, JSON)."""

CONTROL_CONTRACT = (_PACKAGE / "control-openapi.json").read_bytes()
"""The contract of the control plane and of identity (OpenAPI 3.1, JSON)."""

CONSOLE_DOCUMENT = (_PACKAGE / "console-openapi.json").read_bytes()
"""The description of the console (OpenAPI 3.1, JSON)."""

MOCK_DOCUMENT = (_PACKAGE / "mock-openapi.json").read_bytes()
"""The description of the test controls (OpenAPI 3.1, JSON)."""
