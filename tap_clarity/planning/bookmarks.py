"""Typed views of the streams' states.

Meltano merges states deeply and never deletes a key. So every key is always written, a cleared
value is null, and collections are lists. Whatever cannot be read raises ValueError: the stream then
starts afresh and says so.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from tap_clarity.instants import Window, parse_instant
from tap_clarity.planning.quota import Spent
from tap_clarity.planning.windows import merged
from tap_clarity.texts import is_id

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
LONG_AGO = datetime(2014, 1, 1, tzinfo=UTC)
# What the tap writes comes nowhere near these, and each STATE would repeat it.
LONGEST_TEXT = 1 << 16
MOST_ITEMS = 1000
T = TypeVar("T")
State = dict[str, Any]


def fingerprint(**query: Any) -> str:  # noqa: ANN401
    """Sum up a query: coverage and tokens belong to it, and end with it."""
    text = json.dumps(query, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(slots=True)
class RecentBookmark:
    """Where the recent measurements stand.

    Attributes:
        fingerprint: Of the query to which token and reports belong.
        datasources: Fingerprint of the organisation's list of datasources, as last seen.
        token: What continues after the last reply.
        issued_at: When that reply was asked for.
        covered_until: Up to when everything has been asked for.
        holes: What the cache no longer had when it was asked, and no report has filled yet.
        building: Ids and windows of the reports that Clarity is building, in order.
        spent: Report requests of the stream's last day.
    """

    fingerprint: str | None = None
    datasources: str | None = None
    token: str | None = None
    issued_at: datetime | None = None
    covered_until: datetime | None = None
    holes: list[Window] = field(default_factory=list)
    building: list[tuple[str, Window]] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> RecentBookmark:
        """Read a stream's state."""
        return cls(
            fingerprint=_optional(state, "fingerprint", str),
            datasources=_optional(state, "datasources", str),
            token=_optional(state, "continuation_token", str),
            issued_at=_recent_instant(state, "token_issued_at"),
            covered_until=_recent_instant(state, "covered_until"),
            holes=merged(map(_window, _list(state, "holes"))),
            building=_building(state),
            spent=_spent(state),
        )

    def to_state(self) -> State:
        """Write all keys of a stream's state."""
        return {
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "datasources": self.datasources,
            "continuation_token": self.token,
            "token_issued_at": _short(self.issued_at),
            "covered_until": _short(self.covered_until),
            "holes": [_pair(hole) for hole in self.holes],
            **_reports_to_state(self.building, self.spent),
        }


@dataclass(slots=True)
class ReportBookmark:
    """Where a report stream stands.

    Attributes:
        fingerprint: Of the query to which coverage and reports belong.
        start: First instant that the stream covers, where no setting says so.
        covered: What has been delivered.
        head_slot: The slot in which new data was last asked for.
        building: Ids and windows of the reports that Clarity is building, in order.
        spent: Report requests of the stream's last day.
    """

    fingerprint: str | None = None
    start: datetime | None = None
    covered: list[Window] = field(default_factory=list)
    head_slot: datetime | None = None
    building: list[tuple[str, Window]] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ReportBookmark:
        """Read a stream's state."""
        return cls(
            fingerprint=_optional(state, "fingerprint", str),
            start=_instant(state, "start_date"),
            covered=merged(map(_window, _list(state, "covered"))),
            head_slot=_instant(state, "head_slot"),
            building=_building(state),
            spent=_spent(state),
        )

    def to_state(self) -> State:
        """Write all keys of a stream's state."""
        return {
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "start_date": _short(self.start),
            "covered": [_pair(window) for window in self.covered],
            "head_slot": _short(self.head_slot),
            **_reports_to_state(self.building, self.spent),
        }


def _optional(state: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    value = state.get(name)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise ValueError(f"{name} is not a {kind.__name__}")
    most = LONGEST_TEXT if kind is str else MOST_ITEMS
    if isinstance(value, str | list) and len(value) > most:
        raise ValueError(f"{name} is too long")
    return value


def _list(state: Mapping[str, Any], name: str) -> list[Any]:
    return _optional(state, name, list) or []


def _instant(state: Mapping[str, Any], name: str) -> datetime | None:
    text = _optional(state, name, str)
    return parse_instant(text) if text else None


def _recent_instant(state: Mapping[str, Any], name: str) -> datetime | None:
    """Read when the tap has run: a junk year would make a hole of centuries."""
    instant = _instant(state, name)
    if instant and instant < LONG_AGO:
        raise ValueError(f"{name} is before Clarity's first node was made")
    return instant


def _window(value: Any) -> Window:  # noqa: ANN401
    match value:
        case [str(start), str(end)]:
            window = Window(parse_instant(start), parse_instant(end))
            if window.start < window.end:
                return window
    raise ValueError("a window is not a pair of instants, the earlier one first")


def _building(state: Mapping[str, Any]) -> list[tuple[str, Window]]:
    return [_report(item) for item in _list(state, "reports")]


def _spent(state: Mapping[str, Any]) -> Spent:
    day = _optional(state, "requests_on", str)
    requests = _optional(state, "requests", int) or 0
    if requests < 0:
        raise ValueError("requests is negative")
    return Spent(parse_instant(day).date() if day else None, requests)


def _reports_to_state(building: list[tuple[str, Window]], spent: Spent) -> State:
    return {
        "reports": [[id_, *_pair(window)] for id_, window in building],
        "requests_on": spent.day.isoformat() if spent.day else None,
        "requests": spent.requests,
    }


def _pair(window: Window) -> list[str | None]:
    return [_short(window.start), _short(window.end)]


def _report(value: Any) -> tuple[str, Window]:  # noqa: ANN401
    match value:
        case [id_, *ends] if is_id(id_):
            return id_, _window(ends)
    raise ValueError("a report is not an id with a window")


def _short(instant: datetime | None) -> str | None:
    """Write an instant as short as it is exact: states have to stay small."""
    if instant is None:
        return None
    whole = "minutes" if not (instant.second or instant.microsecond) else "milliseconds"
    return instant.isoformat(timespec=whole).replace("+00:00", "Z")
