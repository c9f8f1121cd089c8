"""What streams have in common to request reports and read their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tap_clarity.api.report_jobs import ReportJobs
from tap_clarity.api.report_sender import Lane
from tap_clarity.streams.measurements import measurement_query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_clarity.core.timestamps import Window
    from tap_clarity.streams.base import Record
    from tap_clarity.streams.context import RunContext
    from tap_clarity.streams.measurements import MeasurementStream
    from tap_clarity.streams.report_sources import Selector


def new_jobs(run: RunContext) -> ReportJobs[Record]:
    """Prepare to run report jobs."""
    settings = run.settings
    return ReportJobs(
        run.client,
        run.clock,
        run.wait_budget,
        lambda: run.quota.left,
        lambda: run.quota.places_left,
        concurrency=settings.report_concurrency,
        poll_interval=settings.report_poll_interval,
    )


def new_lane(
    stream: MeasurementStream, selector: Selector, windows: Sequence[Sequence[Window]]
) -> Lane[Record]:
    """Describe the jobs of a stream: the windows to request, by priority."""

    def open_file(body: BinaryIO, window: Window) -> Iterator[Record]:
        return stream.writer.write(stream.writer.open(body, window, may_be_blank=True))

    settings = stream.run.settings
    file_format = settings.report_file_format
    query = measurement_query(settings) | {
        "report": stream.report,
        "metricLabelStyle": "canonical",
        # The guide says fileFormat, the service was seen to echo format: which one counts, and
        # what the default is, is unknown.
        "fileFormat": file_format,
        "format": f"{file_format}-wide",
    }
    return Lane(
        journal=stream.journal,
        query=query,
        ids_field=selector.field,
        ids=stream.journal.ids_accepted(selector.ids),
        frequency=settings.frequency,
        open_file=open_file,
        windows=windows,
    )


def read_reports(
    stream: MeasurementStream, jobs: ReportJobs[Record], lane: Lane[Record]
) -> Iterator[Record]:
    """Write the rows of a stream's reports, whichever is ready first."""
    known = stream.journal.bookmark.ledger.failing
    for ready in jobs.run(lane):
        try:
            yield from ready
        finally:
            stream.writer.flush()
    stream.journal.report_failing(known)
