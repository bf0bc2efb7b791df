"""The engine without the packages of its extra."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("missing", ["numpy", "onnxruntime", "tokenizers"])
def test_a_missing_package_of_the_extra_is_named_with_its_remedy(missing):
    code = f"""
import sys
sys.modules[{missing!r}] = None
try:
    import langcache.engine
except ImportError as error:
    print(error)
    print(error.__cause__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    message, cause = done.stdout.splitlines()
    assert 'needs the extra engine; see "Install"' in message
    assert cause == f"No module named '{missing}'"


@pytest.mark.parametrize("command", ["stats", "migrate"])
def test_a_command_names_the_missing_package(command, tmp_path):
    code = f"""
import sys
sys.modules["onnxruntime"] = None
sys.argv = ["langcache", {command!r}, "--storage", {f"sqlite:{tmp_path / 'faq.db'}"!r}]
from langcache.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    expected = '--storage: needs the extra engine; see "Install" in the README (onnxruntime)'
    assert done.stderr == f"langcache: {expected}\n"


def test_importing_the_engine_does_not_load_the_model_runtime():
    code = """
import sys
import langcache.engine
print([name for name in ("onnxruntime", "tokenizers") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
