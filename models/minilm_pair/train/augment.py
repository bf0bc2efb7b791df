"""Edits of a prompt by rule, some that keep its meaning and some that change it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

CONTRACTIONS = (
    ("do not", "don't"), ("does not", "doesn't"), ("did not", "didn't"), ("cannot", "can't"),
    ("is not", "isn't"), ("are not", "aren't"), ("will not", "won't"), ("should not", "shouldn't"),
    ("i am", "i'm"), ("what is", "what's"), ("it is", "it's"), ("i have", "i've"),
    ("you are", "you're"), ("that is", "that's"), ("how is", "how's"), ("who is", "who's"),
)  # fmt: skip
GREETINGS = (
    "Hi, ", "Hello! ", "Hey, ", "Please tell me: ", "Can you tell me ", "I was wondering, ",
    "Quick question: ", "Question: ", "Could you please help? ", "Good morning, ", "So, ",
    "Sorry to bother you, ", "Just curious, ", "I'd like to know: ",
)  # fmt: skip
THANKS = (
    " Thanks!", " Thank you.", " Thanks in advance.", " Please help.", " pls", " Cheers.",
    " Any help is appreciated.",
)  # fmt: skip
OPPOSITES = """
enable/disable increase/decrease with/without before/after buy/sell import/export open/close
start/stop add/remove install/uninstall best/worst most/least more/less higher/lower high/low
cheap/expensive largest/smallest biggest/smallest bigger/smaller long/short longest/shortest
fast/slow faster/slower gain/lose win/lose upload/download encrypt/decrypt encode/decode
login/logout lock/unlock block/unblock subscribe/unsubscribe connect/disconnect push/pull
upgrade/downgrade hot/cold safe/dangerous legal/illegal possible/impossible good/bad
advantages/disadvantages pros/cons benefits/risks male/female men/women boys/girls mother/father
son/daughter husband/wife first/last always/never inside/outside above/below over/under
maximum/minimum early/late arrive/depart send/receive lend/borrow teach/learn accept/reject
approve/deny allow/forbid include/exclude create/delete ascending/descending public/private
manual/automatic online/offline old/new left/right north/south east/west summer/winter
morning/evening day/night income/expense profit/loss success/failure positive/negative true/false
internal/external incoming/outgoing latest/oldest hire/fire rise/fall expand/shrink freeze/thaw
rent/buy my/your daily/weekly monthly/yearly today/tomorrow yesterday/tomorrow next/last
past/future children/adults beginners/experts android/iphone windows/mac python/java mysql/postgres
celsius/fahrenheit kilograms/pounds miles/kilometers usd/eur dollars/euros hours/days days/weeks
weeks/months months/years minutes/hours cat/dog credit/debit checking/savings
"""
AUXILIARIES = (
    "is", "are", "was", "were", "can", "could", "should", "will", "would", "does", "do", "did",
    "has", "have", "must", "may",
)  # fmt: skip
QUESTION_WORDS = ("why", "how", "when", "where", "who")
CITIES = (
    "Paris", "London", "Berlin", "Madrid", "Rome", "Tokyo", "Delhi", "Sydney", "Toronto", "Chicago",
    "Boston", "Texas", "Canada", "Germany", "India", "Japan", "Brazil", "Mexico", "Kenya", "Egypt",
    "Poland", "Sweden", "Ireland", "Dubai", "Lisbon", "Vienna", "Oslo", "Cairo", "Lagos",
)  # fmt: skip
TOOLS = (
    "Python", "Java", "Rust", "Go", "TypeScript", "Ruby", "PHP", "C#", "Kotlin", "pandas", "React",
    "Django", "PostgreSQL", "MySQL", "Redis", "Docker", "Kubernetes", "Excel", "Outlook", "Slack",
    "Zoom", "GitHub", "GitLab", "Windows", "Linux", "macOS", "Android", "iOS", "Chrome", "Firefox",
)  # fmt: skip
PEOPLE = (
    "children", "adults", "beginners", "experts", "students", "seniors", "dogs", "cats",
    "teenagers", "vegans", "freelancers", "tourists", "employees", "managers",
)  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_OPPOSITE: dict[str, list[str]] = {}
for _pair in OPPOSITES.split():
    _one, _other = _pair.split("/")
    _OPPOSITE.setdefault(_one, []).append(_other)
    _OPPOSITE.setdefault(_other, []).append(_one)

_NAME = re.compile(r"(?<!^)(?<![.?!] )\b[A-Z][a-zA-Z]{2,}(?: [A-Z][a-zA-Z]{2,})*\b")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


def names(texts: list[str]) -> list[str]:
    """Return the names in some texts, each once: capitalised words within a sentence."""
    return list(dict.fromkeys(match.group() for text in texts for match in _NAME.finditer(text)))


def keep(text: str, random: Random) -> str:
    """Return a text of the same meaning: politeness, letter case, contractions, typos."""
    edits = (_lower, _bare, _greeted, _thanked, _contracted, _misspelled, _punctuated)
    for _ in range(random.choice((1, 1, 2, 2, 3))):
        text = random.choice(edits)(text, random)
    return text


def _lower(text: str, random: Random) -> str:
    return text.lower()


def _bare(text: str, random: Random) -> str:
    return text.rstrip("?.! ")


def _greeted(text: str, random: Random) -> str:
    if random.random() < 0.5 and text[1:2].islower():
        text = text[:1].lower() + text[1:]
    return random.choice(GREETINGS) + text


def _thanked(text: str, random: Random) -> str:
    return text + random.choice(THANKS)


def _contracted(text: str, random: Random) -> str:
    for pair in random.sample(CONTRACTIONS, len(CONTRACTIONS)):
        for old, new in (pair, pair[::-1]):
            match = re.search(rf"\b{re.escape(old)}\b", text, re.IGNORECASE)
            if match:
                return text[: match.start()] + new + text[match.end() :]
    return text


def _misspelled(text: str, random: Random) -> str:
    words = text.split(" ")
    place = random.randrange(len(words))
    word = words[place]
    if len(text) > 14 and len(word) > 4 and word.isalpha() and word.islower():
        at = random.randrange(1, len(word) - 1)
        swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        words[place] = swapped if random.random() < 0.5 else word[:at] + word[at + 1 :]
    return " ".join(words)


def _punctuated(text: str, random: Random) -> str:
    return text + random.choice("?.!") if text[-1:].isalnum() else text


def change(text: str, random: Random, pool: list[str]) -> str | None:
    """Return a text of another meaning, or None if no edit applies.

    Args:
        text: The text.
        random: Where chance comes from.
        pool: Names that may take the place of a name.
    """
    edits = [
        _opposite, _opposite, _other_number, _other_number, _negated, _reversed, _names_swapped,
        _other_question, *[lambda text, random: _other_name(text, random, pool)] * 2,
    ]  # fmt: skip
    random.shuffle(edits)
    for edit in edits:
        changed = edit(text, random)
        if changed and changed.lower() != text.lower():
            return changed
    return None


def _opposite(text: str, random: Random) -> str | None:
    parts = re.findall(r"[A-Za-z+#']+|[^A-Za-z+#']+", text)
    places = [place for place, part in enumerate(parts) if part.lower() in _OPPOSITE]
    if not places:
        return None
    place = random.choice(places)
    word = random.choice(_OPPOSITE[parts[place].lower()])
    parts[place] = word.capitalize() if parts[place][0].isupper() else word
    return "".join(parts)


def _other_number(text: str, random: Random) -> str | None:
    matches = list(_NUMBER.finditer(text))
    if not matches:
        return None
    match = random.choice(matches)
    old = match.group()
    for _ in range(8):
        kind = random.random()
        if kind < 0.4:
            new = "".join(
                random.choice("0123456789") if part.isdigit() and random.random() < 0.6 else part
                for part in old
            )
        elif kind < 0.7 and old.isdigit():
            new = str(max(0, int(old) + random.choice((-10, -5, -3, -2, -1, 1, 2, 3, 5, 10, 100))))
        else:
            new = old + random.choice(("0", "5", "00")) if old.isdigit() else old[::-1]
        if new != old:
            return text[: match.start()] + new + text[match.end() :]
    return None


def _negated(text: str, random: Random) -> str | None:
    denied = list(re.finditer(r"\b(?:not|never|no)\b ?", text, re.IGNORECASE))
    if denied and random.random() < 0.6:
        match = random.choice(denied)
        return (text[: match.start()] + text[match.end() :]).strip()
    auxiliaries = list(re.finditer(rf"\b(?:{'|'.join(AUXILIARIES)})\b", text, re.IGNORECASE))
    if not auxiliaries:
        return None
    match = random.choice(auxiliaries)
    before = text[: match.start()].lower().split()
    if before and before[-1] not in (*QUESTION_WORDS, "what", "which"):
        return text[: match.end()] + " not" + text[match.end() :]
    # In a question "not" stands after the subject.
    rest = text[match.end() :].split(" ")
    if len(rest) < 3:
        return None
    return text[: match.end()] + " ".join(rest[:2]) + " not " + " ".join(rest[2:])


def _reversed(text: str, random: Random) -> str | None:
    name = r"([\w+#'-]+(?: [A-Z][\w'-]+)*)"
    match = (
        re.search(rf"\bfrom {name} (?:to|into) {name}", text)
        or re.search(
            r"\b(?:convert|translate|turn|change|transfer) ([\w+#'-]+) (?:to|into) ([\w+#'-]+)",
            text,
            re.IGNORECASE,
        )
        or re.search(
            r"\b([A-Z][\w+#'-]+) (?:\w+er|better|worse|more \w+) than ([A-Z][\w+#'-]+)", text
        )
    )
    return _swapped(text, match.span(1), match.span(2)) if match else None


def _names_swapped(text: str, random: Random) -> str | None:
    matches = list(_NAME.finditer(text))
    if len(matches) < 2:
        return None
    one, other = sorted(random.sample(matches, 2), key=lambda match: match.start())
    between = text[one.end() : other.start()]
    if re.fullmatch(r"\s*(?:,|and|or|&|/|, and|vs\.?|versus)\s*", between):
        return None
    return _swapped(text, one.span(), other.span())


def _swapped(text: str, one: tuple[int, int], other: tuple[int, int]) -> str:
    left, right = text[slice(*one)], text[slice(*other)]
    return text[: one[0]] + right + text[one[1] : other[0]] + left + text[other[1] :]


def _other_question(text: str, random: Random) -> str | None:
    match = re.match(rf"(?:{'|'.join(QUESTION_WORDS)})\b", text, re.IGNORECASE)
    if not match:
        return None
    word = random.choice([word for word in QUESTION_WORDS if word != match.group().lower()])
    return (word.capitalize() if text[0].isupper() else word) + text[match.end() :]


def _other_name(text: str, random: Random, pool: list[str]) -> str | None:
    matches = list(_NAME.finditer(text))
    if not matches or not pool:
        return None
    match, name = random.choice(matches), random.choice(pool)
    return text[: match.start()] + name + text[match.end() :]


def add_circumstance(one: str, other: str, random: Random) -> tuple[str, str, bool] | None:
    """Add one circumstance to both texts in two wordings (equal), or one to each (not equal)."""
    kind = random.randrange(9)
    wordings = _circumstance(kind, random)
    if random.random() < 0.5:
        return _put(one, random.choice(wordings)), _put(other, random.choice(wordings)), True
    for _ in range(6):
        others = _circumstance(kind, random)
        if others != wordings:
            return _put(one, random.choice(wordings)), _put(other, random.choice(others)), False
    return None


def _circumstance(kind: int, random: Random) -> list[str]:
    number = random.randrange(2, 90)
    city, tool, people = random.choice(CITIES), random.choice(TOOLS), random.choice(PEOPLE)
    order, year = random.randrange(100, 99999), random.randrange(1980, 2031)
    price = 50 * random.randrange(1, 60)
    version = f"{random.randrange(1, 20)}.{random.randrange(15)}"
    month, day = random.choice(MONTHS), random.choice(DAYS)
    return [
        [f" for order {order}", f" (order #{order})", f", order number {order}"],
        [f" in {year}", f" as of {year}", f" during {year}"],
        [f" in {city}", f" when in {city}", f" for someone living in {city}"],
        [f" in {tool}", f" using {tool}", f" with {tool}"],
        [f" for {people}", f", for {people}"],
        [f" within {number} days", f" in less than {number} days"],
        [f" under ${price}", f" for less than ${price}", f" below {price} dollars"],
        [f" in version {version}", f" on v{version}", f" with release {version}"],
        [f" on {day} in {month}", f" on a {day} in {month}"],
    ][kind]


def _put(text: str, circumstance: str) -> str:
    end = text[-1:] if text[-1:] in ("?", ".", "!") else ""
    return text[: len(text) - len(end)] + circumstance + end


def replace_shared(
    one: str, other: str, random: Random, pool: list[str]
) -> tuple[str, str, bool] | None:
    """Replace a number or name that both texts have, in both (equal) or in one (not equal)."""
    numbers = [
        match.group()
        for match in _NUMBER.finditer(one)
        if re.search(rf"(?<![\d.,]){re.escape(match.group())}(?!\d)", other)
    ]
    shared = [match.group() for match in _NAME.finditer(one) if match.group() in other]
    if numbers and (not shared or random.random() < 0.6):
        old = random.choice(numbers)
        new = _other_number(old, random)
    elif shared and pool:
        old, new = random.choice(shared), random.choice(pool)
    else:
        return None
    if new is None or new == old:
        return None
    if random.random() < 0.5:
        return one.replace(old, new), other.replace(old, new), True
    if random.random() < 0.5:
        return one.replace(old, new), other, False
    return one, other.replace(old, new), False
