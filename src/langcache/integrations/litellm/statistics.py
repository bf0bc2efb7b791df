"""Counts of a cache's lookups and stores."""

from langcache.answers.statistics import Statistics

__all__ = ["Statistics"]
