"""A stream that fails says so in one line, whatever its error, and the other streams run."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from singer_sdk.exceptions import MaxRecordsLimitException

from tap_clarity.api.client import ClarityClient
from tap_clarity.api.errors import OrgRejectedError
from tap_clarity.api.listing import Listing
from tap_clarity.sandbox import Sandbox
from tap_clarity.tap import TapClarity
from tests.support.constants import NOW
from tests.support.tap_in_process import run_in_process

if TYPE_CHECKING:
    from collections.abc import Iterator

BUG = "report this bug of tap-clarity"
DETAILS = ("datasources", "datasource_details")
STATUSES = ("nodes", "node_statuses")
D, N = {"datasourceId": "D1"}, {"nodeId": "N1"}


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(seed=1, datasources=2, now=NOW, frozen=True, daily_quota=1000) as running:
        yield running


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    shared.faults.clear()
    return shared


def answer(sandbox: Sandbox, path: str, document: Any, times: int | None = None) -> None:  # noqa: ANN401
    body = json.dumps(document)
    sandbox.faults.inject("status", path=path, status=200, body=body, times=times)


def test_an_unexpected_error_fails_its_stream_and_no_other(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    error = ValueError(f"a\nkey: {sandbox.api_key}")
    caplog.set_level(logging.DEBUG, "tap-clarity.subscriptions")
    with patch.object(ClarityClient, "list_subscriptions", side_effect=error):
        run = run_in_process(sandbox, streams=["datasources", "subscriptions", "nodes"])
    assert run.status == 1
    assert run.error_lines == [f"subscriptions: unexpected ValueError: a key: ***; {BUG}"]
    assert run.records("datasources")
    assert run.records("nodes")
    (trace,) = [each for each in caplog.messages if each.startswith("Traceback")]
    assert "list_subscriptions" in trace
    assert sandbox.api_key not in caplog.text


def test_an_unexpected_error_of_one_child_ends_the_stream() -> None:
    with Sandbox(seed=1, datasources=50, now=NOW, frozen=True) as sandbox:
        with patch.object(ClarityClient, "get_datasource", side_effect=ValueError("x")) as get:
            run = run_in_process(sandbox, streams=[*DETAILS, "nodes"])
        assert run.error_lines == [f"datasource_details: unexpected ValueError: x; {BUG}"]
        assert len(run.records("datasources")) == 50
        assert run.records("nodes")
        assert get.call_count < 20


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OrgRejectedError("no"),
        MaxRecordsLimitException("enough"),
        SystemExit(1),
    ],
    ids=repr,
)
def test_what_concerns_all_streams_ends_the_run(sandbox: Sandbox, error: BaseException) -> None:
    with (
        patch.object(ClarityClient, "list_subscriptions", side_effect=error),
        pytest.raises(type(error)),
    ):
        run_in_process(sandbox, streams=["subscriptions"])


@pytest.mark.parametrize(
    ("streams", "path", "document"),
    [
        (DETAILS, "/v2/datasources", [D, D]),
        (STATUSES, "/v2/devices/nodes", [N, N]),
    ],
)
def test_an_object_that_is_listed_twice_is_written_twice(
    sandbox: Sandbox, streams: tuple[str, str], path: str, document: list[Any]
) -> None:
    answer(sandbox, path, document)
    answer(sandbox, f"{path}/*", {**document[0], "summary": "OK"})
    run = run_in_process(sandbox, streams=streams).check()
    assert [len(run.records(stream)) for stream in streams] == [2, 2]


def test_pages_may_overlap(sandbox: Sandbox) -> None:
    second, third = {"datasourceId": "D2"}, {"datasourceId": "D3"}
    answer(sandbox, "/v2/datasources", {"datasources": [D, second], "cursor": "2"}, times=1)
    answer(sandbox, "/v2/datasources", {"datasources": [second, third]})
    answer(sandbox, "/v2/datasources/*", D)
    run = run_in_process(sandbox, streams=DETAILS).check()
    ids = [record["datasource_id"] for record in run.records("datasource_details")]
    assert ids == ["D1", "D2", "D2", "D3"]


def test_a_period_of_access_without_a_start_begins_anywhere(sandbox: Sandbox) -> None:
    answer(sandbox, "/v2/datasources", [D])
    answer(sandbox, "/v2/datasources/*", D | {"accessToMeasurements": [{"subscriptionId": "x"}]})
    (record,) = run_in_process(sandbox, streams=DETAILS).check().records("datasource_details")
    assert record["access_to_measurements"] == [{"subscription_id": "x"}]


@pytest.mark.parametrize(
    ("stream", "path", "item"),
    [
        (
            "reference_site_measurements",
            "/v2/datasources",
            D | {"sourceType": "REFERENCE_SITE", "currentSourceId": ["x"]},
        ),
        ("node_measurements", "/v2/devices/nodes", N | {"lifeStage": {"stage": ["x"]}}),
    ],
)
def test_a_list_in_the_place_of_a_text_stops_no_report(
    sandbox: Sandbox, stream: str, path: str, item: dict[str, Any]
) -> None:
    answer(sandbox, path, [item])
    run = run_in_process(sandbox, streams=[stream, "subscriptions"], start_date="2026-03-09")
    assert BUG not in run.errors
    assert run.records("subscriptions")


@pytest.mark.parametrize("depth", [100, 600, 900])
def test_nested_lists_are_rejected_by_the_stream_that_they_concern(
    sandbox: Sandbox, depth: int
) -> None:
    nested = json.loads("[" * depth + "]" * depth)
    answer(sandbox, "/v2/datasources", [D | {"x": nested}])
    run = run_in_process(sandbox, streams=["datasources", "nodes"])
    (line,) = run.error_lines
    assert line.startswith("datasources: GET /v2/datasources: the reply ")
    assert run.records("nodes")


def test_an_object_without_a_usable_id_is_no_record(sandbox: Sandbox) -> None:
    with patch.object(ClarityClient, "list_nodes", return_value=Listing([{"nodeId": ".."}])):
        run = run_in_process(sandbox, streams=STATUSES)
    (line,) = run.error_lines
    assert "the node_id of an object is missing, too long, or no plain text" in line
    assert not run.records("nodes")


def test_reference_sites_without_a_valid_id_are_left_out() -> None:
    ids = ["R1", "a\nERROR", "x" * 201, ["x"], None]
    sites = [
        {"datasourceId": f"D{n}", "sourceType": "REFERENCE_SITE", "currentSourceId": id_}
        for n, id_ in enumerate(ids)
    ]
    tap = TapClarity(config={"org": "exampleAB12", "api_key": "key"})
    with patch.object(ClarityClient, "list_datasources", return_value=Listing(sites)):
        assert tap.run.reference_sites() == ("R1",)
