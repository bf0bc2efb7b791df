"""A rule about opposites in other languages than English, for which the model is not asked."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from langcache.engine.verify.rules.base import Rule
from langcache.engine.verify.rules.reading import both_in_english, foreign_language, units
from langcache.engine.verify.words import pair_table, word_set

if TYPE_CHECKING:
    from langcache.engine.verify.rules.reading import Reading

__all__ = ["OPPOSITES"]

_NEGATORS = word_set(
    "kein keine keinem keinen keiner keines nicht nichts nie niemals niemand ohne "  # German
    "aucun aucune jamais pas rien sans "  # French
    "nada nadie ninguna ninguno ningún no nunca sin "  # Spanish
    "mai nessun nessuna nessuno niente non senza "  # Italian
    "nenhum nenhuma ninguém não sem "  # Portuguese
    "geen niemand niet niets nooit zonder "  # Dutch
    "без не нет никогда никто ничего "  # Russian
    "不 无 沒 没 無 "  # Chinese
    "ない ません "  # Japanese
)
# What denies in one of these languages, and is another word in this one: "in the", "May".
_NO_NEGATORS = {"French": {"mai"}, "German": {"mai"}, "Portuguese": {"no"}}
_PAIRS = {
    "German": """
        alle/einige an/aus,ab auf/zu beste,besten,bester/schlechteste,schlechtesten,schlechtester
        billigste,günstigste/teuerste ein/aus
        erste,ersten,erster,erstes/letzte,letzten,letzter,letztes früher/später geboren/gestorben
        groß,großen,großer/klein,kleinen,kleiner größer/kleiner größte,größten/kleinste,kleinsten
        hinzufügen/entfernen,löschen höchste,höchsten/niedrigste,niedrigsten höher/niedriger
        kaufen,kaufe/verkaufen,verkaufe
        letzte,letzten,letzter,letztes,vergangene,vergangenen,vorige,vorigen/kommende,kommenden,kommender
        letzte,letzten,letzter,letztes,vergangene,vergangenen,vorige,vorigen/nächste,nächsten,nächster
        links/rechts maximal/mindestens maximum/minimum mehr/weniger mit/ohne oben/unten
        senden/empfangen starten,starte/beenden,beende,stoppen vor/nach
        älteste,ältesten/jüngste,neueste,jüngsten,neuesten öffnen,öffne/schließen,schließe
    """,
    "French": """
        acheter/vendre ajouter/supprimer,retirer allumer/éteindre avant/après avec/sans
        dernier,dernière,derniers,dernières/prochain,prochaine,prochains,prochaines
        envoyer/recevoir grand,grande/petit,petite
        maximum,maximal,maximale/minimum,minimal,minimale meilleur,meilleure/pire monter/descendre
        né,née/mort,morte ouvrir/fermer plus/moins premier,première/dernier,dernière
        tous,toutes/certains,certaines
    """,
    "Spanish": """
        abrir,abro/cerrar,cierro alto/bajo antes/después,depois añadir,agregar/eliminar,quitar
        comprar,compro/vender,vendo con/sin encender/apagar entrar/salir enviar/recibir
        grande/pequeño,pequeña mayor/menor mejor/peor más/menos máximo,máxima/mínimo,mínima
        nació/murió primero,primera/último,última subir/bajar todos,todas/algunos,algunas
        último,última,últimos,últimas,pasado,pasada/próximo,próxima,próximos,próximas
    """,
    "Italian": """
        accendere/spegnere aggiungere/rimuovere,eliminare aprire/chiudere comprare/vendere
        con/senza grande/piccolo,piccola inviare/ricevere massimo,massima/minimo,minima
        migliore/peggiore nato,nata/morto,morta più/meno prima/dopo primo,prima/ultimo,ultima
        salire/scendere tutti,tutte/alcuni,alcune
        ultimo,ultima,ultimi,ultime,scorso,scorsa,scorsi/prossimo,prossima,prossimi,prossime
    """,
    "Portuguese": """
        abrir/fechar adicionar/remover antes/depois com/sem comprar/vender enviar/receber
        grande/pequeno,pequena ligar/desligar mais/menos melhor/pior máximo,máxima/mínimo,mínima
        nasceu/morreu primeiro,primeira/último,última sair/entrar subir/baixar
        todos,todas/alguns,algumas
        último,última,últimos,últimas,passado,passada/próximo,próxima,próximos,próximas
    """,
    "Dutch": """
        aan/uit,af alle/sommige,enkele beste/slechtste eerste/laatste geboren/gestorven
        groot,grote/klein,kleine groter/kleiner hoogste/laagste in/uit kopen/verkopen
        laatste,afgelopen,vorige/komende,volgende maximaal/minimaal maximum/minimum meer/minder
        met/zonder openen,open/sluiten,sluit toevoegen/verwijderen voor/na
    """,
    "Russian": """
        больше/меньше включить/выключить до/после купить/продать открыть/закрыть первый/последний
    """,
    "Chinese, Japanese": """
        あり/なし オン/オフ 上/下 买/卖 前/后,後 增/减 增/減 多/少 大/小 左/右 开/关 最初/最后
        有/无 有/無 買/賣 開/關 高/低
    """,
}
_OPPOSITES = pair_table(" ".join(_PAIRS.values()))
# What a verb begins with, and how its opposite does.
_BEGINNINGS = pair_table(
    "ein/aus an/ab,aus auf/zu,ab im/ex ver/ent hoch/herunter mindest/höchst aan/uit,af in/uit "
    "вк/вык от/за"
)
_REVERSING = frozenset({"de", "des", "dés", "dis"})
_SHORTEST_REST = 4
# A longer difference is another way to say it, as often as not; what is denied there, most of all.
_LONGEST = 6
_LONGEST_DENIED = 4


def _opposites(asked: Reading, cached: Reading) -> str | None:
    if both_in_english(asked, cached):
        return None  # `negation`, `antonyms` and the model know more
    ours, theirs = _words(asked), _words(cached)
    left, right = ours - theirs, theirs - ours
    longest = max(left.total(), right.total())
    if longest > _LONGEST:
        return None
    negators = _NEGATORS - _NO_NEGATORS.get(foreign_language(asked, cached), set())
    denied, other_denied = negators & left.keys(), negators & right.keys()
    for one in left:
        for two in filter(partial(_are_opposites, one), right):
            # "Not open" may be "closed".
            is_denied = (denied | other_denied) - {one, two}
            return None if is_denied else f"{one} / {two}"
    if longest > _LONGEST_DENIED:
        return None
    if denied and not other_denied:
        return f"{min(denied)} / {' '.join(right)}".rstrip()
    if other_denied and not denied:
        return f"{' '.join(left)} / {min(other_denied)}".lstrip()
    return None


# What is read as one word where no spaces are between words: words that deny nothing although
# they have such a character, a question such as 有没有 by its first character, words of katakana.
_UNSPACED_WORD = re.compile(
    r"""
    对不起 | 對不起 | 不好意思 | 差不多 | 不[同过過错錯仅僅但论論管久断斷客]
    | 少ない | 危ない | かもしれない | (?:なけれ|なくて)[^\s]{1,4}ない | ませんか
    | ない | ません | なし | あり
    | (?P<asked>\w)[不没沒](?=(?P=asked))
    | [\u30a1-\u30fa\u30fc]+
    """,
    re.VERBOSE,
)


def _words(reading: Reading) -> Counter[str]:
    """Return the words of a prompt, or its characters where no spaces are between words."""
    if reading.units is reading.stems:
        return reading.counts
    words: Counter[str] = Counter()
    end = 0
    text = reading.text.lower()
    for word in _UNSPACED_WORD.finditer(text):
        words.update(units(text[end : word.start()]))
        if word["asked"] is None:
            words[word.group()] += 1
        end = word.end()
    words.update(units(text[end:]))
    return words


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
