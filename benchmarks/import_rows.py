"""`langcache import` into a server, beside embedding the same prompts and nothing else.

    uv run benchmarks/import_rows.py [ROWS] [ROUNDS]

The floor embeds the prompts in one process, in as many threads as the server has, 500 in a call,
with the server's embedder. Both in turn; the ratios are the median of those within a round. Wall
time has the start of the command in it. CPU time is that of the command and of the server, which
has started before.
"""

import csv
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from langcache_mockserver.domain.worker_threads import WORKERS

from langcache.engine import MiniLMEmbedder

TOGETHER = 500
LANGCACHE = [sys.executable, "-c", "from langcache.cli import main; main()"]
WORDS = (  # noqa: SIM905 - a list of words is longer
    "account answer app balance battery button cache card change charge code contract day "
    "delete device email error export file find help invoice key language limit login message "
    "model name number open order page password pay phone plan price profile question refund "
    "report reset screen send server setting ship size start status store team time token "
    "update upload user version week word work"
).split()
STARTS = ("How do I", "Why does the", "What is the", "Can I", "Where do I find", "When will")


def prompts_of(count: int) -> list[str]:
    """Return different questions of 6 to 22 words, or so many tokens."""
    rng = random.Random(7)
    found: dict[str, None] = {}
    while len(found) < count:
        words = " ".join(rng.choices(WORDS, k=rng.randint(3, 19)))
        found[f"{rng.choice(STARTS)} {words}?"] = None
    return list(found)


def embedding(prompts: list[str]) -> tuple[float, float]:
    """Embed prompts; return wall and CPU seconds."""
    embedder = MiniLMEmbedder()
    parts = [prompts[start : start + TOGETHER] for start in range(0, len(prompts), TOGETHER)]
    with ThreadPoolExecutor(WORKERS) as pool:
        pool.submit(embedder.embed, ["one"]).result()
        started, cpu = time.perf_counter(), time.process_time()
        list(pool.map(embedder.embed, parts))
        return time.perf_counter() - started, time.process_time() - cpu


def run(command: list[str]) -> None:
    """Run a command as one that is installed, whose modules are compiled."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(
        command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def importing(file: Path) -> tuple[float, float, float]:
    """Import a file into a new server; return wall seconds, and CPU seconds of both."""
    command = [sys.executable, "-m", "langcache_mockserver", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = server.stdout.readline().split()[-1]
            cpu, client = cpu_of(server.pid), resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.perf_counter()
            where = ["--server-url", url, "--cache-id", "c", "--restart"]
            run([*LANGCACHE, "import", str(file), *where])
            wall = time.perf_counter() - started
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - client.ru_utime - client.ru_stime
            return wall, cpu_of(server.pid) - cpu, used
        finally:
            server.kill()


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    prompts = prompts_of(rows)
    walls, cpus = [], []
    run([*LANGCACHE, "import", "--help"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        with file.open("w", newline="") as output:
            rows_of = ([prompt, f"The response to: {prompt}"] for prompt in prompts)
            csv.writer(output).writerows([["prompt", "response"], *rows_of])
        print(f"{rows:,} rows, {WORKERS} threads; seconds")
        for _ in range(rounds):
            floor_wall, floor_cpu = embedding(prompts)
            wall, server, client = importing(file)
            walls.append(wall / floor_wall)
            cpus.append((server + client) / floor_cpu)
            print(
                f"embedding: wall {floor_wall:.2f}, CPU {floor_cpu:.2f}; import: wall {wall:.2f}, "
                f"CPU {server:.2f} (server) + {client:.2f} (command)"
            )
    print(f"import / embedding: wall {median(walls):.2f}, CPU {median(cpus):.2f}")


if __name__ == "__main__":
    main()
