"""The last word on candidates: what users reported, what the embedder reads, the verifier."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langcache.engine._steps import Steps, call
from langcache.engine.storage.base import reaches
from langcache.engine.verify.base import Verdict
from langcache.engine.verify.chain import VerifierChain
from langcache.engine.verify.identity import IdentityVerifier

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
        identity = IdentityVerifier(embedder)
        self._chain = VerifierChain([identity] if verifier is None else [identity, verifier])
        self._feedback = feedback
        self._verifier = verifier

    @property
    def spare(self) -> int:
        """How many more candidates than wanted the first search should ask for."""
        return 0 if self._verifier is None else SPARE_CANDIDATES

    def judge(self, prompt: str, candidates: Sequence[Match]) -> Steps[list[Verdict]]:
        """Return a verdict for each candidate, in their order."""
        verdicts: list[Verdict | None] = [None] * len(candidates)
        if self._feedback is not None:
            for place, match in enumerate(candidates):
                if match.entry.prompt == prompt:
                    continue
                report = yield from self._feedback.find(prompt, match.entry.prompt)
                if report is not None:
                    verdicts[place] = _RIGHT if report.right else _WRONG
        open_places = [place for place, verdict in enumerate(verdicts) if verdict is None]
        if open_places:
            prompts = [candidates[place].entry.prompt for place in open_places]
            similarities = [candidates[place].similarity for place in open_places]
            judged = yield from call(
                self._chain.verify,
                self._chain.averify,
                prompt,
                prompts,
                similarities=similarities,
            )
            for place, verdict in zip(open_places, judged, strict=True):
                verdicts[place] = verdict
        return [verdict for verdict in verdicts if verdict is not None]


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What a lookup found and what became of it.

    Attributes:
        found: All that the last search found, the nearest first.
        judged: The candidates that reach the threshold, each with its verdict.
        accepted: Those of them that may be served, as many as were wanted at most.
        verify_seconds: How long the verdicts took; None when there was nothing to judge.
    """

    found: list[Match]
    judged: list[tuple[Match, Verdict]]
    accepted: list[Match]
    verify_seconds: float | None

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
    *,
    threshold: float,
    limit: int,
    spare: int,
) -> Steps[Choice]:
    """Search, and judge what reaches the threshold, until enough candidates are accepted.

    When some are turned down, the search is repeated once for a few more, `SPARE_CANDIDATES` more
    than are wanted, so that a nearest entry that is turned down does not hide a right second one.

    Args:
        search: Returns the nearest entries, as many as its argument says at most; also those that
            are below the threshold by `NEAR_MISS`, if near misses matter.
        judge: Returns the verdicts on candidates; None to accept all.
        threshold: The similarity that a candidate has to reach.
        limit: How many candidates are wanted.
        spare: How many more the first search asks for: `Judge.spare`.
    """
    most = limit + SPARE_CANDIDATES
    asked = limit + spare
    judged: list[tuple[Match, Verdict]] = []
    verify_seconds = None
    while True:
        found = yield from search(asked)
        near = [match for match in found if reaches(match.similarity, threshold)]
        new = near[len(judged) :]
        if new and judge is not None:
            started = time.perf_counter()
            verdicts = yield from judge(new)
            verify_seconds = (verify_seconds or 0.0) + time.perf_counter() - started
        else:
            verdicts = [_UNCHECKED] * len(new)
        judged += zip(new, verdicts, strict=True)
        accepted = [match for match, verdict in judged if verdict.accepted][:limit]
        if len(accepted) == limit or len(near) < asked or asked == most:
            return Choice(found, judged, accepted, verify_seconds)
        asked = most


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
