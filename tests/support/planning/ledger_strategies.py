"""Hypothesis strategies for ledgers of reports, and for malformed state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from tap_clarity.core.timestamps import EPOCH, Window
from tap_clarity.planning.quota import DailyUsage
from tap_clarity.planning.report_ledger import ReportLedger
from tap_clarity.planning.report_steps import Report
from tap_clarity.planning.retries import FailingWindow
from tap_clarity.planning.windows import merged

MILLISECOND = timedelta(milliseconds=1)
timestamps = st.integers(0, 2**42).map(lambda number: EPOCH + number * MILLISECOND)
windows = st.tuples(timestamps, st.integers(1, 2**36)).map(
    lambda pair: Window(pair[0], pair[0] + pair[1] * MILLISECOND)
)
apart = st.lists(windows, max_size=4).map(merged)
ids = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=30)
counts = st.integers(0, 3)
minutes = st.integers(0, 2**26).map(lambda number: EPOCH + timedelta(minutes=number))
reports = st.builds(Report, ids, windows, minutes, counts, counts)
failing = st.builds(FailingWindow, windows, st.integers(1, 99), st.dates(), st.dates())
usages = st.builds(
    DailyUsage, st.none() | st.dates(), st.integers(0, 30), *[st.none() | minutes] * 3
)
ledgers = st.builds(
    lambda rejected_ids, until, **parts: ReportLedger(
        **parts, rejected_ids=rejected_ids, rejected_ids_until=until if rejected_ids else None
    ),
    pending=st.lists(reports, max_size=10).map(tuple),
    failing=st.lists(failing, max_size=10).map(lambda each: tuple(sorted(each))),
    usage=usages,
    rejected_ids=st.lists(ids, max_size=3).map(tuple),
    until=st.dates(),
)


def arbitrary_json(*texts: str, max_size: int) -> st.SearchStrategy[Any]:
    """Generate JSON with any values, and with texts that a state may contain."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.sampled_from(texts),
        lambda inner: (
            st.lists(inner, max_size=max_size) | st.dictionaries(st.text(), inner, max_size=2)
        ),
        max_leaves=12,
    )
