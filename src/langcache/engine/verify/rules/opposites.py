"""A rule about opposites in other languages than English, for which the model is not asked."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from langcache.engine.verify.rules.base import Rule
from langcache.engine.verify.words import pair_table, word_set

if TYPE_CHECKING:
    from langcache.engine.verify.rules.reading import Reading

__all__ = ["OPPOSITES"]

_NEGATORS = word_set(
    # German, French, Spanish, Italian, Portuguese, Dutch, Russian, Chinese
    "nicht kein keine keinen keinem keiner keines ohne nie niemals niemand nichts "
    "pas jamais sans aucun aucune rien "
    "no sin nunca nada nadie ningún ninguna ninguno "
    "non senza mai nessun nessuna nessuno niente "
    "não sem nenhum nenhuma ninguém "
    "niet geen zonder nooit niemand niets "
    "не без нет никогда никто ничего "
    "不 没"
)
_PAIRS = """
an/aus,ab ein/aus auf/zu mit/ohne vor/nach mehr/weniger größer/kleiner höher/niedriger
früher/später öffnen,öffne/schließen,schließe kaufen,kaufe/verkaufen,verkaufe
erste,ersten,erster/letzte,letzten,letzter billigste,günstigste/teuerste älteste/jüngste,neueste
beste/schlechteste größte/kleinste höchste/niedrigste hinzufügen/entfernen,löschen
starten,starte/beenden,beende,stoppen senden/empfangen oben/unten links/rechts avec/sans
avant/après plus/moins ouvrir/fermer acheter/vendre premier,première/dernier,dernière
meilleur,meilleure/pire ajouter/supprimer,retirer allumer/éteindre monter/descendre
envoyer/recevoir con/sin,senza antes/después,depois más/menos abrir/cerrar,fechar comprar/vender
encender/apagar subir/bajar,baixar mejor/peor,pior añadir,agregar/eliminar,quitar
enviar/recibir,receber entrar/salir,sair primero,primera/último,última mayor/menor alto/bajo
prima/dopo più/meno aprire/chiudere comprare/vendere accendere/spegnere migliore/peggiore
aggiungere/rimuovere,eliminare primo,prima/ultimo,ultima salire/scendere inviare/ricevere com/sem
mais/menos ligar/desligar melhor/pior adicionar/remover primeiro,primeira/último,última aan/uit,af
in/uit met/zonder voor/na meer/minder openen,open/sluiten,sluit kopen/verkopen groter/kleiner
eerste/laatste beste/slechtste toevoegen/verwijderen до/после больше/меньше открыть/закрыть
купить/продать включить/выключить первый/последний
开/关 多/少 前/后 买/卖 上/下 左/右 大/小 高/低 增/减 有/无 最初/最后
"""
_OPPOSITES = pair_table(_PAIRS)
# What a verb begins with, and how its opposite does.
_BEGINNINGS = pair_table(
    "ein/aus an/ab,aus auf/zu,ab im/ex ver/ent hoch/herunter aan/uit,af in/uit вк/вык от/за"
)
_REVERSING = frozenset({"de", "des", "dés", "dis"})
_SHORTEST_REST = 4
# A longer difference is another way to say it, as often as not.
_LONGEST = 4


def _opposites(asked: Reading, cached: Reading) -> str | None:
    if asked.is_english and cached.is_english:
        return None  # `negation`, `antonyms` and the model know more
    ours, theirs = _words(asked), _words(cached)
    left, right = ours - theirs, theirs - ours
    if max(sum(left.values()), sum(right.values())) > _LONGEST:
        return None
    denied, other_denied = _NEGATORS & left.keys(), _NEGATORS & right.keys()
    for one in left:
        for two in filter(partial(_are_opposites, one), right):
            # "Not open" may be "closed".
            is_denied = (denied | other_denied) - {one, two}
            return None if is_denied else f"{one} / {two}"
    if denied and not other_denied:
        return f"{min(denied)} / {' '.join(right)}".rstrip()
    if other_denied and not denied:
        return f"{' '.join(left)} / {min(other_denied)}".lstrip()
    return None


def _words(reading: Reading) -> Counter[str]:
    """Return the words of a prompt, or its characters where no spaces are between words."""
    units = reading.units
    return reading.counts if units is reading.stems else Counter(units)


def _are_opposites(one: str, two: str) -> bool:
    """Return whether two words are opposites."""
    if two in _OPPOSITES.get(one, ()):
        return True
    if any(_reverses(longer, shorter) for longer, shorter in ((one, two), (two, one))):
        return True
    return any(
        one.startswith(beginning)
        and len(rest := one.removeprefix(beginning)) >= _SHORTEST_REST
        and two.endswith(rest)
        and two.removesuffix(rest) in others
        for beginning, others in _BEGINNINGS.items()
    )


def _reverses(longer: str, shorter: str) -> bool:
    rest = len(shorter)
    return rest > _SHORTEST_REST and longer.endswith(shorter) and longer[:-rest] in _REVERSING


OPPOSITES = Rule("opposites", "one prompt says the opposite", english_only=False, find=_opposites)
