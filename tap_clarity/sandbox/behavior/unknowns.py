"""Unknowns: behaviours that Clarity's documentation leaves open, as switches.

Off, the emulator does what documentation and clients suggest; on, it does what the service might
do as well. Each works alone and with all others; where two contradict, the first one here wins.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

Evidence = Literal["documented", "seen", "invented"]

UNKNOWNS: Final = "unknowns"
"""The label that stands for all of them."""


class Unknown(Enum):
    """One behaviour: where it is known from, and what the emulator does when it is on."""

    NEVER_ENDING_REPORTS = "invented", "reports stay in-progress for good"
    OTHER_END_STATUS = "invented", "reports end in the status `report_end_status`, without URLs"
    STATUS_LETTER_CASE = "invented", "report statuses are SUCCEEDED, In-Progress and Failed"
    STATUS_SYNONYMS = "invented", "report statuses are queued, then pending, then completed"
    NO_URLS = "invented", "succeeded reports never have URLs (`no_urls_as`)"
    NO_URLS_AT_FIRST = (
        "invented",
        "the first `polls_without_urls` replies of a succeeded report have no URLs (`no_urls_as`)",
    )
    NO_URLS_IN_FIRST_REPORT = (
        "invented",
        "the first report of its kind for a window never has URLs; later ones do",
    )
    EMPTY_WINDOW_REJECTED = "invented", "a report request for a window without data answers 400"
    EMPTY_WINDOW_FAILED = (
        "invented",
        "the report of a window without data fails: No measurements found",
    )
    EMPTY_WINDOW_NO_URLS = (
        "invented",
        "the report of a window without data has no URLs (`no_urls_as`)",
    )
    EMPTY_WINDOW_BLANK_FILE = (
        "invented",
        "the CSV file of a window without data is blank (`blank_file_as`)",
    )
    FORGOTTEN_REPORTS = "invented", "a report's record answers 404 after `report_kept_hours`"
    PURGED_FILES = (
        "invented",
        "after `file_kept_hours` the file host answers `purged_status`; the record stays succeeded",
    )
    CLIPPED_START = "invented", "a report starts at most `retention_days` ago, and its echo says so"
    CLIPPED_RANGE = (
        "invented",
        "a report has at most `max_range_days` (`range_cut_at`), and its echo says so",
    )
    NO_ECHO = "invented", "report records have no query"
    OTHER_FREQUENCY_ECHO = "invented", "the echo of a report names another outputFrequency"
    OTHER_FREQUENCY_SERVED = (
        "invented",
        "a report has another outputFrequency than requested, and its echo says so",
    )
    PLURAL_POLL_REFUSED = "invented", "the poll path /report-requests/ID answers `poll_refusal`"
    SINGULAR_POLL_REFUSED = "invented", "the poll path /report-request/ID answers `poll_refusal`"
    ROLLING_QUOTA = "invented", "the report quota counts the requests of the last 24 hours"
    QUOTA_DAY_SHIFTED = "invented", "the quota's day begins at `quota_hour` UTC"
    SHARED_QUOTA = (
        "documented",
        "others of the organization use `requests_by_others` at the start of the quota's day",
    )
    QUOTA_RETRY_AFTER = "invented", "a used-up quota answers 429 with Retry-After in seconds"
    ROWS_GROUPED = "seen", "the rows of a file are grouped by datasource, node or site"
    ROWS_SHUFFLED = "invented", "the rows of a file have no order"
    ROWS_REPEATED = "invented", "every 20th row of a file comes again at its end"
    ROWS_REVISED = (
        "invented",
        "every 20th row of a file has other numbers; the right row follows at the end of the file",
    )
    ROWS_OUTSIDE = (
        "invented",
        "files also have the hour (or day) before the window and the one after it",
    )
    FLOORED_START = (
        "invented",
        "files begin at the full hour (or day) before startTime; the echo does not say so",
    )
    ENGLISH_LABELS = "seen", "CSV and Parquet always have the English column labels of real files"
    UNDERSCORE_COLUMNS = "invented", "CSV and Parquet columns are called metric_raw"
    CAPITAL_ATTRIBUTES = "invented", "CSV and Parquet columns are called metric.Raw"
    CRLF_LINES = "invented", "CSV lines end with CR LF"
    QUOTED_CELLS = "documented", "all CSV cells are quoted"
    MISSING_WORDS = "invented", "missing CSV cells hold `missing_word`"
    MOVING_COORDINATES = "seen", "coordinates have eight decimals and change at 12:00 UTC"
    PARQUET_BY_DEFAULT = "seen", "a report request without a format key is answered as Parquet"
    ONLY_FORMAT_KEY = "invented", "report requests: the key fileFormat is ignored"
    ONLY_FILE_FORMAT_KEY = "invented", "report requests: the key format is ignored"
    PARQUET_NAN = "invented", "missing numbers in Parquet are NaN"
    PARQUET_EPOCH_MILLISECONDS = "invented", "times in Parquet are integers, milliseconds"
    PARQUET_FLOAT32 = "invented", "raw and value in Parquet have 32 bits"
    PARQUET_DICTIONARY = "invented", "texts in Parquet are dictionary-encoded"
    EMPTY_CONTINUATION = "invented", "a continuation without news is empty (`empty_reply_as`)"
    NO_TOKEN_WITHOUT_NEWS = "invented", "a continuation without news has no token header"
    OLD_START_REJECTED = (
        "invented",
        "a startTime that is not at least five minutes younger than the cache's depth answers 400",
    )
    LATE_ROWS_ONLY_IN_CACHE = (
        "invented",
        "continuations never bring rows that arrived late; the recent query does",
    )
    CONTINUATION_WITHIN_CACHE = (
        "invented",
        "continuations bring only what the cache still holds, however old the token is",
    )
    SHORT_TOKENS = "invented", "continuation tokens are refused after `token_hours`"
    UNKNOWN_ATTRIBUTES = "invented", "json-long items and locations have attributes of their own"
    IDLE_NODES_REJECTED = (
        "invented",
        "a node report that names a node that is not working answers `id_refusal`",
    )
    STOPPED_DATASOURCES_REJECTED = (
        "invented",
        "a request that names a datasource without a source answers `id_refusal`",
    )
    SITE_REJECTED = (
        "invented",
        "a report that names the first reference site of all answers `id_refusal`",
    )
    OTHER_WRAPPER_KEYS = "invented", "metadata lists stand under the key items"
    OBJECT_WITHOUT_ID = "invented", "the last object of each metadata list lacks its id"
    NEXT_LINK = "invented", "metadata lists have pages, linked by the URL in next"
    NEXT_CURSOR = "invented", "metadata lists have pages: ?cursor= takes the value of nextCursor"
    HAS_MORE = "invented", "metadata lists have pages: hasMore, and the next one under ?cursor="
    TRUNCATED_LISTS = (
        "invented",
        "metadata lists end after `page_size` objects; truncated says so, and gives no next page",
    )
    PARTNER_HISTORIES = (
        "documented",
        "accessToMeasurements and attachments show other organizations too, as in the guide",
    )
    REPORT_REQUEST_CREATED = "invented", "a report request answers 201"
    REPORT_REQUEST_ACCEPTED = "invented", "a report request answers 202"

    def __init__(self, evidence: Evidence, description: str) -> None:
        self.evidence = evidence
        self.description = description

    @property
    def label(self) -> str:
        """The name on the command line."""
        return self.name.lower().replace("_", "-")
