import errno
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
from langcache_mockserver.cli import read_settings

STORAGES = "memory, sqlite:PATH, redis://HOST[:PORT][/DB]"
COMMAND = [sys.executable, "-W", "error", "-m", "langcache_mockserver"]
READY = re.compile(r"langcache-mockserver ready on http://(\S+):(\d+)\n")
PREFIX = "LANGCACHE_MOCKSERVER_"


@contextmanager
def running(*arguments, **variables):
    """Run the command until it is ready, then kill it if it is still there."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(variables),
    )
    try:
        line = process.stdout.readline()
        match = READY.fullmatch(line)
        assert match, (line, process.stderr.read() if not line else "")
        yield process, match[1], int(match[2])
    finally:
        process.kill()
        process.communicate()


def environment(variables):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**inherited, **{f"{PREFIX}{name}": value for name, value in variables.items()}}


def run(*arguments, **variables):
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=20,
        env=environment(variables),
    )


def request(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    headers = {"authorization": "Bearer k", "content-type": "application/json"}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content


def test_it_says_where_it_listens_and_answers_there():
    with running("--port", "0") as (_, host, port):
        assert host == "127.0.0.1"
        body = '{"prompt": "p", "response": "r"}'
        assert request(port, "POST", "/v1/caches/a/entries", body)[0] == 201


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0_and_without_a_word(number):
    with running("--port", "0") as (process, _, port):
        # an idle connection doesn't hold it up
        idle = http.client.HTTPConnection("127.0.0.1", port)
        idle.request("GET", "/health")
        assert idle.getresponse().read()
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=5)
        idle.close()
    assert (process.returncode, stdout, stderr) == (0, "", "")


def test_a_request_that_is_never_finished_holds_up_the_end_for_some_seconds_only():
    with (
        running("--port", "0") as (process, _, port),
        socket.create_connection(("127.0.0.1", port)) as connection,
    ):
        connection.sendall(
            b"POST /v1/caches/a/entries HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer k\r\n"
            b"content-type: application/json\r\ncontent-length: 9\r\n\r\n"
        )
        request(port, "GET", "/health")
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=8)
    assert (process.returncode, stdout) == (0, "")
    assert "Traceback" not in stderr


def test_options_are_read_from_the_environment_and_the_command_line_wins():
    with running("--port", "0", HOST="localhost", PORT="1", MAX_BODY_BYTES="100", LOG_LEVEL="") as (
        _,
        host,
        port,
    ):
        assert (host, port != 1) == ("localhost", True)
        assert request(port, "POST", "/v1/caches/a/entries/search", " " * 101)[0] == 413


def test_the_default_threshold_is_the_one_given():
    with running("--port=0", "--default-threshold=0.5", "--storage=memory") as (_, _, port):
        entry = '{"prompt": "What is the capital of France?", "response": "Paris"}'
        assert request(port, "POST", "/v1/caches/a/entries", entry)[0] == 201
        asked = '{"prompt": "What is the population of Germany?"}'
        assert b"Paris" in request(port, "POST", "/v1/caches/a/entries/search", asked)[1]


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["--port", "http"], {}, "--port: must be an integer, got 'http'"),
        (["--port", "65536"], {}, "--port: must be from 0 to 65535, got 65536"),
        (["--port", "-1"], {}, "--port: must be from 0 to 65535, got -1"),
        (["--port", ""], {}, "--port: must be an integer, got ''"),
        (["--port"], {}, "argument --port: expected one argument"),
        (["--host", ""], {}, "--host: must not be empty, got ''"),
        (
            ["--storage", "disk"],
            {},
            f"--storage: must be one of {STORAGES}, got 'disk'",
        ),
        (["--default-threshold", "2"], {}, "--default-threshold: must be from 0 to 1, got 2.0"),
        (["--default-threshold", "nan"], {}, "--default-threshold: must be from 0 to 1, got nan"),
        (["--default-threshold", "x"], {}, "--default-threshold: must be a number, got 'x'"),
        (["--max-body-bytes", "0"], {}, "--max-body-bytes: must be at least 1, got 0"),
        (
            ["--log-level", "loud"],
            {},
            "--log-level: must be one of critical, error, warning, info, debug, got 'loud'",
        ),
        (["--unknown"], {}, "unrecognized arguments: --unknown"),
        ([], {"PORT": "x\ny"}, "LANGCACHE_MOCKSERVER_PORT: must be an integer, got 'x\\ny'"),
        (
            [],
            {"STORAGE": "x"},
            f"LANGCACHE_MOCKSERVER_STORAGE: must be one of {STORAGES}, got 'x'",
        ),
    ],
)
def test_a_bad_value_is_one_line_and_status_2(arguments, variables, message, capsys):
    # In this process, because a process for each takes a second.
    with pytest.raises(SystemExit) as ended:
        read_settings(arguments, environment(variables))
    assert ended.value.code == 2
    expected = f"langcache-mockserver: error: {message}\n"
    assert capsys.readouterr() == ("", expected)


def test_a_bad_value_ends_the_command_with_status_2():
    done = run("--port", "http")
    assert (done.returncode, done.stdout) == (2, "")
    expected = "langcache-mockserver: error: --port: must be an integer, got 'http'\n"
    assert done.stderr == expected


def test_an_option_that_another_one_needs_is_named():
    done = run("--record", "recorded.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("langcache-mockserver: error: --upstream: must be a URL")


def test_a_port_in_use_is_one_line_and_status_1():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    reason = os.strerror(errno.EADDRINUSE)
    where = f"127.0.0.1 port {port}"
    assert done.stderr == f"langcache-mockserver: error: cannot listen on {where}: {reason}\n"


def test_a_host_that_is_not_there_is_one_line_and_status_1():
    done = run("--host", "nowhere.invalid", "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("langcache-mockserver: error: cannot listen on nowhere.invalid")
    assert done.stderr.count("\n") == 1


def test_version_and_help_are_printed():
    assert re.fullmatch(r"langcache-mockserver \d+\.\d+\.\d+\n", run("--version").stdout)
    text = run("--help").stdout
    for option in ("--host", "--port", "--default-threshold", f"{PREFIX}MAX_BODY_BYTES"):
        assert option in text


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_an_ipv6_address_is_in_brackets_in_the_url():
    with running("--host", "::1", "--port", "0") as (_, host, _):
        assert host == "[::1]"


def test_entries_in_a_file_are_there_after_a_restart(tmp_path):
    path = "/v1/caches/faq/entries"
    file = f"sqlite:{tmp_path / 'cache.db'}"
    with running("--port", "0", "--storage", file) as (process, _, port):
        assert request(port, "POST", path, '{"prompt": "Why?", "response": "So."}')[0] == 201
        other = run("--port", "0", "--storage", file)
        assert other.returncode == 1
        assert "in use by another storage" in other.stderr
        process.kill()
        process.wait()
    with running("--port", "0", "--storage", file) as (_, _, port):
        status, body = request(port, "POST", f"{path}/search", '{"prompt": "Why?"}')
        assert (status, b'"So."' in body) == (200, True)


def test_a_server_that_others_can_reach_without_a_key_says_so_in_one_line():
    warning = (
        "langcache-mockserver: warning: whoever can reach 0.0.0.0 can read and change every cache, "
        "because any API key is accepted; --strict on demands declared keys\n"
    )
    for arguments, expected in (
        (["--host=0.0.0.0"], warning),
        (["--host=0.0.0.0", "--strict", "--admin-token=t"], ""),
        (["--host=127.0.0.1"], ""),
    ):
        with running("--port=0", *arguments) as (process, _, _):
            process.terminate()
            assert process.communicate(timeout=20)[1] == expected
