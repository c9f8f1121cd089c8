"""The long JSON of recent replies: awkward replies are read right, or refused with a reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.measurements.model import Measurement, Reading, UnreadableError
from tests.support.measurement_files import DAY_OF_FILE, PM, UNKNOWN, at, expect, only, read

if TYPE_CHECKING:
    from collections.abc import Callable

Json = Any
JsonObject = dict[str, Json]
KEY: JsonObject = {"datasourceId": "DAAAA0001", "time": "2026-03-10T05:00:00.000Z"}
PLACE: JsonObject = {"datasourceId": "DAAAA0001", "lat": 1, "lon": 2}
ITEM = KEY | {"metric": PM, "raw": 13.9, "value": 9, "status": "calibrated-ready"}


def reply(*data: JsonObject, **more: Json) -> bytes:
    return json.dumps({"request": {"org": "exampleAB12"}, "data": data, **more}).encode()


def refusal(content: bytes) -> str:
    """Say why a reply is refused."""
    with pytest.raises(UnreadableError) as caught:
        read(content)
    return str(caught.value)


def test_the_metrics_of_one_time_are_one_measurement() -> None:
    content = reply(
        ITEM | {"qcAssessment": "valid", "qcFlags": []},
        ITEM | {"metric": UNKNOWN, "value": None, "status": "calibration-missing"},
        locations=[{"datasourceId": "DAAAA0001", "lat": 47.74201, "lon": 96.84668}],
    )
    assert read(content) == [
        Measurement(
            id="DAAAA0001",
            source_id=None,
            source_type=None,
            time=at(5),
            period_end=at(6),
            latitude=47.74201,
            longitude=96.84668,
            readings=[
                Reading(PM, 13.9, 9, "calibrated-ready", "valid", []),
                Reading(UNKNOWN, 13.9, None, "calibration-missing", None, None),
            ],
        )
    ]


def test_the_metrics_of_one_time_belong_together_wherever_they_stand() -> None:
    content = reply(
        ITEM,
        ITEM | {"datasourceId": "DBBBB0002"},
        ITEM | {"metric": UNKNOWN, "time": "2026-03-10T06:00:00+01:00"},
    )
    found = {(m.id, m.time.hour): [r.metric for r in m.readings] for m in read(content)}
    assert found == {("DAAAA0001", 5): [PM, UNKNOWN], ("DBBBB0002", 5): [PM]}


@pytest.mark.parametrize(
    "more",
    [{}, {"locations": []}, {"locations": None}, {"locations": [{"datasourceId": "DBBBB0002"}]}],
)
def test_a_place_may_be_missing(more: JsonObject) -> None:
    (found,) = read(reply(ITEM, **more))
    assert (found.latitude, found.longitude) == (None, None)


def test_sources_and_periods_are_read_where_they_are_sent() -> None:
    item = {
        "datasourceId": "DAAAA0001",
        "sourceId": "A0000001",
        "sourceType": "CLARITY_NODE",
        "outputFrequency": "day",
        "startOfPeriod": "2026-03-10T00:00:00.000Z",
        "endOfPeriod": "2026-03-11T00:30:00.000Z",
        "metric": PM,
        "raw": 1,
    }
    (found,) = read(reply(item), expect("day"))
    assert (found.source_id, found.source_type) == ("A0000001", "CLARITY_NODE")
    assert found.time == at(0)
    assert found.period_end
    assert found.period_end.isoformat() == "2026-03-11T00:30:00+00:00"


def test_a_sample_has_no_period() -> None:
    (found,) = read(reply(ITEM), expect("minute"))
    assert found.period_end is None


def test_a_metric_may_be_the_name_of_its_attributes() -> None:
    attributes = {"raw": 1, "value": 2, "status": "sensor-ready", "qc": "valid", "qcFlags": ["Q"]}
    (found,) = read(reply(KEY | {PM: attributes, UNKNOWN: {"raw": 3}, "note": "hello"}))
    assert found.readings == [
        Reading(PM, 1, 2, "sensor-ready", "valid", ["Q"]),
        Reading(UNKNOWN, 3, None, None, None, None),
    ]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"raw": 3}, (3, None, None, None, None)),
        ({"raw": -28.33, "value": 0}, (-28.33, 0, None, None, None)),
        ({"raw": "13.90", "value": ".5"}, (13.9, 0.5, None, None, None)),
        ({"raw": "", "value": 1e5}, (None, 100000, None, None, None)),
        ({"raw": 10**300}, (1e300, None, None, None, None)),
        ({"raw": -0.0}, (0, None, None, None, None)),
        ({"status": "calibration-error"}, (None, None, "calibration-error", None, None)),
        ({"raw": 1, "status": ""}, (1, None, None, None, None)),
        ({"raw": 1, "qc": "invalid"}, (1, None, None, "invalid", None)),
        ({"raw": 1, "qc": "invalid", "qcAssessment": "valid"}, (1, None, None, "valid", None)),
        ({"raw": 1, "qcFlags": None}, (1, None, None, None, None)),
        ({"raw": 1, "qcFlags": []}, (1, None, None, None, [])),
        ({"raw": 1, "qcFlags": ["A", "B"]}, (1, None, None, None, ["A", "B"])),
        ({"raw": 1, "qcFlags": '["A"]'}, (1, None, None, None, ["A"])),
        ({"raw": 1, "qcFlags": "A"}, (1, None, None, None, ["A"])),
        ({"raw": 1, "qcFlags": {"A": 1}}, (1, None, None, None, ['{"A": 1}'])),
        ({"raw": 1, "colour": "red"}, (1, None, None, None, None)),
        ({"raw": 1, "value": float("nan"), "status": "N/A"}, (1, None, None, None, None)),
    ],
)
def test_attributes_are_read_whatever_their_shape(
    attributes: JsonObject, expected: tuple[Json, ...]
) -> None:
    assert only(read(reply(KEY | {"metric": PM} | attributes)))[1:] == expected


@pytest.mark.parametrize("form", [str.upper, str.capitalize, "_".join])
def test_attributes_are_known_in_any_case(form: Callable[[str], str]) -> None:
    item = ITEM | {"qcAssessment": "valid", "qcFlags": ["A"]}
    plain = read(reply(item, locations=[PLACE]))
    written = {form(name): value for name, value in item.items()}
    place = {form(name): value for name, value in PLACE.items()}
    assert read(reply(written, locations=[place])) == plain


def test_an_attribute_that_comes_in_two_cases_is_taken_by_its_usual_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert only(read(reply({"RAW": 7} | ITEM | {"Raw": 8}))).raw == 13.9
    assert caplog.messages == ["Attributes that the tap does not know are left out: ['RAW', 'Raw']"]


@pytest.mark.parametrize(
    ("change", "place", "names"),
    [
        ({}, {}, None),
        ({"colour": "red"}, {}, ["colour"]),
        ({"colour": "red", "size": 5}, {"altitude": 5}, ["colour", "size", "altitude"]),
        ({"n" * 200: 1}, {}, ["n" * 100]),
        ({str(number): 1 for number in range(20)}, {}, [str(number) for number in range(10)]),
        ({"metric": None, PM: {"raw": 1, "hue": 2}}, {}, ["hue"]),
        ({"nested": {"raw": 1}}, {}, ["nested"]),
    ],
)
def test_attributes_that_are_not_known_are_named_once(
    change: JsonObject,
    place: JsonObject,
    names: list[str] | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    item = {name: value for name, value in (ITEM | change).items() if value is not None}
    again = item | {"time": "2026-03-10T06:00:00.000Z"}
    assert len(read(reply(item, again, locations=[PLACE | place] * 2))) == 2
    logged = f"Attributes that the tap does not know are left out: {names}"
    assert caplog.messages == ([logged] if names else [])


def test_objects_without_a_reading_are_refused() -> None:
    item = KEY | {"metric": PM, "rawValue": 3}
    reason = "no object has a raw, value or status; the first names are "
    assert refusal(reply(item, item)) == f"{reason}{[*item]}"
    assert len(read(reply(item, ITEM))) == 1


def test_the_metric_is_written_by_its_canonical_name() -> None:
    assert only(read(reply(ITEM | {"metric": PM.upper()}))).metric == PM
    assert only(read(reply(ITEM | {"metric": UNKNOWN.upper()}))).metric == UNKNOWN.upper()


@pytest.mark.parametrize("item", [KEY, KEY | {"metric": PM}])
def test_padding_makes_no_measurement(item: JsonObject) -> None:
    padded = item | {"metric": PM, "raw": None, "value": None, "status": None}
    (found,) = read(reply(padded))
    assert found.readings == []


def test_a_reply_without_news_is_empty() -> None:
    assert read(reply()) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not JSON"),
        (b'{"data": []', "not JSON"),
        (b'{"data": []} trailing', "not JSON"),
        (b'{"data": ["\xff"]}', "not JSON"),
        (b'{"data": [' + b"9" * 5000 + b"]}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"data":' * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "no list of data"),
        (b'{"message": ["Unauthorized user"]}', "no list of data"),
        (b'{"data": null}', "no list of data"),
        (b'{"data": {}}', "no list of data"),
        (b'{"data": [1]}', "no list of data"),
        (b'{"data": [], "locations": {"a": 1}}', "no list of locations"),
        (b'{"data": [], "locations": ["here"]}', "no list of locations"),
    ],
    ids=lambda value: value[:30],
)
def test_what_is_no_reply_is_refused(content: bytes, reason: str) -> None:
    assert reason in refusal(content)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"datasourceId": None}, "object 2: no datasourceId"),
        ({"datasourceId": ""}, "object 2: no datasourceId"),
        ({"datasourceId": 5}, "object 2: not a text"),
        ({"datasourceId": ["DAAAA0001"]}, "object 2: not a text"),
        ({"datasourceId": "D\0"}, "object 2: not a text"),
        ({"datasourceId": "D\ud800"}, "object 2: not a text"),
        ({"time": None}, "object 2: not an ISO 8601"),
        ({"time": 1773119229}, "object 2: not an ISO 8601"),
        ({"time": ["2026-03-10"]}, "object 2: not an ISO 8601"),
        ({"time": "now"}, "object 2: not an ISO 8601"),
        ({"time": "9999-12-31T23:59Z"}, "date value out of range"),
        ({"outputFrequency": "minute"}, "object 2: not of the frequency hour"),
        ({"outputFrequency": 5}, "object 2: not of the frequency hour"),
        ({"endOfPeriod": "later"}, "not an ISO 8601"),
        ({"endOfPeriod": 5}, "not a text"),
        ({"sourceId": 5}, "not a text"),
        ({"sourceType": ["CLARITY_NODE"]}, "not a text"),
        ({"metric": None}, "no metric"),
        ({"metric": ""}, "no metric"),
        ({"metric": "a\0"}, "not a text"),
        ({"metric": "m" * 201}, "object 2: the name of a metric exceeds the limit of 200"),
        ({"metric": None, "m" * 201: {"raw": 1}}, "the name of a metric exceeds the limit of 200"),
        ({"raw": True}, "not a number"),
        ({"value": False}, "not a number"),
        ({"raw": "one"}, "not a number"),
        ({"raw": [1]}, "not a number"),
        ({"raw": {}}, "not a number"),
        ({"raw": float("inf")}, "not a number"),
        ({"raw": 10**400}, "beyond double precision"),
        ({"status": 5}, "not a text"),
        ({"qcAssessment": ["valid"]}, "not a text"),
        ({"qcFlags": ["\ud800"]}, "not a text"),
    ],
    ids=str,
)
def test_the_first_wrong_object_is_refused_with_its_fault(change: JsonObject, reason: str) -> None:
    other_hour = ITEM | {"time": "2026-03-10T06:00:00.000Z"}
    assert reason in refusal(reply(ITEM, other_hour | change))


@pytest.mark.parametrize("place", [{"lat": True}, {"lat": "north"}, {"lon": []}])
def test_a_place_that_is_no_place_is_refused(place: JsonObject) -> None:
    content = reply(ITEM, locations=[{"datasourceId": "DAAAA0001"} | place])
    assert "not a number" in refusal(content)


def test_json_is_not_taken_for_a_report() -> None:
    with pytest.raises(UnreadableError, match="it is JSON"):
        read(reply(ITEM), expect(window=DAY_OF_FILE))
