"""Redacts secrets from texts that came from a server, and from all that is logged."""

from __future__ import annotations

import html
import logging
import re
from bisect import bisect_left
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

REDACTED = "***"
MIN_LENGTH = 8
"""Characters that a token has at least."""
SEED_LENGTH = 12
"""Characters by which a secret is recognized: a server may have truncated it.

What is shorter may be an id or a word: it is no secret of a link, and stays in the log.
"""
MAX_SECRETS = 10_000
"""In one run; a server that sends more of them exposes its own."""
MAX_SECRET_LENGTH = 1_000
MAX_TEXT_LENGTH = 1 << 14
"""Characters that are looked at of a text from a server; a message quotes far fewer."""

_CHARACTER = re.compile(
    r"%(?:25)*([0-9a-f]{2})|\\{1,7}u00([0-9a-f]{2})|\\{1,7}([^\s\\])|(&#?\w{1,8};)|(.)",
    re.IGNORECASE | re.DOTALL,
)
"""One character, as it is or escaped: for an address, more than once too, for JSON, for HTML."""
_LINK = re.compile(
    r"(https?)(?::|%3a)(?:\\*/|%2f){2}(?:[^\s/?#\"<>]*@)?([\w.:\[\]-]*)[^\s\"<>]*"
    r"|\?[^\s=?]+=\S*",
    re.IGNORECASE,
)
"""An address, or the query of one."""
_REST = re.compile(r"[\w%+/=.~\\-]*")
"""The rest of a text that begins like a secret."""
_TIMESTAMP = re.compile(r"\d{4}-?\d\d-?\d\d([t+][\d:.]+(z|[+-][\d:]+)?)?")
_FOLD = str.maketrans(f"{ascii_uppercase} ", f"{ascii_lowercase}+")
"""Capitals count for nothing, nor whether a blank is sent as `+`."""


class Redactor(logging.Filter):
    """The secrets of a run: the API key, and all tokens and links that were sent or received."""

    def __init__(self, key: str = "") -> None:
        super().__init__()
        self._key = _decode(key)[0]
        self._secrets = {self._key[:SEED_LENGTH]: self._key} if key else {}
        lengths = {min(len(self._key), SEED_LENGTH), *range(MIN_LENGTH, SEED_LENGTH + 1)}
        self._seed_lengths = sorted(lengths, reverse=True)

    def add(self, secret: str, min_length: int = MIN_LENGTH) -> None:
        """Add a token, or a value of a link; what is short or a timestamp is no secret."""
        if len(self._secrets) >= MAX_SECRETS:
            return
        secret = secret[:MAX_SECRET_LENGTH]
        for text in (_decode(secret)[0], secret.translate(_FOLD)):
            if len(text) >= min_length and not _TIMESTAMP.fullmatch(text):
                self._secrets.setdefault(text[:SEED_LENGTH], text)

    def add_link(self, link: str) -> None:
        """Add what a signed link has in its query."""
        for part in re.split("[&;#]", link.partition("?")[2]):
            name, equals, value = part.partition("=")
            self.add(value if equals else name, SEED_LENGTH)

    def add_links(self, text: str) -> None:
        """Add the links in a text."""
        for match in _LINK.finditer(text):
            self.add_link(match[0])

    def is_name(self, text: str) -> bool:
        """Whether a text may name something: it has neither the API key nor a link in it."""
        return not (self._key and self._key in _decode(text)[0]) and not _LINK.search(text)

    def redact(self, text: str) -> str:
        """Redact secrets, and all but the hosts of links, in a text from a server."""
        text = text[:MAX_TEXT_LENGTH]
        self.add_links(text)
        return self._replace(_LINK.sub(_host, text), self._seed_lengths)

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact secrets in what is logged, traceback included."""
        message = record.getMessage()
        if (redacted := self._replace(message, [SEED_LENGTH])) != message:
            record.msg, record.args = redacted, None
        if record.exc_info:
            traceback = logging.Formatter().formatException(record.exc_info)
            if (redacted := self._replace(traceback, [SEED_LENGTH])) != traceback:
                record.exc_info, record.exc_text = None, redacted
        return True

    def install(self) -> None:
        """Filter all that this process logs, in place of the redactor of an earlier run.

        The handlers get the filter: that of a logger does not see what its children log, and
        streams, the SDK and other libraries have loggers of their own.
        """
        for logger in (logging.root, *logging.root.manager.loggerDict.values()):
            for handler in getattr(logger, "handlers", ()):
                for former in [each for each in handler.filters if isinstance(each, Redactor)]:
                    handler.removeFilter(former)
                handler.addFilter(self)

    def _replace(self, text: str, lengths: Sequence[int]) -> str:
        if any(sign in text for sign in "%\\&"):
            text = self._replace_in(text, *_decode(text), lengths)
        return self._replace_in(text, text.translate(_FOLD), range(len(text) + 1), lengths)

    def _replace_in(
        self, text: str, plain: str, offsets: Sequence[int], lengths: Sequence[int]
    ) -> str:
        parts, end, at = list[str](), 0, 0
        while at < len(plain):
            if length := self._match(plain, at, lengths):
                parts += [text[end : offsets[at]], REDACTED]
                end = offsets[at + length]
                if length >= SEED_LENGTH and (rest := _REST.match(text, end)):
                    end = rest.end()
                at = max(at + length, bisect_left(offsets, end))
            else:
                at += 1
        return "".join([*parts, text[end:]])

    def _match(self, plain: str, at: int, lengths: Sequence[int]) -> int:
        """Give how many characters from here on are those of a secret."""
        for length in lengths:
            if secret := self._secrets.get(plain[at : at + length]):
                found = plain[at : at + len(secret)]
                pairs = enumerate(zip(secret, found, strict=False))
                return next((n for n, (one, other) in pairs if one != other), len(found))
        return 0


def _decode(text: str) -> tuple[str, list[int]]:
    """Undo escapes and capitals; give where in the text each character begins, and its end."""
    characters, offsets = list[str](), list[int]()
    for match in _CHARACTER.finditer(text):
        by_code = match[1] or match[2]
        found = chr(int(by_code, 16)) if by_code else match[3] or match[5]
        for character in found or html.unescape(match[4]):
            characters.append(character)
            offsets.append(match.start())
    return "".join(characters).translate(_FOLD), [*offsets, len(text)]


def _host(match: re.Match[str]) -> str:
    return f"{match[1]}://{match[2]}/{REDACTED}" if match[1] else f"?{REDACTED}"
