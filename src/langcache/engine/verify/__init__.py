"""May the answer to one prompt be served for another one? Verdicts with a reason."""

from langcache.engine.verify.base import Verdict, Verifier

__all__ = ["Verdict", "Verifier"]
