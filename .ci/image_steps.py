"""Run the steps of the Dockerfile in empty folders, without Docker, and the server that they make.

    uv run .ci/image_steps.py FOLDER

It shows that COPY brings what the RUN steps of the build need, that these work with a new home, and
that the environment they make serves. It does not show the base image, users, volumes and ports.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of the first stage, each with its arguments."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found = re.findall(r"^([A-Z]+) (.*)$", lines.replace("\\\n", " "), re.MULTILINE)
    ends = [number for number, (name, _) in enumerate(found) if name == "FROM"]
    return found[ends[0] + 1 : ends[1]]


def main() -> None:
    """Run the steps, and the server."""
    root = Path(sys.argv[1]).resolve()
    home = root / "home"
    home.mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "venv", root / "python"], check=True)
    environment = {"HOME": str(home), "PATH": f"{root}/python/bin:/usr/bin:/bin"}
    # How this machine reaches the package index.
    for name in os.environ:
        if name.lower().endswith("_proxy") or name.startswith(("PIP_", "UV_", "SSL_")):
            environment[name] = os.environ[name]
    for name in ("UV_PYTHON", "UV_PROJECT_ENVIRONMENT", "UV_CACHE_DIR"):
        environment.pop(name, None)
    workdir = root
    for name, arguments in instructions((ROOT / "Dockerfile").read_text(encoding="utf-8")):
        print(name, arguments, flush=True)
        if name == "WORKDIR":
            workdir = root / arguments.lstrip("/")
            workdir.mkdir()
        elif name == "COPY":
            *sources, target = arguments.split()
            for source in sources:
                tracked = ["git", "ls-files", "-z", source]
                listed = subprocess.run(tracked, cwd=ROOT, check=True, capture_output=True)
                for path in filter(None, listed.stdout.decode().split("\0")):
                    place = (
                        workdir / path
                        if target == "./"
                        else workdir / target / Path(path).relative_to(source)
                    )
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(ROOT / path, place)
        elif name == "RUN":
            # The folders of the image are below the empty folder.
            command = re.sub(r"(?<=[\s=])/(wheels|opt)", rf"{root}/\1", arguments)
            subprocess.run(["bash", "-ec", command], cwd=workdir, env=environment, check=True)
        else:
            raise ValueError(f"{name}: must be WORKDIR, COPY or RUN")
    command = [root / "opt/langcache/bin/langcache-mockserver", "--port", "0", "--verify", "auto"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={}) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        try:
            for body, path in (
                ({"prompt": "Why?", "response": "So."}, "entries"),
                ({"prompt": "why?"}, "entries/search"),
            ):
                request = urllib.request.Request(
                    f"{url}/v1/caches/a/{path}",
                    json.dumps(body).encode(),
                    {"authorization": "Bearer k", "content-type": "application/json"},
                )
                with urllib.request.urlopen(request, timeout=60) as response:
                    answer = json.load(response)
            assert answer["data"][0]["response"] == "So.", answer
        finally:
            server.terminate()
    print("The server of the image answers.")


if __name__ == "__main__":
    main()
