"""Numbers, with units, currencies, versions, dates and times, in a form that can be compared."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["Quantity", "dimension_of", "find_quantities", "is_unit", "unmatched"]


# What people convert to other units with rounding.
_ROUNDED = frozenset({"length", "mass", "volume", "speed"})


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of a prompt.

    Attributes:
        written: The number and its unit as they are written.
        number: The number alone, in a normal form: "1200", "3.10".
        dimension: What it measures, such as "time" or "USD"; "" for a bare number.
        value: The number in the base unit of its dimension.
        unit: The size of its unit in that base unit.
    """

    written: str
    number: str
    dimension: str
    value: float
    unit: float = 1.0

    def matches(self, other: Quantity) -> bool:
        """Whether both say the same, as far as both say it."""
        if self.dimension == other.dimension and self.dimension:
            # Wide enough for "5 miles" and "8 km".
            is_converted = self.unit != other.unit and self.dimension in _ROUNDED
            return math.isclose(self.value, other.value, rel_tol=0.01 if is_converted else 1e-9)
        if self.dimension and other.dimension:
            return "clock" in (self.dimension, other.dimension) and self.number == other.number
        return self.number == other.number


_UNITS: dict[str, tuple[str, float]] = {}


def _define(dimension: str, factor: float, names: str) -> None:
    for name in names.split():
        _UNITS[name] = (dimension, factor)


_define("time", 0.001, "ms millisecond milliseconds msec")
_define("time", 1, "s sec secs second seconds")
_define("time", 60, "min mins minute minutes")
_define("time", 3600, "h hr hrs hour hours")
_define("time", 86400, "day days")
_define("time", 604800, "week weeks wk wks fortnight")
_define("months", 1, "month months mo")
_define("months", 12, "year years yr yrs yo")
_define("months", 120, "decade decades")
_define("months", 1200, "century centuries")
_define("length", 0.001, "mm millimeter millimeters millimetre millimetres")
_define("length", 0.01, "cm centimeter centimeters centimetre centimetres")
_define("length", 1, "m meter meters metre metres")
_define("length", 1000, "km kms kilometer kilometers kilometre kilometres")
_define("length", 0.0254, "inch inches")
_define("length", 0.3048, "ft foot feet")
_define("length", 0.9144, "yard yards yd yds")
_define("length", 1609.344, "mi mile miles")
_define("mass", 1e-9, "mcg \u00b5g \u03bcg microgram micrograms")
_define("mass", 1e-6, "mg milligram milligrams")
_define("mass", 0.001, "g gram grams gr")
_define("mass", 1, "kg kgs kilo kilos kilogram kilograms")
_define("mass", 0.45359237, "lb lbs pound pounds")
_define("mass", 0.0283495, "oz ounce ounces")
_define("mass", 1000, "tonne tonnes")
_define("volume", 0.001, "ml milliliter milliliters millilitre millilitres")
_define("volume", 0.01, "cl centiliter centiliters centilitre centilitres")
_define("volume", 0.1, "dl deciliter deciliters decilitre decilitres")
_define("volume", 1, "l liter liters litre litres")
_define("volume", 3.78541, "gallon gallons gal")
_define("volume", 0.24, "cup cups")
_define("data", 1e3, "kb kilobyte kilobytes kib")
_define("data", 1e6, "mb megabyte megabytes mib meg megs")
_define("data", 1e9, "gb gigabyte gigabytes gib gig gigs")
_define("data", 1e12, "tb terabyte terabytes tib")
_define("speed", 1, "kmh kph km/h kmperhour kilometersperhour kilometresperhour")
_define("speed", 1.609344, "mph milesperhour")
_define("celsius", 1, "c celsius centigrade °c")
_define("fahrenheit", 1, "f fahrenheit °f")
_define("kelvin", 1, "k kelvin")
_define("percent", 1, "% percent pct")
_define("watts", 1, "w watt watts")
_define("watts", 1000, "kw kilowatt kilowatts")
_define("hertz", 1, "hz hertz")
_define("hertz", 1e3, "khz")
_define("hertz", 1e6, "mhz")
_define("hertz", 1e9, "ghz")
_define("USD", 1, "$ usd dollar dollars bucks")
_define("USD", 0.01, "¢ cent cents")
_define("EUR", 1, "€ eur euro euros")
_define("GBP", 1, "£ gbp quid")
_define("JPY", 1, "¥ jpy yen")
_define("INR", 1, "₹ inr rupee rupees rs")
_define("CHF", 1, "chf francs")
_define("CAD", 1, "cad")
_define("AUD", 1, "aud")

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS: dict[str, float] = {"half": 0.5, "dozen": 12, "couple": 2}
_WORDS.update((word, number) for number, word in enumerate(_SMALL))
_WORDS.update((word, 10 * number) for number, word in enumerate(_TENS, 2))
_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_SUFFIXES = {"k": 1e3, "m": 1e6, "mio": 1e6, "bn": 1e9}
_ORDINALS = {
    "first": "1", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "seventh": "7",
    "eighth": "8", "ninth": "9", "tenth": "10",
}  # fmt: skip

