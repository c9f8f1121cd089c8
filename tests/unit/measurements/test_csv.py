"""The wide CSV: awkward headers and rows are read right, or refused with a reason."""

from __future__ import annotations

import io
from datetime import UTC, timedelta

import pytest

from tap_clarity.measurements.format_detection import read_measurements
from tap_clarity.measurements.model import Measurement, Reading, UnreadableError
from tests.support.measurement_files import (
    DAY_OF_FILE,
    PM,
    UNKNOWN,
    at,
    csv_of,
    expect,
    only,
    read,
    table_of,
)

REPORT = expect(window=DAY_OF_FILE)
RAW = f"datasourceId,startOfPeriod,{PM}.raw"


def refusal(content: bytes | str, frequency: str = "hour") -> str:
    """Say why a file is refused."""
    content = content if isinstance(content, bytes) else table_of(content)
    with pytest.raises(UnreadableError) as caught:
        read(content, expect(frequency, DAY_OF_FILE))
    return str(caught.value)


def test_an_hourly_row_is_read() -> None:
    content = table_of(f"""
        datasourceId,sourceId,sourceType,outputFrequency,startOfPeriod,endOfPeriod,\
locationLatitude,locationLongitude,{PM}.qcAssessment,{PM}.qcFlags,{PM}.raw,{PM}.status,{PM}.value
        DAAAA0001,A0000001,CLARITY_NODE,hour,2026-03-10T05:00:00.000Z,2026-03-10T06:00:00.000Z,\
37.71933910,-122.30000000,invalid,"[""QC.I.OOB.001""]",13.90,calibrated-ready,9.00
    """)
    assert read(content, REPORT) == [
        Measurement(
            id="DAAAA0001",
            source_id="A0000001",
            source_type="CLARITY_NODE",
            time=at(5),
            period_end=at(6),
            latitude=37.7193391,
            longitude=-122.3,
            readings=[Reading(PM, 13.9, 9.0, "calibrated-ready", "invalid", ["QC.I.OOB.001"])],
        )
    ]


def test_a_sample_has_no_period() -> None:
    content = table_of("""
        datasourceId,outputFrequency,time,no2ConcIndividual.raw
        DAAAA0001,minute,2026-03-10T05:03:43.490Z,-28.33
    """)
    (sample,) = read(content, expect("minute", DAY_OF_FILE))
    assert sample.time == at(5) + timedelta(minutes=3, seconds=43, milliseconds=490)
    assert sample.period_end is None
    assert sample.readings == [Reading("no2ConcIndividual", -28.33, None, None, None, None)]


@pytest.mark.parametrize(
    ("frequency", "period"), [("hour", timedelta(hours=1)), ("day", timedelta(days=1))]
)
@pytest.mark.parametrize("time_column", ["time", "startOfPeriod"])
def test_the_end_of_a_period_is_worked_out_where_it_is_not_given(
    time_column: str, frequency: str, period: timedelta
) -> None:
    content = table_of(f"""
        datasourceId,{time_column},pm.raw
        DAAAA0001,2026-03-10T00:00:00.000Z,1
    """)
    (measurement,) = read(content, expect(frequency, DAY_OF_FILE))
    assert measurement.period_end == at(0) + period


@pytest.mark.parametrize(
    "header",
    [
        "datasourceId,startOfPeriod,locationLatitude,locationLongitude,sourceId",
        '"datasourceId","startOfPeriod","locationLatitude","locationLongitude","sourceId"',
        " datasourceId , startOfPeriod , locationLatitude , locationLongitude , sourceId ",
        "Datasource Id,Start of Period,Location Latitude [deg],Location Longitude [deg],Source Id",
        "datasource_id,start_of_period,location_latitude,location_longitude,source_id",
    ],
)
def test_columns_are_known_by_any_of_their_spellings(header: str) -> None:
    content = f"{header},{PM}.raw\nDAAAA0001,2026-03-10T05:00:00.000Z,37.5,-122.5,A1,1"
    (found,) = read(content.encode(), REPORT)
    assert (found.id, found.time, found.latitude, found.longitude, found.source_id) == (
        *("DAAAA0001", at(5), 37.5, -122.5, "A1"),
    )


@pytest.mark.parametrize(
    ("id_field", "column"),
    [
        ("datasource_id", "datasourceId"),
        ("node_id", "nodeId"),
        ("reference_site_id", "referenceSiteId"),
        ("reference_site_id", "refSiteId"),
    ],
)
def test_each_report_has_its_own_id_column(id_field: str, column: str) -> None:
    content = f"{column},startOfPeriod,a.raw\nX0000001,2026-03-10T05:00:00.000Z,1".encode()
    (found,) = read(content, expect(id_field=id_field, window=DAY_OF_FILE))
    assert found.id == "X0000001"


