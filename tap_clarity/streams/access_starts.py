"""From when on the measurements of datasources may be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_clarity.core.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime


class AccessStarts:
    """Collects from when on measurements may be read: the details stream adds, reports read."""

    def __init__(self) -> None:
        self._starts: dict[str, datetime | None] = {}

    def add(self, details: Mapping[str, Any]) -> None:
        """Add a record of `datasource_details`."""
        starts = [each.get("access_start") for each in details["access_to_measurements"] or []]
        known = [parse_timestamp(start) for start in starts if start]
        # Without a period, or with one of unknown start, measurements may begin anywhere.
        first = min(known, default=None) if len(known) == len(starts) else None
        self._starts[details["datasource_id"]] = first

    @property
    def is_empty(self) -> bool:
        """Whether no details were read in this run."""
        return not self._starts

    def earliest(self, datasource_ids: Iterable[str]) -> datetime | None:
        """Give the earliest start of these datasources; None unless all of them are known."""
        starts = [self._starts.get(id_) for id_ in datasource_ids]
        known = [start for start in starts if start]
        return min(known, default=None) if len(known) == len(starts) else None
