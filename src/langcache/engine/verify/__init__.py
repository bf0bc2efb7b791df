"""May the answer to one prompt be served for another one? Verdicts with a reason."""

from langcache.engine.verify.base import Verdict, Verifier
from langcache.engine.verify.chain import VerifierChain
from langcache.engine.verify.create import AUTO_RULES, create_verifier
from langcache.engine.verify.defaults import (
    PLAIN_SIMILARITY,
    VERIFIED_SIMILARITY,
    default_similarity,
)
from langcache.engine.verify.identity import IdentityVerifier
from langcache.engine.verify.llm import LLMVerifier
from langcache.engine.verify.pair_model import PairModelVerifier
from langcache.engine.verify.rules import RULES, Rule, RuleVerifier

__all__ = [
    "AUTO_RULES",
    "PLAIN_SIMILARITY",
    "RULES",
    "VERIFIED_SIMILARITY",
    "IdentityVerifier",
    "LLMVerifier",
    "PairModelVerifier",
    "Rule",
    "RuleVerifier",
    "Verdict",
    "Verifier",
    "VerifierChain",
    "create_verifier",
    "default_similarity",
]
