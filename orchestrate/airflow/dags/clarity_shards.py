"""Loads many organisations of Clarity: one `meltano run` for each entry of clarity_shards.yaml."""

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
QUOTA = 30
"""Reports a day that Clarity allows an organisation. A shard's state knows of its own only."""
DIVIDED = ("datasource_details", "datasource_measurements", "recent_measurements")
"""What `datasource_ids` divides. The rest of an organisation is its first shard's to load."""
LOAD = """
mkdir -p "$MELTANO_SYS_DIR_ROOT"
ln -sfn "$PWD"/.meltano/{extractors,loaders} "$MELTANO_SYS_DIR_ROOT"
exec .venv/bin/meltano run --no-install --state-id-suffix="$SHARD" tap-clarity "$LOADER"
"""
"""Meltano cannot run one tap twice at once in one .meltano, so each shard has one of its own."""


class Shard(BaseModel):
    """An organisation, or a part of its datasources."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9_-]+$")
    org: str = Field(min_length=1)
    connection: str = Field(min_length=1)
    datasource_ids: list[str] = []
    report_daily_limit: int = Field(25, ge=0, le=QUOTA)
    env: dict[str, str] = {}


class LoadShard(BashOperator):
    """Adds the API key when the command starts, so that no rendered field holds it."""

    def __init__(self, *, connection: str, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self.connection = connection

    def get_env(self, context: Any) -> dict[str, str]:  # noqa: ANN401
        found = Connection.get(self.connection)
        if not found.password:
            raise AirflowFailException(f"The password of {self.connection} has to be an API key")
        return {**super().get_env(context), "TAP_CLARITY_API_KEY": found.password}


def read(file: Path) -> list[Shard]:
    """Read the shards; what is wrong with them is one line."""
    entries = yaml.safe_load(file.read_text(encoding="utf-8")) or []
    shards = [checked(entry, f"{file.name}, entry {n}") for n, entry in enumerate(entries, 1)]
    for wrong in contradictions(shards):
        raise ValueError(f"{file.name}: {wrong}")
    return shards


def checked(entry: object, place: str) -> Shard:
    try:
        shard: Shard = Shard.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(": ".join([place, *map(str, first["loc"]), first["msg"]])) from None
    return shard


def contradictions(shards: Sequence[Shard]) -> Iterator[str]:
    """Tell what is wrong with shards that are right each by itself."""
    yield from (f"two shards have the name {name}" for name in repeated(s.name for s in shards))
    for org, several in by_org(shards).items():
        asked = sum(shard.report_daily_limit for shard in several)
        if asked > QUOTA:
            yield f"the report_daily_limit of {org} is {asked} in all; Clarity allows {QUOTA}"
        if len(several) > 1 and not all(shard.datasource_ids for shard in several):
            yield f"each of several shards of {org} needs datasource_ids"
        ids = (each for shard in several for each in shard.datasource_ids)
        yield from (f"datasource {each} of {org} is named twice" for each in repeated(ids))


def by_org(shards: Sequence[Shard]) -> dict[str, list[Shard]]:
    org = attrgetter("org")
    return {name: [*group] for name, group in groupby(sorted(shards, key=org), key=org)}


def repeated(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def environment(shard: Shard, *, is_first: bool) -> dict[str, str]:
    """Tell Meltano what to load, and where it works."""
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
        settings["TAP_CLARITY__SELECT_FILTER"] = json.dumps(DIVIDED)
    return {**shard.env, **settings}


def tasks(shards: Sequence[Shard]) -> list[dict[str, Any]]:
    firsts = [several[0] for several in by_org(shards).values()]
    return [
        {"connection": each.connection, "env": environment(each, is_first=each in firsts)}
        for each in shards
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
        # The default_task_retry_delay of Airflow, five minutes, is also how long Meltano takes a
        # run that was killed for one that is running.
        retries=2,
        execution_timeout=timedelta(hours=3),
    ).expand_kwargs(tasks(read(FILE)))
