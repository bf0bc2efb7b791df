"""When an entry expires, whether it has, and how long it has left."""

import math

import numpy as np
import pytest

from langcache.engine.expiry import (
    finite_or_none,
    has_expired,
    have_expired,
    millis_left,
    moment_of_expiry,
    seconds_left,
)

NOW = 1000.0


@pytest.mark.parametrize(
    ("expires_at", "expected"),
    [
        (None, False),
        (math.inf, False),
        (math.nextafter(NOW, math.inf), False),
        (NOW, True),
        (math.nextafter(NOW, 0), True),
        (-math.inf, True),
    ],
)
def test_an_entry_has_expired_from_the_moment_it_expires(expires_at, expected):
    assert has_expired(expires_at, NOW) is expected
    in_array = math.inf if expires_at is None else expires_at
    assert have_expired(np.array([in_array, math.inf]), NOW).tolist() == [expected, False]


def test_an_entry_expires_when_its_ttl_is_over():
    assert moment_of_expiry(NOW, None) is None
    assert moment_of_expiry(NOW, 2.5) == 1002.5
    assert has_expired(moment_of_expiry(NOW, 0), NOW)


@pytest.mark.parametrize(
    ("expires_at", "seconds", "millis"),
    [
        (None, None, None),
        (math.inf, math.inf, None),
        (NOW + 2.5, 2.5, 2500),
        (NOW + 0.0001, pytest.approx(0.0001), 1),
        (NOW, 0.0, 1),
        (NOW - 3, -3.0, 1),
        (NOW + 1e12, 1e12, 10**15),
        (NOW + 2e12, 2e12, None),
    ],
)
def test_the_time_that_is_left(expires_at, seconds, millis):
    assert seconds_left(expires_at, NOW) == seconds
    assert millis_left(expires_at, NOW) == millis


def test_infinity_stands_for_never():
    assert finite_or_none(math.inf) is None
    assert finite_or_none(None) is None
    assert finite_or_none(NOW) == NOW
