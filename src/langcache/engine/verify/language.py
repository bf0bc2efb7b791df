"""Which language a prompt is in, by its script and its small words."""

from __future__ import annotations

import re

from langcache.engine.verify.number_words import NUMBER_WORDS
from langcache.engine.verify.words import word_set

__all__ = ["ENGLISH", "OTHER_SCRIPT", "UNKNOWN", "guess_language", "is_english"]

ENGLISH = "English"
UNKNOWN = ""
"""Nothing shows the language, as in a few names or numbers."""
OTHER_SCRIPT = "other script"
"""A language whose letters are not Latin."""

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")

_ENGLISH_WORDS = word_set(
    "a about after all an and any are as at be been before but by can could did do does for from "
    "get had has have how i if in is it its just like make me more most much my need no not of on "
    "or our out please should so some than that the their them there these they this to up was we "
    "were what when where which who why will with without would you your"
)
# Without words that are in the list above ("was", "will", "as", "on", "an", "in", "no", "me").
_WORDS = {
    language: word_set(words)
    for language, words in {
        "German": "aber alle als auch auf aus bei bin bis bitte das dass dein deine deinem deinen "
        "deiner dem den der des dich du ein eine einem einen einer eines er es euer eure für gibt "
        "habe haben hat ich ihm ihn ihr ihre ihrem ihren ihrer im ist jede jeden kann kannst kein "
        "keine kostet können mein meine meinem meinen meiner mich mir mit muss nach nicht noch "
        "nur oder ohne schon sehr sein seine sich sie sind um und uns unser unsere viel viele vom "
        "von vor wann warum welche welchen welcher welches wenn wer werden wie wieviel wird wo "
        "wurde zu zum zur zwischen über",
        "French": "après au aux avant avec avoir c'est ce cela ces cette combien comment dans de "
        "des du elle elles en est est-ce et faire faut il ils j'ai je l'on la le les leur leurs "
        "ma mes moi mon notre nous où par pas peut peux plus pour pourquoi puis quand que quel "
        "quelle quelles quels qui quoi sans ses son sont suis sur ta tes ton tu un une vos votre "
        "vous être",
        "Spanish": "al antes como con cual cuando cuál cuándo cuántas cuánto cuántos cómo de del "
        "desde después donde dónde el ella ellos en eres es esta este esto está están hace hacer "
        "hacia hasta hay la las lo los mi mis muy más nos nuestra nuestro para pero por porque "
        "puede puedo que quién qué se ser si sobre son soy su sus también tengo tiene todos tu "
        "tus un una uno unos vuestro y yo",
        "Italian": "agli alla alle che chi come con cosa dai dalla degli dei del della delle di "
        "dopo dove e fra gli ho il io la le lo mi mio negli nei nel nella nelle non nostro per "
        "perché più posso prima quale quali quando quanti quanto senza si sono sua sul suo suoi "
        "tra tua tuo tuoi tutti un una uno vostro è",
        "Portuguese": "antes ao aos até com como da das de depois desde dos e ela ele eles em "
        "está estão há mais mas meu meus minha na nas nos nossa nosso não o onde os para pela "
        "pelo pode por posso quais qual quando quanto que se sem ser seu seus sua são tem tenho "
        "todos um uma você vocês às é",
        "Dutch": "aan alle als bij dan dat de deze dit een en er geen haar heb hebben heeft het "
        "hij hoe hoeveel ik je jij jou jouw jullie kan kun kunnen kunt maar met mij mijn na naar "
        "niet nog om ons onze ook op te tegen tussen uit uw van veel voor waar waarom wanneer wat "
        "welk welke wie wij wordt zich zij zijn zonder",
        # Of some more, the commonest.
        "Polish": "co czy gdzie jak jest kiedy na nie się że",
        "Swedish": "att av det du där ett för hur inte jag kan mig min när når och på som vad var "
        "varför vem är",
        "Danish": "af det du en er et hvad hvem hvor hvordan hvorfor hvornår ikke jeg kan med og "
        "på til",
        "Turkish": "bir bu da değil ile için kaç mi ne neden nedir nerede var ve",
    }.items()
}
_ENGLISH_WORDS_TOO = word_set("cent dos due elf mille once otto sei sept six venti")
for _language, _numbers in NUMBER_WORDS.items():
    _WORDS[_language] |= _numbers.keys() - _ENGLISH_WORDS_TOO
