"""A rule about identifiers: codes, options, addresses, names of files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from langcache.engine.verify.rules.base import Rule
from langcache.engine.verify.rules.quantities import dimension_of

if TYPE_CHECKING:
    from langcache.engine.verify.rules.reading import Reading

__all__ = ["IDENTIFIERS"]

# Endings that are no words: after a full stop without a space, a sentence may begin.
_DOMAINS = (
    "com|org|net|edu|gov|io|ai|dev|eu|au|br|ca|ch|cn|cz|de|dk|fi|fr|ie|jp|kr|mx|nl|nz|pl|pt|ru|se|"
    "tr|ua|uk|za"
)
_FILES = "py|js|ts|json|csv|txt|pdf|xlsx?|docx?|ya?ml|sh|sql"
_IDENTIFIER = re.compile(
    rf"""
    (?<!\S)--?[A-Za-z][\w-]*                      # an option
    | \b[\w.+-]{{1,64}}@[\w-]+\.[\w.-]*\w                # an e-mail address
    | \b(?:https?://|site:|www\.)[^\s'"]+         # a URL or site
    | \b\w{{1,64}}(?:\.\w{{1,64}}){{0,4}}
      \.(?:{_DOMAINS}|{_FILES})\b
    | \\[A-Za-z]\b                                # an escape
    | \b[A-Za-z]\w*_\w+\b                         # snake_case
    | \b(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\b   # letters and digits
    | \b[^\W\d_]{{1,64}}\d+\b                         # letters of any alphabet before digits
    | \b[A-Z]{{2,}}-\d+\b                           # ABC-123
    """,
    re.VERBOSE,
)
# The same name with any other ending is another host.
_HOST = re.compile(rf"(?P<name>[\w-]+(?:\.[\w-]+)*?)\.(?:(?:co|com)\.)?(?:{_DOMAINS})")
_SCHEME = re.compile(r"^(?:site:|https?://|www\.)+")
_PART = re.compile(r"[^\W_]+")
_LENGTHS = range(1, 5)
_LETTERED = re.compile(r"\d+[a-z]")
# Without one of these, there is no identifier.
_HINT = re.compile(r"[-@\\_:\d]|\w\.\w")
# Numbers with a unit or an ending: these have their own rule.
_NUMBER = re.compile(
    r"\d+(?:st|nd|rd|th|s|k|m|h|d|x|kg|g|km|cm|mm|gb|mb|tb|am|pm|min|ml|mg|hz)?", re.IGNORECASE
)


def _identifiers(asked: Reading, cached: Reading) -> str | None:
    ours, theirs = _find(asked.text), _find(cached.text)
    left, right = ours.keys() - theirs.keys(), theirs.keys() - ours.keys()
    # "iphone13" is written "iphone 13" as well.
    if left:
        left -= _joined(cached.text)
    if right:
        right -= _joined(asked.text)
    if left and right:
        return f"{ours[min(left)]} / {theirs[min(right)]}"
    if left and (other := _other_host(left, cached.text)):
        return f"{ours[other[0]]} / {other[1]}"
    if right and (other := _other_host(right, asked.text)):
        return f"{other[1]} / {theirs[other[0]]}"
    if left and (number := _without_letter(left, asked, cached)):
        return f"{ours[number]} / {number[:-1]}"
    if right and (number := _without_letter(right, cached, asked)):
        return f"{number[:-1]} / {theirs[number]}"
    return None


def _other_host(keys: set[str], text: str) -> tuple[str, str] | None:
    """Return a host of one prompt and what the other one has with another ending, if any."""
    for key in sorted(keys):
        if (host := _HOST.fullmatch(key)) and key not in text.lower():
            name = f"(?i:{re.escape(host['name'])})"
            other = re.search(rf"(?<![\w.-]){name}\.[a-z]{{2,}}(?:\.[a-z]{{2,}})?(?![\w.-])", text)
            if other:
                return key, other.group()
    return None


def _without_letter(keys: set[str], reading: Reading, other: Reading) -> str | None:
    """Return the "7a" of a prompt if the other one has a 7 in its place."""
    numbers = {key for key in keys if _LETTERED.fullmatch(key) and dimension_of(key[-1]) is None}
    if not numbers:
        return None
    mine, others = (set(_PART.findall(text)) for text in (reading.text, other.text))
    return min(
        (key for key in numbers if key[:-1] in others - mine and key[-1].upper() not in others),
        default=None,
    )


def _joined(text: str) -> set[str]:
    """Return the words of a text and up to four neighbours as one word, in lower case."""
    words = _PART.findall(text.lower())
    return {
        "".join(words[start : start + length]) for start in range(len(words)) for length in _LENGTHS
    }


def _find(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    if not _HINT.search(text):
        return found
    for match in _IDENTIFIER.finditer(text):
        written = match.group()
        if _NUMBER.fullmatch(written):
            continue
        # The letter case of options and escapes counts, that of others does not.
        if written[0] in "-\\":
            key = written
        else:
            key = _SCHEME.sub("", written.lower()).rstrip(".,;:/?!")
            key = key.replace("-", "").replace("_", "")
        found[key] = written
    return found


IDENTIFIERS = Rule("identifiers", "the identifiers differ", english_only=False, find=_identifiers)
