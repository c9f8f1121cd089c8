"""Quirks: where Clarity's documentation, examples and real responses disagree, as switches.

Off, the emulator follows what was seen in real responses; on, it does the other thing. Some change
the content and not only the form: the expected data follows those (6, 7, 10, 11, 18, 22, 25).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.behavior.parameters import Parameters
from tap_clarity.sandbox.behavior.unknowns import UNKNOWNS, Evidence, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ALL: Final = "all"


class Quirk(Enum):
    """One disagreement: its number, where the behaviour is known from, and what it is."""

    SINGULAR_POLL_PATH = (
        1,
        "documented",
        "reports are polled at /report-request/ID only, with or without /v2",
    )
    UNDERSCORE_REPORT_KIND = (
        2,
        "documented",
        "reference-site_measurements is accepted and echoed so",
    )
    FILE_FORMAT_KEY = (
        3,
        "documented",
        "the echo says fileFormat: csv, and Parquet comes under a .csv.gz name",
    )
    COLUMN_LABEL_STYLE_KEY = 4, "documented", "the echo says columnLabelStyle"
    PSEUDO_JSON_EXAMPLES = (
        5,
        "documented",
        "nothing: broken JSON stands only in the guide (fault: garbage)",
    )
    PRIMARY_SHADOW_TYPES = (
        6,
        "documented",
        "subscriptionType is primary or shadow for licensed or shared",
    )
    BARE_HISTORIES = 7, "documented", "history items lack org, and attachments have no history"
    SWAPPED_SHAPES = (
        8,
        "documented",
        "openData and listed orgAnnotations are arrays; details are not wrapped",
    )
    WRAPPED_NODES = 9, "documented", "one node comes as a bare object, several under the key nodes"
    OLD_STATUS_SUMMARY = (
        10,
        "documented",
        "batteryCharge and alarm are the names; categories change order",
    )
    OLD_NODE_STATUS = (
        11,
        "documented",
        "received and startOfOldest are the names; buckets run backwards",
    )
    SHORT_QC_NAME = 12, "documented", "qcAssessment is called qc in answers and files"
    NESTED_JSON_LONG = 13, "documented", "json-long rows hold an object under the metric's name"
    DEFAULT_FREQUENCY = 14, "documented", "a request without outputFrequency means minute"
    FULL_CACHE_UNASKED = 15, "documented", "without startTime the whole cache is answered"
    REVERSED_ORDER = 16, "invented", "recent measurements are oldest first, reports newest first"
    OTHER_MESSAGES = (
        17,
        "documented",
        "reports say in-progress, then nothing; errors say Code and Message",
    )
    UNLISTED_STATUSES = 18, "invented", "statuses appear that nobody has listed"
    SWAPPED_COLUMNS = (
        19,
        "invented",
        "periods and sources stand in json-long; aggregated CSV has time alone",
    )
    PADDED_JSON_LONG = (
        20,
        "invented",
        "json-long has null rows for what a device lacks; CSV drops columns",
    )
    DOCUMENTED_LABELS = (
        21,
        "documented",
        "english labels read as in the guide, the node's column included",
    )
    NOWCAST_CASING = 22, "seen", "metric names say NowCast"
    EMPTY_OR_MISSING = (
        23,
        "seen",
        "locations is [] when nothing came; urls is missing while building",
    )
    PADDED_NUMBERS = 24, "seen", "CSV has at least two decimals, and eight for coordinates"
    ODD_NODE_IDS = 25, "documented", "the ids of some nodes begin with S"

    def __init__(self, number: int, evidence: Evidence, description: str) -> None:
        self.number = number
        self.evidence = evidence
        self.description = description

    @property
    def label(self) -> str:
        """The name on the command line."""
        return self.name.lower().replace("_", "-")


Switch = Quirk | Unknown
Quirks = frozenset[Switch]

SWITCHES: Final[tuple[Switch, ...]] = (*Quirk, *Unknown)
_COLLECTIONS: Final[dict[str, Quirks]] = {ALL: frozenset(Quirk), UNKNOWNS: frozenset(Unknown)}
LABELS: Final = (*_COLLECTIONS, *(each.label for each in SWITCHES))


def find_switches(labels: Iterable[str]) -> Quirks:
    """Return switches by their labels; `all` means the numbered ones, `unknowns` the others."""
    known = {each.label: frozenset({each}) for each in SWITCHES} | _COLLECTIONS
    chosen = set(labels)
    if unknown := chosen - known.keys():
        message = f"no such quirk: {', '.join(sorted(unknown))}"
        raise ValueError(message)
    return frozenset[Switch]().union(*(known[label] for label in chosen))


class Switches:
    """The quirks that are on, and their parameters; responses read them when they begin."""

    def __init__(
        self, labels: Iterable[str] = (), parameters: Mapping[str, Any] | None = None
    ) -> None:
        self.quirks = find_switches(labels)
        self.parameters = Parameters().with_values(dict(parameters or {}))

    def turn_on(self, *labels: str) -> None:
        self.quirks |= find_switches(labels)

    def turn_off(self, *labels: str) -> None:
        self.quirks -= find_switches(labels)

    def set(self, **parameters: Any) -> None:  # noqa: ANN401 - a parameter's own type
        """Change parameters, such as `retention_days=30`."""
        self.parameters = self.parameters.with_values(parameters)
