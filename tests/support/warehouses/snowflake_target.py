"""Runs the target for Snowflake against fakesnow, with a table in the place of the user's stage.

Everything else is the target's own: its tables, types, quoting, casts and MERGE. The environment
variable FAKESNOW_PORT is the port of the server.
"""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import TextClause, text
from target_snowflake.connector import SnowflakeConnector  # type: ignore[import-not-found]
from target_snowflake.target import TargetSnowflake  # type: ignore[import-not-found]

_CONNECT_ARGS = SnowflakeConnector.get_connect_args
_MERGE = SnowflakeConnector._get_merge_from_stage_statement  # noqa: SLF001


def connect_args(self: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        **_CONNECT_ARGS(self),
        "protocol": "http",
        "host": "127.0.0.1",
        "port": int(os.environ["FAKESNOW_PORT"]),
        "database": self.config["database"],
        "schema": self.config["default_target_schema"],
    }


def put(self: Any, sync_id: str, files: list[str]) -> None:  # noqa: ANN401
    lines = [
        line
        for file in files
        for line in gzip.decompress(Path(file.removeprefix("file://")).read_bytes()).splitlines()
    ]
    sql = (
        f'CREATE TABLE "{sync_id}" AS SELECT f.index AS n, f.value AS v '  # noqa: S608
        "FROM (SELECT parse_json(:records) AS j) t, LATERAL FLATTEN(input => t.j) f"
    )
    _run(self, sql, records=f"[{b','.join(lines).decode()}]")


def remove(self: Any, sync_id: str) -> None:  # noqa: ANN401
    _run(self, f'DROP TABLE IF EXISTS "{sync_id}"')
    _run(self, f'DROP TABLE IF EXISTS "{sync_id} cast"')


def merge(self: Any, *, sync_id: str, **more: Any) -> tuple[TextClause, dict[str, Any]]:  # noqa: ANN401
    statement, values = _MERGE(self, sync_id=sync_id, **more)
    sql = re.sub(r"'@~/[^']*'\(.*?\) ", f'"{sync_id}" ', statement.text)
    sql = sql.replace("$1:", "v:").replace("SEQ8()", "n")
    # fakesnow's MERGE takes no query that reads JSON.
    found = re.fullmatch(r"(merge into .*? using )\((.*)\)( s on .*)", sql)
    assert found
    _run(self, f'CREATE TABLE "{sync_id} cast" AS {found[2]}')
    return text(f'{found[1]}"{sync_id} cast"{found[3]}'), values


def nothing(*_: Any, **__: Any) -> None:  # noqa: ANN401
    pass


def _run(connector: Any, sql: str, **values: str) -> None:  # noqa: ANN401
    with connector.connect() as connection, connection.begin():
        connection.execute(text(sql), values)


if __name__ == "__main__":
    with patch.multiple(
        SnowflakeConnector,
        get_connect_args=connect_args,
        put_batches_to_stage=put,
        remove_staged_files=remove,
        _get_merge_from_stage_statement=merge,
        create_file_format=nothing,
        drop_file_format=nothing,
    ):
        TargetSnowflake.cli()
