# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`SearchStrategy`."""

from langcache.types import OpenStrEnum


class SearchStrategy(OpenStrEnum):
    """How prompts are compared.

    `exact` finds the same text, ignoring case, and reports a similarity of 1. `semantic` finds text
    that means the same.
    """

    EXACT = "exact"
    SEMANTIC = "semantic"
