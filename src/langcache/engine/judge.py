"""The last word on candidates: what users reported, what the embedder reads, the verifier."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from langcache.engine._steps import Steps, call
from langcache.engine.storage.base import reaches
from langcache.engine.verify.base import Verdict
from langcache.engine.verify.chain import VerifierChain
from langcache.engine.verify.identity import EQUAL, IdentityVerifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langcache.engine.explanation import Outcome
    from langcache.engine.feedback import Feedback
    from langcache.engine.storage.entry import Match
    from langcache.engine.verify.base import Verifier

__all__ = ["NEAR_MISS", "SPARE_CANDIDATES", "Choice", "Judge", "choose", "settle"]

NEAR_MISS = 0.05
"""How far below the threshold the similarity of a near miss may be."""

SPARE_CANDIDATES = 4
"""How many more candidates to look at than are wanted, as the nearest may be turned down."""


class Judge:
    """Decides which candidates of a lookup may be served. It only ever takes candidates away.

    A report of a user decides first. Then a candidate is turned down if the embedder cannot tell
    its prompt from the one that was asked (see `IdentityVerifier`). Last, the verifier decides, if
    there is one; if it fails, the candidate is turned down.

    Args:
        embedder: The embedder of the prompts.
        verifier: The verifier, or None for none.
        feedback: The reports of users, or None for none.
    """

    def __init__(
        self, embedder: object, verifier: Verifier | None, feedback: Feedback | None
    ) -> None:
        self._identity = IdentityVerifier(embedder)
        self._chain = VerifierChain(
            [self._identity] if verifier is None else [self._identity, verifier]
        )
        self._feedback = feedback
        self._verifier = verifier

    @property
    def spare(self) -> int:
        """How many more candidates than wanted the first search should ask for."""
        return 0 if self._verifier is None else SPARE_CANDIDATES

    def judge_at_once(self, prompt: str, candidates: Sequence[Match]) -> list[Verdict] | None:
        """Return a verdict for each candidate if neither a verifier nor a report is needed for it.

        That takes microseconds; otherwise, `judge` has to find them.
        """
        cached = [match.entry.prompt for match in candidates]
        if cached.count(prompt) == len(cached):
            return [EQUAL] * len(cached)
        if self._verifier is not None or self._reports is not None:
            return None
        try:
            return self._identity.verify(prompt, cached)
        except Exception:  # noqa: BLE001 - the chain logs it and turns the candidates down
            return None

    @property
    def _reports(self) -> Feedback | None:
        """The reports of users, if there may be any."""
        feedback = self._feedback
        return None if feedback is None or not feedback.may_have_reports() else feedback

    def judge(self, prompt: str, candidates: Sequence[Match]) -> Steps[list[Verdict]]:
        """Return a verdict for each candidate, in their order."""
        known = self.judge_at_once(prompt, candidates)
        if known is not None:
            return known
        verdicts: list[Verdict | None] = [None] * len(candidates)
        feedback = self._reports
        for place, match in enumerate(candidates):
            if match.entry.prompt == prompt:
                verdicts[place] = EQUAL
            elif feedback is not None:
                report = yield from feedback.find(prompt, match.entry.prompt)
                if report is not None:
                    verdicts[place] = _RIGHT if report.right else _WRONG
        open_places = [place for place, verdict in enumerate(verdicts) if verdict is None]
        if open_places:
            prompts = [candidates[place].entry.prompt for place in open_places]
            similarities = [candidates[place].similarity for place in open_places]
            judged = yield from call(
                self._chain.verify, self._chain.averify, prompt, prompts, similarities=similarities
            )
            for place, verdict in zip(open_places, judged, strict=True):
                verdicts[place] = verdict
        return [verdict for verdict in verdicts if verdict is not None]


class Choice:
    """Chooses among the candidates of a lookup. Whoever looks up searches and judges.

    As long as `asked` is not 0, search for so many entries, pass what was found to `candidates`,
    judge what that returns, and pass the verdicts to `add`. When some candidates are turned down,
    the search is repeated once for a few more, `SPARE_CANDIDATES` more than are wanted, so that a
    nearest entry that is turned down does not hide a right second one.

    Attributes:
        threshold: The similarity that a candidate has to reach.
        asked: How many entries to search for; 0 when the choice is made.
        found: All that the last search found, the nearest first.
        judged: The candidates that reach the threshold, each with its verdict.
        accepted: Those of them that may be served, as many as were wanted at most.

    Args:
        threshold: The similarity that a candidate has to reach.
        limit: How many candidates are wanted.
        spare: How many more the first search asks for: `Judge.spare`.
    """

    __slots__ = ("_limit", "_near", "accepted", "asked", "found", "judged", "threshold")

    def __init__(self, threshold: float, limit: int, spare: int) -> None:
        self.threshold: float = threshold
        self._limit = limit
        self._near: list[Match] = []
        self.asked: int = limit + spare
        self.found: Sequence[Match] = ()
        self.judged: list[tuple[Match, Verdict]] = []
        self.accepted: list[Match] = []

    def candidates(self, found: Sequence[Match]) -> list[Match]:
        """Return the candidates that have to be judged.

        Args:
            found: The nearest entries; also those that are below the threshold by `NEAR_MISS`, if
                near misses matter.
        """
        self.found = found
        self._near = [each for each in found if reaches(each.similarity, self.threshold)]
        return self._near[len(self.judged) :] if self.judged else self._near

    def add(self, verdicts: Sequence[Verdict]) -> None:
        """Take the verdicts on the candidates, in their order."""
        new = self._near[len(self.judged) :] if self.judged else self._near
        self.judged += zip(new, verdicts, strict=True)
        accepted = [match for match, verdict in self.judged if verdict.accepted]
        self.accepted = accepted[: self._limit]
        is_enough = len(accepted) >= self._limit or len(self._near) < self.asked
        most = self._limit + SPARE_CANDIDATES
        self.asked = 0 if is_enough or self.asked == most else most

    @property
    def outcome(self) -> Outcome:
        """What the lookup came to, if the search went beyond the threshold by `NEAR_MISS`."""
        if self.accepted:
            return "hit"
        if self.judged:
            return "rejected"
        return "near_miss" if self.found else "miss"


def choose(
    search: Callable[[int], Steps[list[Match]]],
    judge: Callable[[Sequence[Match]], Steps[list[Verdict]]] | None,
    choice: Choice,
) -> Steps[float | None]:
    """Search and judge until a choice is made.

    Args:
        search: Returns the nearest entries, as many as its argument says at most.
        judge: Returns the verdicts on candidates; None to accept all.
        choice: The choice, not made yet.

    Returns:
        How many seconds judging took; None when there was nothing to judge.
    """
    seconds = None
    while choice.asked:
        found = yield from search(choice.asked)
        new = choice.candidates(found)
        if new and judge is not None:
            started = time.perf_counter()
            choice.add((yield from judge(new)))
            seconds = (seconds or 0.0) + time.perf_counter() - started
        else:
            choice.add([_UNCHECKED] * len(new))
    return seconds


def settle(
    found: Sequence[Match], verdicts: Sequence[Verdict], threshold: float
) -> tuple[Outcome, Match | None]:
    """Return what a lookup of one entry comes to, and the entry that it serves, or None.

    Args:
        found: The nearest entries, the nearest first, whether they reach the threshold or not.
        verdicts: The verdict on each.
        threshold: The similarity that a hit has to reach.
    """
    near = [reaches(match.similarity, threshold) for match in found]
    # A lookup considers a few spare candidates only.
    eligible = list(zip(found, verdicts, near, strict=True))[: 1 + SPARE_CANDIDATES]
    for match, verdict, reached in eligible:
        if reached and verdict.accepted:
            return "hit", match
    if any(near):
        return "rejected", None
    if found and reaches(found[0].similarity, threshold - NEAR_MISS):
        return "near_miss", None
    return "miss", None


_UNCHECKED = Verdict(accepted=True, reason="nothing was checked")
_RIGHT = Verdict(accepted=True, reason="a user reported this hit as right", check="feedback")
_WRONG = Verdict(accepted=False, reason="a user reported this hit as wrong", check="feedback")
