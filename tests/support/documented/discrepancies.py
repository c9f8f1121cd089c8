"""How the tap handles each place where Clarity's documentation is inconsistent.

`python -m tools.generate_docs` writes it into docs/discrepancies.md.
tests/integration/faults/test_discrepancies.py switches on each quirk, and all at once, and compares
every record with the expected data.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from tap_clarity.sandbox.behavior.parameters import MEANINGS, Parameters
from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.testing.faults import KINDS, UNKNOWN_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

TAP_BEHAVIOR = {
    Quirk.SINGULAR_POLL_PATH: "polls at /v2/report-requests/ID and, if that is not found, at "
    "/v2/report-request/ID",
    Quirk.UNDERSCORE_REPORT_KIND: "asks for reference-site-measurements, and reads no kind from "
    "answers",
    Quirk.FILE_FORMAT_KEY: "asks for Parquet under both keys, and tells by a file's first bytes "
    "what it is",
    Quirk.COLUMN_LABEL_STYLE_KEY: "does not read the echo; the header says what the columns are",
    Quirk.PSEUDO_JSON_EXAMPLES: "treats what is not JSON as a fault: tries again, then says so",
    Quirk.PRIMARY_SHADOW_TYPES: "passes the type on as sent, and expects no list of them",
    Quirk.BARE_HISTORIES: "leaves null what is not sent",
    Quirk.SWAPPED_SHAPES: "takes a list of one for an object and an object for a list of one, and "
    "details with or without a wrapper",
    Quirk.WRAPPED_NODES: "takes a list, an object around a list, and a single object",
    Quirk.OLD_STATUS_SUMMARY: "knows both names, and gives the fields the present ones; relies on "
    "no order",
    Quirk.OLD_NODE_STATUS: "knows both names, and gives the fields the present ones; buckets are "
    "passed on in the order sent, which the description says",
    Quirk.SHORT_QC_NAME: "reads both names into qc_assessment",
    Quirk.NESTED_JSON_LONG: "reads flat and nested rows",
    Quirk.DEFAULT_FREQUENCY: "always sends outputFrequency, and refuses rows of another one",
    Quirk.FULL_CACHE_UNASKED: "always sends startTime",
    Quirk.REVERSED_ORDER: "relies on no order",
    Quirk.OTHER_MESSAGES: "goes by reportStatus and the HTTP status; quotes message, Message or "
    "Code, text or list",
    Quirk.UNLISTED_STATUSES: "passes the status on as sent, and expects no list of them",
    Quirk.SWAPPED_COLUMNS: "takes time or startOfPeriod; works out a period_end that is not sent; "
    "leaves a source null that is not sent",
    Quirk.PADDED_JSON_LONG: "makes no record of a metric without raw, value and status, and needs "
    "no column but those of id and time",
    Quirk.DOCUMENTED_LABELS: "requests canonical labels; reads English ones in both spellings",
    Quirk.NOWCAST_CASING: "reads the name in any case, and writes the canonical one",
    Quirk.EMPTY_OR_MISSING: "takes both for empty; a succeeded report without links is polled "
    "again before it counts as empty",
    Quirk.PADDED_NUMBERS: "reads numbers as numbers",
    Quirk.ODD_NODE_IDS: "takes no meaning from an id",
}


JSON_QUIRKS = (
    *(Quirk.SHORT_QC_NAME, Quirk.NESTED_JSON_LONG, Quirk.REVERSED_ORDER, Quirk.UNLISTED_STATUSES),
    *(Quirk.SWAPPED_COLUMNS, Quirk.PADDED_JSON_LONG, Quirk.NOWCAST_CASING, Quirk.EMPTY_OR_MISSING),
)
"""Those that show, or show too, in a recent answer in JSON; the tap asks for CSV."""


def discrepancy_rows() -> Iterator[tuple[str, ...]]:
    """Give the page's table."""
    for quirk in Quirk:
        yield (
            str(quirk.number),
            f"`{quirk.label}`",
            quirk.description,
            TAP_BEHAVIOR[quirk],
            _shown_by(quirk),
        )


def quirk_rows() -> Iterator[tuple[str, ...]]:
    """Give the table of the numbered quirks for docs/sandbox.md."""
    for quirk in Quirk:
        yield str(quirk.number), f"`{quirk.label}`", quirk.evidence, quirk.description


def unknown_rows() -> Iterator[tuple[str, ...]]:
    """Give the table of the behaviours that the documentation leaves open."""
    for unknown in Unknown:
        yield f"`{unknown.label}`", unknown.evidence, unknown.description


def parameter_rows() -> Iterator[tuple[str, ...]]:
    defaults = asdict(Parameters())
    for name, meaning in MEANINGS.items():
        yield f"`{name}`", str(defaults[name] or ""), meaning


def fault_rows() -> Iterator[tuple[str, ...]]:
    for name, kind in (KINDS | UNKNOWN_KINDS).items():
        yield f"`{name}`", kind.evidence, kind.description


def _shown_by(quirk: Quirk) -> str:
    if quirk is Quirk.PSEUDO_JSON_EXAMPLES:
        return "[faults](faults.md)"
    if quirk is Quirk.FILE_FORMAT_KEY:
        return "all streams, Parquet"
    return "all streams, JSON" if quirk in JSON_QUIRKS else "all streams"
