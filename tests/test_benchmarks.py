"""`benchmarks/run.py` knows every benchmark, and reads, compares and records what they print."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

spec = importlib.util.spec_from_file_location("benchmarks_run", BENCHMARKS / "run.py")
run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run)

OUTPUT = """\
AMD EPYC, Python 3.11.7

|               |    µs | x floor |
|---------------|------:|--------:|
| search: floor | 1,084 |    1.00 |
| search: ours  |   -83 |     .98 |

### Search

| entries | search                 | p50 ms |
|---------|-----------------------:|-------:|
| 1,000   |                numpy @ |  0.021 |
| 1,000   | 1 attribute, 1 % of it |  0.018 |
floor 0.21 0.25
"""


def test_every_script_is_in_the_list():
    scripts = {path for path in BENCHMARKS.glob("[!_]*.py") if path.name != "run.py"}
    assert {benchmark.path for benchmark in run.BENCHMARKS} == scripts
    names = [benchmark.name for benchmark in run.BENCHMARKS]
    assert len(names) == len(set(names))


def test_numbers_are_called_after_row_and_column_or_the_words_of_their_line():
    assert run.numbers(OUTPUT) == {
        "search: floor: µs": 1084,
        "search: floor: x floor": 1,
        "search: ours: µs": -83,
        "search: ours: x floor": 0.98,
        "1,000, numpy @: p50 ms": 0.021,
        "1,000, 1 attribute, 1 % of it: p50 ms": 0.018,
        "floor": 0.21,
        "floor #2": 0.25,
    }


def test_a_change_of_more_than_ten_percent_is_reported():
    result = {"name": "x", "command": "c", "processor": {"model": "m"}, "date": "2026-11-28T00:00"}
    before = {**result, "commit": "abc", "numbers": {"a": 100, "b": 100, "zero": 0, "gone": 1}}
    now = {**result, "numbers": {"a": 109, "b": 89, "zero": 1}}
    assert run.report(before, now) == [
        "x, compared with 2026-11-28, commit abc:",
        "  b: 100 -> 89 (-11%)",
        "  zero: 0 -> 1",
        "  numbers in one of the runs only: 1",
    ]
    other = {**before, "processor": {"model": "n"}}
    assert run.report(other, now) == [
        "x: not compared, because the recorded run has another processor"
    ]


def test_recording_replaces_the_tables_between_the_markers_of_the_benchmark():
    page = """\
Text.

<!-- benchmark: x 2 -->
| old |

<!-- end -->

<!-- benchmark: xy -->
| other |

<!-- end -->
"""
    once = run.replace_tables(page, "x", run.tables(OUTPUT), "Caption.")
    assert once == page.replace("| old |\n", "\n".join(run.tables(OUTPUT)[1]) + "\n\nCaption.\n", 1)
    assert run.replace_tables(once, "x", run.tables(OUTPUT), "Caption.") == once
    with pytest.raises(ValueError, match="must name one of 1 tables, got 2"):
        run.replace_tables(page, "x", run.tables(OUTPUT)[:1], "Caption.")


def test_without_names_the_benchmarks_of_the_page_are_run(monkeypatch):
    ran = []
    monkeypatch.setattr(
        run, "run_all", lambda benchmarks, *_, recording: ran.extend(benchmarks) or recording
    )
    monkeypatch.setattr(run.sys, "argv", ["run.py", "--record"])
    assert run.main() is True
    assert {each.name for each in ran} == set(run.names_on(run.PAGE.read_text(encoding="utf-8")))
    assert sum(each.minutes for each in ran) <= 40


def test_the_markers_of_the_page_name_benchmarks():
    lines = run.PAGE.read_text(encoding="utf-8").splitlines()
    markers = [line.split()[2] for line in lines if line.startswith("<!-- benchmark: ")]
    assert markers
    assert set(markers) <= {benchmark.name for benchmark in run.BENCHMARKS}
    assert len(markers) == lines.count("<!-- end -->")
