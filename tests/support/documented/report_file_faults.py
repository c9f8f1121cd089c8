"""Faults in the files of a report, what the tap logs for each, and the page docs/report-faults.md.

tests/integration/reports/test_report_files.py injects each of them; `python -m tools.generate_docs`
writes the page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Fault:
    """One way in which a file can be wrong.

    Attributes:
        name: What is wrong, for the page.
        order: The sandbox's fault.
        says: What the tap says of it, behind the report's id and window and the file's number.
            N is the number of the row that is struck, "…" can be anything.
        sandbox: How the sandbox has to be, if not as usual.
        settings: How the tap has to be, if not as usual.
    """

    name: str
    order: dict[str, Any]
    message: str
    sandbox: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


PLAIN = {"gzip": "none"}
PARQUET = {"report_file_format": "parquet"}
CORRUPT_DOWNLOAD = "file download: the reply is cut or damaged"

FAULTS = (
    Fault("the connection is dropped", {"kind": "drop"}, "the connection was dropped"),
    Fault("it is dropped half-way", {"kind": "cut"}, "the connection was dropped"),
    Fault(
        "the server falls silent",
        {"kind": "stall-inside", "seconds": 3},
        "no answer within the setting request_timeout",
        settings={"request_timeout": 1},
    ),
    Fault(
        "the server has a fault",
        {"kind": "status", "status": 503},
        "Clarity has a fault of its own (HTTP 503, 'Service Unavailable')",
    ),
    Fault(
        "the link has expired",
        {"kind": "expired-link"},
        "file download: its link is refused; perhaps it has expired (HTTP 403, 'AccessDenied')",
    ),
    Fault(
        "the file is not there",
        {"kind": "status", "status": 404, "body": "<Error><Code>NoSuchKey</Code></Error>"},
        "file download: its link is refused; perhaps it has expired (HTTP 404, 'NoSuchKey')",
    ),
    Fault("a web page comes instead", {"kind": "html"}, "it is an HTML or XML page"),
    Fault("noise comes instead", {"kind": "garbage"}, "not a CSV file of measurements"),
    Fault("it is shorter than announced", {"kind": "truncate-lying"}, "the connection was dropped"),
    Fault("gzip, cut, its length right", {"kind": "cut-gzip"}, CORRUPT_DOWNLOAD),
    Fault("gzip, one byte changed", {"kind": "flip-byte"}, CORRUPT_DOWNLOAD),
    Fault(
        "uncompressed, cut within a row",
        {"kind": "truncate"},
        "row …: … cells where the header has …",
        PLAIN,
    ),
    Fault(
        "Parquet, cut",
        {"kind": "truncate"},
        "the Parquet file is cut or damaged",
        settings=PARQUET,
    ),
    Fault("a row lacks a cell", {"kind": "row-width"}, "row N: … cells where the header has …"),
    Fault("a number is none", {"kind": "row-not-a-number"}, "row N: …: not a number"),
)
IF_ONE_OFF = "fetched again, exit 0"
IF_PERSISTENT = "exit 1, the window stays open"


def page() -> str:
    rows = (
        f"| {fault.name} | {IF_ONE_OFF} | {IF_PERSISTENT} | {fault.message} |" for fault in FAULTS
    )
    return f"""\
# When a report's file is bad

<!-- Written by `python -m tools.generate_docs` from the table that the tests go by. -->

Files are validated before any record is written: the download is complete, the gzip trailer and the
header are right. Each row is validated before it is written: its width, its numbers, its id and its
time. A window is closed after the last row of the last file. So no fault closes half a window, and
none costs a second report.

These are no faults; the tap writes the rows and logs one warning per file:

- Rows that repeat the id and time of an earlier row. The last one wins in a target that upserts.
- Rows outside the requested window.

Rows may come in any order.

| Fault | If it passes | If it stays | The tap says |
|---|---|---|---|
{chr(10).join(rows)}

N is the number of the row, the header counted.

If it passes: a broken transfer is tried again by the same link for some minutes, everything else at
once by a fresh link, three times in all. Then all rows of the report are written again; a target
that upserts holds each once.

If it stays: the run ends with status 1, and one line names report, file and row. The other reports
are read. The window stays open, and the next run downloads the report again. If its files are
unusable in two runs, the tap requests another report. If that fails too, [the window is
retried](unknowns.md#the-life-of-a-report-window) at growing intervals: show Clarity's support the
line.

Nobody can notice that an uncompressed file has been cut exactly between two rows, if the announced
length is cut as well. Clarity sends gzip, which ends with a checksum.
"""
