"""Parts parts of the demo, demo its output, its errors, and its summary of the database."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.demo import bootstrap, prerequisites, steps, summary, venv
from tap_clarity.sandbox import Sandbox
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

    from duckdb import DuckDBPyConnection

README = ROOT / "README.md"
NOW = datetime(2026, 11, 20, 13, 7, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "output" / "some.log"


class TestPrerequisites:
    """One line if the demo cannot run."""

    def test_this_machine_has_none(self) -> None:
        assert prerequisites.find_problem((3, 11), (3, 99)) is None

    @pytest.mark.parametrize("version", [(3, 6), (3, 10), (3, 14)])
    def test_names_the_supported_pythons(
        self, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int]
    ) -> None:
        monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
        monkeypatch.setattr(prerequisites, "_is_runnable", lambda python: python == "python3.12")
        problem = f"This needs Python 3.11 to 3.13; this is 3.{version[1]}. Use python3.12."
        assert prerequisites.find_problem((3, 11), (3, 13)) == problem

    def test_suggests_to_install_a_supported_python(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "version_info", (3, 9, 0, "final", 0))
        monkeypatch.setenv("PATH", "/nowhere")
        problem = prerequisites.find_problem((3, 11), (3, 13)) or ""
        assert problem.endswith("this is 3.9. Install one of them and use it.")

    def test_a_python_that_does_not_run_is_not_suggested(self, tmp_path: Path) -> None:
        wrapper = tmp_path / "python3.13"
        wrapper.write_text("#!/bin/sh\nexit 127\n")
        wrapper.chmod(0o755)
        assert not prerequisites._is_runnable(str(wrapper))  # noqa: SLF001
        assert prerequisites._is_runnable(sys.executable)  # noqa: SLF001

    def test_error_names_the_debian_package_of_venv(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name == "ensurepip" else found(name)
        )
        monkeypatch.setattr(sys, "version_info", (3, 11, 2, "final", 0))
        problem = prerequisites.find_problem((3, 11), (3, 13)) or ""
        assert problem.endswith("sudo apt install python3.11-venv")

    def test_on_windows_error_recommends_wsl(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tap_clarity.demo.prerequisites.os.name", "nt")
        assert "WSL" in (prerequisites.find_problem((3, 11), (3, 13)) or "")

    @pytest.mark.parametrize(
        "path",
        [
            "tap_clarity/__init__.py",
            "tap_clarity/demo/__init__.py",
            "tap_clarity/demo/__main__.py",
            "tap_clarity/demo/prerequisites.py",
            "tests/__init__.py",
            "tests/__main__.py",
        ],
    )
    def test_old_pythons_can_parse_the_files_up_to_the_error(self, path: str) -> None:
        tree = ast.parse((ROOT / path).read_text(), feature_version=(3, 6))
        futures = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        assert "__future__" not in [each.module for each in futures]


class TestStep:
    def test_step_prints_one_line_and_logs_the_rest(
        self, log: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        steps.run_step("Saying hello", ["echo", "hello"], log)
        assert capsys.readouterr().out == "Saying hello ... 0 s\n"
        assert log.read_text() == "\n$ echo hello\nhello\n"

    def test_failed_step_shows_the_end_of_the_log_and_its_path(
        self, log: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["sh", "-c", "seq 40; echo oh no >&2; exit 3"]
        with pytest.raises(steps.StepError) as failure:
            steps.run_step("Trying", command, log)
        assert capsys.readouterr().out == "Trying ... failed\n"
        lines = str(failure.value).splitlines()
        assert lines[0] == "  | 27"
        assert lines[-2:] == ["  | oh no", f"It ended with status 3. All of its output: {log}"]

    def test_failed_step_shows_no_output_of_earlier_steps(self, log: Path) -> None:
        steps.run_step("Well", ["echo", "fine"], log)
        with pytest.raises(steps.StepError) as failure:
            steps.run_step("Ill", ["false"], log)
        assert str(failure.value) == f"It ended with status 1. All of its output: {log}"

    def test_failed_step_shows_no_traceback_frames(self, log: Path, tmp_path: Path) -> None:
        script = tmp_path / "script.py"
        script.write_text("def divide():\n    1 / 0\n\n\ndivide()\n")
        with pytest.raises(steps.StepError) as failure:
            steps.run_step("Ill", [sys.executable, script], log)
        lines = str(failure.value).splitlines()
        assert lines[:-1] == [
            "  | Traceback (most recent call last):",
            "  | ZeroDivisionError: division by zero",
        ]

    def test_paths_in_the_clone_are_relative(self) -> None:
        assert steps.display_path(ROOT / "output" / "x.log") == "output/x.log"


class Recorder:
    """Replaces `run_step`: records the commands instead of running them."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.commands: list[list[str]] = []

    def __call__(
        self,
        title: str,
        command: Sequence[str | Path],
        log: Path,  # noqa: ARG002
        env: Mapping[str, str] | None = None,
    ) -> None:
        assert env is not None
        assert env["UV_PYTHON_DOWNLOADS"] == "never"
        assert "VIRTUAL_ENV" not in env
        self.titles.append(title)
        self.commands.append([Path(command[0]).name, *map(str, command[1:])])