def test_columns_may_come_in_any_order() -> None:
    content = table_of(f"""
        {PM}.value,{UNKNOWN}.raw,endOfPeriod,{PM}.raw,startOfPeriod,{UNKNOWN}.status,datasourceId
        1,2,2026-03-10T06:00Z,3,2026-03-10T05:00Z,new,DAAAA0001
    """)
    (found,) = read(content, REPORT)
    assert found.readings == [
        Reading(PM, 3, 1, None, None, None),
        Reading(UNKNOWN, 2, None, "new", None, None),
    ]


def test_a_byte_order_mark_is_not_part_of_the_first_name() -> None:
    content = f"\ufeff{PM}.raw,datasourceId,time\n1,DAAAA0001,2026-03-10T05:00Z".encode()
    assert only(read(content, REPORT)) == Reading(PM, 1, None, None, None, None)


def test_columns_in_other_scripts_are_not_taken_for_one() -> None:
    content = f"{RAW},温度,湿度\nDAAAA0001,2026-03-10T05:00Z,1,20,50".encode()
    assert only(read(content, REPORT)) == Reading(PM, 1, None, None, None, None)


def test_the_end_of_a_period_is_taken_as_it_is_given() -> None:
    content = f"{RAW},endOfPeriod\nD1,2026-03-10T05:00Z,1,2026-03-10T05:45Z".encode()
    (found,) = read(content, REPORT)
    assert found.period_end == at(5) + timedelta(minutes=45)


def test_columns_that_nobody_knows_are_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    content = table_of(f"""
        {RAW},comment,{PM}.colour,.raw
        DAAAA0001,2026-03-10T05:00Z,1,hello,red,5
    """)
    assert only(read(content, REPORT)) == Reading(PM, 1, None, None, None, None)
    assert [line for line in caplog.messages if "comment" in line]
    assert [line for line in caplog.messages if f"{PM}.colour" in line]


@pytest.mark.parametrize(
    ("header", "assessment"),
    [
        (f"{PM}.qc,{PM}.status", "valid"),
        (f"{PM}.qcAssessment,{PM}.status", "valid"),
        (f"{PM}.qcAssessment,{PM}.qc", "valid"),
        (f"{PM}.qc,{PM}.qcAssessment", "other"),
    ],
)
def test_the_assessment_has_two_names_of_which_the_long_one_counts(
    header: str, assessment: str
) -> None:
    content = f"{RAW},{header}\nDAAAA0001,2026-03-10T05:00Z,1,valid,other".encode()
    assert only(read(content, REPORT)).qc_assessment == assessment


@pytest.mark.parametrize(
    ("cells", "exists"),
    [
        (",,", False),
        (",,calibration-error", True),
        (",5,", True),
        ("0,,", True),
    ],
)
def test_a_reading_exists_if_it_has_raw_value_or_status(cells: str, *, exists: bool) -> None:
    header = f"datasourceId,startOfPeriod,{PM}.raw,{PM}.value,{PM}.status,{PM}.qc,{PM}.qcFlags"
    content = f"{header}\nDAAAA0001,2026-03-10T05:00Z,{cells},valid,[]".encode()
    (found,) = read(content, REPORT)
    assert bool(found.readings) is exists


@pytest.mark.parametrize(
    "content",
    [
        f"{RAW}",
        f"{RAW}\n",
        f"{RAW}\r\n\r\n",
        f"\ufeff{RAW}\n\n\n",
    ],
)
def test_a_file_without_rows_is_empty(content: str) -> None:
    assert read(content.encode(), REPORT) == []


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\n\n", "\r\n\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_and_blank_lines_make_no_difference(line_end: str, *, last: bool) -> None:
    rows = [RAW, "DAAAA0001,2026-03-10T05:00Z,1", "DBBBB0002,2026-03-10T05:00Z,2"]
    content = line_end.join(rows) + line_end * last
    assert [found.readings[0].raw for found in read(content.encode(), REPORT)] == [1, 2]


def test_a_carriage_return_alone_ends_no_row() -> None:
    content = f"{RAW}\nDAAAA0001,2026-03-10T05:00Z,1\rDBBBB0002,2026-03-10T05:00Z,2\n"
    assert refusal(content.encode()).startswith("row 2: new-line character")


def test_quoted_commas_quotes_newlines_and_all_letters_are_kept() -> None:
    id_, status = 'Zürich, "北京"\nD1', "a\r\nb, ''c''"
    content = csv_of(
        [
            ["datasourceId", "startOfPeriod", f"{PM}.status"],
            [id_, "2026-03-10T05:00Z", status],
        ]
    )
    (found,) = read(content, REPORT)
    assert (found.id, found.readings[0].status) == (id_, status)


