"""Standard output: whole lines, in order, and an honest end when nobody reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from singer_sdk.singerlib.encoding.simple import (
    Message,
    RecordMessage,
    SchemaMessage,
    StateMessage,
)

from tap_clarity.output.line_writer import BUFFER_BYTES, LineWriter, Stopped
from tests.support.running_tap import running, small_pipe
from tests.support.tap_process import TapRun, expected_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_clarity.sandbox import Sandbox

Json = Any

LONG = "x" * BUFFER_BYTES


def record(**values: Json) -> RecordMessage:
    return RecordMessage(stream="nodes", record=values)


def schema(stream: str, **properties: Json) -> SchemaMessage:
    return SchemaMessage(stream=stream, schema={"properties": properties}, key_properties=["id"])


def state(**bookmarks: Json) -> StateMessage:
    return StateMessage(value={"bookmarks": bookmarks})


@pytest.fixture
def sent(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[[], list[Json]]:
    """Reads what has come out since the last call; each line must be whole."""

    def read() -> list[Json]:
        out = capfdbinary.readouterr().out
        assert not out or out.endswith(b"\n")
        return [json.loads(line) for line in out.splitlines()]

    return read


def types(messages: list[Json]) -> list[str]:
    return [message["type"] for message in messages]


def test_records_wait_for_company(sent: Callable[[], list[Json]]) -> None:
    writer = LineWriter()
    writer.write_message(record(id=1))
    assert sent() == []
    writer.write_message(state(nodes={"at": 1}))
    assert types(sent()) == ["RECORD", "STATE"]


def test_a_full_buffer_goes_out_by_itself(sent: Callable[[], list[Json]]) -> None:
    writer = LineWriter()
    for number in range(3):
        writer.write_message(record(id=number, text="x" * (BUFFER_BYTES // 2)))
    assert types(sent())[:1] == ["RECORD"]
    writer.flush()
    assert types(sent())


def test_flush_sends_what_waits(sent: Callable[[], list[Json]]) -> None:
    writer = LineWriter()
    writer.write_message(record(id=1))
    writer.flush()
    assert types(sent()) == ["RECORD"]


def test_a_schema_is_sent_at_once_and_not_again_until_it_changes(
    sent: Callable[[], list[Json]],
) -> None:
    writer = LineWriter()
    same = schema("nodes", id={"type": "string"})
    for message in (same, same, schema("sites", id={}), same):
        writer.write_message(message)
    assert [message["stream"] for message in sent()] == ["nodes", "sites"]
    writer.write_message(schema("nodes", id={"type": "integer"}))
    assert [message["schema"] for message in sent()] == [
        {"properties": {"id": {"type": "integer"}}}
    ]
    writer.write_message(same)
    assert types(sent()) == ["SCHEMA"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just(LONG),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)
MESSAGES = st.one_of(
    st.builds(record, id=VALUES),
    st.builds(state, nodes=VALUES),
    st.builds(schema, st.sampled_from(["nodes", "sites"]), id=st.sampled_from([{}, {"type": "x"}])),
)


@settings(
    max_examples=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(messages=st.lists(MESSAGES, max_size=8))
def test_what_comes_out_is_what_went_in(
    sent: Callable[[], list[Json]], messages: list[Message]
) -> None:
    writer = LineWriter()
    for message in messages:
        writer.write_message(message)
    writer.flush()
    assert sent() == list(without_repeated_schemas([message.to_dict() for message in messages]))


def without_repeated_schemas(messages: list[Json]) -> Iterator[Json]:
    known: dict[str, Json] = {}
    for message in messages:
        if message["type"] == "SCHEMA":
            if known.get(message["stream"]) == message:
                continue
            known[message["stream"]] = message
        yield message


def test_a_signal_between_two_lines_stops_at_once() -> None:
    with pytest.raises(Stopped) as stopped:
        LineWriter().stop(15)
    assert (stopped.value.code, str(stopped.value)) == (143, "stopped by SIGTERM")


def test_after_the_last_message_signals_no_longer_count(sent: Callable[[], list[Json]]) -> None:
    writer = LineWriter()
    writer.end(state(nodes={"at": 1}))
    writer.stop(15)
    writer.stop(2)
    assert types(sent()) == ["STATE"]


WRITE_AND_DIE = """
import os
from singer_sdk.singerlib.encoding.simple import RecordMessage
from tap_clarity.output.line_writer import LineWriter
writer = LineWriter()
writer.write_message(RecordMessage(stream="nodes", record={}))
os._exit(0)
"""


def test_the_buffer_is_its_own_even_where_python_has_none() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITE_AND_DIE],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        check=True,
    )
    assert done.stdout == b""


CLOSED = "standard output: {}; see what the loader says"


def assert_ended_in_one_line(run: TapRun, line: str) -> None:
    assert run.error_lines == [line]
    assert run.status == 1
    assert "Traceback" not in run.errors
    assert "Exception ignored" not in run.errors


@pytest.mark.parametrize("lines", [1, 2000])
def test_a_reader_that_leaves_is_one_line(sandbox: Sandbox, tmp_path: Path, lines: int) -> None:
    count = iter(range(1, lines))
    with (
        small_pipe() as (reader, output),
        running(sandbox, tmp_path, output=output, streams=["recent_measurements"]) as tap,
    ):
        reader.read_until(lambda _: next(count, None) is None)
        reader.pipe.close()
        run = tap.end()
    assert_ended_in_one_line(run, CLOSED.format("Broken pipe"))


def test_a_reader_that_was_never_there_is_one_line(sandbox: Sandbox, tmp_path: Path) -> None:
    with small_pipe() as (reader, output):
        reader.pipe.close()
        with running(sandbox, tmp_path, output=output, streams=["metrics"]) as tap:
            run = tap.end()
    assert_ended_in_one_line(run, CLOSED.format("Broken pipe"))


def test_a_full_disk_is_one_line(sandbox: Sandbox, tmp_path: Path) -> None:
    full = Path("/dev/full").open("wb")  # noqa: SIM115
    with running(sandbox, tmp_path, output=full, streams=["metrics"]) as tap:
        run = tap.end()
    assert_ended_in_one_line(run, CLOSED.format("No space left on device"))


def test_a_slow_reader_gets_everything(sandbox: Sandbox, tmp_path: Path) -> None:
    now = sandbox.clock.now()
    with (
        small_pipe() as (reader, output),
        running(
            sandbox, tmp_path, output=output, streams=["recent_measurements"], metric_select="all"
        ) as tap,
    ):
        reader.read_until(lambda message: bool(message["type"] == "RECORD"))
        reader.wait_until_full()
        run = tap.end(reader.read_rest()).check()
    truth = sandbox.expected.measurements("hour", now - timedelta(hours=48), now, now)
    assert run.upserted("recent_measurements") == expected_records(truth)
