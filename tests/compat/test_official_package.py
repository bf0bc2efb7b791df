"""The tests of the official package's faults fail on the official package, so they can fail.

Needs the package registry; each version is installed into an environment of its own.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

SDK_TESTS = Path(__file__).parent.parent / "sdk"

# One test of each fault; all of them would wait for many a timeout.
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

# 0.11.1 runs its hooks in the event loop's own thread.
NOT_YET_A_FAULT = {"0.11.1": {"14"}, "0.14.0": set()}


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on the PATH")
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system has no process groups")
@pytest.mark.parametrize("version", ["0.11.1", "0.14.0"])
def test_each_fault_is_there_in_the_official_package(version, tmp_path):
    for name in ("conftest.py", "test_official_faults.py"):
        shutil.copy(SDK_TESTS / name, tmp_path)
    requirements = [f"langcache=={version}", "pytest>=8", "pytest-timeout", "trio"]
    command = [
        *("uv", "run", "--quiet", "--isolated", "--no-project"),
        *(part for requirement in requirements for part in ("--with", requirement)),
        *("python", "-m", "pytest", "-v", "--tb=no", "--timeout=3"),
        *("-p", "no:cacheprovider", "-k", " or ".join(REPRESENTATIVES.values())),
    ]
    report = tmp_path / "report.txt"
    with report.open("w") as file:
        # A group of its own, because the official package leaves a hung child of a fork behind.
        tests = subprocess.Popen(
            command, cwd=tmp_path, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):  # a hang at exit is theirs too
                tests.wait(timeout=90)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(tests.pid, signal.SIGKILL)
            tests.wait()
    output = report.read_text()
    failed = set(re.findall(r"test_fault_(\d\d)_.* FAILED", output))
    ran = failed | set(re.findall(r"test_fault_(\d\d)_.* PASSED", output))
    assert ran == set(REPRESENTATIVES), output
    assert failed == set(REPRESENTATIVES) - NOT_YET_A_FAULT[version], output
