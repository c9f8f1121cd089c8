"""Bookmarks: serialized state is read back, and malformed state raises ValueError."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.core.timestamps import DAY, Window
from tap_clarity.planning.bookmarks import RecentBookmark, ReportBookmark, fingerprint
from tap_clarity.planning.due import Slot
from tap_clarity.planning.quota import DailyUsage
from tap_clarity.planning.report_ledger import ReportLedger
from tap_clarity.planning.report_steps import Report
from tap_clarity.planning.retries import FailingWindow
from tests.support.planning.ledger_strategies import apart, arbitrary_json, ledgers, timestamps
from tests.support.planning.window_model import (
    MANY_EXAMPLES,
    SOME_EXAMPLES,
    at,
    parse_window,
    parse_windows,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Bookmark = RecentBookmark | ReportBookmark
KINDS: list[type[Bookmark]] = [RecentBookmark, ReportBookmark]

timestamps_since_2014 = timestamps.map(
    lambda instant: max(instant, datetime(2014, 1, 1, tzinfo=UTC))
)
texts = st.none() | st.text()
slots = st.none() | st.builds(Slot, timestamps, timestamps, apart.map(tuple))
recent_bookmarks = st.builds(
    RecentBookmark,
    fingerprint=texts,
    datasources=texts,
    token=texts,
    issued_at=st.none() | timestamps_since_2014,
    covered_until=st.none() | timestamps_since_2014,
    gaps=apart,
    ledger=ledgers,
)
report_bookmarks = st.builds(
    ReportBookmark,
    fingerprint=texts,
    start=st.none() | timestamps_since_2014,
    access_start=st.none() | timestamps,
    covered=apart,
    slot=slots,
    ledger=ledgers,
)
bookmarks: st.SearchStrategy[Bookmark] = recent_bookmarks | report_bookmarks

LEDGER = ReportLedger(
    pending=(Report("JB1", parse_window("2026-02-01 to 2026-02-08"), at("2026-03-10T09:20"), 1),),
    failing=(
        FailingWindow(parse_window("2026-02-10 to 2026-02-11"), 2, *(at("2026-03-10").date(),) * 2),
    ),
    usage=DailyUsage(at("2026-03-10").date(), 3),
    rejected_ids=("DAAAA0001",),
    rejected_ids_until=at("2026-04-09").date(),
)
LEDGER_STATE: dict[str, Any] = {
    "reports": [["JB1", "2026-02-01", "2026-02-08", "2026-03-10T09:20Z", 1]],
    "failing": [["2026-02-10", "2026-02-11", 2, "2026-03-10", "2026-03-10"]],
    "requests": ["2026-03-10", 3],
    "rejected_ids": ["2026-04-09", "DAAAA0001"],
}
RECENT = RecentBookmark(
    fingerprint="f1",
    datasources="f2",
    token="t",  # noqa: S106 - a token's place
    issued_at=at("2026-03-10T09:20:30.125"),
    covered_until=at("2026-03-10T09:20"),
    cache_queried_at=at("2026-03-10T00:20"),
    records_since_query=70,
    gaps=parse_windows("2026-03-01T04:00 to 2026-03-02"),
    ledger=LEDGER,
)
REPORT = ReportBookmark(
    fingerprint="f1",
    start=at("2026-01-01"),
    access_start=at("2026-01-05T10:30"),
    covered=parse_windows("2026-01-01 to 2026-02-01", "2026-03-01 to 2026-03-10T09:00"),
    slot=Slot(
        at("2026-03-10"), at("2026-03-10T09:00"), (parse_window("2026-03-07 to 2026-03-08"),)
    ),
    ledger=LEDGER,
)


def test_recent_bookmark_is_serialized() -> None:
    assert RECENT.to_state() == {
        "version": 1,
        "fingerprint": "f1",
        "datasources": "f2",
        "continuation_token": "t",
        "token_issued_at": "2026-03-10T09:20:30.125Z",
        "covered_until": "2026-03-10T09:20Z",
        "cache_queried_at": "2026-03-10T00:20Z",
        "records_since_query": 70,
        "gaps": [["2026-03-01T04:00Z", "2026-03-02"]],
        **LEDGER_STATE,
    }


def test_report_bookmark_is_serialized() -> None:
    assert REPORT.to_state() == {
        "version": 1,
        "fingerprint": "f1",
        "start_date": "2026-01-01",
        "access_start": "2026-01-05T10:30Z",
        "covered": [
            ["2026-01-01", "2026-02-01"],
            ["2026-03-01", "2026-03-10T09:00Z"],
        ],
        "slot": ["2026-03-10", "2026-03-10T09:00Z", ["2026-03-07", "2026-03-08"]],
        **LEDGER_STATE,
    }


@MANY_EXAMPLES
@given(bookmarks)
def test_serialized_state_is_read_back(bookmark: Bookmark) -> None:
    through_json = json.loads(json.dumps(bookmark.to_state()))
    assert type(bookmark).from_state(through_json) == bookmark


def merge(new: Mapping[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """Merge states as Meltano does: objects deeply, all else replaced, nothing deleted."""
    for key, value in new.items():
        if isinstance(value, dict):
            merge(value, old.setdefault(key, {}))
        else:
            old[key] = value
    return old


@SOME_EXAMPLES
@given(st.sampled_from([recent_bookmarks, report_bookmarks]).flatmap(lambda b: st.tuples(b, b)))
def test_no_old_value_survives_a_merge_of_states_by_meltano(
    pair: tuple[Bookmark, Bookmark],
) -> None:
    old, new = pair
    assert merge(new.to_state(), old.to_state()) == new.to_state()


@pytest.mark.parametrize("kind", KINDS)
def test_all_keys_are_always_written_and_cleared_ones_are_null_or_empty(
    kind: type[Bookmark],
) -> None:
    empty, full = kind().to_state(), (RECENT if kind is RecentBookmark else REPORT).to_state()
    assert empty.keys() == full.keys()
    assert all(empty[key] in (None, [], 0) for key in empty if key != "version")
    assert all(full[key] not in (None, [], 0) for key in full)


@pytest.mark.parametrize("kind", KINDS)
def test_empty_state_is_an_empty_bookmark(kind: type[Bookmark]) -> None:
    assert kind.from_state({}) == kind()
    assert kind.from_state(dict.fromkeys(kind().to_state())) == kind()


@pytest.mark.parametrize("bookmark", [RECENT, REPORT])
@pytest.mark.parametrize(
    "extra",
    [
        {"starting_replication_value": None},
        {"version": 2},
        {"version": "1.0"},
        {"replication_key_value": "2020-01-01", "partitions": [{"context": {}}], "new": {"a": 1}},
    ],
)
def test_keys_of_old_and_future_versions_are_ignored(
    bookmark: Bookmark, extra: dict[str, Any]
) -> None:
    assert type(bookmark).from_state(bookmark.to_state() | extra) == bookmark


WINDOW = ["2026-03-01", "2026-03-02"]
SLOT = WINDOW[:1] * 2
MALFORMED_SLOTS: list[Any] = [
    *("2026-03-10", {"start": "2026-03-10"}, 1, True),
    *(SLOT[:1], [None, None], [1, 2], ["soon", SLOT[0]], [SLOT[0], "later"], [SLOT, WINDOW]),
    *([*SLOT, each] for each in (None, 1, "2026-03-01", [], WINDOW[:1], [*reversed(WINDOW)])),
    [*SLOT, *[WINDOW] * 1000],
]
MALFORMED_TIMESTAMPS: list[Any] = [
    1,
    True,
    ["2026-03-10"],
    "soon",
    "2026-13-01",
    "0001-01-01T00:00+23:00",
]
MALFORMED_WINDOWS: list[Any] = [
    "2026-03-01",
    {"start": "2026-03-01"},
    [None],
    [[]],
    [["2026-03-01"]],
    [["2026-03-01", None]],
    [[1, 2]],
    [["2026-03-02", "2026-03-01"]],
    [["2026-03-01", "2026-03-01"]],
    [["soon", "later"]],
    [WINDOW] * 1001,
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [1, True, ["f"], {"f": 1}, "f" * 70_000])
def test_fingerprint_that_is_not_text_is_rejected(
    kind: type[Bookmark],
    value: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        kind.from_state({"fingerprint": value})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", LEDGER_STATE)
def test_malformed_reports_are_rejected(kind: type[Bookmark], key: str) -> None:
    """Which junk there is, `test_report_ledger` tells."""
    with pytest.raises(ValueError, match=r"\w"):
        kind.from_state({key: [["junk"]]})


@pytest.mark.parametrize("value", MALFORMED_SLOTS)
def test_malformed_slot_is_rejected(value: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=r"\w"):
        ReportBookmark.from_state({"slot": value})


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (RecentBookmark, "token_issued_at"),
        (RecentBookmark, "covered_until"),
        (ReportBookmark, "start_date"),
        (ReportBookmark, "access_start"),
    ],
)
@pytest.mark.parametrize("value", MALFORMED_TIMESTAMPS)
def test_malformed_timestamp_is_rejected(
    kind: type[Bookmark],
    key: str,
    value: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        kind.from_state({key: value})


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (RecentBookmark, "token_issued_at"),
        (RecentBookmark, "covered_until"),
        (ReportBookmark, "start_date"),
    ],
)
@pytest.mark.parametrize("value", ["0001-01-01", "1970-01-01", "2013-12-31T23:59:59.999Z"])
def test_timestamp_before_the_first_node_is_rejected(
    kind: type[Bookmark], key: str, value: str
) -> None:
    with pytest.raises(ValueError, match=f"{key} is before Clarity's first node"):
        kind.from_state({key: value})


@pytest.mark.parametrize(("kind", "key"), [(RecentBookmark, "gaps"), (ReportBookmark, "covered")])
@pytest.mark.parametrize("value", MALFORMED_WINDOWS)
def test_malformed_window_is_rejected(
    kind: type[Bookmark],
    key: str,
    value: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        kind.from_state({key: value})


json_values = arbitrary_json("2026-03-01", "9999-12-31T23:59:59-23:59", "JB1", max_size=3)


@MANY_EXAMPLES
@given(st.sampled_from([RECENT, REPORT]), st.data())
def test_arbitrary_json_raises_no_other_error(bookmark: Bookmark, data: st.DataObject) -> None:
    state = deepcopy(bookmark.to_state())
    for key in data.draw(st.sets(st.sampled_from(sorted(state)), min_size=1, max_size=3)):
        state[key] = data.draw(json_values)
    try:
        read = type(bookmark).from_state(state)
    except ValueError:
        return
    assert type(bookmark).from_state(read.to_state()) == read


def test_state_of_all_streams_stays_small_with_ten_pending_reports() -> None:
    mark = fingerprint(org="exampleAB12", ids=[f"DAAAA{n:04}" for n in range(1000)])
    window = Window(at("2026-03-01"), at("2026-03-08"))
    halves = [Window(window.start + n * 30 * DAY, window.end + n * 30 * DAY) for n in range(2)]
    reports = tuple(Report(f"JB0000{n:04}", window, window.end) for n in range(10))
    usage = DailyUsage(window.start.date(), 25, window.start)
    slot = Slot(window.start, window.end, (window,))
    streams: dict[str, Bookmark] = {
        "recent_measurements": RecentBookmark(
            mark,
            mark,
            None,
            window.start,
            window.start,
            halves,
            ReportLedger(reports[:1], (), usage),
        )
    }
    for number, kind in enumerate(("datasource", "node", "reference_site")):
        own = ReportLedger(reports[1 + 3 * number : 4 + 3 * number], (), usage)
        streams[f"{kind}_measurements"] = ReportBookmark(
            mark, window.start, window.start, halves, slot, own
        )
    state = {"bookmarks": {name: bookmark.to_state() for name, bookmark in streams.items()}}
    assert sum(len(bookmark.ledger.pending) for bookmark in streams.values()) == 10
    assert len(json.dumps(state)) < 2600


def test_fingerprint_distinguishes_queries_regardless_of_key_order() -> None:
    one = fingerprint(org="a", ids=["b", "c"], qc=True)
    assert one == fingerprint(qc=True, ids=["b", "c"], org="a")
    others = [
        fingerprint(org="a", ids=["c", "b"], qc=True),
        fingerprint(org="a", ids=["b", "c"], qc=False),
        fingerprint(org="a", ids=["b", "c"]),
        fingerprint(org="a", ids=None, qc=True),
    ]
    assert len({one, *others}) == 5
