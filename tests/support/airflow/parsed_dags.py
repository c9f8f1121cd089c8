"""Prints the DAGs in some folders as JSON; runs with the Python that has Airflow."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException


def main() -> None:
    print(json.dumps({Path(folder).name: parse_folder(folder) for folder in sys.argv[1:]}))  # noqa: T201


def parse_folder(folder: str) -> dict[str, Any]:
    dag_bag = DagBag(folder)
    found: dict[str, Any] = {"errors": [*dag_bag.import_errors.values()], "dag": None}
    for dag in dag_bag.dags.values():
        load = dag.get_task("load")
        found["dag"] = {
            "id": dag.dag_id,
            "schedule": dag.schedule,
            "catchup": dag.catchup,
            "max_active_runs": dag.max_active_runs,
            "tasks": dag.task_ids,
        }
        found["load"] = {
            "mapped": load.is_mapped,
            "retries": load.retries,
            "retry_delay": load.retry_delay.total_seconds(),
            "max_active_tis_per_dag": load.max_active_tis_per_dag,
            "map_index_template": load.map_index_template,
            "execution_timeout": load.execution_timeout.total_seconds(),
        }
        found["shards"] = load.expand_input.value
        found["fields"] = [*sys.modules[load.operator_class.__module__].Shard.model_fields]
        found["without password"] = missing_password_error(load)
    return found


def missing_password_error(load: Any) -> str:  # noqa: ANN401
    """Tell what a task says whose Connection, one of the environment's, has no password."""
    task = load.operator_class(task_id="a", connection="clarity_empty", bash_command="true")
    try:
        task.get_env({})
    except AirflowFailException as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main()
