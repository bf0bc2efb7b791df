"""Creates the verifier that a setting names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache.engine.verify.chain import VerifierChain
from langcache.engine.verify.pair_model import PairModelVerifier
from langcache.engine.verify.rules import RuleVerifier

if TYPE_CHECKING:
    from langcache.engine.verify.base import Verifier

__all__ = ["AUTO_RULES", "create_verifier"]

AUTO_RULES = (
    "numbers", "dates", "identifiers", "operators", "code", "quotations", "enumerations",
    "labels", "antonyms", "opposites", "owners", "proper names", "word order", "direction",
)  # fmt: skip
"""The rules of "auto": those that remove more wrong hits than right ones after the model."""


def create_verifier(spec: str | Verifier | None) -> Verifier | None:
    """Return the verifier that a setting names.

    Args:
        spec: "rules" for all rules; "model" for the pair model; "auto" for `AUTO_RULES` and then
            the pair model. Or a verifier, which is returned as it is; or None for no verifier.

    Raises:
        ValueError: The string names no verifier.
        TypeError: The object is no verifier.
        ImportError: The verifier needs a package that is not installed.
    """
    if spec is None:
        return None
    if spec == "rules":
        return RuleVerifier()
    if spec == "model":
        return PairModelVerifier()
    if spec == "auto":
        return VerifierChain([RuleVerifier(AUTO_RULES), PairModelVerifier()])
    if isinstance(spec, str):
        raise ValueError(f'verifier: must be "rules", "model", "auto" or None, got {spec!r}')
    if not (callable(getattr(spec, "verify", None)) and callable(getattr(spec, "averify", None))):
        raise TypeError(
            f"verifier: must have the methods verify and averify, got {type(spec).__name__}"
        )
    return spec
