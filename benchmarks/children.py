"""The details of many datasources, each of which the API takes a moment to answer."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import requests

from benchmarks.data import ORG
from benchmarks.measure import Figures, check, emitted, measure
from benchmarks.report import Promise, Table, ratios, spread
from benchmarks.stub import max_in_flight, serving
from benchmarks.tap import tap_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.session import Session

DELAY = 0.15
MANY, SOME = 300, 40
HEAD = ("What", "Wall s", "Of the time one at a time", "Most in flight", "Runs")


def run(session: Session) -> Iterator[Table | Promise]:
    """Ask for the details by the tap, and by a client that asks one at a time."""
    datasources = MANY if session.is_large else SOME
    taps: list[Figures] = []
    ones: list[float] = []
    most = 0
    for _ in range(session.rounds):
        with serving(datasources=datasources, delay=DELAY) as url:
            taps.append(_ask(session, url, datasources))
            most = max(most, max_in_flight(url))
            session.say(f"tap: {taps[-1].wall:.1f} s, {most} in flight")
            ones.append(_ask_one_at_a_time(url, datasources))
            session.say(f"one at a time: {ones[-1]:.1f} s")
    walls = [figures.wall for figures in taps]
    share = ratios(walls, ones)
    runs = str(session.rounds)
    title = f"Details of {datasources} datasources, {DELAY * 1000:.0f} ms each"
    table = Table(title, HEAD, note="The tap's time is that of the whole process.")
    table.rows.append(["tap", spread(walls), spread(share), str(most), runs])
    table.rows.append(["a client, one at a time", spread(ones), "1.00", "1", runs])
    yield table
    if session.is_large:  # or the start-up weighs too much
        yield Promise(f"Details of {datasources}, of the time one at a time", 0.2, median(share))
    yield Promise("Details in flight at once", 8, most)


def _ask(session: Session, url: str, datasources: int) -> Figures:
    with session.folder() as folder:
        figures = measure(tap_command(folder, url, "datasources", "datasource_details"))
    check("datasources and their details", emitted(figures), 2 * datasources)
    return figures


def _ask_one_at_a_time(url: str, datasources: int) -> float:
    begun = time.monotonic()
    with requests.Session() as client:
        for number in range(datasources):
            path = f"/v2/datasources/DBENC{number:04d}"
            client.get(url + path, params={"org": ORG}, timeout=60).raise_for_status()
    return time.monotonic() - begun
