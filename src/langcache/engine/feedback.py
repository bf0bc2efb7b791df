"""What users say about hits: right or wrong, kept beside the entries of a cache."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from langcache.engine._steps import Steps, call
from langcache.engine._utf8 import encoded
from langcache.engine.same_prompt import are_same

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from langcache.engine.storage.base import StorageBackend

__all__ = ["Feedback", "Report", "concerns_pair"]

_MOST_REPORTS = 1000
_LIFETIME_SECONDS = 90 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Report:
    """What somebody said about a pair of prompts. The prompts are not part of the repr.

    Attributes:
        prompt: The prompt that was asked.
        cached_prompt: The prompt of the entry that was found.
        entry_id: The id of that entry.
        right: Whether the entry answers the prompt.
        reported_at: When it was reported, in seconds since the epoch.
    """

    prompt: str = field(repr=False)
    cached_prompt: str = field(repr=False)
    entry_id: str
    right: bool
    reported_at: float


class Feedback:
    """The reports about the hits of one namespace, kept as records of its storage backend.

    A report counts for its two prompts, in this namespace, for 90 days. Of more than 1,000 reports
    the oldest are removed. A report goes when its entry is deleted or is found to have expired.

    Args:
        storage: The storage backend.
        namespace: The namespace.
        clock: Returns the present moment, in seconds since the epoch.
    """

    def __init__(self, storage: StorageBackend, namespace: str, clock: Callable[[], float]) -> None:
        self._storage = storage
        self._namespace = namespace
        self._collection = f"feedback of {namespace}"
        self._clock = clock

    def may_have_reports(self) -> bool:
        """Return False if it is known without any I/O that there are no reports."""
        return self._storage.may_have_records(self._collection)

    def find(self, prompt: str, cached_prompt: str) -> Steps[Report | None]:
        """Return the report about two prompts, or None when there is none that counts."""
        storage = self._storage
        key = _key(prompt, cached_prompt)
        text = yield from call(storage.record, storage.arecord, self._collection, key)
        report = _report(text)
        if report is None or self._is_old(report):
            return None
        return report

    def add(self, prompt: str, cached_prompt: str, entry_id: str, *, right: bool) -> Steps[None]:
        """Keep a report, in place of an earlier one about the same two prompts."""
        report = Report(prompt, cached_prompt, entry_id, right, self._clock())
        text = json.dumps({each.name: getattr(report, each.name) for each in fields(Report)})
        yield from self._set(_key(prompt, cached_prompt), text)
        reports = yield from self._all()
        doomed = {key for key, each in reports.items() if self._is_old(each)}
        left = sorted(
            (key for key in reports if key not in doomed), key=lambda key: reports[key].reported_at
        )
        doomed.update(left[: max(0, len(left) - _MOST_REPORTS)])
        yield from self._remove(doomed)

    def withdraw(self, prompt: str, cached_prompt: str) -> Steps[bool]:
        """Remove the report about two prompts; return whether there was one."""
        known = yield from self.find(prompt, cached_prompt)
        yield from self._set(_key(prompt, cached_prompt), None)
        return known is not None

    def reports(self) -> Steps[list[Report]]:
        """Return all reports that count, the latest first.

        Reports whose entry is not there any more are removed.
        """
        storage = self._storage
        reports = yield from self._all()
        doomed: set[str] = set()
        kept: list[Report] = []
        for key, report in reports.items():
            entry = None
            if not self._is_old(report):
                entry = yield from call(storage.get, storage.aget, self._namespace, report.entry_id)
            if entry is None:
                doomed.add(key)
            else:
                kept.append(report)
        yield from self._remove(doomed)
        return sorted(kept, key=lambda report: report.reported_at, reverse=True)

    def forget(self, entry_ids: Collection[str] | None = None) -> Steps[None]:
        """Remove the reports about some entries, or all reports."""
        reports = yield from self._all()
        yield from self._remove(
            {
                key
                for key, report in reports.items()
                if entry_ids is None or report.entry_id in entry_ids
            }
        )

    def _all(self) -> Steps[dict[str, Report]]:
        storage = self._storage
        records = yield from call(storage.records, storage.arecords, self._collection)
        reports = {key: _report(text) for key, text in records.items()}
        return {key: report for key, report in reports.items() if report is not None}

    def _set(self, key: str, text: str | None) -> Steps[None]:
        storage = self._storage
        yield from call(storage.set_record, storage.aset_record, self._collection, key, text)

    def _remove(self, keys: Collection[str]) -> Steps[None]:
        for key in keys:
            yield from self._set(key, None)

    def _is_old(self, report: Report) -> bool:
        return report.reported_at + _LIFETIME_SECONDS <= self._clock()


def concerns_pair(prompt: str, cached_prompt: str) -> bool:
    """Return whether a report is about two prompts, rather than about a wrong response.

    It is about the response when the prompts are the same, in whatever letter case.
    """
    return not are_same(prompt, cached_prompt)


def _key(prompt: str, cached_prompt: str) -> str:
    pair = f"{len(prompt)}:{prompt}{cached_prompt}"
    return hashlib.sha256(encoded(pair)).hexdigest()


def _report(text: str | None) -> Report | None:
    """Return what a record says; None where there is none, or none that can be read."""
    if text is None:
        return None
    try:
        values: dict[str, Any] = json.loads(text)
        return Report(**{each.name: values[each.name] for each in fields(Report)})
    except (ValueError, KeyError, TypeError):
        return None
