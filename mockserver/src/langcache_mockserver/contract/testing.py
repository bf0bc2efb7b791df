"""The contract as a class of tests, for the continuous integration of a LangCache."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import SkipTest

from langcache_mockserver.contract.check import check_rule
from langcache_mockserver.contract.report import Outcome
from langcache_mockserver.contract.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from langcache_mockserver.contract.rule import Rule
    from langcache_mockserver.contract.target import Target


class LangCacheContract:
    """One test for each rule of the contract; derive a class of tests and say what to check.

    ```python
    from langcache_mockserver.contract import LangCacheContract, Target

    class TestStaging(LangCacheContract):
        def target(self):
            return Target(url="https://…", cache_id="…", api_key=os.environ["LANGCACHE_API_KEY"])
    ```

    A rule that does not hold fails its test. One that can't be checked, or that does not hold but
    may be none of the service's, skips it and says why.
    """

    def target(self) -> Target:
        """Return the LangCache to check, and what may be done there."""
        raise NotImplementedError


def _test(rule: Rule) -> Callable[[LangCacheContract], None]:
    def test(self: LangCacheContract) -> None:
        finding = check_rule(rule, self.target())
        if finding.outcome is Outcome.DEPARTS:
            raise AssertionError(str(finding))
        if finding.outcome is not Outcome.OK:
            reason = finding.reason or f"expected {finding.expected}, got {finding.got}"
            raise SkipTest(f"{rule.name}: {reason}")

    test.__name__ = f"test_{rule.name.replace('.', '_').replace('-', '_')}"
    test.__qualname__ = f"{LangCacheContract.__name__}.{test.__name__}"
    test.__doc__ = rule.statement
    return test


for _rule in RULES:
    _made = _test(_rule)
    setattr(LangCacheContract, _made.__name__, _made)
