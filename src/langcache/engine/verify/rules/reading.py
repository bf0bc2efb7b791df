"""A prompt as the rules read it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cached_property, lru_cache

from langcache.engine.verify.language import ENGLISH, OTHER_SCRIPT, UNKNOWN, guess_language
from langcache.engine.verify.number_words import with_digits
from langcache.engine.verify.rules.quantities import Quantity, find_quantities

__all__ = ["Reading", "both_in_english", "differing", "foreign_language", "stem", "units"]

# A word with its apostrophe ("don't"), or a number with its separators, or "C++" and "C#".
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?(?:\+\+|\#(?!\w))?|\d+(?:[.,:]\d+)*")


# Rules look no further; a verifier that reads meaning has its own limit.
_MAX_CHARACTERS = 10_000


# Chinese, Japanese, Korean, Thai, Lao, Burmese and Khmer: a number or a name in Latin letters
# stands between their words without a space.
_UNSPACED = (
    r"\u0e00-\u0e4f\u0e80-\u0ecf\u1000-\u103f\u1780-\u17df"
    r"\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
)
_SEAM = re.compile(
    rf"(?<=[{_UNSPACED}])(?=[^\W{_UNSPACED}])|(?<=[^\W{_UNSPACED}])(?=[{_UNSPACED}])"
)
_SPACELESS = re.compile(rf"[{_UNSPACED}]")
_UNIT = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
_DIGIT = re.compile(r"[^\D0-9]")
_FRACTION = re.compile(r"(\d{1,9})?[ \u2009]?([\u00bc-\u00be\u2150-\u215e\u2189])")
_RATIO = re.compile(
    r"(?<![\d/.,-])(?:(\d{1,3})[ -])?(\d{1,2})/(2|3|4|5|6|8|16)"
    r"(?=[ -](?:cups?|c|t|tsp|tbsp|teaspoons?|tablespoons?|inch|inches|hours?|miles?|pounds?|lbs?"
    r"|oz|ounces?|liters?|litres?|pints?|gallons?)\b)"
)
# Powers of numbers and variables. "10 m²" is an area.
_SUPERSCRIPT = re.compile(
    r"(?:(?<=\d)|(?<=\b[a-ln-rt-zA-LN-RT-Z]))[\u00b2\u00b3\u00b9\u2070\u2074-\u2079]+"
)


def _plain(text: str) -> str:
    """Return a text with numbers and quotes as in ASCII, and spaces around numbers and names."""
    if "/" in text:
        text = _RATIO.sub(_ratio, text)
    if text.isascii():
        return text
    text = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    text = _DIGIT.sub(lambda found: str(unicodedata.decimal(found[0])), text)
    text = _FRACTION.sub(_decimal, text)
    text = _SUPERSCRIPT.sub(lambda found: f"^{unicodedata.normalize('NFKC', found[0])}", text)
    return _SEAM.sub(" ", text)


def _decimal(fraction: re.Match[str]) -> str:
    return f" {int(fraction[1] or 0) + unicodedata.numeric(fraction[2]):.10g}"


def _ratio(fraction: re.Match[str]) -> str:
    return f"{int(fraction[1] or 0) + int(fraction[2]) / int(fraction[3]):.10g}"


class Reading:
    """A prompt, and what the rules ask about it: found once, when it is first asked for."""

    def __init__(self, text: str) -> None:
        self.text: str = _plain(text[:_MAX_CHARACTERS])

    @cached_property
    def language(self) -> str:
        """The language of the prompt, as far as it shows: see `guess_language`."""
        return guess_language(self.text)

    @property
    def is_english(self) -> bool:
        """Whether nothing shows that the prompt is not English."""
        return self.language in (ENGLISH, UNKNOWN)

    @cached_property
    def tokens(self) -> list[str]:
        """Words and numbers as they are written."""
        return _WORD.findall(self.text)

    @cached_property
    def words(self) -> list[str]:
        """Words and numbers in lower case, without a possessive "'s"."""
        return [word.removesuffix("'s") for word in map(str.lower, self.tokens)]

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each word stands in the prompt."""
        return Counter(self.words)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """The different words of the prompt."""
        return frozenset(self.words)

    @cached_property
    def stems(self) -> list[str]:
        """The words without the commonest endings."""
        return [stem(word) for word in self.words]

    @property
    def units(self) -> list[str]:
        """The stems, or characters where no spaces are between words."""
        if self.text.isascii() or not _SPACELESS.search(self.text):
            return self.stems
        return units(self.text.lower())

    @cached_property
    def quantities(self) -> list[Quantity]:
        """The numbers of the prompt with their units."""
        text = self.text
        # Numbers in Chinese characters may stand in any text.
        if self.language not in (ENGLISH, UNKNOWN) or not text.isascii():
            text = with_digits(text, self.vocabulary, self.language)
        return find_quantities(text, self.vocabulary)


@lru_cache(10_000)
def stem(word: str) -> str:
    """Return an English word without its commonest endings: roughly, the same for its forms."""
    for ending in ("ing", "ies", "ied", "ed", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


def units(text: str) -> list[str]:
    """Return the characters of a text without spaces, and the words in it that have them."""
    return _UNIT.findall(text)


def both_in_english(asked: Reading, cached: Reading) -> bool:
    """Return whether a prompt is English, and the other one is, or shows no language."""
    one, other = asked.language, cached.language
    return (one == ENGLISH and other in (ENGLISH, UNKNOWN)) or (one == UNKNOWN and other == ENGLISH)


def foreign_language(asked: Reading, cached: Reading) -> str:
    """Return the language of two prompts that both are in, or that one shows; not English.

    It is `UNKNOWN` for English, for two languages, and for what is not written in Latin letters.
    """
    one, other = asked.language, cached.language
    language = one if other in (one, UNKNOWN) else other if one == UNKNOWN else UNKNOWN
    return UNKNOWN if language in (ENGLISH, OTHER_SCRIPT) else language


def differing(asked: Reading, cached: Reading) -> tuple[list[str], list[str]]:
    """Return what lies between the words that both prompts start with and those they end with."""
    ours, theirs = asked.stems, cached.stems
    shortest = min(len(ours), len(theirs))
    start = 0
    while start < shortest and ours[start] == theirs[start]:
        start += 1
    end = 0
    while end < shortest - start and ours[-1 - end] == theirs[-1 - end]:
        end += 1
    return asked.words[start : len(ours) - end], cached.words[start : len(theirs) - end]
