"""What a storage without search indexes shows as the index of a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["AsyncIndexView", "IndexView"]


class IndexView:
    """The index of a cache, as far as one can look at it.

    Args:
        name: The cache's name.
        size: Returns the number of its entries.
    """

    def __init__(self, name: str, size: Callable[[str], int]) -> None:
        self.name = name
        """The cache's name."""
        self._size = size

    def __repr__(self) -> str:
        return f"IndexView({self.name!r})"

    def exists(self) -> bool:
        """Return True."""
        return True

    def info(self) -> dict[str, Any]:
        """Return the name and the number of entries."""
        return {"index_name": self.name, "num_docs": self._size(self.name)}


class AsyncIndexView:
    """Asynchronous twin of `IndexView`."""

    def __init__(self, name: str, size: Callable[[str], Awaitable[int]]) -> None:
        self.name = name
        """The cache's name."""
        self._size = size

    def __repr__(self) -> str:
        return f"AsyncIndexView({self.name!r})"

    async def exists(self) -> bool:
        """Return True."""
        return True

    async def info(self) -> dict[str, Any]:
        """Return the name and the number of entries."""
        return {"index_name": self.name, "num_docs": await self._size(self.name)}