@pytest.mark.parametrize(
    ("time", "hour"),
    [
        ("2026-03-10T05:00:00.000Z", 5),
        ("2026-03-10T05:00:00Z", 5),
        ("2026-03-10T05:00Z", 5),
        ("2026-03-10 05:00:00", 5),
        ("2026-03-10T06:00:00+01:00", 5),
        ("2026-03-09T22:00:00.000-07:00", 5),
        ("2026-03-10", 0),
    ],
)
def test_times_are_read_with_any_offset_and_precision(time: str, hour: int) -> None:
    (found,) = read(f"{RAW}\nDAAAA0001,{time},1".encode(), REPORT)
    assert (found.time, found.time.tzinfo) == (at(hour), UTC)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ("\ufeff", "empty"),
        ("<html>", "HTML"),
        ('{"message": "no"}', "JSON"),
        ("[]", "JSON"),
        ("startOfPeriod,pm.raw", "no column datasourceid"),
        ("nodeId,startOfPeriod,pm.raw", "no column datasourceid"),
        ("datasourceId,pm.raw", "no column time"),
        ("datasourceId,startOfPeriod,pm.raw,pm.raw", "names a column twice"),
        ("datasourceId,startOfPeriod,sourceId,Source Id", "names a column twice"),
        ("datasourceId,startOfPeriod,,", "names a column twice"),
        ('datasourceId,"startOfPeriod', "not a CSV file"),
        ("datasourceId,startOfPeriod,a\0b", "not a CSV file"),
    ],
)
def test_a_file_that_is_not_of_measurements_is_refused_before_its_first_row(
    header: str, reason: str
) -> None:
    assert reason in refusal(header.encode())


@pytest.mark.parametrize(
    "content", [b"\xff\xfed\x00a\x00", b"\x93NUMPY", "tïme,ïd".encode("latin-1")]
)
def test_what_is_no_text_is_refused(content: bytes) -> None:
    assert refusal(content) in (
        "not a CSV file of measurements",
        "the header has no column datasourceid",
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("DAAAA0001,2026-03-10T05:00Z", "2 cells where the header has 4"),
        ("DAAAA0001,2026-03-10T05:00Z,1,hour,2", "5 cells where the header has 4"),
        ("a,b", "2 cells where the header has 4"),
        (",2026-03-10T05:00Z,1,hour", "no datasource_id"),
        ("NaN,2026-03-10T05:00Z,1,hour", "no datasource_id"),
        ("DAAAA0001,NaN,1,hour", "not an ISO 8601 date or time"),
        ("DAAAA0001,,1,hour", "not an ISO 8601 date or time"),
        ("DAAAA0001,yesterday,1,hour", "not an ISO 8601 date or time"),
        ("DAAAA0001,2026-02-30T05:00Z,1,hour", "not an ISO 8601 date or time"),
        ("DAAAA0001,0001-01-01T00:00+09:00,1,hour", "outside the years 1 to 9999"),
        ("DAAAA0001,2026-03-10T05:00Z,1,minute", "not of the frequency hour"),
        ("DAAAA0001,2026-03-10T05:00Z,one,hour", f"'{PM}': not a number"),
        ("DAAAA0001,2026-03-10T05:00Z,inf,hour", f"'{PM}': not a number"),
        ("DAAAA0001,2026-03-10T05:00Z,1e400,hour", f"'{PM}': a number beyond double precision"),
        ("DAAAA0001,2026-03-10T05:00Z,\0,hour", "a NUL"),
        ('DAAAA0001,2026-03-10T05:00Z,"1"2,hour', "expected after"),
        ('DAAAA0001,2026-03-10T05:00Z,1,"hour', "unexpected end of data"),
        (f"{'D' * 200_000},2026-03-10T05:00Z,1,hour", "field larger than field limit"),
    ],
    ids=lambda value: value[:60],
)
def test_the_first_wrong_row_is_named_with_its_fault(row: str, reason: str) -> None:
    good = "DAAAA0001,2026-03-10T04:00Z,1,hour"
    found = refusal(f"{RAW},outputFrequency\n{good}\n{row}".encode())
    assert found.startswith("row 3: ")
    assert reason in found


@pytest.mark.parametrize("rows", [0, 2000])
def test_bytes_that_are_no_text_are_refused_wherever_they_are(rows: int) -> None:
    start = f"{RAW}\n" + "".join(f"D{n:04},2026-03-10T04:00Z,1\n" for n in range(rows))
    assert refusal(start.encode() + b"D\xff,2026-03-10T05:00Z,1")


def test_rows_before_the_wrong_one_have_been_given() -> None:
    content = f"{RAW}\nDAAAA0001,2026-03-10T04:00Z,1\nDAAAA0001,2026-03-10T05:00Z,x".encode()
    measurements = iter(read_measurements(io.BytesIO(content), REPORT))
    assert next(measurements).time == at(4)
    with pytest.raises(UnreadableError):
        next(measurements)


def test_a_period_that_ends_after_all_time_is_refused() -> None:
    content = f"{RAW}\nDAAAA0001,9999-12-31T23:30:00Z,1".encode()
    with pytest.raises(UnreadableError, match=r"row 2: "):
        read(content)
