"""What Clarity's documentation leaves open, how the API may behave, and what the tap does then.

`python -m tools.generate_docs` writes it into docs/unknowns.md;
tests/integration/faults/test_unknowns.py tries each row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORTS = ("datasource_measurements",)
NODES = ("node_measurements",)
SITES = ("reference_site_measurements",)
RECENT = ("recent_measurements",)
LISTS = ("datasources", "subscriptions", "nodes", "accessory_modules")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Trial:
    """How a behaviour is tried, and how the runs end.

    Attributes:
        streams: The streams that run.
        quirks: The emulator's switches.
        parameters: Numbers and words for them.
        faults: Faults that are ordered before the first run.
        sandbox: How the emulator differs otherwise.
        settings: The tap's settings beside the usual ones.
        statuses: The exit statuses of the runs, one after the other.
        pause: Time between two runs.
        recovers: Whether the emulator behaves as documented again before the last run.
        log: A text that the runs log.
        is_complete: Whether all data has arrived after the last run.
    """

    streams: tuple[str, ...] = REPORTS
    quirks: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    faults: tuple[dict[str, Any], ...] = ()
    sandbox: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    statuses: tuple[int, ...] = (0,)
    pause: timedelta = HOUR
    recovers: bool = False
    log: str = ""
    is_complete: bool = True


@dataclass(frozen=True)
class Behaviour:
    """One way in which Clarity may behave.

    Attributes:
        clarity: What Clarity does.
        tap: What the tap does.
        trials: How it is shown; several if there are several forms of it.
    """

    clarity: str
    tap: str
    trials: tuple[Trial, ...]


def _behaviour(clarity: str, tap: str, *trials: Trial) -> Behaviour:
    return Behaviour(clarity, tap, trials)


@dataclass(frozen=True)
class Question:
    """Something that the documentation leaves open."""

    text: str
    behaviours: tuple[Behaviour, ...]


READS_DATA = "Reads the data."
CLOSES_EMPTY = ": closing the window as empty"
NONE = timedelta(0)
MINUTE = {"output_frequency": "minute", "metric_select": "only pm2_5ConcMassIndividual"}
FOREIGN_FILE = {
    "kind": "status",
    "path": "/files/*",
    "status": 200,
    "times": None,
    "body": "datasourceId,startOfPeriod,Feinstaub\nDAAAA0001,2026-03-09T00:00:00.000Z,7.5\n",
}
BOUNDED = {"end_date": "2026-03-10T09:00Z"}


def _trials_per_word(parameter: str, words: str, **trial: Any) -> tuple[Trial, ...]:  # noqa: ANN401
    return tuple(Trial(parameters={parameter: word}, **trial) for word in words.split())


QUESTIONS = (
    Question(
        "How does a report end?",
        (
            _behaviour(
                "`succeeded`, after `in-progress`",
                READS_DATA,
                Trial(sandbox={"report_seconds": 90}),
            ),
            _behaviour(
                "The same words in upper case, or synonyms such as `queued` and `completed`",
                READS_DATA,
                Trial(quirks=("status-letter-case",), sandbox={"report_seconds": 90}),
                Trial(quirks=("status-synonyms",), sandbox={"report_seconds": 90}),
            ),
            _behaviour(
                "Never: it stays `in-progress`",
                "Reads all other reports meanwhile. Requests the window once more after 6 hours. "
                "After 12 hours the run fails and names the window; it is retried after 1, 2, 4 "
                "and then every 7 days.",
                Trial(
                    faults=({"kind": "never-ending-report", "path": "/v2/report-requests"},),
                    statuses=(0, 0),
                    pause=timedelta(hours=7),
                ),
                Trial(
                    quirks=("never-ending-reports",),
                    statuses=(0, 0, 1, 0),
                    pause=timedelta(hours=13),
                    recovers=True,
                    log="next attempt on 2026-03-12",
                ),
            ),
            _behaviour(
                "In another status, such as `failed`, `cancelled` or `expired`",
                "Requests the window once more. The second time the run fails and names the "
                "window; it is retried after 1, 2, 4 and then every 7 days.",
                Trial(faults=({"kind": "failed-report", "path": "/v2/report-requests"},)),
                *(
                    Trial(
                        quirks=("other-end-status",),
                        parameters={"report_end_status": word},
                        statuses=(1, 0),
                        pause=DAY,
                        recovers=True,
                        log="next attempt on 2026-03-11; if it keeps failing",
                    )
                    for word in ("failed", "cancelled", "EXPIRED", "gone fishing")
                ),
            ),
        ),
    ),
    Question(
        "What are the columns of a file called?",
        (
            _behaviour("`metric.attribute`", READS_DATA, Trial()),
            _behaviour(
                "English labels, `metric_raw` or `metric.Raw`, whatever is requested",
                "Reads them: spaces, hyphens and case do not count.",
                Trial(streams=NODES, quirks=("english-labels",)),
                *(
                    Trial(streams=(stream,), quirks=(quirk,))
                    for stream in (*REPORTS, *RECENT)
                    for quirk in ("english-labels", "underscore-columns", "capital-attributes")
                ),
            ),
            _behaviour(
                "In a way that the tap does not know",
                "Rejects a file that has rows, but no column of a metric: the run fails, and the "
                "window stays open.",
                Trial(
                    faults=(FOREIGN_FILE,),
                    statuses=(1, 0),
                    recovers=True,
                    log="no column holds a metric",
                ),
            ),
        ),
    ),
    Question(
        "What does a report that succeeded without URLs mean?",
        (
            _behaviour(
                "The URLs come a little later",
                READS_DATA,
                *_trials_per_word(
                    "no_urls_as", "missing list null text", quirks=("no-urls-at-first",)
                ),
            ),
            _behaviour(
                "They never come; another report of the window has them",
                "Polls the report again in the next run, then requests the window once more.",
                Trial(quirks=("no-urls-in-first-report",), statuses=(0, 0)),
            ),
            _behaviour(
                "The window has no data",
                "The same. If the second report has no URLs either, closes the window as empty, "
                "with a warning.",
                *_trials_per_word(
                    "no_urls_as",
                    "missing list null text",
                    quirks=("no-urls",),
                    statuses=(0, 0),
                    log=CLOSES_EMPTY,
                    is_complete=False,
                ),
            ),
        ),
    ),
    Question(
        "How is a report of a window without data answered?",
        (
            _behaviour(
                "By a file with a header", READS_DATA, Trial(parameters={"data_from": "2026-03-07"})
            ),
            _behaviour(
                'By a blank file: 0 bytes, a line break, `""`, or a lone `datasourceId`',
                "Downloads it again in the next run. If it is blank then as well, closes the "
                "window as empty, with a warning.",
                Trial(faults=({"kind": "blank-file", "path": "/files/*"},), statuses=(0, 0)),
                *(
                    Trial(
                        quirks=("empty-window-blank-file",),
                        parameters={"data_from": "2026-03-07", "blank_file_as": form},
                        statuses=(0, 0),
                        log=CLOSES_EMPTY,
                    )
                    for form in ("nothing", "newline", "quotes", "id-column")
                ),
            ),
            _behaviour(
                "By success without URLs",
                "See above; all other windows are read.",
                Trial(
                    quirks=("empty-window-no-urls",),
                    parameters={"data_from": "2026-03-07"},
                    statuses=(0, 0),
                    log=CLOSES_EMPTY,
                ),
            ),
            _behaviour(
                "By a report that fails, or by HTTP 400",
                "Reads all other windows. Retries the window after 1, 2, 4 and then every 7 days. "
                "From the third day on, runs fail and name it: move `start_date`.",
                Trial(
                    quirks=("empty-window-failed",),
                    parameters={"data_from": "2026-03-07"},
                    statuses=(1, 1, 0, 0, 1),
                    pause=timedelta(hours=20),
                    log="failed: Clarity says 'No measurements found'; next attempt on 2026-03-13",
                    is_complete=False,
                ),
                Trial(
                    quirks=("empty-window-rejected",),
                    parameters={"data_from": "2026-03-07"},
                    statuses=(0, 0, 1),
                    pause=timedelta(hours=14),
                    log="was rejected: ",
                    is_complete=False,
                ),
            ),
        ),
    ),
    Question(
        "May a report's rows come in any order?",
        (
            _behaviour("By time", READS_DATA, Trial(), Trial(quirks=("reversed-order",))),
            _behaviour(
                "Grouped by datasource, or in no order",
                "Reads them.",
                Trial(quirks=("rows-grouped",)),
                Trial(quirks=("rows-shuffled",)),
            ),
            _behaviour(
                "A row comes twice, perhaps with other values",
                "Writes both: the last one wins in the target. A warning counts them.",
                Trial(quirks=("rows-repeated",), log="Duplicate rows: "),
                Trial(quirks=("rows-revised",), log="Duplicate rows: "),
            ),
            _behaviour(
                "Rows lie outside the window",
                "Writes them. A warning counts them.",
                Trial(quirks=("rows-outside",), log="outside the"),
            ),
        ),
    ),
    Question(
        "Are a report's files there as long as its record?",
        (
            _behaviour("Yes", READS_DATA, Trial()),
            _behaviour(
                "No: the download is refused",
                "The run fails. When the next run's download is refused as well, requests the "
                "window once more.",
                *(
                    Trial(
                        faults=(
                            {
                                "kind": "purged-files",
                                "path": "/v2/report-requests",
                                "status": status,
                            },
                        ),
                        statuses=(1, 1, 0),
                    )
                    for status in (403, 404)
                ),
            ),
            _behaviour(
                "No: they are removed an hour after the report is complete",
                READS_DATA,
                Trial(
                    quirks=("purged-files",),
                    settings={"report_wait_timeout": 0},
                    sandbox={"report_seconds": 600},
                    statuses=(0, 0),
                ),
            ),
            _behaviour(
                "The record is gone as well: HTTP 404",
                "Requests the window once more.",
                Trial(
                    quirks=("forgotten-reports",),
                    parameters={"report_kept_hours": 0.5},
                    sandbox={"report_seconds": 1200},
                    settings={"report_wait_timeout": 0},
                    statuses=(0, 0),
                    recovers=True,
                ),
            ),
        ),
    ),
    Question(
        "Which file format does a report have?",
        (
            _behaviour(
                "The one requested as `format` or as `fileFormat`",
                "Sends both.",
                Trial(quirks=("only-format-key",)),
                Trial(quirks=("only-file-format-key",)),
                Trial(quirks=("only-format-key",), settings={"report_file_format": "parquet"}),
                Trial(quirks=("only-file-format-key",), settings={"report_file_format": "parquet"}),
            ),
            _behaviour(
                "Parquet by default",
                "Always sends a format, and goes by the file's first bytes.",
                Trial(quirks=("parquet-by-default",)),
            ),
        ),
    ),
    Question(
        "Which types do Parquet files have?",
        (
            _behaviour(
                "Doubles, nulls and timestamps",
                READS_DATA,
                Trial(settings={"report_file_format": "parquet"}),
            ),
            _behaviour(
                "NaN for missing, milliseconds as integers, 32 bits, dictionaries",
                "Reads them.",
                *(
                    Trial(quirks=(quirk,), settings={"report_file_format": "parquet"})
                    for quirk in (
                        *("parquet-nan", "parquet-epoch-milliseconds"),
                        *("parquet-float32", "parquet-dictionary"),
                    )
                ),
            ),
        ),
    ),
    Question(
        "Is the requested range served whole?",
        (
            _behaviour("Yes", READS_DATA, Trial()),
            _behaviour("The record does not say", READS_DATA, Trial(quirks=("no-echo",))),
            _behaviour(
                "It is clipped, and the record says so",
                "Covers only what was served, and requests the rest in a later run.",
                Trial(
                    quirks=("clipped-range",),
                    parameters={"max_range_days": 2},
                    statuses=(0,) * 4,
                    log="covers only",
                ),
                Trial(
                    quirks=("clipped-start",),
                    parameters={"retention_days": 5},
                    statuses=(0, 1, 0),
                    pause=DAY,
                    recovers=True,
                    log="covers only",
                ),
            ),
            _behaviour(
                "A report has another output frequency",
                "The window counts as failed, see above.",
                Trial(
                    quirks=("other-frequency-served",),
                    statuses=(1, 0),
                    pause=DAY,
                    recovers=True,
                    log="another frequency",
                ),
                Trial(quirks=("other-frequency-echo",), statuses=(1, 0), pause=DAY, recovers=True),
            ),
        ),
    ),
    Question(
        "How does a poll path that Clarity does not have answer?",
        (
            _behaviour("HTTP 404", READS_DATA, Trial(quirks=("singular-poll-path",))),
            _behaviour(
                "HTTP 400, 403 or 405",
                "Polls at the other path, and remembers it.",
                *(
                    Trial(quirks=(quirk,), parameters={"poll_refusal": status})
                    for quirk in ("plural-poll-refused", "singular-poll-refused")
                    for status in (400, 403, 404, 405)
                ),
            ),
            _behaviour(
                "Both paths are refused",
                "The run fails; the reports stay pending.",
                Trial(
                    quirks=("plural-poll-refused", "singular-poll-refused"),
                    statuses=(1, 0),
                    recovers=True,
                    log="HTTP 403",
                ),
            ),
        ),
    ),
    Question(
        "From which instant on is an unaligned `start_date` served?",
        (
            _behaviour(
                "From that instant, or from the full hour (day) before it",
                "Requests from the full hour (day) before `start_date`.",
                Trial(settings={"start_date": "2026-03-01T05:30Z"}),
                Trial(settings={"start_date": "2026-03-01T05:30Z"}, quirks=("floored-start",)),
            ),
        ),
    ),
    Question(
        "May every listed node, datasource or site be named in a report request?",
        (
            _behaviour("Yes", READS_DATA, Trial(streams=NODES)),
            _behaviour(
                "No: HTTP 400 or 403 for the whole request",
                "Leaves out nodes that are not working yet. Halves the list until the rejected id "
                "is found, leaves it out for 30 days with a warning in each run, and reads the "
                "others.",
                *(
                    Trial(
                        streams=NODES,
                        quirks=("idle-nodes-rejected",),
                        parameters={"id_refusal": status},
                        sandbox={"datasources": 8},
                        is_complete=False,
                    )
                    for status in (400, 403)
                ),
                Trial(
                    quirks=("stopped-datasources-rejected",),
                    sandbox={"datasources": 8},
                    settings={"datasource_ids": "all"},
                    log="was rejected",
                    is_complete=False,
                ),
                Trial(
                    streams=SITES,
                    quirks=("site-rejected",),
                    sandbox={"datasources": 22},
                    log="was rejected",
                    is_complete=False,
                ),
            ),
        ),
    ),
    Question(
        "When does the day of the report quota begin?",
        (
            _behaviour(
                "At 00:00 UTC",
                READS_DATA,
                Trial(sandbox={"daily_quota": 1}, settings=BOUNDED, statuses=(0, 0), pause=DAY),
            ),
            _behaviour(
                "At another time, or the quota counts the last 24 hours",
                "After HTTP 429, requests resume after 6 hours, or at 00:00 UTC if that is sooner.",
                Trial(
                    quirks=("quota-day-shifted",),
                    parameters={"quota_hour": 13},
                    sandbox={"daily_quota": 1},
                    settings=BOUNDED,
                    statuses=(0, 0),
                    pause=timedelta(hours=6),
                    log="requests resume at 2026-03-10 15:20 UTC",
                ),
                Trial(
                    quirks=("rolling-quota",),
                    sandbox={"daily_quota": 1},
                    settings=BOUNDED,
                    statuses=(0, 0),
                    pause=timedelta(hours=25),
                ),
            ),
            _behaviour(
                "With `Retry-After`",
                "The same, unless it is at most 60 seconds: then the request is retried after it.",
                Trial(
                    quirks=("quota-retry-after",),
                    sandbox={"daily_quota": 1},
                    settings=BOUNDED,
                    statuses=(0, 0),
                    pause=DAY,
                    log="requests resume at 2026-03-10 15:20 UTC",
                ),
            ),
            _behaviour(
                "Other users of the organization use it up for days",
                "From the fourth day without an accepted request on, runs fail.",
                Trial(
                    quirks=("shared-quota",),
                    parameters={"requests_by_others": 30},
                    statuses=(0, 0, 0, 1, 0),
                    pause=DAY + HOUR,
                    recovers=True,
                    log="Clarity has accepted no report request since 2026-03-10 09:20 UTC",
                ),
            ),
        ),
    ),
    Question(
        "How does a CSV file write a missing value, a line's end, a cell?",
        (
            _behaviour("As nothing; LF; unquoted", READS_DATA, Trial()),
            _behaviour(
                "As `NaN`, `null`, `None` or `-`; CR LF; quoted",
                "Reads them.",
                *_trials_per_word("missing_word", "NaN null None -", quirks=("missing-words",)),
                *_trials_per_word(
                    "missing_word", "NaN null None -", quirks=("missing-words",), streams=RECENT
                ),
                Trial(quirks=("crlf-lines",)),
                Trial(quirks=("quoted-cells",)),
                Trial(quirks=("moving-coordinates",)),
            ),
        ),
    ),
    Question(
        "Which HTTP status does a complete response have?",
        (
            _behaviour(
                "200; for an accepted report request also 201 or 202",
                READS_DATA,
                Trial(quirks=("report-request-created",)),
                Trial(quirks=("report-request-accepted",)),
            ),
            _behaviour(
                "A file with another one: 202, 203, 206 with a part of the file, 299, 300",
                "Downloads it three times in all. Then the run fails; the window stays open.",
                *(
                    Trial(
                        faults=(
                            {
                                "kind": "other-status",
                                "path": "/files/*",
                                "status": status,
                                "times": None,
                            },
                        ),
                        statuses=(1, 0),
                        recovers=True,
                    )
                    for status in (202, 203, 299, 300)
                ),
                Trial(
                    faults=({"kind": "partial-content", "path": "/files/*", "times": None},),
                    statuses=(1, 0),
                    recovers=True,
                ),
            ),
        ),
    ),
    Question(
        "Does a continuation bring what arrived late?",
        (
            _behaviour("Yes", READS_DATA, Trial(streams=RECENT, statuses=(0,) * 4, pause=6 * HOUR)),
            _behaviour(
                "No: only the query of the recent cache does",
                "Queries the cache once per UTC day as well, and logs how many records only that "
                "brought.",
                Trial(
                    streams=RECENT,
                    quirks=("late-rows-only-in-cache",),
                    statuses=(0,) * 4,
                    pause=6 * HOUR,
                ),
            ),
            _behaviour(
                "Only as long as the cache still holds it",
                "The token counts as expired before that; a report fills the gap.",
                Trial(
                    streams=RECENT,
                    quirks=("continuation-within-cache",),
                    settings=MINUTE,
                    statuses=(0, 0),
                    pause=23 * HOUR,
                ),
            ),
        ),
    ),
    Question(
        "How does a continuation without news look?",
        (
            _behaviour(
                "CSV with a header",
                READS_DATA,
                Trial(streams=RECENT, statuses=(0, 0, 0), pause=NONE),
            ),
            _behaviour(
                "Nothing, HTTP 204, a line break, `[]`, `{}` or `data: null`; with or without a "
                "new token",
                "There is no news. Without a new token, keeps the old one.",
                *(
                    Trial(
                        streams=RECENT,
                        quirks=quirks,
                        parameters={"empty_reply_as": form},
                        statuses=(0, 0, 0),
                        pause=NONE,
                    )
                    for form in ("nothing", "no-content", "newline", "list", "object", "null-data")
                    for quirks in (
                        ("empty-continuation",),
                        ("empty-continuation", "no-token-without-news"),
                    )
                ),
            ),
        ),
    ),
    Question(
        "How is a continuation token refused?",
        (
            _behaviour(
                "By HTTP 400, 401, 403, 404 or 410, after 24 hours or sooner",
                "Queries the recent cache from the last safe point.",
                *(
                    Trial(
                        streams=RECENT,
                        quirks=("short-tokens",),
                        sandbox={"token_refusal": status},
                        statuses=(0, 0),
                        pause=7 * HOUR,
                    )
                    for status in (400, 401, 403, 404, 410)
                ),
            ),
        ),
    ),
    Question(
        "How is a `startTime` that the cache does not reach answered?",
        (
            _behaviour("It is clipped", READS_DATA, Trial(streams=RECENT)),
            _behaviour(
                "By HTTP 400",
                "Requests 15 minutes less than the documented depth. If that is rejected, queries "
                "without `startTime`; what may be missing is filled by a report.",
                Trial(streams=RECENT, quirks=("old-start-rejected",)),
                Trial(
                    streams=RECENT,
                    faults=({"kind": "status", "status": 400, "path": "*-query"},),
                    log="queried without it",
                    is_complete=False,
                ),
            ),
        ),
    ),
    Question(
        "Has JSON attributes that nobody has listed?",
        (
            _behaviour(
                "Yes",
                "Reads the others. A warning names them.",
                Trial(
                    streams=RECENT,
                    quirks=("unknown-attributes",),
                    sandbox={"recent_format": "json-long"},
                    log="Attributes that the tap does not know are left out: ['confidence', 'alti",
                ),
            ),
        ),
    ),
    Question(
        "How are lists of metadata wrapped, and is every object named?",
        (
            _behaviour("As documented", READS_DATA, *(Trial(streams=(name,)) for name in LISTS)),
            _behaviour(
                "Under another key",
                READS_DATA,
                *(Trial(streams=(name,), quirks=("other-wrapper-keys",)) for name in LISTS),
            ),
            _behaviour(
                "An object lacks its id",
                "Reads the others. The run fails and counts those left out.",
                *(
                    Trial(
                        streams=(name,),
                        quirks=("object-without-id",),
                        statuses=(1, 0),
                        recovers=True,
                    )
                    for name in LISTS
                ),
            ),
            _behaviour(
                "Histories name other organizations, too",
                READS_DATA,
                Trial(streams=("datasources",), quirks=("partner-histories",)),
            ),
        ),
    ),
    Question(
        "Is a list of metadata complete in one response?",
        (
            _behaviour("Yes", READS_DATA, Trial(streams=("datasources",))),
            _behaviour(
                "It has pages, by a link or a cursor",
                "Follows them.",
                *(
                    Trial(
                        streams=(name,),
                        quirks=(quirk,),
                        parameters={"page_size": 2},
                        sandbox={"datasources": 7},
                    )
                    for name in LISTS
                    for quirk in ("next-link", "next-cursor", "has-more")
                ),
            ),
            _behaviour(
                "It says that there is more, and not where",
                "Writes what there is. The run fails.",
                *(
                    Trial(
                        streams=(name,),
                        quirks=("truncated-lists",),
                        parameters={"page_size": 1},
                        statuses=(1, 0),
                        recovers=True,
                    )
                    for name in LISTS
                ),
            ),
        ),
    ),
)


def question_rows() -> Iterator[tuple[str, ...]]:
    """Give the page's table."""
    for number, question in enumerate(QUESTIONS, start=1):
        for behaviour in question.behaviours:
            first = behaviour is question.behaviours[0]
            yield (
                str(number) if first else "",
                question.text if first else "",
                behaviour.clarity,
                behaviour.tap,
                _evidence(behaviour),
            )


def _evidence(behaviour: Behaviour) -> str:
    quirks = {quirk for trial in behaviour.trials for quirk in trial.quirks}
    faults = {fault["kind"] for trial in behaviour.trials for fault in trial.faults}
    return ", ".join(f"`{name}`" for name in sorted(quirks | faults))
