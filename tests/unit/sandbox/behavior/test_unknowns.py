"""Unknowns leave the expected data alone, and work in any combination."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.behavior.parameters import CHOICES
from tap_clarity.sandbox.behavior.quirks import SWITCHES, Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.testing.corruption import FILE_CORRUPTIONS
from tap_clarity.sandbox.testing.faults import UNKNOWN_KINDS
from tests.support.constants import SANDBOX_NOW as NOW
from tests.support.sandbox_client import Client, fetch, values_of_csv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_clarity.sandbox import Measurement
    from tests.support.sandbox_client import Response


from tap_clarity.sandbox.behavior.quirks import find_switches
from tap_clarity.sandbox.testing.faults import KINDS

DAY = ("2026-11-19", "2026-11-20")
LABELS = [unknown.label for unknown in Unknown]
RESOURCES = ("datasources", "subscriptions", "nodes", "node_alarms", "accessory_modules")
# These change what a reader of the file's canonical columns sees; other tests read them.
OTHER_COLUMNS = {"english-labels", "underscore-columns", "capital-attributes", "missing-words"}
# These withhold or change what the expected contains.
WITHHELD = {
    "never-ending-reports",
    "other-end-status",
    "no-urls",
    "no-urls-at-first",
    "no-urls-in-first-report",
    "other-frequency-served",
}
# These send more rows than the window has.
MORE_ROWS = {"rows-repeated", "rows-revised", "rows-outside"}
FORMAT = {"format": "csv-wide", "fileFormat": "csv"}


def _expected(sandbox: Sandbox) -> list[Measurement]:
    return list(sandbox.expected.measurements("hour", *DAY, NOW))


@pytest.fixture(scope="module")
def plain() -> Iterator[Sandbox]:
    with Sandbox(seed=7, datasources=6, now=NOW, frozen=True, report_seconds=0) as sandbox:
        yield sandbox


@pytest.mark.parametrize("label", LABELS)
def test_an_unknown_does_not_change_the_expected_data(plain: Sandbox, label: str) -> None:
    other = Sandbox(seed=7, datasources=6, now=NOW, frozen=True, quirks={label})
    expected, found = _expected(plain), _expected(other)
    if label == "moving-coordinates":
        found = [
            replace(new, latitude=old.latitude, longitude=old.longitude)
            for old, new in zip(expected, found, strict=True)
        ]
    assert found == expected
    for name in RESOURCES:
        records = list(other.expected.records(name, NOW))
        assert records == list(plain.expected.records(name, NOW))


@pytest.mark.parametrize(
    "label", [each for each in LABELS if each not in OTHER_COLUMNS | WITHHELD | MORE_ROWS]
)
def test_files_contain_the_expected_data(plain: Sandbox, label: str) -> None:
    client = Client(plain)
    expected = values_of_csv(client.report("hour", *DAY, **FORMAT))
    plain.switches.turn_on(label)
    try:
        report_id = client.request_report("hour", *DAY, **FORMAT).json["reportId"]
        singular = label == "plural-poll-refused"
        path = "/v2/report-request/" if singular else "/v2/report-requests/"
        record = client.get(f"{path}{report_id}").json
        assert values_of_csv(fetch(record["urls"][0]).body.decode()) == expected
    finally:
        plain.switches.turn_off(label)
        plain.clock.advance(24 * 3600)  # a new day has a new quota


def _responses(client: Client) -> Iterator[Response]:
    """Send one request of each kind."""
    for path in ("datasources", "subscriptions", "devices/nodes", "devices/accessory-modules"):
        yield client.get(f"/v2/{path}")
    for wanted in ("json-long", "csv-wide"):
        recent = client.recent("hour", format=wanted, replyWithContinuationToken=True)
        yield recent
        yield client.continue_recent(recent.headers["x-clarity-continuation-token"])
    yield client.request_report("hour", *DAY)


def _files(response: Response) -> Iterator[Response]:
    if response.status in {200, 201, 202, 203}:
        urls = response.json.get("urls")
        yield from map(fetch, urls if isinstance(urls, list) else [])


@pytest.mark.parametrize("has_faults", [False, True], ids=["quirks", "quirks-and-faults"])
@pytest.mark.parametrize("seed", range(25))
def test_random_combinations_do_not_break_the_emulator(seed: int, has_faults: Any) -> None:  # noqa: ANN401
    """Every combination has responses with a known status, and files that can be read."""
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    quirks = {each.label for each in SWITCHES if rng.random() < rng.choice((0.1, 0.4))}
    parameters = {name: rng.choice(choices) for name, choices in CHOICES.items()}
    with Sandbox(
        seed=7,
        datasources=6,
        now=NOW,
        frozen=True,
        report_seconds=0,
        files_per_report=rng.choice((1, 2)),
        quirks=quirks,
        parameters=parameters,
    ) as sandbox:
        for kind in [*UNKNOWN_KINDS, *FILE_CORRUPTIONS] if has_faults else ():
            status = 404 if kind == "purged-files" else 203
            path = "/files/*" if kind in FILE_CORRUPTIONS else "*"
            order = {"probability": 0.2, "seed": seed, "status": status, "path": path}
            sandbox.faults.inject(kind, **order)
        *responses, report = _responses(Client(sandbox))
        files = list(_files(report))
        known = {200, 201, 202, 203, 204, 206, 400, 404}
        assert {each.status for each in (*responses, report, *files)} <= known
        for file in files:
            if not has_faults:
                _readable(file.body)
        assert list(sandbox.expected.measurements("hour", *DAY, NOW))


def _readable(body: bytes) -> None:
    if body.startswith(b"PAR1"):
        assert pq.read_table(io.BytesIO(body)).num_columns > 8
        return
    header, *rows = csv.reader(io.StringIO(body.decode(), newline=""))
    assert {len(row) for row in rows} <= {len(header)}


def test_all_quirks_at_once_are_answered() -> None:
    quirks = {"unknowns", "all"}
    with Sandbox(seed=7, datasources=6, now=NOW, frozen=True, quirks=quirks) as sandbox:
        assert len(list(_responses(Client(sandbox)))) == 9
        assert sandbox.world.quirks == {*Quirk, *Unknown}


def test_data_from_limits_expected_data_and_responses() -> None:
    started = "2026-11-20T05:00:00.000Z"
    parameters = {"data_from": started}
    with Sandbox(
        seed=7, datasources=6, now=NOW, frozen=True, report_seconds=0, parameters=parameters
    ) as sandbox:
        client = Client(sandbox)
        window = ("2026-11-18", "2026-11-21")
        expected = [
            each.time.isoformat() for each in sandbox.expected.measurements("hour", *window, NOW)
        ]
        assert min(expected) == "2026-11-20T05:00:00+00:00"
        assert min(key[1] for key in values_of_csv(client.report("hour", *window))) == started
        recent = client.recent("hour", startTime=window[0], format="csv-wide").body.decode()
        assert min(key[1] for key in values_of_csv(recent)) == started
        nodes = sandbox.expected.node_ids(NOW)
        of_nodes = sandbox.expected.measurements_of_sources("hour", *window, NOW, nodes)
        assert min(each.time.isoformat() for each in of_nodes) == min(expected)


def test_the_labels_of_the_unknowns() -> None:
    assert find_switches(["unknowns"]) == frozenset(Unknown)
    assert not find_switches(["unknowns"]) & find_switches(["all"])
    assert len({each.label for each in SWITCHES}) == len(SWITCHES)
    assert not KINDS.keys() & UNKNOWN_KINDS.keys()
    evidence = {each.evidence for each in (*SWITCHES, *(KINDS | UNKNOWN_KINDS).values())}
    assert evidence == {"documented", "seen", "invented"}
