"""A check of any LangCache, this server or the hosted service, against the contract.

It says where a service departs from what `openapi.yaml` describes and from how the service is known
to behave. On the command line:

    python -m langcache_mockserver.contract --url https://… --cache … --attributes user_id,topic

From Python: `check_contract`. As tests: `LangCacheContract`.
"""

from langcache_mockserver.contract.check import check_contract, check_rule
from langcache_mockserver.contract.report import Finding, Outcome, Report
from langcache_mockserver.contract.rule import Certainty, Rule
from langcache_mockserver.contract.rules import RULES
from langcache_mockserver.contract.target import Target, UnusableError
from langcache_mockserver.contract.testing import LangCacheContract

__all__ = [
    "RULES",
    "Certainty",
    "Finding",
    "LangCacheContract",
    "Outcome",
    "Report",
    "Rule",
    "Target",
    "UnusableError",
    "check_contract",
    "check_rule",
]
