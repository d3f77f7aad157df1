"""A cache with a limit of memory."""

from __future__ import annotations

from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedCache(dict[Key, Value]):
    """What was kept; when it is too much, everything is evicted, and made again when needed.

    Attributes:
        max_bytes: The most memory that may be kept, as the callers of `add_size` estimate it.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self.max_bytes, self._size = max_bytes, 0

    def add_size(self, size: int) -> None:
        """Count bytes after they were added; if there are too many, keep nothing."""
        self._size += size
        if self._size > self.max_bytes:
            self.clear()
            self._size = 0
