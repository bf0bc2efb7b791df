"""Whether a prompt is English, by its script and its small words."""

from __future__ import annotations

import re

from langcache.engine.verify.words import word_set

__all__ = ["is_english"]

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")

_ENGLISH = word_set(
    "a about after all an and any are as at be been before but by can could did do does for from "
    "get had has have how i if in is it its just like make me more most much my need no not of on "
    "or our out please should so some than that the their them there these they this to up was we "
    "were what when where which who why will with without would you your"
)
# Without words that are English, too ("was", "die", "as", "on", "sin", "an", "in", "no", "me").
_OTHERS = tuple(
    word_set(words)
    for words in (
        # German
        "aber als auch auf aus bei bin bis bitte das dass dein deine dem den der des dich du ein "
        "eine einen einem einer eines er es für gibt habe haben hat ich ihr im ist kann kannst "
        "kein keine kostet mein meine meinem meinen meiner mich mir mit muss nach nicht noch oder "
        "ohne schon sehr sein seine sich sie sind über um und uns unser vom von vor wann warum "
        "welche welchen welcher welches wenn wer werden wie wieviel wird wo zu zum zur",
        # French
        "au aux avec avoir c'est ce cela ces cette comment dans de des du elle elles en est est-ce "
        "et être faire faut il ils j'ai je l'on la le les leur ma mes moi mon nous où par pas peut "
        "peux plus pour pourquoi quand que quel quelle quelles quels qui quoi sans ses sont sur "
        "suis ta tu un une vos votre vous",
        # Spanish
        "al como cómo con cual cuál cuando cuándo cuánto cuántos cuántas de del dónde donde el "
        "ella en eres es está están esta este esto hay hacer la las lo los más mi mis muy nos "
        "para pero por porque puede puedo qué que quién se ser si sobre son soy su sus también "
        "tengo tiene una uno unos unas y yo",
        # Italian
        "che chi come con cosa della delle dei di dove è gli ho il io la le lo mi mio nel non per "
        "perché più posso quale quando quanto quanti si sono sul una uno un",
        # Portuguese
        "ao como da das de do dos e é em mais meu minha na não nas no nos o os onde para "
        "pela pelo pode por posso quais qual quando quanto que são se sem ser seu sua um uma você",
        # Dutch
        "aan dat de deze dit een en er heb heeft het hoe ik is je kan kun kunt maar met mij mijn "
        "naar niet nog of om ook op te uit uw van veel voor waar waarom wanneer wat welke wie "
        "wordt zijn",
        # Polish, Swedish, Danish, Norwegian, Turkish: the commonest
        "czy jak jest nie się na że gdzie kiedy co",
        "att av det där du ett för hur inte jag kan mig min när och på som är vad var varför vem",
        "af at det du en er et hvad hvem hvor hvordan hvornår hvorfor ikke jeg kan med og på til",
        "bir bu da değil için ile kaç mi nedir ne neden nerede var ve",
    )
)
# Which languages a small word belongs to, as a set of bits.
_LANGUAGES: dict[str, int] = {}
for _bit, _words in enumerate(_OTHERS):
    for _word in _words:
        _LANGUAGES[_word] = _LANGUAGES.get(_word, 0) | 1 << _bit

# They stand in English names: Los Angeles, La La Land, de Gaulle.
_IN_NAMES = word_set("al ao da das de del des di do dos du el en la las le les los van von y")


def is_english(text: str) -> bool:
    """Return whether a prompt is English, as far as its letters and small words show.

    What shows nothing, such as a few names or numbers, counts as English.
    """
    # Enough of a long text; the rest is not looked at.
    text = text[:2_000]
    accented = False
    if not text.isascii():
        letters = [character for character in text if character.isalpha()]
        accented = any(character > "\x7f" for character in letters)
        # Beyond Latin: Greek, Cyrillic and all that follow.
        if sum(character >= "\u0370" for character in letters) * 2 > len(letters):
            return False
    words = set(_WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")))
    foreign = words & _LANGUAGES.keys()
    if not foreign or (len(foreign) == 1 and not accented) or foreign <= _IN_NAMES:
        return True
    english = len(words & _ENGLISH)
    return all(
        sum(_LANGUAGES[word] >> bit & 1 for word in foreign) <= english
        for bit in range(len(_OTHERS))
    )
