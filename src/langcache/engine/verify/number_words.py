"""Numbers that are written in words, in other languages than English."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from langcache.engine.verify.words import word_set

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

__all__ = ["NUMBER_WORDS", "with_digits"]


class _Numerals(NamedTuple):
    """The numerals of a language; words for one number are joined by "/".

    Attributes:
        small: 2 to 19. Not 1, which is mostly an article.
        tens: 20, 30 and so on, as far as they follow a rule.
        compound: How a ten and a unit make a number, such as "{unit}und{ten}" for 21; "" where
            no rule does it.
        units: 1 to 9 as they are in a compound.
        others: Numbers that no rule makes, as "word=number".
        scales: Words that make other numbers of those before them or after them. A number with one
            of these is not read.
    """

    small: str
    tens: str
    compound: str
    units: str
    others: str
    scales: str


_LANGUAGES = {
    "German": _Numerals(
        "zwei/zwo drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn "
        "sechzehn siebzehn achtzehn neunzehn",
        "zwanzig dreißig/dreissig vierzig fünfzig sechzig siebzig achtzig neunzig",
        "{unit}und{ten}",
        "ein zwei drei vier fünf sechs sieben acht neun",
        "hundert=100 tausend=1000",
        "million millionen milliarde milliarden dutzend halb viertel",
    ),
    "French": _Numerals(
        "deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize "
        "dix-sept dix-huit dix-neuf",
        "vingt trente quarante cinquante soixante",
        "{ten}-{unit}",
        "et-un/et-une deux trois quatre cinq six sept huit neuf",
        "soixante-dix=70 quatre-vingt=80 quatre-vingts=80 quatre-vingt-dix=90 cent=100 mille=1000",
        "cents million millions milliard milliards demi demie demi-heure quart",
    ),
    "Spanish": _Numerals(
        "dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince "
        "dieciséis/dieciseis diecisiete dieciocho diecinueve",
        "- treinta cuarenta cincuenta sesenta setenta ochenta noventa",
        "{ten}-y-{unit}",
        "uno/un/una dos tres cuatro cinco seis siete ocho nueve",
        "veinte=20 veintiuno=21 veintiún=21 veintiuna=21 veintidós=22 veintidos=22 veintitrés=23 "
        "veintitres=23 veinticuatro=24 veinticinco=25 veintiséis=26 veintiseis=26 "
        "veintisiete=27 veintiocho=28 veintinueve=29 cien=100 mil=1000",
        "ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos "
        "ochocientos novecientos millón millones medio media cuarto",
    ),
    "Italian": _Numerals(
        "due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici "
        "quindici sedici diciassette diciotto diciannove",
        "venti trenta quaranta cinquanta sessanta settanta ottanta novanta",
        "{ten}{unit}",
        "uno due tre/tré quattro cinque sei sette otto nove",
        "cento=100 mille=1000",
        "mila milione milioni miliardo miliardi mezzo mezza quarto",
    ),
    "Portuguese": _Numerals(
        "dois/duas três quatro cinco seis sete oito nove dez onze doze treze catorze/quatorze "
        "quinze dezesseis/dezasseis dezessete/dezassete dezoito dezenove/dezanove",
        "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa",
        "{ten}-e-{unit}",
        "um/uma dois/duas três quatro cinco seis sete oito nove",
        "cem=100 mil=1000",
        "cento duzentos trezentos quatrocentos quinhentos seiscentos setecentos oitocentos "
        "novecentos milhão milhões meio meia quarto",
    ),
    "Dutch": _Numerals(
        "twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien "
        "zestien zeventien achttien negentien",
        "twintig dertig veertig vijftig zestig zeventig tachtig negentig",
        "{unit}n{ten}",
        "eene tweeë drieë viere vijfe zese zevene achte negene",
        "honderd=100 duizend=1000",
        "miljoen miljard half halve kwart",
    ),
}


def _table(numerals: _Numerals) -> dict[str, int]:
    """Return the number of each word; several words are joined by "-"."""
    table: dict[str, int] = {}
    for start, step, words in ((2, 1, numerals.small), (20, 10, numerals.tens)):
        for place, spellings in enumerate(words.split()):
            table |= dict.fromkeys(spellings.split("/"), start + step * place)
    table.pop("-", None)
    tens = [(word, number) for word, number in table.items() if number >= 20]
    for number, spellings in enumerate(numerals.units.split(), 1):
        for unit in spellings.split("/"):
            for ten, value in tens:
                # In Italian, "venti" and "uno" make "ventuno".
                stem = ten[:-1] if numerals.compound == "{ten}{unit}" and unit[0] in "uo" else ten
                table[numerals.compound.format(ten=stem, unit=unit)] = value + number
    for other in numerals.others.split():
        word, number = other.split("=")
        table[word] = int(number)
    return table


NUMBER_WORDS = {language: _table(numerals) for language, numerals in _LANGUAGES.items()}
"""For each language, the numbers in words of up to 100, and 1,000."""

# "y" and "et" join the parts of a number.
_JOINTS = {"Spanish": "y", "French": "et", "Portuguese": "e"}


_AND_A_HALF = r"\s+\w+\s+(?:et|y|e)\s+(?:demie?|medi[ao]|mezz[ao]|mei[ao]|[cq]uart[oa]?)\b"


_PARTS = {
    language: frozenset(part for word in table for part in word.split("-")) - {"et", "e", "y"}
    for language, table in NUMBER_WORDS.items()
}


@cache
def _run(language: str) -> re.Pattern[str]:
    """Return a pattern of numerals that follow each other."""
    parts = _PARTS[language] | word_set(_LANGUAGES[language].scales)
    numeral = "|".join(sorted(parts, key=len, reverse=True))
    joint = _JOINTS.get(language)
    between = rf"(?:[\s-]+{joint})?[\s-]+" if joint else r"[\s-]+"
    return re.compile(
        rf"(?<![\w-])(?:{numeral})(?:{between}(?:{numeral}))*(?![\w-])(?!{_AND_A_HALF})",
        re.IGNORECASE,
    )


# The first is a zero, too.
_CJK_DIGITS = dict(
    zip(
        "\N{IDEOGRAPHIC NUMBER ZERO}零一二两兩三四五六七八九",
        (0, 0, 1, 2, 2, 2, *range(3, 10)),
        strict=True,
    )
)
_CJK_SCALES = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "萬": 10_000}
_CJK_ZEROS = frozenset(character for character, digit in _CJK_DIGITS.items() if digit == 0)
_CJK_NUMERAL = f"[{''.join((*_CJK_DIGITS, *_CJK_SCALES))}]"
# What stands between a number and what is counted, or is itself counted.
_CJK_COUNTERS = (
    "个個人件位倍元円冊分包匹升只名周回块塊天头小层層岁年张張度斤歲歳本条杯枚条條次歳片瓶盒着种種米軒輛辆"
    "週里钟鐘隻頭頁页题題台足つ"
)
# A number of these may be 1; "一个" is mostly an article.
_CJK_ORDERED = "号日时時月楼樓点點章號課课階"
_CJK_NUMBER = re.compile(
    rf"""
    第(?P<ordinal>{_CJK_NUMERAL}{{1,12}})
    | (?!十分(?![钟鐘前后後間间]))       # in Chinese "very", too
      (?<!{_CJK_NUMERAL})(?P<number>{_CJK_NUMERAL}{{1,12}})
      (?=\s?(?:[{_CJK_ORDERED}] | (?:(?<!一) | (?<=[十百千]一))[{_CJK_COUNTERS}]))
    """,
    re.VERBOSE,
)


def with_digits(text: str, words: AbstractSet[str], language: str) -> str:
    """Return a text in which numbers of other languages than English are written in digits.

    A number that is not certain stays as it is: "one" and "a" are mostly the same word, "two
    hundred" needs more words than the table has, and times such as "half past two" are no numbers.

    Args:
        text: The text.
        words: Its words in lower case; without a numeral among them, none is looked for.
        language: The language, as `guess_language` names it.
    """
    table = NUMBER_WORDS.get(language)
    if table is not None and not words.isdisjoint(_PARTS[language]):

        def number(run: re.Match[str]) -> str:
            found = table.get("-".join(re.split(r"[\s-]+", run.group().lower())))
            return run.group() if found is None else str(found)

        text = _run(language).sub(number, text)
    if not text.isascii():
        text = _CJK_NUMBER.sub(_cjk_number, text)
    return text


def _cjk_number(match: re.Match[str]) -> str:
    number = _cjk_value(match["ordinal"] or match["number"])
    if number is None:
        return match.group()
    # The space parts it from the word before it, which has no space itself.
    return f"第 {number} " if match["ordinal"] else f" {number} "


def _cjk_value(written: str) -> int | None:
    """Return what Chinese numerals mean, or None: 三四 is "three or four"."""
    if all(character in _CJK_DIGITS for character in written):
        if len(written) == 2 and _CJK_ZEROS.isdisjoint(written):
            return None
        return int("".join(str(_CJK_DIGITS[character]) for character in written))
    total = section = digit = 0
    for character in written:
        if character in _CJK_DIGITS:
            digit = _CJK_DIGITS[character]
            continue
        scale = _CJK_SCALES[character]
        if scale == 10_000:
            total += (section + digit or 1) * scale
            section = 0
        else:
            section += (digit or 1) * scale
        digit = 0
    return total + section + digit
