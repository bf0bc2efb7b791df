"""Times that are counted from now: "in 10 minutes" is not "10 minutes ago"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache.engine.verify.number_words import NUMBER_WORDS
from langcache.engine.verify.words import word_set

if TYPE_CHECKING:
    from langcache.engine.verify.rules.reading import Reading

__all__ = ["past_and_future"]

# English, German, French, Spanish, Italian, Portuguese, Dutch
_UNITS = word_set(
    "second seconds minute minutes min mins hour hours day days week weeks month months year years "
    "sekunde sekunden minuten stunde stunden tag tage tagen woche wochen monat monate monaten jahr "
    "jahre jahren "
    "seconde secondes heure heures jour jours semaine semaines mois an ans année années "
    "segundo segundos minuto minutos hora horas día días semana semanas mes meses año años "
    "secondo secondi minuti ora ore giorno giorni settimana settimane mese mesi anno anni "
    "dia dias mês ano anos "
    "seconden minuut uur uren dag dagen weken maand maanden jaar"
)
_AMOUNTS = word_set(
    "a an few several some two three four five six seven eight nine ten twelve fifteen twenty "
    "thirty sixty "
    "einer einem eine ein paar einigen "
    "un une quelques "
    "una uno unos unas pocos pocas "
    "alcuni alcune pochi poche "
    "um uma alguns algumas poucos poucas "
    "een enkele "
).union(*NUMBER_WORDS.values())
# What stands before the amount or after the unit.
_PAST_BEFORE = word_set("vor hace há faz")
_PAST_AFTER = word_set("ago earlier fa atrás geleden")
_FUTURE_BEFORE = word_set("in dans en tra fra em over binnen")
# The same, in two words and more.
_PAST_PHRASES = (("il", "y", "a"),)
_FUTURE_PHRASES = (("dentro", "de"), ("daqui", "a"), ("d'ici", "à"))
_PAST = _PAST_BEFORE | _PAST_AFTER | {phrase[0] for phrase in _PAST_PHRASES}


def past_and_future(asked: Reading, cached: Reading) -> str | None:
    """Return two times of which one is past and the other one is not, or None."""
    if _PAST.isdisjoint(asked.vocabulary) and _PAST.isdisjoint(cached.vocabulary):
        return None
    ours, theirs = _find(asked.words), _find(cached.words)
    if len(ours) == len(theirs) == 1 and ours.keys() != theirs.keys():
        return " / ".join((*ours.values(), *theirs.values()))
    return None


def _find(words: list[str]) -> dict[bool, str]:
    """Return a time in the past by True, and one in the future by False."""
    found: dict[bool, str] = {}
    for place, word in enumerate(words):
        if word not in _UNITS:
            continue
        start = place
        while start and (words[start - 1] in _AMOUNTS or words[start - 1][0].isdigit()):
            start -= 1
        # The "a" of "il y a" and "daqui a" is no amount.
        before = next(
            (
                (phrase, end)
                for phrase in (*_PAST_PHRASES, *_FUTURE_PHRASES)
                for end in (start, start + 1)
                if tuple(words[max(0, end - len(phrase)) : end]) == phrase and end < place
            ),
            None,
        )
        if before is not None:
            phrase, end = before
            found[phrase in _PAST_PHRASES] = " ".join(words[end - len(phrase) : place + 1])
        elif start < place:
            if words[place + 1 : place + 2] and words[place + 1] in _PAST_AFTER:
                found[True] = " ".join(words[start : place + 2])
            elif start and words[start - 1] in _PAST_BEFORE | _FUTURE_BEFORE:
                is_past = words[start - 1] in _PAST_BEFORE
                found[is_past] = " ".join(words[start - 1 : place + 1])
    return found
