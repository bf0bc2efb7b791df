"""Rules about labels: members of a list, single letters and codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache.engine.verify.rules.base import Rule
from langcache.engine.verify.rules.names import alike
from langcache.engine.verify.rules.quantities import is_unit
from langcache.engine.verify.rules.replacements import SMALL_WORDS, spelled_alike
from langcache.engine.verify.words import word_groups

if TYPE_CHECKING:
    from langcache.engine.verify.rules.reading import Reading

__all__ = ["ENUMERATIONS", "LABELS"]

# Lists whose members are never names of the same thing. A group of spellings is joined by "/".
_LISTS = tuple(
    word_groups(words)
    for words in (
        # Greek letters
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
        "sigma tau upsilon phi chi psi omega",
        # The alphabet of radio
        "alfa bravo charlie delta echo foxtrot juliett/juliet kilo lima oscar papa quebec romeo "
        "sierra tango whiskey yankee zulu",
        "mercury venus earth mars jupiter saturn uranus neptune pluto moon sun",
        "king/kings queen/queens rook/rooks bishop/bishops knight/knights pawn/pawns",
        "hearts spades clubs diamonds",
        "aries taurus gemini cancer leo virgo libra scorpio sagittarius capricorn aquarius pisces",
        "north south east west",
        "northeast northwest southeast southwest",
        "northern southern eastern western",
        "red blue green yellow purple violet orange black white brown pink grey/gray turquoise "
        "cyan magenta beige",
        "gold silver bronze platinum brass copper tin lead iron steel aluminium/aluminum zinc "
        "nickel titanium hydrogen helium lithium carbon nitrogen oxygen sodium potassium calcium "
        "magnesium chlorine fluorine iodine sulfur/sulphur phosphorus silicon neon argon uranium",
        "circle/circles square/squares triangle/triangles rectangle/rectangles pentagon hexagon "
        "octagon oval ellipse cube sphere cylinder cone pyramid",
        "africa america antarctica asia australia europe",
        "breakfast lunch dinner/supper",
        "morning noon afternoon evening night",
        "monarchy republic democracy dictatorship",
        "ii iii iv vi vii viii ix xi xii xiii xiv xv xvi",
        "soprano alto tenor baritone bass",
        "xs xl xxl xxxl",
    )
)
_MEMBERS = frozenset[str]().union(*_LISTS)


def _enumerations(asked: Reading, cached: Reading) -> str | None:
    if _MEMBERS.isdisjoint(asked.vocabulary) or _MEMBERS.isdisjoint(cached.vocabulary):
        return None
    for members in _LISTS:
        left = {members[word]: word for word in asked.vocabulary & members.keys()}
        right = {members[word]: word for word in cached.vocabulary & members.keys()}
        if left.keys() - right.keys() and right.keys() - left.keys():
            one = next(word for member, word in left.items() if member not in right)
            two = next(word for member, word in right.items() if member not in left)
            return f"{one} / {two}"
    return None


# Each is compared with each; texts with more of them are not the same but for a spelling.
_MOST = 20


def _labels(asked: Reading, cached: Reading) -> str | None:
    for find in (_letters, _codes):
        left, right = find(asked, cached), find(cached, asked)
        if left and right and not any(_same(one, two) for one in _few(left) for two in _few(right)):
            return f"{left[0]} / {right[0]}"
    return None


def _few(labels: list[str]) -> list[str]:
    return list(dict.fromkeys(labels))[:_MOST]


def _letters(reading: Reading, other: Reading) -> list[str]:
    """Return single letters that the other prompt lacks, without the words "a" and "I"."""
    return [
        word
        for place, word in enumerate(reading.tokens)
        if len(word) == 1
        and word.isalpha()
        and (
            # "A" may be an article where it begins the prompt.
            (place > 0 and "A" not in other.tokens)
            if word == "A"
            else word not in "aiIxX" and word.lower() not in other.vocabulary
        )
    ]


def _codes(reading: Reading, other: Reading) -> list[str]:
    """Return words in capitals that the other prompt lacks; none of a prompt in capitals."""
    if reading.text.isupper():
        return []
    return [
        token
        for before, token in zip(["", *reading.tokens], reading.tokens, strict=False)
        if len(token) > 1
        and token.isupper()
        and token.isalpha()
        and (lower := token.lower()) not in other.vocabulary
        and lower not in SMALL_WORDS
        and not is_unit(token, before, other.quantities)
    ]


def _same(one: str, other: str) -> bool:
    return alike(one, other) or spelled_alike(one, other)


ENUMERATIONS = Rule(
    "enumerations", "the prompts name other members of a list", english_only=True,
    find=_enumerations,
)  # fmt: skip
LABELS = Rule("labels", "the letters or codes differ", english_only=True, find=_labels)
