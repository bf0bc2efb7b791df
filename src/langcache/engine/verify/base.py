"""What the engine asks of a verifier."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Verdict", "Verifier"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the answer to one prompt may be served for another one, and why.

    Attributes:
        accepted: Whether the candidate may be served.
        probability: The model's probability that one answer serves both prompts, in [0, 1]; None
            when no model was asked.
        reason: Why, in a few plain words that quote neither prompt: "the numbers differ".
        check: Name of the check that decided: a rule such as "numbers", a model's `model_id`, or
            "identity"; "" when nothing was checked.
        details: What differs, quoted from the two prompts: "12345 / 12346"; "" when there is
            nothing to quote. It is not part of the repr, so that no log shows it by accident.
    """

    accepted: bool
    probability: float | None = None
    reason: str = ""
    check: str = ""
    details: str = field(default="", repr=False)


class Verifier(Protocol):
    """Decides whether the answer to a cached prompt may be served for another prompt.

    A verifier is asked after the similarity threshold and before the answer. It can turn a
    candidate down; it never changes a similarity. Any object with these members is a verifier;
    there is nothing to inherit. One verifier may be used from several threads at once.

    A verifier may have an attribute `band`, a tuple of two similarities. A candidate whose
    similarity lies outside of it is accepted without asking this verifier.
    """

    @property
    def model_id(self) -> str:
        """Name of what decides. Verifiers that may decide differently have different names."""
        ...

    def verify(self, prompt: str, candidates: Sequence[str]) -> list[Verdict]:
        """Judge cached prompts against the one that was asked.

        A verdict depends on the two prompts alone, not on the other candidates.

        Args:
            prompt: The prompt that was asked.
            candidates: Cached prompts, none included.

        Returns:
            A verdict for each candidate, in their order.
        """
        ...

    async def averify(self, prompt: str, candidates: Sequence[str]) -> list[Verdict]:
        """Judge as `verify` does, without blocking the event loop."""
        ...
