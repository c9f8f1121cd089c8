"""Content without any measurement is empty where it may be, and an error elsewhere."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tap_clarity.measurements.model import Expected, UnreadableError
from tests.support.measurement_files import DAY_OF_FILE, PM, expect, parquet_of, read

REPORT = expect(window=DAY_OF_FILE)
RECENT = expect()
LONG_BLANK = b" \n\t\r" * 50_000
HEADER = f"datasourceId,startOfPeriod,{PM}.raw".encode()
BLANK = [
    *(b"", b"\n", b"\r\n\r\n", b" \t ", LONG_BLANK, b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"),
    *(b'""', b'""\n', b'\xef\xbb\xbf""\r\n', b'""' + LONG_BLANK),
    *(b"datasourceId", b"datasourceId\n", b'"datasourceId"\r\n', b"nodeId\n\n", b"Source Id"),
    *(f"{PM}.raw".encode(), b"sourceId,comment", b"startOfPeriod,endOfPeriod\n"),
]
NO_NEWS = [
    *(b"[]", b" [ ]\n", b"[\n]", b"{}", b" { }\n", b'{"data": null}', b'{"data": null}\n'),
    b'{"request": {"org": "exampleAB12"}, "data": null}',
    b'{"data": null, "locations": null}',
]
ALWAYS_EMPTY = [HEADER, HEADER + b"\n", HEADER + b"\r\n\r\n"]
NEVER = [
    *(b"{", b"[1]", b"[[]]", b"[] []", b'"" ""', b'""\n1', b"Service unavailable", b"null"),
    *(b"<html></html>", b"<Error/>", b'{"message": "no"}', b'{"data": {}}', b'{"data": ""}'),
    *(b'{"request": {}}', b"\0", b"datasourceId\nDAAAA0001", b"Not found\n\n", b"a,b,c"),
    *(b'""' + LONG_BLANK + b"1", LONG_BLANK + b"1", b"datasourceId\n\n,", b"PAR1"),
]


def blank(expected: Expected) -> Expected:
    return expected._replace(may_be_blank=True)


@pytest.mark.parametrize("expected", [REPORT, RECENT], ids=["report", "recent"])
@pytest.mark.parametrize("content", BLANK, ids=lambda content: repr(content[:40]))
def test_blank_content_is_empty_only_where_it_may_be(content: bytes, expected: Expected) -> None:
    assert read(content, blank(expected)) == []
    with pytest.raises(UnreadableError):
        read(content, expected)


@pytest.mark.parametrize("content", NO_NEWS, ids=repr)
def test_json_without_news_is_empty_in_responses_without_a_window(content: bytes) -> None:
    assert read(content, blank(RECENT)) == []
    for expected in (RECENT, REPORT, blank(REPORT)):
        with pytest.raises(UnreadableError):
            read(content, expected)


@pytest.mark.parametrize("content", ALWAYS_EMPTY, ids=repr)
def test_a_header_without_rows_is_always_empty(content: bytes) -> None:
    for expected in (RECENT, REPORT, blank(RECENT), blank(REPORT)):
        assert read(content, expected) == []


@pytest.mark.parametrize("content", NEVER, ids=lambda content: repr(content[:40]))
def test_anything_else_is_never_taken_for_empty(content: bytes) -> None:
    for expected in (RECENT, REPORT, blank(RECENT), blank(REPORT)):
        with pytest.raises(UnreadableError):
            read(content, expected)


def test_parquet_without_rows_and_columns_is_blank() -> None:
    content = parquet_of(pa.table({}))
    for expected in (RECENT, REPORT):
        assert read(content, blank(expected)) == []
        with pytest.raises(UnreadableError):
            read(content, expected)
    with pytest.raises(UnreadableError):
        read(parquet_of(pa.table({"datasourceId": ["DAAAA0001"]})), blank(REPORT))


def test_rows_are_read_whether_or_not_the_content_may_be_blank() -> None:
    content = HEADER + b"\nDAAAA0001,2026-03-10T05:00Z,1\n"
    assert read(content, blank(REPORT)) == read(content, REPORT) != []


def test_a_message_with_status_200_is_not_a_reply_without_news() -> None:
    body = b'{"message": ["token expired"], "data": null}'
    with pytest.raises(UnreadableError, match="the reply is a message"):
        read(body, RECENT._replace(may_be_blank=True))
