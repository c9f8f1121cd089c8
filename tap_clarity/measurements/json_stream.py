"""Reads a JSON object member by member, and its lists item by item, in constant memory.

`ijson` (3.6, yajl2_c) is no replacement: it rejects NaN, reads half of a surrogate pair as `?`,
crashes on an integer of 5,000 digits, and needs gigabytes for brackets nested 100,000 deep.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 16
MAX_VALUE_LENGTH = 1 << 20
"""Characters of one value, or of one item of a list."""

_NUMBER_CHARACTERS = ("", *"0123456789.eE+-")
_decode = json.JSONDecoder().raw_decode
_white_space = re.compile(r"[ \t\r\n]*").match


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
    parser = _Parser(content)
    parser.skip("{")
    if parser.peek() != "}":
        while True:
            if parser.peek() != '"':
                raise ValueError("a member without a name")
            name = parser.value()
            parser.skip(":")
            yield from _read_member(parser, name)
            if parser.peek() != ",":
                break
            parser.skip(",")
    parser.skip("}")
    if parser.peek():
        raise ValueError("something after the end")


def _read_member(parser: _Parser, name: str) -> Iterator[Member]:
    if parser.peek() != "[":
        yield Member(name, is_list=False, value=parser.value(), number=0)
        return
    yield Member(name, is_list=True, value=None, number=0)
    parser.skip("[")
    number = 0
    while parser.peek() != "]":
        if number:
            parser.skip(",")
        number += 1
        value = parser.value()
        yield Member(name, is_list=True, value=value, number=number, length=parser.length)
    parser.skip("]")


class _Parser:
    """A position in the content, and the part that is being read."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._position = 0
        self.length = 0
        """Of the last value."""

    def peek(self) -> str:
        """Return the next character that is not white space; empty at the end."""
        while True:
            if spaces := _white_space(self._text, self._position):
                self._position = spaces.end()
            if rest := self._text[self._position : self._position + 1]:
                return rest
            if not self._read_more():
                return ""

    def skip(self, character: str) -> None:
        """Skip a character that must be next."""
        if self.peek() != character:
            raise ValueError(f"no {character!r} where there must be one")
        self._position += 1

    def value(self) -> Any:  # noqa: ANN401
        """Read a whole value."""
        self.peek()
        while True:
            try:
                value, end = _decode(self._text, self._position)
            except json.JSONDecodeError:
                if not self._read_more():
                    raise
                continue
            self.length = end - self._position
            # At the end of the text a number may be incomplete: 1.5e3 is 1.5 up to the e.
            is_whole = self._text[end : end + 1] not in _NUMBER_CHARACTERS
            if is_whole or not self._read_more():
                self._position += self.length
                return value

    def _read_more(self) -> bool:
        rest = self._text[self._position :]
        if len(rest) > MAX_VALUE_LENGTH:
            raise ValueError("a value that is too long")
        # Twice as much each time: an incomplete value is decoded anew.
        chunk = self._content.read(max(CHUNK, len(rest)))
        self._text = rest + self._decoder.decode(chunk, final=not chunk)
        self._position = 0
        return bool(chunk)
