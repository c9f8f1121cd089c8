"""The benchmarks run and compare equal data; nothing here is timed."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import __main__ as command
from benchmarks import children, memory, recent, records, startup
from benchmarks.data import ORG, TINY, Report
from benchmarks.measure import BenchmarkError, Figures, measure
from benchmarks.report import ratios, spread
from benchmarks.session import Session
from benchmarks.stub import serving
from benchmarks.tap import MEASUREMENTS, settings_for, tap_command, vanilla_command
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = ROOT / "docs" / "performance.md"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return Session(tmp_path_factory.mktemp("benchmarks"), (TINY,), rounds=1)


@pytest.fixture
def floor(session: Session) -> Path:
    try:
        return session.floor()
    except (BenchmarkError, FileNotFoundError):
        pytest.skip("there is no C compiler, or it has no zlib")


@pytest.fixture(scope="module")
def url(session: Session) -> Iterator[str]:
    with serving(report=session.report(TINY).path) as address:
        yield address


def written_by(words: Sequence[str | Path]) -> Counter[str]:
    """Give the records that a command writes, each as text that two equal ones have in common."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return Counter(_canonical(each["record"]) for each in messages if each["type"] == "RECORD")


def _canonical(record: dict[str, Any]) -> str:
    """Leave out what is null: whether it is written is not what is measured."""
    there = {name: value for name, value in record.items() if value is not None}
    return json.dumps(
        {name: float(each) if isinstance(each, int) else each for name, each in there.items()},
        sort_keys=True,
    )


@cache
def vanilla_records(layout: str, url: str) -> Counter[str]:
    with tempfile.TemporaryDirectory() as folder:
        return written_by(vanilla_command(Path(folder), url, layout))


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_tap_and_vanilla_tap_write_equal_records(
    session: Session, url: str, tmp_path: Path, layout: str
) -> None:
    report = session.report(TINY)
    ours = written_by(tap_command(tmp_path, url, MEASUREMENTS, layout=layout, **settings_for(TINY)))
    assert ours == vanilla_records(layout, url)
    assert ours.total() == (report.records if layout == "long" else report.rows)


def test_floor_program_writes_the_records_of_the_vanilla_tap(
    session: Session, url: str, floor: Path
) -> None:
    found = written_by([floor, session.report(TINY).path, ORG])
    assert found == vanilla_records("long", url)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the page that quotes the result; what is run is tiny, and nothing is downloaded."""
    monkeypatch.setattr(command, "SMALL", TINY)
    monkeypatch.setattr(recent, "SMALL", TINY)
    monkeypatch.setattr(records, "FULL", TINY)  # where it promises something
    monkeypatch.setattr(memory, "LAYOUTS", ("long",))
    monkeypatch.setattr(children, "SOME", 4)
    monkeypatch.setattr(startup, "ROUNDS", 1)
    nothing = [sys.executable, "-S", "-c", ""]
    monkeypatch.setattr(startup, "COMMANDS", dict.fromkeys(startup.COMMANDS, nothing))
    monkeypatch.setattr(records.Records, "_clarityio", lambda *_: Figures(1, 1, 1))
    monkeypatch.setattr(Session, "versions", lambda *_: "clarityio 1.1.0")
    path = tmp_path / "page.md"
    path.write_text(f"before\n{PAGE.read_text(encoding='utf-8')}after\n", encoding="utf-8")
    return path


def run_parts(page: Path, *parts: str) -> int:
    options = ["--rounds=1", f"--cache={page.parent}", f"--write={page}", "--only", *parts]
    return command.main(options)


@pytest.mark.parametrize("part", ["records", "memory", "batch", "waiting", "children"])
@pytest.mark.usefixtures("floor")
def test_part_writes_its_results_into_the_page(part: str, page: Path) -> None:
    assert run_parts(page, part) == 0
    result = page.read_text(encoding="utf-8")
    assert result.startswith("before\n")
    assert result.endswith("after\n")
    assert "\n### " in result
    assert "failed" not in result.split("benchmarks: begin")[1]


def test_failing_part_does_not_stop_the_others(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "emitted", lambda _: 7)
    assert run_parts(page, "children", "startup") == 1
    result = page.read_text(encoding="utf-8")
    assert "children failed, so that its figures are missing:" in result
    assert "datasources and their details: 7 where 8 are true" in result
    assert "### Start-up" in result


def test_benchmark_data_are_reproducible(session: Session, tmp_path: Path) -> None:
    assert Report.make(TINY, tmp_path).path.read_bytes() == session.report(TINY).path.read_bytes()


def test_cost_of_a_command_includes_its_children_only() -> None:
    """A large parent does not make it seem larger; what its children burn counts."""
    burn = "sum(range(3_000_000))"
    ballast = bytearray(200 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    child = measure([sys.executable, "-S", "-c", burn])
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {burn!r}])"
    assert measure([sys.executable, "-S", "-c", parent]).cpu > child.cpu / 2 > 0
    assert child.memory < 60


def test_failing_command_has_no_results() -> None:
    with pytest.raises(BenchmarkError, match=r"ended with 3:\nwhy"):
        measure([sys.executable, "-c", "import sys; sys.stderr.write('why'); sys.exit(3)"])


@pytest.mark.parametrize(
    ("over", "under", "expected"),
    [
        ([6.0, 8.0], [2.0, 4.0], [3.0, 2.0]),
        ([8.0], [2.0, 4.0], [4.0, 2.0]),  # the vanilla tap ran once, ours twice
        ([2.0, 4.0], [8.0], [0.25, 0.5]),
    ],
)
def test_ratios_are_calculated_per_round(
    over: list[float], under: list[float], expected: list[float]
) -> None:
    assert ratios(over, under) == expected


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([2.0], "2.00"),
        ([30.0, 1.0, 20.0], "20.0 (1.00 to 30.0)"),
        ([0.1234, 1234.5], "617 (0.123 to 1,234)"),
    ],
)
def test_results_show_median_and_spread(values: list[float], shown: str) -> None:
    assert spread(values) == shown
