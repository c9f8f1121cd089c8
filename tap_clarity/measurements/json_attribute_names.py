"""The names of attributes in JSON: in another case, or not known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_clarity.measurements.column_labels import fold

if TYPE_CHECKING:
    from collections.abc import Iterable

JsonObject = dict[str, Any]

MAX_NAMES = 10
MAX_NAME_LENGTH = 100


class AttributeNames:
    """The known attributes of one kind of object."""

    def __init__(self, *names: str) -> None:
        self._names = frozenset(names)
        self._by_fold = {fold(name): name for name in names}

    def rename(self, item: JsonObject) -> JsonObject:
        """Give attributes written in another case their usual names, unless these are taken."""
        if item.keys() <= self._names:
            return item
        renamed: JsonObject = {}
        for name, value in item.items():
            usual = self._by_fold.get(fold(name), name)
            is_taken = usual in item or usual in renamed
            renamed[name if is_taken else usual] = value
        return renamed

    def unknown(self, item: JsonObject) -> Iterable[str]:
        """Return the names of an item's other attributes."""
        return (
            () if item.keys() <= self._names else [each for each in item if each not in self._names]
        )


class NameList:
    """The first few different names, cut to a length that a message can hold."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}

    def __str__(self) -> str:
        """List the names."""
        return str([*self.names])

    def add(self, names: Iterable[str]) -> None:
        """Add names, as long as there is room."""
        for name in names:
            if len(self.names) == MAX_NAMES:
                return
            self.names[name[:MAX_NAME_LENGTH]] = None
