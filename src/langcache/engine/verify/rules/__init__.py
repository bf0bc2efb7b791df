"""Rules: differences between two prompts that show without a model, each with its reason."""

from langcache.engine.verify.rules.base import Rule
from langcache.engine.verify.rules.verifier import RULES, RuleVerifier

__all__ = ["RULES", "Rule", "RuleVerifier"]
