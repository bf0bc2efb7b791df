"""Entries in pages: what every backend that lists them shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from langcache.engine.storage.base import check_limit, has_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOKED_AT = 5_000
"""How many entries are looked at for a page."""

_LOOKED_AT_CHARACTERS = 16_000_000
_PAGE_CHARACTERS = 4_000_000


class Position(NamedTuple):
    """Where a page begins. Changes of a storage have numbers that grow.

    Attributes:
        began: The number of the last change when the listing began.
        after: The number of the change that stored the last entry that was looked at.
    """

    began: int
    after: int

    def cursor(self, storage: str) -> str:
        """Return the cursor for it.

        Args:
            storage: What tells the numbers of this storage from those of others; without a dot.
        """
        return f"{storage}.{self.began:x}.{self.after:x}"


def position_of(cursor: str, storage: str) -> Position | None:
    """Return the position of a cursor; None for the empty one.

    Raises:
        ValueError: The cursor is not one of this storage.
    """
    if not cursor:
        return None
    name, *numbers = cursor.split(".")
    if name == storage and len(numbers) == 2 and all(_is_number(each) for each in numbers):
        return Position(*(int(each, 16) for each in numbers))
    raise ValueError("cursor: must be the cursor of a page of this storage, or empty")


def _is_number(text: str) -> bool:
    return 0 < len(text) <= 16 and not set(text) - set("0123456789abcdef")


class Listing:
    """Decides which of the entries that are looked at belong to a page, and when it is full.

    Args:
        limit: How many entries the page has at most.
        attributes: Attributes that an entry must have.
        text: A text that its prompt or response must contain, ignoring case.

    Raises:
        ValueError: The limit is below 1.
    """

    def __init__(self, limit: int, attributes: Mapping[str, str] | None, text: str) -> None:
        check_limit(limit)
        self._attributes = attributes
        self._text = text.casefold()
        self._room = limit
        self._to_look_at = LOOKED_AT
        self._characters_to_look_at = _LOOKED_AT_CHARACTERS
        self._characters = _PAGE_CHARACTERS

    @property
    def is_full(self) -> bool:
        """Whether the page ends here."""
        return min(self._room, self._to_look_at, self._characters_to_look_at, self._characters) <= 0

    @property
    def room(self) -> int:
        """How many entries to look at, at most, before the page is full."""
        return min(self._to_look_at, LOOKED_AT if self._is_choosy else self._room)

    @property
    def _is_choosy(self) -> bool:
        return bool(self._text or self._attributes)

    def takes(self, prompt: str, response: str, attributes: Mapping[str, str]) -> bool:
        """Return whether the entry that is looked at next belongs to the page."""
        characters = len(prompt) + len(response)
        self._to_look_at -= 1
        self._characters_to_look_at -= characters
        if not has_attributes(attributes, self._attributes):
            return False
        if self._text and not (
            self._text in prompt.casefold() or self._text in response.casefold()
        ):
            return False
        self._room -= 1
        self._characters -= characters
        return True

    def passes_over(self) -> None:
        """Look at an entry that does not belong to the page in any case."""
        self._to_look_at -= 1
