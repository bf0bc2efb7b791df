"""Rules about numbers, and about units, months and days without a number."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from langcache.engine.verify.rules.base import Rule
from langcache.engine.verify.rules.past_and_future import past_and_future
from langcache.engine.verify.rules.quantities import unmatched

if TYPE_CHECKING:
    from langcache.engine.verify.rules.reading import Reading

__all__ = ["DATES", "NUMBERS", "UNITS"]


def _numbers(asked: Reading, cached: Reading) -> str | None:
    if not asked.quantities or not cached.quantities:
        return None
    ours, theirs = unmatched(asked.quantities, cached.quantities)
    if not ours or not theirs:
        return None
    return f"{ours[0].written} / {theirs[0].written}"


def _groups(*groups: str) -> dict[str, int]:
    return {word: number for number, group in enumerate(groups) for word in group.split()}


_UNIT_WORDS = (
    _groups("celsius centigrade", "fahrenheit", "kelvin"),
    _groups(
        "mm millimeters millimetres", "cm centimeters centimetres", "meters metres",
        "km kilometers kilometres", "inches", "feet", "yards", "miles",
    ),
    _groups("grams", "kg kilos kilograms", "lbs pounds", "oz ounces", "stone"),
    _groups("ml milliliters millilitres", "liters litres", "gallons", "pints", "cups"),
    _groups("seconds", "minutes", "hours", "days", "weeks", "months", "years", "decades"),
    _groups("kb kilobytes", "mb megabytes", "gb gigabytes", "tb terabytes"),
    _groups(
        "usd dollars", "eur euro euros", "gbp", "jpy yen", "inr rupees", "cny yuan rmb", "chf",
        "cad", "aud", "nzd", "sek", "nok", "dkk", "pln", "btc bitcoin", "eth ethereum",
    ),
)  # fmt: skip
_WORDS_OF_UNITS = frozenset[str]().union(*_UNIT_WORDS)


def _units(asked: Reading, cached: Reading) -> str | None:
    ours, theirs = asked.vocabulary, cached.vocabulary
    if _WORDS_OF_UNITS.isdisjoint(ours) or _WORDS_OF_UNITS.isdisjoint(theirs):
        return None
    for words in _UNIT_WORDS:
        if (mine := ours & words.keys()) and (other := theirs & words.keys()):
            left = {words[word] for word in mine}
            right = {words[word] for word in other}
            # Each has one that the other lacks; numbers with units have their own rule.
            if left - right and right - left and not (asked.quantities and cached.quantities):
                one = next(word for word in mine if words[word] not in right)
                two = next(word for word in other if words[word] not in left)
                return f"{one} / {two}"
    return None


# English, German, French, Spanish, Italian, Portuguese, Dutch.
_MONTHS = _groups(
    "january jan januar janvier enero gennaio janeiro januari",
    "february feb februar février febrero febbraio fevereiro februari",
    "march märz mars marzo março maart", "april apr avril abril aprile", "mai mayo maggio maio mei",
    "june jun juni juin junio giugno junho", "july jul juli juillet julio luglio julho",
    "august aug août agosto augustus",
    "september sep sept septembre septiembre settembre setembro",
    "october oct oktober octobre octubre ottobre outubro",
    "november nov novembre noviembre novembro",
    "december dec dezember décembre diciembre dicembre dezembro",
)  # fmt: skip
_DAYS = _groups(
    "monday mondays montag montags lundi lundis "
    "lunes lunedì maandag maandagen",
    "tuesday tuesdays dienstag dienstags mardi mardis "
    "martes martedì dinsdag dinsdagen",
    "wednesday wednesdays mittwoch mittwochs mercredi mercredis "
    "miércoles mercoledì woensdag woensdagen",
    "thursday thursdays donnerstag donnerstags jeudi jeudis "
    "jueves giovedì donderdag donderdagen",
    "friday fridays freitag freitags vendredi vendredis "
    "viernes venerdì vrijdag vrijdagen",
    "saturday saturdays samstag samstags sonnabend samedi samedis "
    "sábado sábados sabado sabados sabato zaterdag zaterdagen",
    "sunday sundays sonntag sonntags dimanche dimanches "
    "domingo domingos domenica zondag zondagen",
)  # fmt: skip
_RELATIVE = _groups(
    "today tonight heute aujourd'hui hoy oggi hoje vandaag",
    "tomorrow morgen demain mañana domani amanhã",
    "yesterday gestern hier ayer ieri ontem gisteren",
    "übermorgen overmorgen dopodomani", "vorgestern eergisteren",
)  # fmt: skip
_TWO_DAYS = re.compile(r"\bday (after tomorrow|before yesterday)\b", re.IGNORECASE)
# Without "été" and "estate", which are other words, too.
_SEASONS = _groups(
    "spring frühling frühjahr printemps primavera lente voorjaar",
    "summer sommer verano verão zomer",
    "autumn fall herbst automne otoño autunno outono herfst najaar",
    "winter hiver invierno inverno",
)
# The Portuguese days are ordinals, too: "na segunda" is Monday, "na segunda parte" is not.
_FEIRA = re.compile(
    r"\b(segunda|terça|quarta|quinta|sexta)s?(?:-feiras?\b|(?=\s*(?:[?!.,;]|$)))", re.IGNORECASE
)
_FEIRAS = ("segunda", "terça", "quarta", "quinta", "sexta")
_ORDINAL_DAYS = frozenset((*_FEIRAS, *(f"{day}s" for day in _FEIRAS)))
# "May" and "March" are months when they are written so; "fall" and "hier" are other words, too.
_MAY = re.compile(r"(?<=\w )(?:May|March)\b|\b(?:may|march) (?=\d)|(?<=\d )(?:may|march)\b")
_FIFTH, _THIRD = 4, 2


_CALENDARS = (_MONTHS, _DAYS, _RELATIVE, _SEASONS)
_CALENDAR_WORDS = frozenset({"may", "march"}.union(_ORDINAL_DAYS, *_CALENDARS))


_DATE = re.compile(
    r"(?<![\w/.-])(?:(\d{4})([/-])(\d{1,2})\2(\d{1,2})|(\d{1,2})([/-])(\d{1,2})\6(\d{4}))(?![\w/-])"
)
_LAST_MONTH = 12
# In Chinese and Japanese: days of the week, months in words, and the days around today.
_UNSPACED_DATE = re.compile(
    r"""
    (?:星期|礼拜|禮拜|周|週)(?P<day>[一二三四五六日天])
    | (?P<weekday>[月火水木金土日])曜
    | (?P<month>十?[一二三四五六七八九十])月
    | (?P<relative>[今明昨前后後])[天日]
    | (?P<week_around>[上下本这這先来來今])[个個]?(?:周|週|星期|礼拜|禮拜)
    | (?P<month_around>[上下本这這先来來今])[个個]?月
    | (?P<year_around>[今明昨去来來])年
    """,
    re.VERBOSE,
)
_SAME_CHARACTERS = str.maketrans("这這今先来來明昨去後天", "本本本上下下下上上后日")


def _dates(asked: Reading, cached: Reading) -> str | None:
    for find in (_written_dates, _unspaced_dates):
        left, right = find(asked), find(cached)
        for form in left.keys() & right.keys():
            mine, other = left[form].keys(), right[form].keys()
            if mine - other and other - mine:
                return f"{left[form][min(mine - other)]} / {right[form][min(other - mine)]}"
    return _named_dates(asked, cached) or past_and_future(asked, cached)


def _written_dates(reading: Reading) -> dict[str, dict[str, str]]:
    """Return the dates in digits, by whether the year comes first, and by their numbers.

    A year that comes last leaves open which of 05/06/2020 is the month; 13/06/2020 does not.
    """
    found: dict[str, dict[str, str]] = {}
    for match in _DATE.finditer(reading.text):
        year, _, month, day, one, _, two, last = match.groups()
        if year:
            numbers = (int(year), int(month), int(day))
        else:
            parts = int(one), int(two)
            numbers = (int(last), *(sorted(parts) if max(parts) > _LAST_MONTH else parts))
        form = "year first" if year else "year last"
        found.setdefault(form, {})["-".join(map(str, numbers))] = match.group()
    return found


def _unspaced_dates(reading: Reading) -> dict[str, dict[str, str]]:
    """Return the dates in Chinese and Japanese words, by their kind and what names them."""
    found: dict[str, dict[str, str]] = {}
    if not reading.text.isascii():
        for match in _UNSPACED_DATE.finditer(reading.text):
            kind = match.lastgroup or ""
            named = match[kind].translate(_SAME_CHARACTERS)
            found.setdefault(kind, {})[named] = match.group()
    return found


def _named_dates(asked: Reading, cached: Reading) -> str | None:
    if _CALENDAR_WORDS.isdisjoint(asked.vocabulary):
        return None
    if _CALENDAR_WORDS.isdisjoint(cached.vocabulary):
        return None
    for words in _CALENDARS:
        left, right = _named(asked, words), _named(cached, words)
        if left.keys() - right.keys() and right.keys() - left.keys():
            one = next(left[place] for place in left if place not in right)
            two = next(right[place] for place in right if place not in left)
            return f"{one} / {two}"
    return None


def _named(reading: Reading, words: dict[str, int]) -> dict[int, str]:
    found = {words[word]: word for word in reading.vocabulary & words.keys()}
    if words is _MONTHS and reading.vocabulary & {"may", "march"}:
        found.pop(_THIRD, None)
        for match in _MAY.finditer(reading.text):
            found[_FIFTH if match.group()[2] == "y" else _THIRD] = match.group()
    if words is _DAYS and not _ORDINAL_DAYS.isdisjoint(reading.vocabulary):
        for match in _FEIRA.finditer(reading.text):
            found[_FEIRAS.index(match[1].lower())] = match.group()
    if words is _RELATIVE and (match := _TWO_DAYS.search(reading.text)):
        after = match[1][0] in "aA"
        found.pop(_RELATIVE["tomorrow" if after else "yesterday"], None)
        found[_RELATIVE["übermorgen" if after else "vorgestern"]] = match.group()
    return found


NUMBERS = Rule("numbers", "the numbers differ", english_only=False, find=_numbers)
UNITS = Rule("units", "the units or currencies differ", english_only=False, find=_units)
DATES = Rule("dates", "the dates differ", english_only=False, find=_dates)
