"""Parameters of quirks: the numbers and words that some need, `NAME=VALUE` on the command line."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Self, get_type_hints

from tap_clarity.sandbox.core.timestamps import to_millis


def _parameter(default: Any, meaning: str) -> Any:  # noqa: ANN401 - any field's default
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The values of all parameters; the metadata of a field says what it is for."""

    data_from: str = _parameter("", "measurements begin here (ISO time); nothing is older")
    report_end_status: str = _parameter("cancelled", "word of other-end-status")
    no_urls_as: str = _parameter("missing", "URLs that are not there: missing, list, null or text")
    polls_without_urls: int = _parameter(2, "replies of no-urls-at-first")
    blank_file_as: str = _parameter("nothing", "blank file: nothing, newline, quotes or id-column")
    report_kept_hours: float = _parameter(6.0, "hours from the request, of forgotten-reports")
    file_kept_hours: float = _parameter(1.0, "hours from completion, of purged-files")
    purged_status: int = _parameter(403, "status of purged-files: 403 or 404")
    retention_days: float = _parameter(90.0, "days before the request, of clipped-start")
    max_range_days: float = _parameter(7.0, "days of clipped-range")
    range_cut_at: str = _parameter("end", "side that clipped-range cuts off: end or start")
    poll_refusal: int = _parameter(403, "status of refused poll paths: 400, 403, 404 or 405")
    quota_hour: float = _parameter(7.0, "hour UTC of quota-day-shifted")
    requests_by_others: int = _parameter(20, "reports a day of shared-quota")
    missing_word: str = _parameter("NaN", "missing cells: NaN, null, None, - or any text")
    empty_reply_as: str = _parameter(
        "nothing", "empty reply: nothing, no-content (204), newline, list, object or null-data"
    )
    token_hours: float = _parameter(6.0, "hours of short-tokens")
    id_refusal: int = _parameter(403, "status for ids that are rejected: 400 or 403")
    rejected_ids: str = _parameter("", "ids, separated by commas, that requests may not name")
    page_size: int = _parameter(5, "objects per page of metadata lists")

    def __post_init__(self) -> None:
        if self.data_from:
            to_millis(self.data_from)
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                message = f"{name} must be one of {', '.join(map(str, choices))}"
                raise ValueError(message)

    @property
    def data_start(self) -> int | None:
        """The time at which measurements begin, if `data_from` sets one."""
        return to_millis(self.data_from) if self.data_from else None

    @property
    def rejected_id_set(self) -> frozenset[str]:
        """The ids of `rejected_ids`."""
        return frozenset(filter(None, self.rejected_ids.split(",")))

    def with_values(self, given: dict[str, Any]) -> Self:
        """Return a copy with other values; texts are converted to the field's type."""
        types = get_type_hints(type(self))
        if unknown := given.keys() - types.keys():
            message = f"no such parameter: {', '.join(sorted(unknown))}"
            raise ValueError(message)
        return replace(self, **{name: types[name](value) for name, value in given.items()})


CHOICES: Final[dict[str, tuple[object, ...]]] = {
    "no_urls_as": ("missing", "list", "null", "text"),
    "blank_file_as": ("nothing", "newline", "quotes", "id-column"),
    "empty_reply_as": ("nothing", "no-content", "newline", "list", "object", "null-data"),
    "id_refusal": (400, 403),
    "purged_status": (403, 404),
    "range_cut_at": ("end", "start"),
    "poll_refusal": (400, 403, 404, 405),
}
MEANINGS: Final[dict[str, str]] = {
    each.name: each.metadata["meaning"] for each in fields(Parameters)
}
