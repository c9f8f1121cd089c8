"""An Apache Airflow server with LocalExecutor on loopback, and its REST API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tap_clarity.demo.venv import clean_environment
from tests.support.warehouses.installed_programs import HOST, free_port, installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.support.tap_process import Record

AIRFLOW = "apache-airflow==3.3.2"
DAG = "tap_clarity"
TIMEOUT_SECONDS = 180
_DAG = f"/dags/{DAG}"
_PARTS = ("api-server --workers=1", "scheduler", "dag-processor")
_SETTINGS = {
    "CORE__LOAD_EXAMPLES": "false",
    "CORE__PARALLELISM": "4",
    "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "true",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "1",
    "USAGE_DATA_COLLECTION__ENABLED": "false",
}


def python() -> Path:
    """Give the Python that has Airflow."""
    return installed("airflow", [AIRFLOW])


@dataclass(frozen=True)
class Airflow:
    """An installation's configuration in a folder, and its server's address."""

    home: Path
    dags: Path
    extra_environment: Mapping[str, str]
    port: int = field(default_factory=free_port)

    @cached_property
    def environment(self) -> dict[str, str]:
        inherited = {
            name: value for name, value in clean_environment().items() if "AIRFLOW" not in name
        }
        settings = _SETTINGS | {
            "CORE__DAGS_FOLDER": str(self.dags),
            "CORE__EXECUTION_API_SERVER_URL": f"{self._url}/execution/",
            "API__HOST": HOST,
            "API__PORT": str(self.port),
            "API_AUTH__JWT_SECRET": "a secret of this test, and of no other one",
            "LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        }
        home = {"HOME": str(self.home), "AIRFLOW_HOME": str(self.home)}
        path = f"{python().parent}{os.pathsep}{os.environ['PATH']}"
        named = {f"AIRFLOW__{name}": value for name, value in settings.items()}
        return {**inherited, **home, **named, "PATH": path, **self.extra_environment}

    @property
    def _url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the server, the scheduler and the DAG processor, and leave none of them behind."""
        processes = " & ".join(f"airflow {part}" for part in _PARTS)
        with self._log.open("w") as log:
            process = subprocess.Popen(
                ["/bin/bash", "-c", f"trap wait TERM; airflow db migrate; {processes} & wait"],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self.wait(self._knows_the_dag)
            yield
        finally:
            _end(process)

    def wait(self, is_true: Callable[[], bool]) -> None:
        """Wait until something is so."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while not is_true():
            assert time.monotonic() < end, self._log.read_text()[-4000:]
            time.sleep(0.2)

    def _knows_the_dag(self) -> bool:
        try:
            self.api("PATCH", _DAG, {"is_paused": False})
        except OSError:  # nobody listens yet, or nothing is found there
            return False
        return True

    def connect(self, name: str, password: str) -> None:
        """Make a Connection."""
        connection = {"connection_id": name, "conn_type": "generic", "password": password}
        self.api("POST", "/connections", connection)

    def run(self) -> str:
        """Begin a run, and give its id."""
        run_id: str = self.api("POST", f"{_DAG}/dagRuns", {"logical_date": None})["dag_run_id"]
        return run_id

    def state(self, run: str) -> str:
        state: str = self.api("GET", f"{_DAG}/dagRuns/{run}")["state"]
        return state

    def finish(self, run: str) -> str:
        """Wait for a run's end, and give its state."""
        self.wait(lambda: self.state(run) in {"success", "failed"})
        return self.state(run)

    def tasks(self, run: str) -> dict[str, Record]:
        """Give the mapped tasks by what Airflow shows as their index."""
        found = self.api("GET", f"{_DAG}/dagRuns/{run}/taskInstances")["task_instances"]
        return {each["rendered_map_index"]: each for each in found}

    def tries(self, run: str, map_index: int) -> list[Record]:
        """Give the attempts at a task, the first one first."""
        path = f"{_DAG}/dagRuns/{run}/taskInstances/load/{map_index}/tries"
        found: list[Record] = self.api("GET", path)["task_instances"]
        return sorted(found, key=itemgetter("try_number"))

    def stop(self, run: str, map_index: int) -> None:
        """Stop a task as a person does, by calling it failed."""
        path = f"{_DAG}/dagRuns/{run}/taskInstances/load/{map_index}"
        self.api("PATCH", path, {"new_state": "failed"})

    def clear(self, run: str, map_index: int) -> None:
        """Let a task run again."""
        task = {"dag_run_id": run, "task_ids": [["load", map_index]], "dry_run": False}
        self.api("POST", f"{_DAG}/clearTaskInstances", task)

    def log(self, run: str, map_index: int, attempt: int = 1) -> str:
        """Read a task's log."""
        return "\n".join(
            file.read_text(encoding="utf-8")
            for file in self.home.glob(
                f"logs/dag_id={DAG}/run_id={run}/*/map_index={map_index}/attempt={attempt}.log"
            )
        )

    def api(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401
        """Ask the REST API."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        url = f"{self._url}/api/v2{path}"
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request) as reply:  # noqa: S310
            return json.load(reply)

    @cached_property
    def _token(self) -> str:
        with urllib.request.urlopen(f"{self._url}/auth/token") as reply:  # noqa: S310
            token: str = json.load(reply)["access_token"]
            return token

    @property
    def _log(self) -> Path:
        return self.home / "server.log"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End all that the process has begun, in good order if that does not take long."""
    os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(3)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
