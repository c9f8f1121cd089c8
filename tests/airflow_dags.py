"""Tells as JSON what Airflow makes of folders with DAGs; runs with the Python that has Airflow."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag


def main() -> None:
    print(json.dumps({Path(folder).name: told(folder) for folder in sys.argv[1:]}))  # noqa: T201


def told(folder: str) -> dict[str, Any]:
    bag = DagBag(folder)
    found: dict[str, Any] = {"errors": [*bag.import_errors.values()], "dag": None}
    for dag in bag.dags.values():
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
    return found


if __name__ == "__main__":
    main()
