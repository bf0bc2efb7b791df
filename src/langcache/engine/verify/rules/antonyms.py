"""A rule about opposites: "over" in one prompt where the other has "under"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langcache.engine.verify.rules.base import Rule
from langcache.engine.verify.rules.negation import has_negator
from langcache.engine.verify.rules.reading import differing
from langcache.engine.verify.words import pair_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langcache.engine.verify.rules.reading import Reading

__all__ = ["ANTONYMS"]

_PAIRS = """
above/below over/under before/after more/less,fewer most/least,fewest
maximum,max/minimum,min highest/lowest higher/lower high/low largest,biggest/smallest
larger,bigger/smaller longest/shortest longer/shorter tallest/shortest taller/shorter
fastest/slowest faster/slower cheapest/dearest cheaper/dearer oldest/newest,latest,youngest
older/newer,younger best/worst better/worse earliest/latest earlier/later first/last
next,coming,upcoming/last,previous,past,preceding
warmer,hotter/colder,cooler warmest,hottest/coldest hot/cold warm/cold heavier/lighter
increase,increases,increasing,raise/decrease,decreases,decreasing,reduce,lower
enable,enabled,enabling/disable,disabled,disabling on/off in/out up/down
open,opening/close,closing start,starting/stop,stopping begin,beginning/end,ending
add,adding/remove,removing,delete,deleting create,creating/delete,deleting
install,installing/uninstall,uninstalling lock/unlock block/unblock mute/unmute pin/unpin
subscribe/unsubscribe follow/unfollow encrypt,encryption/decrypt,decryption
encode,encoding/decode,decoding compress/decompress zip/unzip upload/download
import,importing/export,exporting push/pull upgrade/downgrade buy,buying/sell,selling
lend/borrow deposit/withdraw send,sending/receive,receiving accept/reject,decline
allow/forbid,prohibit include,including/exclude,excluding connect/disconnect attach/detach
ascending/descending public/private internal/external local/remote online/offline
manual/automatic manually/automatically temporary/permanent active/inactive
visible/invisible,hidden show/hide foreground/background front/back top/bottom left/right
inside/outside indoor,indoors/outdoor,outdoors incoming/outgoing inbound/outbound
ancestor/descendant parent/child male/female husband/wife mother/father son/daughter
brother/sister legal/illegal safe/unsafe,dangerous possible/impossible safe/unsafe
healthy/unhealthy paid/unpaid,free solved/unsolved used/unused known/unknown valid/invalid
dependent/independent sunrise/sunset morning/evening day/night summer/winter
arrival/departure arrive/depart arrivals/departures win/lose won/lost gain/lose
pass/fail passed/failed success/failure profit/loss income/expense,expenses
credit/debit asset/liability pros/cons advantages,benefits/disadvantages,drawbacks
advantage,benefit/disadvantage,drawback positive/negative true/false even/odd
always/never everyone,everybody/nobody all/none both/neither both/either
beginner,beginners/advanced expand/shorten,shrink lengthen/shorten zoom/unzoom
rise,rising,rises/fall,falling,falls north/south east/west northern/southern eastern/western
wet/dry full/empty rich/poor early/late old/new strong/weak deep/shallow wide/narrow
thick/thin loud/quiet light/dark hard/easy difficult/easy formal/informal
single/married dead/alive war/peace friend/enemy teach/learn freeze/thaw
encrypt/decrypt marry/divorce hire/fire approve,approved/deny,denied,rejected
clockwise/anticlockwise,counterclockwise horizontal/vertical input/output read/write
synchronous,sync/asynchronous,async singular/plural domestic/international
since/until past/to upstream/downstream prefix/suffix plus/minus times,multiplied/divided
multiply/divide landlord,landlords/tenant,tenants lender,lenders/borrower,borrowers mr,mister/ms,mrs
"""
_ANTONYMS = pair_table(_PAIRS)
# A longer difference is another way to say it, as often as not.
_LONGEST = 6
_PERSONS = {"er": ("ee",), "or": ("ee",), "ee": ("er", "or")}
_SHORTEST_PERSON = 4
_PREFIXES = ("un", "non", "dis", "im", "in", "ir", "il", "de")


def _antonyms(asked: Reading, cached: Reading) -> str | None:
    left, right = differing(asked, cached)
    if not left or not right or max(len(left), len(right)) > _LONGEST:
        return None
    ours, theirs = frozenset(left), frozenset(right)
    if len(ours & theirs) > 3 or _is_turned_round(left, right):
        # The words stand in another order: "A before B" may be "B after A".
        return None
    found = _opposite(ours - cached.vocabulary, theirs - asked.vocabulary)
    if found is None or has_negator(ours) != has_negator(theirs):
        # "Not allowed" and "forbidden" say the same.
        return None
    return found


def _is_turned_round(left: list[str], right: list[str]) -> bool:
    """Return whether what begins one part ends the other one: "5 is more than 3"."""
    return len(left) > 2 and (left[0], left[-1]) == (right[-1], right[0])


def _opposite(ours: frozenset[str], theirs: frozenset[str]) -> str | None:
    for word in ours & _ANTONYMS.keys():
        other = min(theirs & _ANTONYMS[word], default=None)
        # "Bigger or smaller" asks for both.
        if other and ours.isdisjoint(_ANTONYMS[word]) and theirs.isdisjoint(_ANTONYMS[other]):
            return f"{word} / {other}"
    for word in ours:
        if other := theirs & _counterparts(word):
            return f"{word} / {min(other)}"
    return _negated(ours, theirs) or _negated(theirs, ours, swapped=True)


def _counterparts(word: str) -> set[str]:
    """Return what an employer is to an employee, and a lessee to a lessor."""
    base = word.removesuffix("s")
    endings = _PERSONS.get(base[-2:], ()) if len(base) > _SHORTEST_PERSON else ()
    return {f"{base[:-2]}{ending}{word[len(base) :]}" for ending in endings}


def _negated(words: Iterable[str], others: frozenset[str], *, swapped: bool = False) -> str | None:
    for word in words:
        for prefix in _PREFIXES:
            if word.startswith(prefix) and len(word) >= len(prefix) + 4:
                rest = word[len(prefix) :]
                # "In front" is also written "infront".
                if rest in others and prefix not in others:
                    return f"{rest} / {word}" if swapped else f"{word} / {rest}"
    return None


ANTONYMS = Rule("antonyms", "the prompts have opposite words", True, _antonyms)
