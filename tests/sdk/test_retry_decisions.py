import math
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langcache._runtime.retry import backoff_delay, retry_after
from langcache.utils import BackoffStrategy, RetryConfig

durations = st.floats(0, 1e9)


@given(
    initial=durations,
    cap=durations,
    exponent=st.floats(0.01, 1e300),
    failures=st.integers(1, 10_000),
)
def test_a_wait_is_never_negative_never_above_the_cap_and_never_an_overflow(
    initial, cap, exponent, failures
):
    delay = backoff_delay(BackoffStrategy(initial, cap, exponent, 1), failures)
    assert 0 <= delay <= cap / 1000


def test_without_jitter_the_bound_doubles_up_to_the_cap():
    backoff = BackoffStrategy(100, 500, 2, 10_000, jitter_ms=0)
    assert [backoff_delay(backoff, n) for n in (1, 2, 3, 4, 5)] == [0.1, 0.2, 0.4, 0.5, 0.5]


def test_jitter_ms_comes_on_top_of_the_cap():
    backoff = BackoffStrategy(100, 100, 1, 10_000, jitter_ms=50)
    delays = {backoff_delay(backoff, 3) for _ in range(100)}
    assert len(delays) > 50
    assert all(0.1 <= delay <= 0.15 for delay in delays)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "20", "retry-after": "7"}, 0.02),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "later"}, None),
        ({"retry-after": "Wed, 99 Oct 2065 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
    ],
)
def test_retry_after_is_read_and_garbage_ignored(headers, seconds):
    assert retry_after(httpx.Headers(headers)) == seconds


def test_retry_after_may_be_a_date():
    date = datetime.now(timezone.utc) + timedelta(seconds=30)
    assert 25 < retry_after(httpx.Headers({"retry-after": format_datetime(date, usegmt=True)})) < 31


@given(st.binary(max_size=40))
def test_any_retry_after_is_a_duration_or_nothing(value):
    seconds = retry_after(httpx.Headers([(b"retry-after", value), (b"retry-after-ms", value)]))
    assert seconds is None or 0 <= seconds <= math.inf


def test_statuses_are_codes_or_classes():
    config = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 1), True, ["429", "5XX", 408])
    assert all(map(config.retries_status, (408, 429, 500, 599)))
    assert not any(map(config.retries_status, (400, 428, 200)))


def test_statuses_can_be_changed_later():
    config = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 1), True)
    config.status_codes_override = ["418"]
    assert list(filter(config.retries_status, range(100, 600))) == [418]
    with pytest.raises(ValueError, match=r"^status_codes_override: "):
        config.status_codes_override = ["never"]


@pytest.mark.parametrize("override", [None, [], ()])
def test_a_config_without_statuses_has_those_of_the_official_package(override):
    config = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 1), True, override)
    assert list(filter(config.retries_status, range(100, 600))) == [429, 500, 502, 503, 504]


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ((-1, 1, 1, 1), ValueError, "initial_interval"),
        ((1, math.inf, 1, 1), ValueError, "max_interval"),
        ((1, 1, 0, 1), ValueError, "exponent"),
        ((1, 1, math.nan, 1), ValueError, "exponent"),
        ((1, 1, 1, math.nan), ValueError, "max_elapsed_time"),
        ((1, 1, 1, 1, -5), ValueError, "jitter_ms"),
        (("1", 1, 1, 1), TypeError, "initial_interval"),
        ((1, 1, "2", 1), TypeError, "exponent"),
        ((1, 1, 1, True), TypeError, "max_elapsed_time"),
    ],
)
def test_an_impossible_backoff_names_its_argument(arguments, error, name):
    with pytest.raises(error, match=f"^{name}: "):
        BackoffStrategy(*arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        (("linear", BackoffStrategy(1, 1, 1, 1), True), ValueError, "strategy"),
        (("backoff", None, True), TypeError, "backoff"),
        (("backoff", BackoffStrategy(1, 1, 1, 1), "yes"), TypeError, "retry_connection_errors"),
        (
            ("backoff", BackoffStrategy(1, 1, 1, 1), True, "429"),
            TypeError,
            "status_codes_override",
        ),
        (
            ("backoff", BackoffStrategy(1, 1, 1, 1), True, ["6XX"]),
            ValueError,
            "status_codes_override",
        ),
    ],
)
def test_an_impossible_retry_config_names_its_argument(arguments, error, name):
    with pytest.raises(error, match=f"^{name}: "):
        RetryConfig(*arguments)
