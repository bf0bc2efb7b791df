"""What importing our modules needs: nothing that only some systems have."""

import subprocess
import sys

SCRIPT = """
import importlib, pkgutil, sys
import ctypes, multiprocessing.pool, subprocess, tempfile, onnxruntime  # may use what they like
for name in ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty", "uvloop"):
    sys.modules[name] = None
import langcache, langcache_minilm, langcache_minilm_pair, langcache_mockserver
imported = 0
for package in (langcache, langcache_minilm, langcache_minilm_pair, langcache_mockserver):
    prefix = package.__name__ + "."
    for module in pkgutil.walk_packages(package.__path__, prefix, onerror=lambda _: None):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
            imported += 1
        except ImportError as error:
            if "extra" not in str(error):
                raise
print(imported)
"""


def test_no_module_needs_what_only_posix_has():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200, done.stdout
