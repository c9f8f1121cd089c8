"""Reads a JSON object member by member, and its lists item by item: a long one needs no memory."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 16
LONGEST_VALUE = 1 << 20
"""Characters that one value may have, or one item of a list."""

_IN_NUMBERS = ("", *"0123456789.eE+-")
_decode = json.JSONDecoder().raw_decode
_blanks = re.compile(r"[ \t\r\n]*").match


class Member(NamedTuple):
    """A member of the object, or one item of the list that a member is.

    Attributes:
        name: The member's name.
        is_list: Whether the member is a list.
        value: The value or item; None at the beginning of a list, before its items.
        number: 0 for a value and for the beginning of a list, else the item's number.
        length: How many characters the value or item has.
    """

    name: str
    is_list: bool
    value: Any
    number: int
    length: int = 0


def read_members(content: BinaryIO) -> Iterator[Member]:
    """Read the members of the one object that the content is, in their order.

    Raises:
        ValueError: If it is no JSON object, or one of its values is too long.
    """
    text = _Text(content)
    text.take("{")
    if text.peek() != "}":
        while True:
            if text.peek() != '"':
                raise ValueError("a member without a name")
            name = text.value()
            text.take(":")
            yield from _read_member(text, name)
            if text.peek() != ",":
                break
            text.take(",")
    text.take("}")
    if text.peek():
        raise ValueError("something after the end")


def _read_member(text: _Text, name: str) -> Iterator[Member]:
    if text.peek() != "[":
        yield Member(name, is_list=False, value=text.value(), number=0)
        return
    yield Member(name, is_list=True, value=None, number=0)
    text.take("[")
    number = 0
    while text.peek() != "]":
        if number:
            text.take(",")
        number += 1
        value = text.value()
        yield Member(name, is_list=True, value=value, number=number, length=text.length)
    text.take("]")


class _Text:
    """The part of the content that is being read."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._place = 0
        self.length = 0
        """Of the last value."""

    def peek(self) -> str:
        """Give the next character that is no blank, or nothing at the end."""
        while True:
            if blanks := _blanks(self._text, self._place):
                self._place = blanks.end()
            if rest := self._text[self._place : self._place + 1]:
                return rest
            if not self._read_more():
                return ""

    def take(self, mark: str) -> None:
        """Go past a mark that must be next."""
        if self.peek() != mark:
            raise ValueError(f"no {mark!r} where there must be one")
        self._place += 1

    def value(self) -> Any:  # noqa: ANN401
        """Go past a whole value, and give it."""
        self.peek()
        while True:
            try:
                value, end = _decode(self._text, self._place)
            except json.JSONDecodeError:
                if not self._read_more():
                    raise
                continue
            self.length = end - self._place
            # At the end of the text a number may be half: 1.5e3 is decoded as 1 where 1.5e ends.
            whole = self._text[end : end + 1] not in _IN_NUMBERS
            if whole or not self._read_more():
                self._place += self.length
                return value

    def _read_more(self) -> bool:
        chunk = self._content.read(CHUNK)
        rest = self._text[self._place :]
        if len(rest) > LONGEST_VALUE:
            raise ValueError("a value that is too long")
        self._text = rest + self._decoder.decode(chunk, final=not chunk)
        self._place = 0
        return bool(chunk)
