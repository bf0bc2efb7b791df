"""From starting the server's process to its first answer, beside a floor that does nothing.

    uv run benchmarks/server_start.py [RUNS]

The server answers a `set`, so the model is loaded and has embedded a prompt. The floor is uvicorn
with a Starlette application of one route that parses the same JSON. Both in turn, wall time.
"""

import http.client
import statistics
import subprocess
import sys
import time

FLOOR = """
import asyncio, json, socket, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def answer(request):
    json.loads(await request.body())
    return JSONResponse({"entryId": "0" * 32}, 201)

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print("ready on http://127.0.0.1:%d" % sockets[0].getsockname()[1], flush=True)

app = Starlette(routes=[Route("/v1/caches/a/entries", answer, methods=["POST"])])
Server(uvicorn.Config(app, log_config=None)).run([socket.create_server(("127.0.0.1", 0))])
"""


def seconds_to_first_answer(command: list[str]) -> float:
    """Start a server, send one `set`, and stop it."""
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request(
            "POST",
            "/v1/caches/a/entries",
            '{"prompt": "How does it work?", "response": "Well."}',
            {"authorization": "Bearer k", "content-type": "application/json"},
        )
        assert connection.getresponse().status == 201
        elapsed = time.perf_counter() - started
        connection.close()
        process.kill()
    return elapsed


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    commands = {
        "floor": [sys.executable, "-c", FLOOR],
        "langcache-mockserver": [sys.executable, "-m", "langcache_mockserver", "--port", "0"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs + 1):  # the first one warms the disk's cache
        for name, command in commands.items():
            times[name].append(seconds_to_first_answer(command))
    floor = statistics.median(times["floor"][1:])
    print(f"{'':<22} {'min s':>7} {'median':>7} {'max':>7} {'x floor':>8}")
    for name, taken in times.items():
        counted = taken[1:]
        print(
            f"{name:<22} {min(counted):>7.3f} {statistics.median(counted):>7.3f}"
            f" {max(counted):>7.3f} {statistics.median(counted) / floor:>8.2f}"
        )


if __name__ == "__main__":
    main()
