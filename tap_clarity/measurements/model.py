"""A measurement, between the bytes of a response and the record."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.core.validators import is_storable_text

if TYPE_CHECKING:
    from datetime import datetime

    from tap_clarity.core.frequencies import Frequency
    from tap_clarity.core.timestamps import Window

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
EXACT_INTEGER = 2**53
MAX_WORD_LENGTH = 200
"""Characters; real ids, types and statuses have up to thirty."""
MISSING = {"", "nan", "null", "none", "na", "n/a", "-"}
"""What stands for a missing cell, in lower case."""
_MAX_MISSING_LENGTH = 100
"""Characters, blanks included."""
PARSE_ERRORS = (ValueError, OverflowError, RecursionError)
"""What parsing corrupt content can raise: dates out of range, unlimited nesting."""


class UnreadableError(ValueError):
    """A response or file that is not what was requested; the message says where and what."""


class Expected(NamedTuple):
    """What a response or file has to contain.

    Attributes:
        id_field: Name of the record's first key after `org`: `datasource_id`, `node_id` or
            `reference_site_id`.
        frequency: The output frequency that was requested.
        window: The requested time range; None if the response has none.
        may_be_blank: Whether content without any measurement may lack a header, too.
    """

    id_field: str
    frequency: Frequency
    window: Window | None = None
    may_be_blank: bool = False

    def allows_frequency(self, text: str) -> bool:
        """Whether a row's output frequency is the requested one, or missing."""
        return is_missing(text) or text.strip().lower() == self.frequency.name


class Reading(NamedTuple):
    """One metric at one time; None for what is missing."""

    metric: str
    raw: float | None
    value: float | None
    status: str | None
    qc_assessment: str | None
    qc_flags: list[str] | None

    @property
    def exists(self) -> bool:
        """Whether there is a measurement at all; a revoked one keeps its status."""
        return not (self.raw is None and self.value is None and self.status is None)


class Measurement(NamedTuple):
    """All readings of one datasource, node or reference site at one time."""

    id: str
    source_id: str | None
    source_type: str | None
    time: datetime
    period_end: datetime | None
    latitude: float | None
    longitude: float | None
    readings: list[Reading]


def read_text(text: str) -> str:
    """Return a text as it is.

    Raises:
        ValueError: If databases cannot store it: it has a NUL, or half of a surrogate pair.
    """
    if not is_storable_text(text):
        raise ValueError("not a text: it holds a NUL or half a character")
    return text


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value: it is blank, or a usual word for missing."""
    return not text or (len(text) <= _MAX_MISSING_LENGTH and text.strip().lower() in MISSING)


def read_word(text: str) -> str | None:
    """Return an id, a type or a status; None if it is missing.

    Raises:
        ValueError: If it exceeds the limit: many records, and the memory, would repeat it.
    """
    if len(text) > MAX_WORD_LENGTH:
        raise ValueError("an id or a word that is too long")
    return None if is_missing(text) else read_text(text)


def read_number(text: str) -> float | None:
    """Read a number as files write it: `13.90`, `007`, `.5`, `1e5`; None if it is missing.

    Raises:
        ValueError: If it is none, or too large for a double: inf is no measurement.
    """
    if not text:
        return None
    if not NUMBER.fullmatch(text):
        if is_missing(text):
            return None
        raise ValueError("not a number")
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number beyond double precision")
    whole = "." not in text and number.is_integer() and abs(number) < EXACT_INTEGER
    return int(number) if whole else number