_FOREIGN_WORDS = frozenset[str]().union(*_WORDS.values()) - _ENGLISH_WORDS
# English words that other languages have, too: they do not speak against these.
_SHARED = {
    "German": word_set("am an in so was will"),
    "French": word_set("a me on"),
    "Spanish": word_set("a me no"),
    "Italian": word_set("a i in me"),
    "Portuguese": word_set("a as do me no"),
    "Dutch": word_set("in is of was we"),
}
_CERTAINLY_ENGLISH = _ENGLISH_WORDS.difference(*_SHARED.values())

# They stand in English names: Los Angeles, La La Land, de Gaulle.
_IN_NAMES = word_set("al ao da das de del des di do dos du el en la las le les los van von y")
# One of these by itself shows nothing: they are English words and names, too. Nor does a word of
# two letters, which may be a code.
_AMBIGUOUS = word_set(
    "bin chi com come con dai des dove est hat hay kan mas met min mit mon nas non par para pas "
    "per plus pour prima sans ses son sur ton tres uno var"
)
_LONGEST_CODE = 2
_SPANISH_MARKS = frozenset("\N{INVERTED QUESTION MARK}\N{INVERTED EXCLAMATION MARK}")
# Greek, Cyrillic and all that follow.
_BEYOND_LATIN = "\u0370"


def is_english(text: str) -> bool:
    """Return whether a prompt is English, as far as its letters and small words show.

    What shows nothing, such as a few names or numbers, counts as English.
    """
    return guess_language(text) in (ENGLISH, UNKNOWN)


def guess_language(text: str) -> str:
    """Return the name of the language of a prompt, `UNKNOWN` or `OTHER_SCRIPT`."""
    # Enough of a long text; the rest is not looked at.
    text = text[:2_000].replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    accented = False
    if not text.isascii():
        letters = [character for character in text if character.isalpha()]
        accented = any("\x7f" < character < _BEYOND_LATIN for character in letters)
        if sum(character >= _BEYOND_LATIN for character in letters) * 2 > len(letters):
            return OTHER_SCRIPT
    words = set(_WORD.findall(text.lower()))
    by_default = UNKNOWN if words.isdisjoint(_CERTAINLY_ENGLISH) else ENGLISH
    foreign = words & _FOREIGN_WORDS
    if foreign and (by_default == UNKNOWN or len(foreign) > 1):
        foreign &= _lower_words(text)
    if by_default == UNKNOWN and not (text.isascii() or _SPANISH_MARKS.isdisjoint(text)):
        return "Spanish"
    if not foreign or foreign <= _IN_NAMES:
        return by_default
    if len(foreign) == 1 and not accented:
        (word,) = foreign
        if by_default == ENGLISH or word in _AMBIGUOUS or len(word) <= _LONGEST_CODE:
            return by_default
    english = words & _ENGLISH_WORDS
    best, most = by_default, 0
    for language, its_words in _WORDS.items():
        lead = len(foreign & its_words) - len(english - _SHARED.get(language, frozenset()))
        if lead > 0:
            # Spanish or Portuguese? "Dos" is a number in one of them.
            lead += len(words & NUMBER_WORDS.get(language, {}).keys())
        if lead > most:
            best, most = language, lead
    return best


def _lower_words(text: str) -> set[str]:
    """Return the words that are no codes: not "ER" and "OS", nor the elements in "C3H8 + O2"."""
    shouted = text.isupper()
    return {
        word.group().lower()
        for word in _WORD.finditer(text)
        if not word.group().isupper()
        or (shouted and len(word.group()) > _LONGEST_CODE)
        # "O que" begins a sentence.
        or (not shouted and word.end() - word.start() == 1 and text[: word.start()].strip() == "")
    }
