"""Check that all extras of all packages can be installed from wheels, wherever they are supported.

    uv run python .ci/check_wheels.py [PYTHON ...]

Resolves for each platform and each Python given, by default all of them. Reads the metadata of the
packages only and installs nothing.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
PLATFORMS = (
    "x86_64-manylinux_2_28",
    "aarch64-manylinux_2_28",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
)
# macOS 14: onnxruntime has no wheels for earlier ones with Python 3.14.
ENVIRONMENT = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"}
OURS = ("langcache", "langcache-minilm", "langcache-minilm-pair", "langcache-mockserver")
COMMAND = ("uv", "pip", "compile", "--quiet", "--all-extras", "--only-binary=:all:")


def problem(place: tuple[str, str]) -> str | None:
    """Return why the extras cannot be installed from wheels there, or None."""
    platform, python = place
    done = subprocess.run(
        [
            *COMMAND,
            *(f"--no-binary={name}" for name in OURS),  # these are in this tree
            f"--python-platform={platform}",
            f"--python-version={python}",
            "pyproject.toml",
            "mockserver/pyproject.toml",
        ],
        env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"{platform}, Python {python}:\n{done.stderr}" if done.returncode else None


def main() -> int:
    """Print the problems and return the exit status: 1 if there are any."""
    places = list(product(PLATFORMS, sys.argv[1:] or PYTHONS))
    with ThreadPoolExecutor(4) as pool:
        problems = [each for each in pool.map(problem, places) if each]
    sys.stdout.write("\n".join(problems) or f"wheels for all of {len(places)} places\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