_NUMBER_WORD = "|".join([*_WORDS, *_SCALES])
_CURRENCY = "[$€£¥₹¢]"
_PATTERN = re.compile(
    rf"""
    (?:(?<!\w)|(?=[\d$€£¥₹¢]))  # to pass quickly over the insides of words
    (?:
    (?P<clock>(?<![\w.:])\d{{1,2}}(?:(?::\d\d)?\s?(?:[ap]\.?m\.?)|:\d\d)(?!\w))
    | (?:(?P<sign>{_CURRENCY})\s?)?
      (?<![\w.,])(?P<digits>\d+(?:,\d{{3}})+(?:\.\d+)?|\d+(?:[.,]\d+)*|\.\d+(?!\.?\d))(?P<ordinal>st|nd|rd|th)?
      (?:\s?(?P<suffix>k|bn|mio)(?![a-z])|[\s-]?(?P<scale>hundred|thousand|million|billion)s?\b)?
      (?:[\s-]?(?P<unit>%|{_CURRENCY}|°\s?[cf]\b|(?:km|kilomet(?:er|re)s|miles)\sper\shour\b|[a-z\u00b5\u03bc]+(?:/h)?(?![\w'])))?
    | \b(?P<words>(?:{_NUMBER_WORD})(?:[\s-]+(?:and\s+)?(?:{_NUMBER_WORD}))*)\b
      (?P<plus_half>\s+and\s+a\s+half\b)?
      (?:(?:\s+(?:of\s+)?an?|\s+of)?[\s-]+(?P<word_unit>[a-z]+))?
    | \b(?P<article>an?)\s+(?P<article_unit>hour|day|week|fortnight|month|year|minute|dozen)\b
      (?P<and_half>\s+and\s+a\s+half)?
    | \b(?P<ordinal_word>{"|".join(_ORDINALS)})\b
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)


_HAS_DIGIT = re.compile(r"\d")
_HINTS = frozenset(
    (*_WORDS, *_SCALES, *_ORDINALS, "hour", "day", "week", "fortnight", "month", "year", "minute")
)


def find_quantities(text: str, words: Collection[str]) -> list[Quantity]:
    """Return the numbers of a prompt, in their order.

    Args:
        text: The prompt.
        words: Its words in lower case; without a hint of a number among them, none is looked for.
    """
    if not _HAS_DIGIT.search(text) and _HINTS.isdisjoint(words):
        return []
    quantities: list[Quantity] = []
    end = 0
    for match in _PATTERN.finditer(text):
        quantity = _read(match)
        if quantity is None:
            continue
        start, before = match.start(), end
        # A word that is no unit may belong to the match.
        end = start + len(quantity.written)
        if _is_negative(text, start, before):
            quantity = _negative(quantity)
        joined = None
        if quantities and _between(text[before:start]):
            joined = _sum(quantities[-1], quantity)
        if joined:
            quantities[-1] = joined
        else:
            quantities.append(quantity)
    return quantities


def dimension_of(unit: str) -> str | None:
    """Return what a unit measures, or None if the word is no unit."""
    found = _UNITS.get(unit.lower())
    return None if found is None else found[0]


def is_unit(word: str, before: str, others: Sequence[Quantity]) -> bool:
    """Return whether a word is the unit of a number, and is compared as such.

    "5 GB" is a number and no name, and may be "5000 MB". But "top 5 ML tools" are no "top 5 AI
    tools", though "ml" is a unit.

    Args:
        word: The word.
        before: What stands before it.
        others: The numbers of the other prompt.
    """
    dimension = dimension_of(word)
    return (
        dimension is not None
        and before.rstrip()[-1:].isdigit()
        and any(other.dimension == dimension for other in others)
    )


def unmatched(
    ours: Sequence[Quantity], theirs: Sequence[Quantity]
) -> tuple[list[Quantity], list[Quantity]]:
    """Return what of each side has no partner on the other one."""
    mine_left, rest = _without_equal(ours, theirs), _without_equal(theirs, ours)
    if len(mine_left) * len(rest) > _MOST_COMPARED:
        return mine_left, rest
    alone: list[Quantity] = []
    for mine in mine_left:
        for place, other in enumerate(rest):
            if mine.matches(other):
                del rest[place]
                break
        else:
            alone.append(mine)
    return alone, rest


# Each is compared with each. In texts with more numbers, only equal ones are partners.
_MOST_COMPARED = 2_000


def _without_equal(quantities: Sequence[Quantity], others: Sequence[Quantity]) -> list[Quantity]:
    """Return the quantities that are not the same as one of the others, which each is once."""
    left = Counter((other.number, other.dimension, other.value) for other in others)
    rest: list[Quantity] = []
    for quantity in quantities:
        key = quantity.number, quantity.dimension, quantity.value
        if left[key]:
            left[key] -= 1
        else:
            rest.append(quantity)
    return rest


# A word before "minus" that is no term: it is a sign, and not a subtraction.
_SIGN = re.compile(
    r"(?:(?<![^\s(\[=:<>*/+])[-\N{MINUS SIGN}]"
    r"|(?:\A|[(,:=]\s?|\b(?:is|was|of|to|at|from|by|and|or|than|between|about)\s)minus\s)\Z",
    re.IGNORECASE,
)
_LONGEST_SIGN = 24
_MINUS = frozenset({"-", "\N{MINUS SIGN}", "minus"})


def _is_negative(text: str, start: int, before: int) -> bool:
    """Return whether a number has a minus sign, and is not subtracted from the one before it.

    Args:
        text: The prompt.
        start: Where the number starts.
        before: Where the number before it ends, or 0.
    """
    if before and text[before:start].strip().lower() in _MINUS:
        return False
    return _SIGN.search(text, max(0, start - _LONGEST_SIGN), start) is not None


def _negative(quantity: Quantity) -> Quantity:
    if quantity.dimension in ("clock", "ordinal"):
        return quantity
    return replace(
        quantity,
        written=f"-{quantity.written}",
        number=f"-{quantity.number}",
        value=-quantity.value,
    )


def _read(match: re.Match[str]) -> Quantity | None:
    written = match.group().strip()
    if clock := match["clock"]:
        return _clock(written, clock)
    if digits := match["digits"]:
        return _digits(written, match, digits)
    if ordinal := match["ordinal_word"]:
        number = _ORDINALS[ordinal.lower()]
        return Quantity(written, number, "ordinal", float(number))
    if unit_name := match["article_unit"]:
        number = 1.5 if match["and_half"] else 1.0
        if unit_name.lower() == "dozen":
            return _quantity(written, 12 * number, None)
        return _quantity(written, number, _UNITS[unit_name.lower()])
    words = match["words"]
    number = _spelled(words)
    if number is not None and match["plus_half"]:
        number += 0.5
    unit = _UNITS.get((match["word_unit"] or "").lower())
    # "One" is mostly a pronoun, and "a couple" vague.
    if number is None or (number in (1, 2) and unit is None):
        return None
    return _quantity(written if unit else words, number, unit)


def _digits(written: str, match: re.Match[str], digits: str) -> Quantity | None:
    grouped = re.fullmatch(r"\d+(?:,\d{3})+(?:\.\d+)?", digits)
    plain = digits.replace(",", "") if grouped else digits.replace(",", ".")
    parts = plain.split(".")
    if match["ordinal"]:
        return Quantity(written, plain, "ordinal", float(".".join(parts[:2])))
    if len(parts) > 2:
        # A version, an address or a date: as it is written.
        return Quantity(digits, plain, "", 0.0)
    factor = 1.0
    if suffix := match["suffix"]:
        factor = _SUFFIXES[suffix.lower()]
    elif scale := match["scale"]:
        factor = _SCALES[scale.lower()]
    unit_name = (match["unit"] or "").lower().replace(" ", "")
    unit = _UNITS.get(unit_name)
    if written.endswith(f"{digits}M"):
        # Meters are written "5m".
        factor, unit, unit_name = 1e6, None, ""
    if unit is None and unit_name and written.lower().endswith(digits + unit_name):
        if unit_name != "d":
            # "31a" is a name of something.
            return None
        # "3D" counts something, and so does "3d".
        return Quantity(digits, plain, "", float(plain))
    if sign := match["sign"]:
        unit = _UNITS[sign]
    number = float(plain) * factor
    if factor == 1 and unit is None:
        # 3.10 is not 3.1: it may be a version. But 4.0 is 4.
        while len(parts) > 1 and not parts[-1].strip("0"):
            parts.pop()
        return Quantity(digits, ".".join([parts[0].lstrip("0") or "0", *parts[1:]]), "", number)
    return _quantity(written if unit else digits, number, unit)


def _quantity(written: str, number: float, unit: tuple[str, float] | None) -> Quantity:
    dimension, factor = unit or ("", 1.0)
    return Quantity(written, f"{number:.10g}", dimension, number * factor, factor)


def _clock(written: str, clock: str) -> Quantity:
    digits = re.findall(r"\d+", clock)
    hour, minute = int(digits[0]), int(digits[1]) if len(digits) > 1 else 0
    after_noon = re.search(r"([ap])\.?m", clock, re.IGNORECASE)
    number = f"{hour}:{minute:02}" if minute else str(hour)
    if after_noon:
        hour = hour % 12 + (12 if after_noon[1].lower() == "p" else 0)
    return Quantity(written, number, "clock", hour * 60 + minute + 1)


def _spelled(text: str) -> float | None:
    total = current = 0.0
    for word in re.split(r"[\s-]+", text.lower()):
        if word == "and":
            continue
        if word in _SCALES:
            scale = _SCALES[word]
            if scale == 100:
                current = (current or 1) * scale
            else:
                total += (current or 1) * scale
                current = 0.0
        elif word == "dozen":
            current = (current or 1) * 12
        elif word == "half" and current:
            return None
        elif current and not (current % 100 >= 20 and current % 10 == 0) and current % 100:
            # "two three": two numbers; rare enough to be left alone.
            return None
        else:
            current += _WORDS[word]
    return total + current


def _between(text: str) -> bool:
    """Return whether what stands between two quantities may join them: "1 hour and 30 minutes"."""
    return text.strip(" ,").lower() in ("", "and")


def _sum(before: Quantity, quantity: Quantity) -> Quantity | None:
    """Return two quantities as one, if the second has a smaller unit of the same dimension."""
    if before.dimension != quantity.dimension or before.dimension not in ("time", "length", "mass"):
        return None
    factors = [float(q.value) / float(q.number) for q in (before, quantity) if float(q.number)]
    if len(factors) < 2 or factors[0] <= factors[1]:
        return None
    value = before.value + quantity.value
    written = f"{before.written} {quantity.written}"
    return Quantity(written, f"{value:.10g}", quantity.dimension, value)
