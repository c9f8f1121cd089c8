"""Cases of the rule "Which value counts" of transform/README.md, one table for the page and dbt."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tests.support.duckdb_fixture import PM25, RECENT, REPORT, START

READY: Final = "calibrated-ready"
PROCESSING: Final = "calibration-processing"


class Reading(NamedTuple):
    """What a table holds of a measurement."""

    value: float | None
    raw: float | None
    status: str | None
    qc_assessment: str = "valid"

    def row(self, datasource_id: str) -> dict[str, Any]:
        return {
            "org": "org1",
            "datasource_id": datasource_id,
            "output_frequency": "hour",
            "metric": PM25,
            "time": START,
            **self._asdict(),
        }


class Case(NamedTuple):
    """What both tables hold of one measurement, and which of the two rows counts."""

    name: str
    report: Reading | None
    recent: Reading | None
    expected_stream: str
    expected: Reading


CASES: Final = (
    Case(
        name="only_in_the_report",
        report=Reading(2.0, 2.5, READY),
        recent=None,
        expected_stream=REPORT,
        expected=Reading(2.0, 2.5, READY),
    ),
    Case(
        name="only_in_the_cache",
        report=None,
        recent=Reading(1.0, 1.5, READY),
        expected_stream=RECENT,
        expected=Reading(1.0, 1.5, READY),
    ),
    Case(
        name="calibrated_in_both",
        report=Reading(2.0, 2.5, READY),
        recent=Reading(1.0, 1.5, READY, "invalid"),
        expected_stream=REPORT,
        expected=Reading(2.0, 2.5, READY),
    ),
    Case(
        name="revoked_by_the_report",
        report=Reading(None, 2.5, "calibration-missing"),
        recent=Reading(1.0, 1.5, READY),
        expected_stream=REPORT,
        expected=Reading(None, 2.5, "calibration-missing"),
    ),
    Case(
        name="calibration_failed_in_the_report",
        report=Reading(None, 2.5, "calibration-error"),
        recent=Reading(1.0, 1.5, READY),
        expected_stream=REPORT,
        expected=Reading(None, 2.5, "calibration-error"),
    ),
    Case(
        name="without_status_in_the_report",
        report=Reading(None, 2.5, None),
        recent=Reading(1.0, 1.5, READY),
        expected_stream=REPORT,
        expected=Reading(None, 2.5, None),
    ),
    Case(
        name="processing_in_the_report",
        report=Reading(None, 2.5, PROCESSING),
        recent=Reading(1.0, 1.5, READY),
        expected_stream=RECENT,
        expected=Reading(1.0, 1.5, READY),
    ),
    Case(
        name="processing_in_the_report_and_zero_in_the_cache",
        report=Reading(None, 2.5, PROCESSING),
        recent=Reading(0.0, 1.5, READY),
        expected_stream=RECENT,
        expected=Reading(0.0, 1.5, READY),
    ),
    Case(
        name="processing_in_the_report_and_invalid_in_the_cache",
        report=Reading(None, 2.5, PROCESSING),
        recent=Reading(1.0, 1.5, READY, "invalid"),
        expected_stream=RECENT,
        expected=Reading(1.0, 1.5, READY, "invalid"),
    ),
    Case(
        name="processing_in_the_report_despite_a_value",
        report=Reading(2.0, 2.5, PROCESSING),
        recent=Reading(1.0, 1.5, READY),
        expected_stream=RECENT,
        expected=Reading(1.0, 1.5, READY),
    ),
    Case(
        name="processing_in_the_report_and_not_in_the_cache",
        report=Reading(None, 2.5, PROCESSING),
        recent=None,
        expected_stream=REPORT,
        expected=Reading(None, 2.5, PROCESSING),
    ),
    Case(
        name="processing_in_both",
        report=Reading(None, 2.5, PROCESSING),
        recent=Reading(None, 1.5, PROCESSING),
        expected_stream=REPORT,
        expected=Reading(None, 2.5, PROCESSING),
    ),
    Case(
        name="processing_in_the_cache",
        report=Reading(2.0, 2.5, READY),
        recent=Reading(None, 1.5, PROCESSING),
        expected_stream=REPORT,
        expected=Reading(2.0, 2.5, READY),
    ),
)

REPORT_ROWS: Final = [case.report.row(case.name) for case in CASES if case.report]
RECENT_ROWS: Final = [case.recent.row(case.name) for case in CASES if case.recent]
EXPECTED_ROWS: Final = [
    case.expected.row(case.name) | {"stream": case.expected_stream} for case in CASES
]
