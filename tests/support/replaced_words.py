"""Pairs of prompts that are the same but for one, two or three words in the same places."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Pair(NamedTuple):
    """Two prompts that differ in words of one kind."""

    kind: str
    differing: int
    one: str
    other: str


NAMES = {
    "Greek letters": "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi "
    "omicron pi rho sigma tau upsilon phi chi psi omega",
    "NATO letters": "alfa bravo charlie echo foxtrot golf hotel juliett kilo tango whiskey zulu",
    "single letters": "A B C D E F G H K M",
    "roman numerals": "II III IV VI VII VIII IX XI XII XIV",
    "codes": "AX BQ KLM QRT ZXV NPD WTY GHB JKE TRP",
    "planets": "Mercury Venus Mars Jupiter Saturn Uranus Neptune Pluto",
    "weekdays": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "months": "January February April June July August October December",
    "seasons": "spring summer autumn winter",
    "colours": "red blue green yellow purple orange black white brown pink",
    "sizes": "small medium large",
    "chess pieces": "king queen rook bishop knight pawn",
    "elements": "hydrogen helium lithium carbon nitrogen oxygen sodium iron copper zinc",
    "compass": "north south east west northeast southwest",
    "zodiac": "aries taurus gemini leo virgo libra scorpio aquarius pisces",
    "card suits": "hearts spades clubs diamonds",
    "metals": "gold silver bronze platinum tin lead brass",
    "ordinals": "first second third fourth fifth sixth",
    "numbers": "three four five six seven eight nine ten",
    "shapes": "circle square triangle rectangle hexagon oval cube sphere",
    "fruit": "apples pears cherries plums bananas oranges grapes lemons",
    "tools": "hammers saws drills chisels pliers wrenches",
    "instruments": "violin piano guitar flute trumpet drums cello",
    "animals": "dogs horses rabbits goats ducks turtles sheep",
    "sports": "tennis football hockey rowing boxing cricket golf",
    "first names": "Anna Peter Maria Thomas Julia Robert Sophie Martin",
    "cities": "Paris Oslo Lisbon Vienna Chicago Tokyo Madrid Boston",
    "countries": "France Norway Portugal Austria Japan Spain Brazil Kenya",
    "languages": "French Norwegian Portuguese German Japanese Spanish Hindi",
    "programming languages": "Python Java Rust Ruby Kotlin Haskell Perl Go",
    "companies": "Siemens Toyota Nestle Boeing Samsung Philips Nokia",
    "spices": "cinnamon ginger pepper saffron paprika cumin",
    "professions": "teacher nurse plumber lawyer farmer pilot baker",
    "body parts": "knee shoulder elbow ankle wrist hip neck",
    "cloth": "cotton silk wool linen leather velvet",
    "dances": "waltz tango salsa polka foxtrot rumba",
    "rooms": "kitchen bathroom bedroom garage cellar attic",
    "made-up names": "zorbit flimp quandle brosk tevvin maldro",
}
_ABOUT = (
    "write a short text about {0}",
    "show me the report for {0}",
    "who is responsible for {0}?",
    "What should I know about {0} before I decide?",
    "summarise the chapter on {0} in two sentences",
    "compare {0} and {1}",
    "What is the relation of {0} to {1}?",
    "write a poem in which {0} comes before {1}",
    "explain {0} in a text about {1} and {2}",
    "list the advantages of {0}, {1} and {2} for beginners",
)
STORED = (
    "Where can I find the {0} manual with a chapter about {1} and {2}?",
    "question {0} about {1} and {2}",
    "What does the {0} report say about {1} and {2}?",
    "Explain topic {0} to me in detail about {1} and {2}",
)
ADJECTIVES = {
    "adjectives": "old small wooden broken heavy expensive dirty modern foreign narrow",
    "adjectives of people": "young angry lonely tired famous rich blind brave",
    "adjectives of software": "slow secure distributed encrypted compiled nested asynchronous",
}
_QUALITIES = {
    "adjectives": (
        "how do I clean {0} boats",
        "which shops sell {0} chairs near the station",
        "Where can I store {0} bicycles in winter?",
        "is it worth repairing {0} lamps and {1} clocks",
    ),
    "adjectives of people": (
        "write a story about a {0} sailor",
        "how do I talk to {0} customers",
        "a gift for a {0} uncle and a {1} aunt",
    ),
    "adjectives of software": (
        "how do I test {0} programs",
        "best practices for {0} databases",
        "Can I run {0} queries from {1} functions?",
    ),
}
VERBS = {
    "verbs": "paint sell insure lock repair ride rent ship weigh",
    "verbs of software": "compile debug deploy benchmark refactor license document",
}
_ACTIONS = {
    "verbs": (
        "how do I {0} a bicycle",
        "where can I {0} an old piano in town",
        "Should I {0} or {1} my boat this year?",
    ),
    "verbs of software": (
        "how do I {0} this function",
        "what does it cost to {0} a small program",
        "Should we {0} or {1} the module before the release?",
    ),
}

SYNONYMS = """
how do I {} my password: change update reset
where can I {} a used bicycle: buy purchase get
how do I {} a flat tyre: fix repair mend
when does the museum {} its tours: begin start
which {} are suitable for five people: cars automobiles
good {} to watch with friends: movies films
how do I back up my {}: photos pictures images
activities for {} on a rainy day: children kids
what is the {} way to learn chess: quickest fastest
how do I {} a file from the folder: delete remove erase
what is the {} address on my order: shipping delivery
is my {} phone insured: mobile cell
how do I become a {}: doctor physician
what should I do when I feel {}: sick ill unwell
how do I {} a chart of my data: create make produce
why is my laptop so {}: noisy loud
is there a {} way to do this: simple easy
which hotels are {} in Berlin: cheap inexpensive affordable
how do I {} to customer support: speak talk
how can I {} money every month: save spare
how do I {} a meeting for next week: arrange schedule organise
how do I {} my subscription: cancel terminate
what is the {} of this word: meaning sense
how long does the {} take: journey trip
why was my payment {}: declined rejected refused
where do I {} my tax return: file submit
what are the {} of working from home: advantages benefits
how do I {} the error in this code: find locate
the {} story of the town: complete whole entire
how do I {} my career: improve advance
can you {} this text for me: shorten abbreviate
is this {} safe for babies: product item
I need {} with my homework: help assistance
what is the {} of a taxi to the airport: price cost fare
how do I {} a photo in the app: crop trim
how do I get a {} for my order: refund reimbursement
how {} is the bridge: old ancient
where is the {} bakery: nearest closest
how do I {} my account: close delete deactivate
my {} does not charge any more: phone smartphone cellphone
please {} this paragraph: rewrite rephrase reword
give me a {} of this article: summary synopsis
"""
FORMS = """
how do I {} for a marathon: train training
what {} the sky blue: makes made
how do I {} a horse: ride riding
how do {} sleep: cats cat
is it safe to eat {}: mushroom mushrooms
how do I {} a letter: write writing
why do {} lose leaves: trees tree
who {} the telephone: invented invents
"""
SPELLINGS = """
what is your favourite {}: colour color
how do I {} my desk: organise organize
how do I renew my driving {}: licence license
why is my hair turning {}: grey gray
where is the city {}: centre center
how do I cancel my {}: subscription subscripton
send me the {} address: email e-mail
how do I reset my {}: password pasword
what is {} learning: machine machne
how do I set up {}: WiFi wifi
is a {} enough for this: PhD phd
how do I write an {}: apologise apologize
is the {} open today: theatre theater
how many {} is it to the coast: kilometres kilometers
"""
SMALL_WORDS = """
how {} I change my address: do can could
what is the capital of {} country: this that
how do I reset {} password: my the a
where {} I find the manual: can could do
which book {} I read first: should must
how do I get {} the airport: to at
what {} the best way to cook rice: is's is
{} is the bank open: when until
how does it work {} a laptop: on with
{} you translate this sentence: can could would
"""


def _one_for_one(
    templates: tuple[str, ...], words: list[str], seed: str
) -> Iterator[tuple[int, str, str]]:
    source = random.Random(seed)
    for template in templates:
        count = template.count("{")
        if len(words) < 2 * count:
            continue
        for _ in range(4):
            drawn = source.sample(words, 2 * count)
            one, other = drawn[:count], drawn[count:]
            # A prompt with two words may differ in one of them.
            for differing in {1, count}:
                changed = [*other[:differing], *one[differing:]]
                yield differing, template.format(*one), template.format(*changed)


def wrong_pairs() -> list[Pair]:
    """Return pairs that need different answers, always the same ones."""
    pairs: list[Pair] = []
    groups = [
        *((kind, _ABOUT, words) for kind, words in NAMES.items()),
        *((kind, _QUALITIES[kind], words) for kind, words in ADJECTIVES.items()),
        *((kind, _ACTIONS[kind], words) for kind, words in VERBS.items()),
    ]
    for kind, templates, words in groups:
        made = dict.fromkeys(_one_for_one(templates, words.split(), kind))
        pairs += (Pair(kind, *pair) for pair in made)
    return pairs


def equal_pairs() -> list[Pair]:
    """Return pairs that one answer serves, always the same ones."""
    pairs: list[Pair] = []
    tables = {
        "synonyms": SYNONYMS,
        "forms of a word": FORMS,
        "spellings": SPELLINGS,
        "small words": SMALL_WORDS,
    }
    for kind, table in tables.items():
        for line in table.strip().splitlines():
            template, _, words = line.rpartition(": ")
            for one, other in itertools.combinations(words.split(), 2):
                pairs.append(Pair(kind, 1, template.format(one), template.format(other)))
    return pairs
