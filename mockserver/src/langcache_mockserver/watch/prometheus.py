"""Counters, gauges and histograms in Prometheus's text format 0.0.4."""

from __future__ import annotations

import threading
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels: TypeAlias = tuple[str, ...]
"""The values of a metric's labels, in the order of their names."""


class _Metric:
    """A name, a line of help, and the names of labels."""

    kind = ""

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self._help = help_text
        self._labels = labels
        self._lock = threading.Lock()

    def lines(self) -> Iterator[str]:
        """Return the lines of the metric with all its values."""
        yield f"# HELP {self.name} {self._help}"
        yield f"# TYPE {self.name} {self.kind}"
        with self._lock:
            samples = list(self._samples())
        for suffix, labels, value in samples:
            written = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels)
            yield (
                f"{self.name}{suffix}{{{written}}} {value}"
                if written
                else (f"{self.name}{suffix} {value}")
            )

    def _samples(self) -> Iterator[tuple[str, Sequence[tuple[str, str]], float]]:
        """Yield suffix, labels and value of each sample; the lock is held."""
        raise NotImplementedError

    def _named(self, labels: Labels) -> list[tuple[str, str]]:
        return list(zip(self._labels, labels, strict=True))


class Counter(_Metric):
    """A number for each set of labels that only grows. Thread-safe."""

    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, help_text, labels)
        self._values: dict[Labels, int] = {}

    def add(self, *labels: str, amount: int = 1) -> None:
        """Add one, or an amount."""
        with self._lock:
            self._values[labels] = self._values.get(labels, 0) + amount

    def state(self) -> list[tuple[Labels, int]]:
        """Return the values, which JSON can express."""
        with self._lock:
            return list(self._values.items())

    def plus(self, states: Iterable[Any]) -> Counter:
        """Return the sum of this counter and of the states of others."""
        total = Counter(self.name, self._help, self._labels)
        for state in (self.state(), *states):
            for labels, value in state:
                total.add(*labels, amount=value)
        return total

    def _samples(self) -> Iterator[tuple[str, Sequence[tuple[str, str]], float]]:
        for labels, value in self._values.items():
            yield "", self._named(labels), value


class Gauge(_Metric):
    """A number for each set of labels."""

    kind = "gauge"

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, help_text, labels)
        self._values: dict[Labels, float] = {}

    def set(self, value: float, *labels: str) -> None:
        """Set the number."""
        with self._lock:
            self._values[labels] = value

    def _samples(self) -> Iterator[tuple[str, Sequence[tuple[str, str]], float]]:
        for labels, value in self._values.items():
            yield "", self._named(labels), value


class Histogram(_Metric):
    """The number of values up to each bound, for each set of labels.

    Args:
        name: The name.
        help_text: A line of help.
        bounds: The bounds, in ascending order.
        labels: The names of the labels.
    """

    kind = "histogram"

    def __init__(
        self, name: str, help_text: str, bounds: Sequence[float], labels: Sequence[str] = ()
    ) -> None:
        super().__init__(name, help_text, labels)
        self._bounds = bounds
        # For each set of labels, the number of values in each bucket, and the sum of the values.
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Add a value."""
        bucket = bisect_left(self._bounds, value)
        with self._lock:
            counts = self._counts.get(labels)
            if counts is None:
                counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
                self._sums[labels] = 0.0
            counts[bucket] += 1
            self._sums[labels] += value

    def state(self) -> list[tuple[Labels, list[int], float]]:
        """Return the values, which JSON can express."""
        with self._lock:
            return [
                (labels, list(counts), self._sums[labels])
                for labels, counts in self._counts.items()
            ]

    def plus(self, states: Iterable[Any]) -> Histogram:
        """Return the sum of this histogram and of the states of others, of the same bounds."""
        total = Histogram(self.name, self._help, self._bounds, self._labels)
        for state in (self.state(), *states):
            for labels, counts, values in state:
                key = tuple(labels)
                known = total._counts.get(key, [0] * len(counts))
                total._counts[key] = [one + other for one, other in zip(known, counts, strict=True)]
                total._sums[key] = total._sums.get(key, 0.0) + values
        return total

    def _samples(self) -> Iterator[tuple[str, Sequence[tuple[str, str]], float]]:
        for labels, counts in self._counts.items():
            named = self._named(labels)
            totals = list(accumulate(counts))
            for bound, total in zip([*map(str, self._bounds), "+Inf"], totals, strict=True):
                yield "_bucket", [*named, ("le", bound)], total
            yield "_sum", named, self._sums[labels]
            yield "_count", named, totals[-1]


def text_of(metrics: Iterable[_Metric]) -> str:
    """Return the text of metrics."""
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
