"""Rules about "your" in the place of "my", and about one name in the place of another.

They are for languages that the pair model does not read; of English it knows more than they do.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import TYPE_CHECKING

from langcache.engine.verify.language import UNKNOWN
from langcache.engine.verify.rules.base import Rule
from langcache.engine.verify.rules.reading import foreign_language
from langcache.engine.verify.rules.replacements import spelled_alike
from langcache.engine.verify.words import word_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langcache.engine.verify.rules.reading import Reading

__all__ = ["OWNERS", "PROPER_NAMES"]

# A longer difference is another way to say it, as often as not.
_LONGEST = 4

# "My" and "our", "your", "his" and "her" and "their". One prompt may be formal and the other one
# not: what is "your" and "her" is in both groups.
_POSSESSIVES = {
    language: tuple(map(word_set, groups))
    for language, groups in {
        "German": (
            "mein meine meinem meinen meiner meines unser unsere unserem unseren unserer",
            "dein deine deinem deinen deiner deines euer eure eurem euren eurer ihr ihre ihrem "
            "ihren ihrer ihres",
            "sein seine seinem seinen seiner seines ihr ihre ihrem ihren ihrer ihres",
        ),
        "French": ("mon ma mes notre nos", "ton ta tes votre vos", "son sa ses leur leurs"),
        "Spanish": (
            "mi mis nuestra nuestras nuestro nuestros",
            "su sus tu tus vuestra vuestras vuestro vuestros",
            "su sus",
        ),
        "Italian": (
            "mia mie miei mio nostra nostre nostri nostro",
            "sua sue suo suoi tua tue tuo tuoi vostra vostre vostri vostro",
            "sua sue suo suoi",
        ),
        "Portuguese": (
            "meu meus minha minhas nossa nossas nosso nossos",
            "seu seus sua suas teu teus tua tuas vossa vossas vosso vossos",
            "seu seus sua suas",
        ),
        # Without "je", which is "one's", too.
        "Dutch": ("mijn ons onze", "jouw jullie uw", "haar hun zijn"),
    }.items()
}
_OTHERS = 2
# "How does one change one's password" may ask for mine.
_IMPERSONAL = re.compile(
    r"\b(?:man|men|on)\b|\b(?:comment|cómo|como|come)\s(?:s[ei]\s|\w+(?:[aei]r|re)\b)",
    re.IGNORECASE,
)


def _owners(asked: Reading, cached: Reading) -> str | None:
    groups = _POSSESSIVES.get(foreign_language(asked, cached), ())
    if not groups or _is_long(asked, cached):
        return None
    ours, theirs = _owned(asked, groups), _owned(cached, groups)
    for thing in ours.keys() & theirs.keys():
        (one, mine), (two, others) = ours[thing], theirs[thing]
        if mine & others:
            continue
        if _OTHERS in mine | others and any(
            _IMPERSONAL.search(reading.text) for reading in (asked, cached)
        ):
            continue
        return f"{one} {thing} / {two} {thing}"
    return None


def _owned(
    reading: Reading, groups: Sequence[frozenset[str]]
) -> dict[str, tuple[str, frozenset[int]]]:
    """Return what is owned, each with the possessive before it and the groups of that."""
    return {
        thing: (word, owners)
        for word, thing in pairwise(reading.words)
        if (owners := frozenset(n for n, words in enumerate(groups) if word in words))
    }


def _is_long(asked: Reading, cached: Reading) -> bool:
    """Return whether the prompts differ in too many words to be compared word by word."""
    ours, theirs = asked.counts, cached.counts
    return max((ours - theirs).total(), (theirs - ours).total()) > _LONGEST


# A word, and what makes it the first one of a sentence.
_WORD = re.compile(
    r"""
    (?P<start>\A\W*|(?:[.?!:;"(\n\u00a1\u00ab\u00bf\u201c\u201e]|(?<!\w)')\s*)?
    (?P<word>[^\W\d_]+)
    """,
    re.VERBOSE,
)
_NOT_NAMES = word_set("lei sua suo usted ustedes uw votre vous")
_MOST_NAMES = 3

# In German every noun has a capital; of these nouns it is certain that they are names.
_GERMAN_PLACES = word_set(
    # Countries
    "afghanistan albanien algerien argentinien australien belgien bolivien brasilien bulgarien "
    "chile china deutschland dänemark ecuador england estland finnland frankreich georgien "
    "griechenland indien indonesien irak iran irland island israel italien jamaika japan kanada "
    "kenia kolumbien kroatien kuba lettland libyen litauen luxemburg malaysia malta marokko "
    "mexiko moldau mongolei montenegro nepal neuseeland niederlande nigeria nordirland norwegen "
    "pakistan paraguay peru philippinen polen portugal rumänien russland schottland schweden "
    "schweiz serbien singapur slowakei slowenien spanien sudan syrien südafrika südkorea taiwan "
    "tansania thailand tschechien tunesien türkei uganda ukraine ungarn uruguay venezuela "
    "vietnam zypern ägypten österreich "
    # Cities
    "amsterdam athen augsburg barcelona basel berlin bern bielefeld bochum bonn braunschweig "
    "bremen brüssel budapest chemnitz dortmund dresden duisburg düsseldorf erfurt florenz "
    "frankfurt freiburg genf graz hamburg hannover heidelberg innsbruck istanbul karlsruhe "
    "kassel kiel kopenhagen köln leipzig linz lissabon london lyon lübeck madrid magdeburg "
    "mailand mainz mannheim marseille moskau münchen münster neapel nürnberg oslo paris potsdam "
    "prag rom rostock saarbrücken salzburg stockholm straßburg stuttgart tokio ulm venedig "
    "warschau wien wiesbaden wuppertal würzburg zürich"
)


def _proper_names(asked: Reading, cached: Reading) -> str | None:
    language = foreign_language(asked, cached)
    if language == UNKNOWN or _is_long(asked, cached):
        return None
    ours, theirs = _names(asked, language), _names(cached, language)
    left = [name for name in ours if name.lower() not in cached.vocabulary]
    right = [name for name in theirs if name.lower() not in asked.vocabulary]
    if not left or not right:
        return None
    if any(_is_one_name(one, two) for one in left for two in right):
        return None
    return f"{left[0]} / {right[0]}"


def _names(reading: Reading, language: str) -> list[str]:
    if language == "German":
        return [name for name in reading.tokens if name.lower() in _GERMAN_PLACES]
    found = [
        word
        for match in _WORD.finditer(reading.text)
        if match["start"] is None
        and len(word := match["word"]) > 1
        and word[0].isupper()
        and word.lower() not in _NOT_NAMES
    ]
    # A title, with a capital in every word, shows no names.
    return [] if len(found) * 2 > len(reading.words) and len(found) > _MOST_NAMES else found


def _is_one_name(one: str, two: str) -> bool:
    """Return whether one name may be the other one: short for it, or spelled in another way."""
    if one.isupper() != two.isupper():
        return True
    one, two = sorted(map(_without_marks, (one, two)), key=len)
    return two.startswith(one) or spelled_alike(one, two)


def _without_marks(name: str) -> str:
    return unicodedata.normalize("NFD", name.lower()).encode("ascii", "ignore").decode()


OWNERS = Rule("owners", "the owners differ", english_only=False, find=_owners)
PROPER_NAMES = Rule("proper names", "a name is another one", english_only=False, find=_proper_names)
