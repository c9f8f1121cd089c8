"""Loads many organizations of Clarity: one `meltano run` for each entry of clarity_shards.yaml."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Connection
from airflow.sdk.exceptions import AirflowFailException
from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FILE = Path(__file__).with_suffix(".yaml")
PROJECT = os.environ.get("CLARITY_PROJECT", "/opt/tap-clarity")
LOADER = os.environ.get("CLARITY_LOADER", "target-postgres")
MAX_DAILY_REPORTS = 30
"""Clarity's limit per organization. The state of a shard counts only its own reports."""
SHARDED_STREAMS = ("datasource_details", "datasource_measurements", "recent_measurements")
"""What `datasource_ids` divides. The first shard of an organization loads the other streams."""
LOAD = """
mkdir -p "$MELTANO_SYS_DIR_ROOT"
ln -sfn "$PWD"/.meltano/{extractors,loaders} "$MELTANO_SYS_DIR_ROOT"
exec .venv/bin/meltano run --no-install --state-id-suffix="$SHARD" tap-clarity "$LOADER"
"""
"""Meltano cannot run a tap twice at the same time in one .meltano, so each shard has its own."""


class Shard(BaseModel):
    """An organization, or a part of its datasources."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9_-]+$")
    org: str = Field(min_length=1)
    connection: str = Field(min_length=1)
    datasource_ids: list[str] = []
    report_daily_limit: int = Field(25, ge=0, le=MAX_DAILY_REPORTS)
    env: dict[str, str] = {}


class LoadShard(BashOperator):
    """Adds the API key when the command starts, so that no rendered field contains it."""

    def __init__(self, *, connection: str, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self.connection = connection

    def get_env(self, context: Any) -> dict[str, str]:  # noqa: ANN401
        connection = Connection.get(self.connection)
        if not connection.password:
            raise AirflowFailException(f"The password of {self.connection} has to be an API key")
        return {**super().get_env(context), "TAP_CLARITY_API_KEY": connection.password}


def read_shards(file: Path) -> list[Shard]:
    """Read and validate the shards; an error is one line."""
    entries = yaml.safe_load(file.read_text(encoding="utf-8")) or []
    shards = [parse_shard(entry, f"{file.name}, entry {n}") for n, entry in enumerate(entries, 1)]
    for problem in find_conflicts(shards):
        raise ValueError(f"{file.name}: {problem}")
    return shards


def parse_shard(entry: object, location: str) -> Shard:
    try:
        shard: Shard = Shard.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(": ".join([location, *map(str, first["loc"]), first["msg"]])) from None
    return shard


def find_conflicts(shards: Sequence[Shard]) -> Iterator[str]:
    """Yield the problems of shards that are valid one by one."""
    names = find_duplicates(shard.name for shard in shards)
    yield from (f"two shards have the name {name}" for name in names)
    for org, group in by_org(shards).items():
        total = sum(shard.report_daily_limit for shard in group)
        if total > MAX_DAILY_REPORTS:
            allowed = f"Clarity allows {MAX_DAILY_REPORTS}"
            yield f"the report_daily_limit of {org} is {total} in all; {allowed}"
        if len(group) > 1 and not all(shard.datasource_ids for shard in group):
            yield f"each of several shards of {org} needs datasource_ids"
        ids = (each for shard in group for each in shard.datasource_ids)
        yield from (f"datasource {each} of {org} is named twice" for each in find_duplicates(ids))


def by_org(shards: Sequence[Shard]) -> dict[str, list[Shard]]:
    org = attrgetter("org")
    return {name: [*group] for name, group in groupby(sorted(shards, key=org), key=org)}


def find_duplicates(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def environment(shard: Shard, *, is_first: bool) -> dict[str, str]:
    """Return the variables that tell Meltano what to load, and its working folder."""
    settings = {
        "LOADER": LOADER,
        "SHARD": shard.name,
        "MELTANO_SYS_DIR_ROOT": f"{PROJECT}/.meltano/shards/{shard.name}",
        "TAP_CLARITY_ORG": shard.org,
        "TAP_CLARITY_REPORT_DAILY_LIMIT": str(shard.report_daily_limit),
    }
    if shard.datasource_ids:
        settings["TAP_CLARITY_DATASOURCE_IDS"] = json.dumps(shard.datasource_ids)
    if not is_first:
        settings["TAP_CLARITY__SELECT_FILTER"] = json.dumps(SHARDED_STREAMS)
    return {**shard.env, **settings}


def task_arguments(shards: Sequence[Shard]) -> list[dict[str, Any]]:
    first_shards = [group[0] for group in by_org(shards).values()]
    return [
        {"connection": shard.connection, "env": environment(shard, is_first=shard in first_shards)}
        for shard in shards
    ]


with DAG(
    "tap_clarity",
    description=__doc__,
    schedule="17 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
):
    LoadShard.partial(
        task_id="load",
        map_index_template="{{ task.env['SHARD'] }}",
        bash_command=LOAD,
        cwd=PROJECT,
        append_env=True,
        max_active_tis_per_dag=4,
        do_xcom_push=False,
        # Airflow's default_task_retry_delay, five minutes, is also how long Meltano treats a run
        # that was killed as running.
        retries=2,
        execution_timeout=timedelta(hours=3),
    ).expand_kwargs(task_arguments(read_shards(FILE)))
