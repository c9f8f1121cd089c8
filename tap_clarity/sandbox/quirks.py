"""The places where Clarity's documentation, examples and real answers disagree, as switches.

Off, the sandbox follows what was seen in real answers; on, it does the other thing. Some change
what is said and not only how: the truth follows those (6, 7, 10, 11, 18, 22, 25).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

ALL: Final = "all"


class Quirk(Enum):
    """One disagreement: its number, and what the sandbox does when it is on."""

    SINGULAR_POLL_PATH = 1, "reports are polled at /report-request/ID only, with or without /v2"
    UNDERSCORE_REPORT_KIND = 2, "reference-site_measurements is accepted and echoed so"
    FILE_FORMAT_KEY = 3, "the echo says fileFormat: csv, and Parquet comes under a .csv.gz name"
    COLUMN_LABEL_STYLE_KEY = 4, "the echo says columnLabelStyle"
    PSEUDO_JSON_EXAMPLES = 5, "nothing: broken JSON stands only in the guide (fault: garbage)"
    PRIMARY_SHADOW_TYPES = 6, "subscriptionType is primary or shadow for licensed or shared"
    BARE_HISTORIES = 7, "history items lack org, and attachments have no history"
    SWAPPED_SHAPES = 8, "openData and listed orgAnnotations are arrays; details are not wrapped"
    WRAPPED_NODES = 9, "one node comes as a bare object, several under the key nodes"
    OLD_STATUS_SUMMARY = 10, "batteryCharge and alarm are the names; categories change order"
    OLD_NODE_STATUS = 11, "received and startOfOldest are the names; buckets run backwards"
    SHORT_QC_NAME = 12, "qcAssessment is called qc in answers and files"
    NESTED_JSON_LONG = 13, "json-long rows hold an object under the metric's name"
    DEFAULT_FREQUENCY = 14, "a request without outputFrequency means minute"
    FULL_CACHE_UNASKED = 15, "without startTime the whole cache is answered"
    REVERSED_ORDER = 16, "recent measurements are oldest first, reports newest first"
    OTHER_MESSAGES = 17, "reports say in-progress, then nothing; errors say Code and Message"
    UNLISTED_STATUSES = 18, "statuses appear that nobody has listed"
    SWAPPED_COLUMNS = 19, "periods and sources stand in json-long; aggregated CSV has time alone"
    PADDED_JSON_LONG = 20, "json-long has null rows for what a device lacks; CSV drops columns"
    DOCUMENTED_LABELS = 21, "english labels read as in the guide, the node's column included"
    NOWCAST_CASING = 22, "metric names say NowCast"
    EMPTY_OR_MISSING = 23, "locations is [] when nothing came; urls is missing while building"
    PADDED_NUMBERS = 24, "CSV has at least two decimals, and eight for coordinates"
    ODD_NODE_IDS = 25, "the ids of some nodes begin with S"

    def __init__(self, number: int, says: str) -> None:
        self.number = number
        self.says = says

    @property
    def label(self) -> str:
        """The name on the command line."""
        return self.name.lower().replace("_", "-")


def named(labels: Iterable[str]) -> frozenset[Quirk]:
    """Find quirks by their labels; `all` means every one."""
    known = {quirk.label: quirk for quirk in Quirk}
    chosen = set(labels)
    if unknown := chosen - known.keys() - {ALL}:
        message = f"no such quirk: {', '.join(sorted(unknown))}"
        raise ValueError(message)
    return frozenset(Quirk if ALL in chosen else (known[label] for label in chosen))


class Switches:
    """The quirks that are on; each answer looks once."""

    def __init__(self, labels: Iterable[str] = ()) -> None:
        self.current = named(labels)

    def turn_on(self, *labels: str) -> None:
        self.current |= named(labels)

    def turn_off(self, *labels: str) -> None:
        self.current -= named(labels)
