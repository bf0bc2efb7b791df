"""Answers of models from a cache: the core of all integrations, and their `AnswerCache`.

    from langcache import AnswerCache

    cache = AnswerCache("sqlite:answers.db")

    @cache.cached(prompt="question", scope=("tenant",))
    def answer(question: str, tenant: str) -> str: ...

Needs the extra `engine`.
"""

from langcache.answers.answer import Answer, Ending, Hit, Source
from langcache.answers.cache import AnswerCache, wrap
from langcache.answers.digests import NotCacheableError, digest, plain
from langcache.answers.functions import CachedFunction
from langcache.answers.lookups import CallExplanation, Lookup, Resolve
from langcache.answers.request import Request, Turn, chat_request
from langcache.answers.statistics import Statistics

__all__ = [
    "Answer",
    "AnswerCache",
    "CachedFunction",
    "CallExplanation",
    "Ending",
    "Hit",
    "Lookup",
    "NotCacheableError",
    "Request",
    "Resolve",
    "Source",
    "Statistics",
    "Turn",
    "chat_request",
    "digest",
    "plain",
    "wrap",
]
