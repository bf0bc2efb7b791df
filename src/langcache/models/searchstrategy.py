# Generated from openapi.yaml by codegen/generate.py; do not edit.
"""`SearchStrategy`."""

from langcache.types import OpenStrEnum


class SearchStrategy(OpenStrEnum):
    """How prompts are compared.

    `exact` matches the same text, ignoring case, with a similarity of 1. `semantic` matches text
    with the same meaning.
    """

    EXACT = "exact"
    SEMANTIC = "semantic"
