"""The latest lookups of a server: what they asked for, what was nearest, what they came to."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict, deque
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langcache.engine.explanation import Outcome

_MOST_ANSWERS = 1000
_LONGEST_ANSWER_SECONDS = 300.0

MOST_CHARACTERS = 16 << 20
"""How many characters of prompts the lookups of a server may have in all."""


class LookupRecord(NamedTuple):
    """One lookup.

    Attributes:
        number: Its number; later ones have larger numbers.
        cache_id: The cache.
        at: When it ended, in seconds since the epoch.
        prompt: The prompt.
        outcome: What it came to.
        strategy: The strategy that decided, `exact` or `semantic`.
        threshold: The least similarity of a semantic hit.
        seconds: How long the lookup took.
        similarity: The similarity of the entry below; None if none was found.
        entry_id: The id of the entry that was served, else of the nearest one; "" if there is none.
        cached_prompt: The prompt of that entry.
        attributes: The attributes of that entry.
        response_characters: The length of its response.
        accepted: Whether the checks let the entry pass; None if it was not checked, as it does not
            reach the threshold.
        reason: Why the checks decided so.
        check: What decided.
        probability: How sure a verifier is that one answer serves both prompts, if it says so.
        saved_tokens: The tokens of the request and of the response that a hit saved, as a provider
            counted them; None if that is not known.
    """

    number: int
    cache_id: str
    at: float
    prompt: str
    outcome: Outcome
    strategy: str
    threshold: float
    seconds: float
    similarity: float | None = None
    entry_id: str = ""
    cached_prompt: str = ""
    attributes: Mapping[str, str] = MappingProxyType({})
    response_characters: int = 0
    accepted: bool | None = None
    reason: str = ""
    check: str = ""
    probability: float | None = None
    saved_tokens: tuple[int, int] | None = None

    @property
    def characters(self) -> int:
        """How many characters of prompts it has."""
        return len(self.prompt) + len(self.cached_prompt)


class LookupPage(NamedTuple):
    """Some lookups of one cache.

    Attributes:
        lookups: The lookups, the earliest first.
        cursor: Where the next page begins.
        has_more: Whether there are later lookups already.
        starts_over: Whether lookups were removed since the cursor was given, so that this page is
            the first one again.
    """

    lookups: list[LookupRecord]
    cursor: str
    has_more: bool
    starts_over: bool


class Lookups:
    """Keeps the latest lookups of all caches of a server, in memory. Thread-safe.

    What was looked up goes with the entries: whoever deletes entries calls `forget`.

    It also notes how long it takes until somebody stores the response to what was no hit.

    Args:
        most: How many lookups to keep.
        monotonic: Returns the time in seconds since some moment.
    """

    def __init__(self, most: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._monotonic = monotonic
        self._unanswered: OrderedDict[int, float] = OrderedDict()
        self._answers: deque[tuple[str, float]] = deque(maxlen=_MOST_ANSWERS)
        self._lock = threading.Lock()
        self._kept: deque[LookupRecord] = deque()
        self._characters = 0
        self._next = 1
        self._removals = 0
        self._epoch = 0  # how often lookups were removed that a page may have had
        self._run = secrets.token_hex(4)

    @property
    def removals(self) -> int:
        """How often entries were deleted; see `add`."""
        return self._removals

    def add(self, numbered: Callable[[int], LookupRecord], removals: int) -> None:
        """Keep a lookup.

        Args:
            numbered: Returns the lookup with a number.
            removals: What `removals` was before the lookup. If entries were deleted meanwhile, it
                may have found one of them, so it is not kept.
        """
        with self._lock:
            if removals != self._removals:
                return
            lookup = numbered(self._next)
            self._kept.append(lookup)
            self._next += 1
            self._characters += lookup.characters
            if lookup.outcome != "hit":
                question = hash((lookup.cache_id, lookup.prompt))
                self._unanswered[question] = self._monotonic()
                self._unanswered.move_to_end(question)
                if len(self._unanswered) > _MOST_ANSWERS:
                    self._unanswered.popitem(last=False)
            while len(self._kept) > self.most or self._characters > MOST_CHARACTERS:
                self._characters -= self._kept.popleft().characters

    def answered(self, cache_id: str, prompt: str) -> None:
        """Note that the response to a prompt was stored."""
        with self._lock:
            asked_at = self._unanswered.pop(hash((cache_id, prompt)), None)
            if asked_at is not None:
                seconds = self._monotonic() - asked_at
                if seconds <= _LONGEST_ANSWER_SECONDS:
                    self._answers.append((cache_id, seconds))

    def everything(self) -> tuple[list[LookupRecord], list[tuple[str, float]]]:
        """Return all lookups that are kept; and the latest answers, by cache and seconds."""
        with self._lock:
            return list(self._kept), list(self._answers)

    def page(self, cache_id: str, cursor: str, limit: int, *, latest: bool = False) -> LookupPage:
        """Return some lookups of a cache.

        Args:
            cache_id: The cache.
            cursor: The cursor of the page before; "" for the earliest lookups.
            limit: How many lookups to return at most.
            latest: Whether to leave out all but the latest lookups if there are more.

        Raises:
            ValueError: The cursor is none of those.
        """
        with self._lock:
            run = f"{self._run}-{self._epoch}"
            after, starts_over = 0, False
            if cursor:
                of_run, _, number = cursor.rpartition("-")
                if not of_run or not number.isascii() or not number.isdigit() or len(number) > 18:
                    raise ValueError("cursor: must be the cursor of a page of lookups")
                starts_over = of_run != run
                after = 0 if starts_over else int(number)
            # The latest are read first: a page that polls has read all but a few.
            later: list[LookupRecord] = []
            for lookup in reversed(self._kept):
                if lookup.number <= after:
                    break
                if lookup.cache_id == cache_id:
                    later.append(lookup)
                    if latest and len(later) == limit:
                        break
            later.reverse()
            has_more = len(later) > limit
            lookups = later[:limit]
            last = lookups[-1].number if has_more else self._next - 1
            return LookupPage(lookups, f"{run}-{last}", has_more, starts_over)

    def of_cache(self, cache_id: str) -> list[LookupRecord]:
        """Return all lookups of a cache that are kept, the earliest first."""
        with self._lock:
            return [lookup for lookup in self._kept if lookup.cache_id == cache_id]

    def forget(
        self, cache_id: str | None = None, is_gone: Callable[[LookupRecord], bool] | None = None
    ) -> None:
        """Remove lookups.

        Args:
            cache_id: The cache; None for all caches.
            is_gone: Returns whether the entry of a lookup is gone; only such lookups are removed.
                None to remove all lookups of the cache.
        """
        with self._lock:
            self._removals += 1
            doomed = {
                lookup.number
                for lookup in self._kept
                if cache_id in (None, lookup.cache_id) and (is_gone is None or is_gone(lookup))
            }
            if doomed:
                self._epoch += 1
                self._kept = deque(each for each in self._kept if each.number not in doomed)
                self._characters = sum(each.characters for each in self._kept)
