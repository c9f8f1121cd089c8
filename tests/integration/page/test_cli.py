"""The command `clarity-page`: where it writes the page, and its error messages."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from tap_clarity.page.cli import main
from tests.support.duckdb_fixture import REPORT, duckdb, load, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return load(tmp_path / "warehouse.duckdb", {REPORT: rows("D1", [0])})


def _error(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line of the error, without the command's name."""
    assert main([str(each) for each in arguments]) == 1
    output = capsys.readouterr()
    assert not output.out
    assert output.err.startswith("clarity-page: ")
    assert output.err.count("\n") == 1
    return output.err.removeprefix("clarity-page: ").strip()


def test_the_page_is_written_next_to_the_file_unless_a_path_is_given(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other name.html"
    assert main([str(file)]) == 0
    assert main([str(file), str(other)]) == 0
    for page, line in zip(
        (file.with_suffix(".html"), other), capsys.readouterr().out.splitlines(), strict=True
    ):
        size = page.stat().st_size / 1e6
        assert line == f"{page} ({size:.1f} MB). Open it in a browser, online or not."


def test_it_runs_as_a_module(file: Path) -> None:
    command = [sys.executable, "-m", "tap_clarity.page", str(file), "--now=2026-03-01"]
    subprocess.run(command, check=True, capture_output=True)
    assert "made 2026-03-01 00:00 UTC" in file.with_suffix(".html").read_text(encoding="utf-8")


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.duckdb"
    error = _error(capsys, missing)
    assert error == f"there is no file {missing}: give the one that target-duckdb wrote."
    assert not missing.exists()


def test_a_file_that_is_not_a_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "notes.duckdb"
    file.write_text("no database\n" * 1000)
    assert _error(capsys, file).startswith(f"{file} cannot be read as a DuckDB database: ")


@pytest.mark.parametrize(
    "statement",
    ["SELECT 1", "CREATE TABLE recent_measurements (a INT)", "CREATE TABLE datasources (a INT)"],
)
def test_a_database_without_our_tables(
    statement: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.duckdb"
    with closing(duckdb.connect(str(file))) as database:
        database.execute(statement)
    error = _error(capsys, file)
    assert error == f"{file} has no measurements of tap-clarity: give what target-duckdb wrote."


def test_tables_without_a_row(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(duckdb.connect(str(file))) as database:
        database.execute("DELETE FROM clarity.datasource_measurements")
    assert _error(capsys, file) == f"{file} has no measurement yet: load some first."


@contextmanager
def _open_in_another_process(file: Path, *, read_only: bool) -> Iterator[None]:
    code = (
        "import duckdb, sys; kept = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'True');"
        "print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(file), str(read_only)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"open\n"
        yield


def test_a_file_that_is_being_written(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with _open_in_another_process(file, read_only=False):
        error = _error(capsys, file)
    assert error == f"{file} is being written by another program: try again when that has ended."


def test_a_file_that_another_program_reads(file: Path) -> None:
    with _open_in_another_process(file, read_only=True):
        assert main([str(file)]) == 0


@pytest.mark.parametrize("package", ["duckdb", "jinja2", "plotly"])
def test_an_extra_that_is_not_installed(
    package: str, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.startswith("tap_clarity.page.")]:
        if not name.endswith((".cli", ".errors")):
            monkeypatch.delitem(sys.modules, name)
    for name in [each for each in sys.modules if each.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Without(package), *sys.meta_path])
    error = _error(capsys, file)
    assert error == f"{package} is not installed: install the extra tap-clarity[page]."


class _Without:
    """An import finder that reports one package as missing."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, *_: object) -> None:
        if name == self._package:
            raise ModuleNotFoundError(name=name)


def test_the_database_is_not_overwritten(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = file.read_bytes()
    error = _error(capsys, file, file)
    assert error == f"{file} is the database: give the page another name."
    assert file.read_bytes() == before


def test_a_path_that_cannot_be_written(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = file.parent / "nowhere" / "page.html"
    error = _error(capsys, file, page)
    assert error == f"{page} cannot be written: No such file or directory"


def test_an_invalid_time(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(file), "--now=yesterday"])
    assert "argument --now: not an ISO 8601 date or time" in capsys.readouterr().err
