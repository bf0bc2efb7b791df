"""Checks that the tests of the official package's faults fail when run on the official package.

Needs the package registry. Each version is installed into its own environment. Part of `.ci/all`,
because what it shows does not depend on our own code.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

SDK_TESTS = Path(__file__).parent.parent / "sdk"

# One test per fault. Running all of them would wait for many timeouts.
REPRESENTATIVES = {
    "01": "test_fault_01_an_id_is_one_segment_of_the_path",
    "02": "test_fault_02_a_custom_header_replaces_ours_whatever_its_case",
    "03": "test_fault_03_the_error_class_follows_the_status",
    "04": "test_fault_04_any_success_status_and_content_type_will_do",
    "05": "test_fault_05_a_redirect_is_an_error_and_not_a_get",
    "06": "test_fault_06_timeout_ms_bounds_the_whole_async_call",
    "07": "test_fault_07_retry_after_is_obeyed",
    "08": "test_fault_08_a_huge_exponent_does_not_overflow",
    "09": "test_fault_09_waits_differ_at_the_cap",
    "10": "test_fault_10_a_stale_connection_is_replaced",
    "11": "test_fault_11_the_key_is_asked_for_on_each_attempt",
    "12": "test_fault_12_a_client_is_usable_after_with",
    "13": "test_fault_13_the_first_call_after_a_fork_works",
    "14": "test_fault_14_an_async_call_makes_no_thread_hop",
    "15": "test_fault_15_hooks_are_public_and_see_a_fresh_request_each_time",
    "17": "test_fault_17_debugging_that_is_off_is_off",
    "18": "test_fault_18_a_wrong_client_is_a_type_error",
}

# 0.11.1 runs its hooks in the thread of the event loop.
NOT_YET_A_FAULT = {"0.11.1": {"14"}, "0.14.0": set()}

# This test also passes on the official package, which shows that the tests can run there.
CONTROL = "test_official_faults.py::test_fault_17_debugging_that_is_off_is_off[]"


@pytest.fixture(params=["0.11.1", "0.14.0"])
def official(request, tmp_path):
    """A version, and a function that runs a test on that version and returns the exit code."""
    for name in ("conftest.py", "test_official_faults.py"):
        shutil.copy(SDK_TESTS / name, tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(["uv", "venv", "--quiet", tmp_path / "venv"], check=True)
    requirements = [f"langcache=={request.param}", "pytest>=8", "pytest-timeout", "trio"]
    subprocess.run(
        ["uv", "pip", "install", "--quiet", "--python", python, *requirements], check=True
    )

    def run(test):
        # Each test runs in its own process with a time limit, because the official package can hang
        # in ways that block a test runner. The process group includes the children that it forks.
        command = [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        command += ["--timeout=5", "--timeout-method=thread", test]
        tests = subprocess.Popen(
            command,
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return tests.wait(timeout=60)
        except subprocess.TimeoutExpired:
            return pytest.ExitCode.INTERRUPTED
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(tests.pid, signal.SIGKILL)
            tests.wait()

    return request.param, run


@pytest.mark.skipif("LANGCACHE_OFFICIAL_FAULTS" not in os.environ, reason="takes a minute: .ci/all")
@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on the PATH")
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system has no process groups")
def test_each_fault_is_there_in_the_official_package(official):
    version, run = official
    assert run(CONTROL) == pytest.ExitCode.OK
    with ThreadPoolExecutor(4) as pool:
        tests = [f"test_official_faults.py::{name}" for name in REPRESENTATIVES.values()]
        codes = dict(zip(REPRESENTATIVES, pool.map(run, tests), strict=True))
    assert pytest.ExitCode.NO_TESTS_COLLECTED not in codes.values(), codes
    assert pytest.ExitCode.USAGE_ERROR not in codes.values(), codes
    passed = {fault for fault, code in codes.items() if code == pytest.ExitCode.OK}
    assert passed == NOT_YET_A_FAULT[version]
