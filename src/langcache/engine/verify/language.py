"""Which language a prompt is in, by its script and its small words."""

from __future__ import annotations

import re

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
        "deiner dem den der des dich drei du ein eine einem einen einer eines er es euer eure für "
        "gibt habe haben hat ich ihm ihn ihr ihre ihrem ihren ihrer im ist jede jeden kann kannst "
        "kein keine kostet können mein meine meinem meinen meiner mich mir mit muss nach nicht "
        "noch nur oder ohne schon sehr sein seine sich sie sind um und uns unser unsere viel viele "
        "vier vom von vor wann warum welche welchen welcher welches wenn wer werden wie wieviel "
        "wird wo wurde zehn zu zum zur zwei zwischen zwölf über",
        "French": "après au aux avant avec avoir c'est ce cela ces cette combien comment dans de "
        "des deux du elle elles en est est-ce et faire faut huit il ils j'ai je l'on la le les leur "
        "leurs ma mes moi mon notre nous où par pas peut peux plus pour pourquoi puis quand quatre "
        "que quel quelle quelles quels qui quinze quoi sans ses sont sur suis ta tes trois tu un "
        "une vingt vos votre vous être",
        "Spanish": "al antes como con cual cuando cuatro cuál cuándo cuánto cuántas cuántos cómo de "
        "del desde después diez doce donde dónde el ella ellos en eres es esta este esto está están "
        "hace hacer hacia hasta hay la las lo los mi mis muy más nos nuestra nuestro para pero por "
        "porque puede puedo que quién qué se ser si siete sobre son soy su sus también tengo tiene "
        "todos tres tu tus una uno unos veinte vuestro y yo",
        "Italian": "agli alla alle che chi cinque come con cosa dai dalla degli dei del della "
        "delle di dieci dodici dopo dove fra gli ho il io la le lo mi mio negli nei nel nella nelle "
        "non nostro per perché più posso prima quale quali quando quanti quanto quattro senza sette "
        "si sono sua sul suo suoi tra tre tua tuo tuoi tutti una uno un vostro è",
        "Portuguese": "antes ao aos até com como da das de depois desde dez do dois dos doze e ela "
        "ele eles em está estão há mais mas meu meus minha na nas nos nossa nosso não o oito onde "
        "os para pela pelo pode por posso quais qual quando quanto quatro que se sem ser seu seus "
        "sete sua são tem tenho todos três um uma vinte você vocês às é",
        "Dutch": "aan acht alle als bij dan dat de deze dit drie een en er geen haar heb hebben "
        "heeft het hij hoe hoeveel ik je jij jou jouw jullie kan kun kunnen kunt maar met mij mijn "
        "na naar niet nog om ons onze ook op te tegen tien tussen twaalf twee twintig uit uw van "
        "veel vier vijf voor waar waarom wanneer wat welk welke wie wij wordt zes zeven zich zij "
        "zijn zonder",
        # Of some more, the commonest
        "Polish": "co czy gdzie jak jest kiedy na nie się że",
        "Swedish": "att av det du där ett för hur inte jag kan mig min når när och på som var "
        "varför vad vem är",
        "Danish": "af at det du en er et hvad hvem hvor hvordan hvorfor hvornår ikke jeg kan med og "
        "på til",
        "Turkish": "bir bu da değil için ile kaç mi ne neden nedir nerede var ve",
    }.items()
}
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
    "bin chi com come con dai des dove est hat hay kan mas met min mit mon non par pas per plus "
    "pour prima sans ses son sur tres var"
)
_LONGEST_CODE = 2


def is_english(text: str) -> bool:
    """Return whether a prompt is English, as far as its letters and small words show.

    What shows nothing, such as a few names or numbers, counts as English.
    """
    return guess_language(text) in (ENGLISH, UNKNOWN)


def guess_language(text: str) -> str:
    """Return the name of the language of a prompt, `UNKNOWN` or `OTHER_SCRIPT`."""
    # Enough of a long text; the rest is not looked at.
    text = text[:2_000]
    accented = False
    if not text.isascii():
        letters = [character for character in text if character.isalpha()]
        accented = any(character > "\x7f" for character in letters)
        # Beyond Latin: Greek, Cyrillic and all that follow.
        if sum(character >= "\u0370" for character in letters) * 2 > len(letters):
            return OTHER_SCRIPT
        if "\N{INVERTED QUESTION MARK}" in text or "\N{INVERTED EXCLAMATION MARK}" in text:
            return "Spanish"
    words = set(_WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")))
    foreign = words & _FOREIGN_WORDS
    if foreign and not text.isupper():
        # "ER" and "OS" are no words.
        foreign -= {word.lower() for word in _WORD.findall(text) if word.isupper()}
    by_default = UNKNOWN if words.isdisjoint(_CERTAINLY_ENGLISH) else ENGLISH
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
        if lead > most:
            best, most = language, lead
    return best
