"""Prints all tables of a fakesnow server as JSON: column types and rows."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from snowflake import connector  # type: ignore[import-not-found]


def tables(database: str, schema: str) -> dict[str, Any]:
    with connector.connect(
        user="anybody",
        password="anything",  # noqa: S106
        account="fakesnow",
        protocol="http",
        host="127.0.0.1",
        port=int(os.environ["FAKESNOW_PORT"]),
        database=database,
        schema=schema,
    ) as connection:
        cursor = connection.cursor()
        names = [row[1] for row in cursor.execute("SHOW TABLES").fetchall()]
        return {name: _table(cursor, name) for name in names}


def _table(cursor: Any, name: str) -> dict[str, Any]:  # noqa: ANN401
    types = {row[0]: row[1] for row in cursor.execute(f'DESCRIBE TABLE "{name}"').fetchall()}
    rows = cursor.execute(f'SELECT object_construct(*) FROM "{name}"').fetchall()  # noqa: S608
    return {"types": types, "rows": [json.loads(row) for (row,) in rows]}


if __name__ == "__main__":
    json.dump(tables(*sys.argv[1:]), sys.stdout)