class TestEnvironment:
    @pytest.fixture(autouse=True)
    def _elsewhere(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("VIRTUAL_ENV", "/somewhere/else")
        monkeypatch.setattr(venv, "VENV", tmp_path)
        monkeypatch.setattr(venv, "BIN", tmp_path / "bin")
        monkeypatch.setattr(venv, "_LOG", tmp_path / "setup.log")

    @pytest.fixture
    def recorder(self, monkeypatch: pytest.MonkeyPatch) -> Recorder:
        recorder = Recorder()
        monkeypatch.setattr(venv, "run_step", recorder)
        return recorder

    def _make(self, tmp_path: Path, *, with_uv: bool = True) -> None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "python").symlink_to(sys.executable)
        if with_uv:
            (tmp_path / "bin" / "uv").touch()

    def test_environment_uses_the_running_python_and_the_locked_uv(
        self, recorder: Recorder
    ) -> None:
        venv.prepare("things", "--group=demo")
        create, pip, sync = recorder.commands
        assert create[1:3] == ["-m", "venv"]
        assert pip[-1].startswith("uv==")
        assert sync[1:3] == ["sync", "--locked"]
        assert sync[-1] == "--group=demo"
        assert recorder.titles[-1] == "Installing things"

    def test_makes_it_again_when_uv_is_missing(self, recorder: Recorder, tmp_path: Path) -> None:
        self._make(tmp_path, with_uv=False)
        venv.prepare("things")
        assert len(recorder.commands) == 3

    def test_environment_is_not_installed_twice(self, recorder: Recorder, tmp_path: Path) -> None:
        self._make(tmp_path)
        venv.prepare("things")
        venv.prepare("things")
        assert [command[0] for command in recorder.commands] == ["uv"]

    def test_other_options_install_again(self, recorder: Recorder, tmp_path: Path) -> None:
        self._make(tmp_path)
        venv.prepare("things")
        venv.prepare("fewer things", "--no-dev")
        assert len(recorder.commands) == 2

    def test_fails_outside_a_clone(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(venv, "_LOCK", tmp_path / "uv.lock")
        with pytest.raises(steps.StepError, match="clone of the repository"):
            venv.prepare("things")


class TestBootstrap:
    @pytest.mark.parametrize(
        ("error", "status", "message"),
        [(steps.StepError("no net"), 1, "no net"), (KeyboardInterrupt(), 130, "Stopped.")],
    )
    def test_errors_have_one_line_and_a_status(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        error: BaseException,
        status: int,
        message: str,
    ) -> None:
        def fail(*_: str) -> None:
            raise error

        monkeypatch.setattr(venv, "prepare", fail)
        assert bootstrap.main() == status
        assert capsys.readouterr().err.strip() == message


needs_duckdb = pytest.mark.skipif(
    not importlib.util.find_spec("duckdb"), reason="there is no DuckDB for this Python"
)


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(now=NOW, frozen=True, datasources=4)


def _columns(names: str) -> str:
    kinds = {"time": "TIMESTAMP", "value": "DOUBLE", "org_annotations": "JSON"}
    return ", ".join(f"{name} {kinds.get(name, 'VARCHAR')}" for name in names.split())


def _create(database: DuckDBPyConnection, table: str, names: str, rows: list[Any]) -> None:
    database.execute(f"CREATE TABLE clarity.{table} ({_columns(names)})")
    marks = ", ".join("?" * len(names.split()))
    database.executemany(f"INSERT INTO clarity.{table} VALUES ({marks})", rows)  # noqa: S608


def _fill(database: DuckDBPyConnection, sandbox: Sandbox) -> None:
    """Write what a load writes: the day before yesterday from a report, the rest as recent."""
    database.execute("CREATE SCHEMA clarity")
    names = "org datasource_id output_frequency metric time value"
    cut, first = NOW - timedelta(hours=2), NOW - timedelta(hours=4)
    for table, low, high in (
        ("datasource_measurements", first, cut),
        ("recent_measurements", cut, NOW),
    ):
        rows = [
            (m.org, m.datasource_id, m.output_frequency, m.metric, m.time, m.value)
            for m in sandbox.expected.measurements("hour", low, high, NOW)
        ]
        _create(database, table, names, rows)
    stations = [
        (each["org"], each["datasource_id"], f'{{"name": "{each["datasource_id"]} 北港"}}')
        for each in sandbox.expected.records("datasources", NOW)
    ]
    _create(database, "datasources", "org datasource_id org_annotations", stations)
    _create(database, "metrics", "metric unit", [("pm2_5ConcMass1HourMean", "ug/m3")])


@pytest.fixture
def database(tmp_path: Path, sandbox: Sandbox) -> Iterator[DuckDBPyConnection]:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        _fill(connection, sandbox)
        yield connection


@needs_duckdb
def test_the_command_of_the_readme_shows_a_table(tmp_path: Path) -> None:
    import duckdb  # noqa: PLC0415 - there is none for every Python

    (command,) = re.findall(r"^\.venv/bin/python (-c .*)$", README.read_text(), re.MULTILINE)
    file = tmp_path / "output" / "sandbox" / "warehouse.duckdb"
    file.parent.mkdir(parents=True)
    with duckdb.connect(str(file)) as database:
        database.execute("CREATE SCHEMA clarity")
        database.execute("CREATE TABLE clarity.metrics AS SELECT 'a metric' AS metric")
    done = subprocess.run(
        [sys.executable, *shlex.split(command)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "a metric" in done.stdout


@needs_duckdb
class TestSummary:
    def test_summary_lists_tables_with_row_counts_and_time_range(
        self, database: DuckDBPyConnection
    ) -> None:
        found = summary.tables(database)
        assert [table.name for table in found] == [
            "datasource_measurements",
            "datasources",
            "metrics",
            "recent_measurements",
        ]
        text = summary.describe_tables(found, {"metrics": 0, "datasources": 4})
        lines = text.splitlines()
        assert lines[0].split() == ["table", "rows", "new", "first", "(UTC)", "last", "(UTC)"]
        assert "+1" in lines[3]
        assert "2026-11-20 12:00" in lines[-1]

    def test_first_summary_counts_no_new_rows(self, database: DuckDBPyConnection) -> None:
        assert "new" not in summary.describe_tables(summary.tables(database), {})

    def test_latest_pm25_of_each_station(
        self, database: DuckDBPyConnection, sandbox: Sandbox
    ) -> None:
        newest = {
            m.datasource_id: (m.value, m.time.replace(tzinfo=None))
            for m in sandbox.expected.measurements("hour", NOW - timedelta(hours=2), NOW, NOW)
            if m.metric == summary.PM25
        }
        found = summary.latest_pm25(database)
        assert {each.station[:9]: (each.value, each.time) for each in found} == newest
        assert {each.unit for each in found} == {"ug/m3"}

    def test_a_missing_value_is_described(self) -> None:
        latest = [
            summary.Latest("Harbour", None, "ug/m3", NOW),
            summary.Latest("北港", 7.25, "ug/m3", NOW),
        ]
        assert summary.describe_latest(latest).splitlines() == [
            "  station  PM2.5  unit                hour from (UTC)",
            "  Harbour      -  not calibrated yet  2026-11-20 13:07",
            "  北港       7.2  ug/m3               2026-11-20 13:07",
        ]

    def test_complete_when_all_measurements_are_present(
        self, database: DuckDBPyConnection, sandbox: Sandbox
    ) -> None:
        found = summary.completeness(database, sandbox.expected, NOW)
        assert found.present == found.expected > 100
        assert summary.describe_completeness(found).startswith("Complete: ")

    def test_completeness_counts_missing_hours(
        self, database: DuckDBPyConnection, sandbox: Sandbox
    ) -> None:
        database.execute(
            "DELETE FROM clarity.recent_measurements"
            " WHERE metric = 'pm2_5ConcMass1HourMean' AND hour(time) = 12"
        )
        found = summary.completeness(database, sandbox.expected, NOW)
        assert 0 < found.expected - found.present <= 4
        assert "next report" in summary.describe_completeness(found)


@needs_duckdb
@pytest.mark.skipif(
    not importlib.util.find_spec("meltano"), reason="Meltano is not installed for this Python"
)
class TestLoad:
    """The second half, with a load that only copies a prepared database."""

    @pytest.fixture(autouse=True)
    def demo(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        database: DuckDBPyConnection,
    ) -> ModuleType:
        demo = importlib.import_module("tap_clarity.demo.run")
        database.close()
        monkeypatch.setattr(demo, "ROOT", tmp_path)
        monkeypatch.setattr(demo, "_DATABASE", tmp_path / "output.duckdb")
        monkeypatch.setattr(demo, "_PAGE", tmp_path / "page.html")
        monkeypatch.setattr(demo, "_LOG", tmp_path / "meltano.log")
        for name in ("meltano.yml", "pyproject.toml"):
            (tmp_path / name).touch()
        (tmp_path / ".meltano").mkdir()
        return demo

    @pytest.fixture
    def load(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, demo: ModuleType) -> Recorder:
        recorder = Recorder()

        def load(title: str, command: Sequence[str | Path], *rest: Any) -> None:  # noqa: ANN401
            recorder(title, command, *rest)
            if "run" in command:
                shutil.copy(tmp_path / "warehouse.duckdb", tmp_path / "output.duckdb")

        monkeypatch.setattr(demo, "run_step", load)
        return recorder

    def test_first_run_installs_and_loads_everything(
        self, demo: ModuleType, load: Recorder, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert demo.main() == 0
        assert [command[0] for command in load.commands] == [
            "meltano",
            "meltano",
            "clarity-sandbox",
            "clarity-page",
        ]
        assert "--full-refresh" in load.commands[-2]
        output = capsys.readouterr().out
        assert "first load" in output
        assert "Run the same command again" in output

    def test_the_second_run_is_incremental(
        self, demo: ModuleType, load: Recorder, capsys: pytest.CaptureFixture[str]
    ) -> None:
        demo.main()
        capsys.readouterr()
        assert demo.main() == 0
        assert len(load.commands) == 6
        assert "--full-refresh" not in load.commands[-2]
        output = capsys.readouterr().out
        assert "incremental" in output
        assert "+0" in output

    def test_it_makes_a_page_and_prints_its_path(
        self,
        demo: ModuleType,
        load: Recorder,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        demo.main()
        database, page = tmp_path / "output.duckdb", tmp_path / "page.html"
        assert load.commands[-1] == ["clarity-page", str(database), str(page)]
        assert f"Look at it: open {page} in a browser." in capsys.readouterr().out.splitlines()

    @pytest.mark.parametrize(
        ("error", "status"), [(steps.StepError("no"), 1), (KeyboardInterrupt(), 130)]
    )
    def test_failed_step_fails_the_tour(
        self,
        monkeypatch: pytest.MonkeyPatch,
        demo: ModuleType,
        error: BaseException,
        status: int,
    ) -> None:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(demo, "run_step", fail)
        assert demo.main() == status

    @pytest.mark.usefixtures("load")
    def test_an_unreadable_database_has_one_line_and_a_remedy(
        self, demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "output.duckdb").write_text("no database")
        assert demo.main() == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 2
        assert "cannot be read" in lines[0]
        assert "delete it" in lines[1]
