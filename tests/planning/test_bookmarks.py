"""The streams' states: what is written is read back, and junk is a ValueError."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.instants import DAY, EPOCH, Window
from tap_clarity.planning.bookmarks import RecentBookmark, ReportBookmark, fingerprint
from tap_clarity.planning.quota import Spent
from tap_clarity.planning.windows import merged
from tests.planning.spans import at, quickly, span, spans, thoroughly

if TYPE_CHECKING:
    from collections.abc import Mapping

Bookmark = RecentBookmark | ReportBookmark
KINDS: list[type[Bookmark]] = [RecentBookmark, ReportBookmark]

MILLISECOND = timedelta(milliseconds=1)
instants = st.integers(0, 2**42).map(lambda number: EPOCH + number * MILLISECOND)
recent_instants = instants.map(lambda instant: max(instant, datetime(2014, 1, 1, tzinfo=UTC)))
windows = st.tuples(instants, st.integers(1, 2**36)).map(
    lambda pair: Window(pair[0], pair[0] + pair[1] * MILLISECOND)
)
apart = st.lists(windows, max_size=4).map(merged)
ids = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=30)
building = st.lists(st.tuples(ids, windows), max_size=10)
spent = st.builds(Spent, st.none() | st.dates(), st.integers(0, 30))
texts = st.none() | st.text()
recent_bookmarks = st.builds(
    RecentBookmark,
    fingerprint=texts,
    datasources=texts,
    token=texts,
    issued_at=st.none() | recent_instants,
    covered_until=st.none() | recent_instants,
    holes=apart,
    building=building,
    spent=spent,
)
report_bookmarks = st.builds(
    ReportBookmark,
    fingerprint=texts,
    start=st.none() | instants,
    covered=apart,
    head_slot=st.none() | instants,
    building=building,
    spent=spent,
)
bookmarks: st.SearchStrategy[Bookmark] = recent_bookmarks | report_bookmarks

RECENT = RecentBookmark(
    fingerprint="f1",
    datasources="f2",
    token="t",  # noqa: S106 - a token's place
    issued_at=at("2026-03-10T09:20:30.125"),
    covered_until=at("2026-03-10T09:20"),
    holes=spans("2026-03-01T04:00 to 2026-03-02"),
    building=[("JB1", span("2026-03-01T04:00 to 2026-03-02"))],
    spent=Spent(at("2026-03-10").date(), 3),
)
REPORT = ReportBookmark(
    fingerprint="f1",
    start=at("2026-01-01"),
    covered=spans("2026-01-01 to 2026-02-01", "2026-03-01 to 2026-03-10T09:00"),
    head_slot=at("2026-03-10"),
    building=[("JB1", span("2026-02-01 to 2026-03-01"))],
    spent=Spent(at("2026-03-10").date(), 3),
)


def test_a_recent_state_is_written_so() -> None:
    assert RECENT.to_state() == {
        "version": 1,
        "fingerprint": "f1",
        "datasources": "f2",
        "continuation_token": "t",
        "token_issued_at": "2026-03-10T09:20:30.125Z",
        "covered_until": "2026-03-10T09:20Z",
        "holes": [["2026-03-01T04:00Z", "2026-03-02T00:00Z"]],
        "reports": [["JB1", "2026-03-01T04:00Z", "2026-03-02T00:00Z"]],
        "requests_on": "2026-03-10",
        "requests": 3,
    }


def test_a_report_state_is_written_so() -> None:
    assert REPORT.to_state() == {
        "version": 1,
        "fingerprint": "f1",
        "start_date": "2026-01-01T00:00Z",
        "covered": [
            ["2026-01-01T00:00Z", "2026-02-01T00:00Z"],
            ["2026-03-01T00:00Z", "2026-03-10T09:00Z"],
        ],
        "head_slot": "2026-03-10T00:00Z",
        "reports": [["JB1", "2026-02-01T00:00Z", "2026-03-01T00:00Z"]],
        "requests_on": "2026-03-10",
        "requests": 3,
    }


@thoroughly
@given(bookmarks)
def test_what_is_written_is_read_back(bookmark: Bookmark) -> None:
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


@quickly
@given(st.sampled_from([recent_bookmarks, report_bookmarks]).flatmap(lambda b: st.tuples(b, b)))
def test_nothing_old_survives_that_meltano_merges_a_state_into_an_older_one(
    pair: tuple[Bookmark, Bookmark],
) -> None:
    old, new = pair
    assert merge(new.to_state(), old.to_state()) == new.to_state()


@pytest.mark.parametrize("kind", KINDS)
def test_all_keys_are_always_written_and_what_is_cleared_is_null_or_empty(
    kind: type[Bookmark],
) -> None:
    empty, full = kind().to_state(), (RECENT if kind is RecentBookmark else REPORT).to_state()
    assert empty.keys() == full.keys()
    assert all(empty[key] in (None, [], 0) for key in empty if key != "version")
    assert all(full[key] not in (None, [], 0) for key in full)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_state_is_a_fresh_start(kind: type[Bookmark]) -> None:
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
def test_keys_of_old_and_future_versions_are_passed_over(
    bookmark: Bookmark, extra: dict[str, Any]
) -> None:
    assert type(bookmark).from_state(bookmark.to_state() | extra) == bookmark


WINDOW = ["2026-03-01T00:00Z", "2026-03-02T00:00Z"]
JUNK_REPORTS: list[Any] = [
    "JB1",
    {"JB1": WINDOW},
    ["JB1"],
    [["JB1"]],
    [["", *WINDOW]],
    [[None, *WINDOW]],
    [["JB1", *WINDOW, WINDOW[0]]],
    [["JB1", *reversed(WINDOW)]],
    [WINDOW],
    *([[id_, *WINDOW]] for id_ in ("JB1\n", "..", "JB\ud800", "J" * 201)),
    [["JB1", *WINDOW]] * 1001,
]
JUNK: list[tuple[str, Any]] = [
    *(("fingerprint", value) for value in (1, True, ["f"], {"f": 1}, "f" * 70_000)),
    *(("requests_on", value) for value in (1, True, ["2026-03-10"], "yesterday")),
    *(("requests", value) for value in ("3", 3.5, True, [3], -1)),
    *(("reports", value) for value in JUNK_REPORTS),
]
JUNK_INSTANTS: list[Any] = [1, True, ["2026-03-10"], "soon", "2026-13-01", "0001-01-01T00:00+23:00"]
JUNK_WINDOWS: list[Any] = [
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
@pytest.mark.parametrize(("key", "value"), JUNK)
def test_junk_is_refused(kind: type[Bookmark], key: str, value: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=r"\w"):
        kind.from_state({key: value})


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (RecentBookmark, "token_issued_at"),
        (RecentBookmark, "covered_until"),
        (ReportBookmark, "start_date"),
        (ReportBookmark, "head_slot"),
    ],
)
@pytest.mark.parametrize("value", JUNK_INSTANTS)
def test_what_is_no_instant_is_refused(
    kind: type[Bookmark],
    key: str,
    value: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        kind.from_state({key: value})


@pytest.mark.parametrize("key", ["token_issued_at", "covered_until"])
@pytest.mark.parametrize("value", ["0001-01-01", "1970-01-01T00:00Z", "2013-12-31T23:59:59.999Z"])
def test_no_run_was_before_the_first_node(key: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{key} is before Clarity's first node"):
        RecentBookmark.from_state({key: value})


@pytest.mark.parametrize(("kind", "key"), [(RecentBookmark, "holes"), (ReportBookmark, "covered")])
@pytest.mark.parametrize("value", JUNK_WINDOWS)
def test_what_is_no_window_is_refused(
    kind: type[Bookmark],
    key: str,
    value: Any,  # noqa: ANN401
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        kind.from_state({key: value})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["2026-03-01", "2026-03-01T00:00Z", "9999-12-31T23:59:59-23:59", "JB1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=8,
)


@thoroughly
@given(st.sampled_from([RECENT, REPORT]), st.data())
def test_no_junk_ends_in_any_other_error(bookmark: Bookmark, data: st.DataObject) -> None:
    state = deepcopy(bookmark.to_state())
    for key in data.draw(st.sets(st.sampled_from(sorted(state)), min_size=1, max_size=3)):
        state[key] = data.draw(json_values)
    try:
        read = type(bookmark).from_state(state)
    except ValueError:
        return
    assert type(bookmark).from_state(read.to_state()) == read


def test_the_state_of_all_streams_stays_small_with_ten_reports_being_built() -> None:
    mark = fingerprint(org="exampleAB12", ids=[f"DAAAA{n:04}" for n in range(1000)])
    window = Window(at("2026-03-01"), at("2026-03-08"))
    halves = [Window(window.start + n * 30 * DAY, window.end + n * 30 * DAY) for n in range(2)]
    reports = [(f"JB0000{n:04}", window) for n in range(10)]
    spent = Spent(window.start.date(), 25)
    streams: dict[str, Bookmark] = {
        "recent_measurements": RecentBookmark(
            mark, mark, None, window.start, window.start, halves, reports[:1], spent
        )
    }
    for number, kind in enumerate(("datasource", "node", "reference_site")):
        own = reports[1 + 3 * number : 4 + 3 * number]
        streams[f"{kind}_measurements"] = ReportBookmark(
            mark, window.start, halves, window.start, own, spent
        )
    state = {"bookmarks": {name: bookmark.to_state() for name, bookmark in streams.items()}}
    assert sum(len(bookmark.building) for bookmark in streams.values()) == 10
    assert len(json.dumps(state)) < 2000


def test_a_fingerprint_tells_queries_apart_whatever_the_order_of_their_parts() -> None:
    one = fingerprint(org="a", ids=["b", "c"], qc=True)
    assert one == fingerprint(qc=True, ids=["b", "c"], org="a")
    others = [
        fingerprint(org="a", ids=["c", "b"], qc=True),
        fingerprint(org="a", ids=["b", "c"], qc=False),
        fingerprint(org="a", ids=["b", "c"]),
        fingerprint(org="a", ids=None, qc=True),
    ]
    assert len({one, *others}) == 5
