"""The rules of the contract, by subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache_mockserver.contract.rules import (
    access,
    attributes,
    conversations,
    deleting,
    expiry,
    health,
    limits,
    searching,
    storing,
)

if TYPE_CHECKING:
    from langcache_mockserver.contract.rule import Rule

RULES: tuple[Rule, ...] = (
    *health.RULES,
    *access.RULES,
    *storing.RULES,
    *searching.RULES,
    *attributes.RULES,
    *conversations.RULES,
    *expiry.RULES,
    *deleting.RULES,
    *limits.RULES,
)
"""All rules, in the order in which they are checked."""
