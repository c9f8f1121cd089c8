"""Runs the target for BigQuery against an emulator, without a key and without pauses.

The emulator reads no gzip, and accepts no table name before a column in SET; BigQuery does both.
The environment variable BIGQUERY_EMULATOR is its address.
"""

from __future__ import annotations

import os
import re
import time
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from google.api_core.exceptions import (  # type: ignore[import-not-found]
    ServiceUnavailable,
)
from google.auth.credentials import AnonymousCredentials  # type: ignore[import-not-found]
from google.cloud import bigquery  # type: ignore[import-not-found]
from target_bigquery import batch_job, core  # type: ignore[import-not-found]
from target_bigquery.target import TargetBigQuery  # type: ignore[import-not-found]


class Client(bigquery.Client):  # type: ignore[misc]
    """A client of the emulator."""

    def __init__(self, project: str) -> None:
        address = {"api_endpoint": os.environ["BIGQUERY_EMULATOR"]}
        super().__init__(project, AnonymousCredentials(), client_options=address)

    def query(self, query: str, **options: Any) -> Any:  # noqa: ANN401
        return super().query(re.sub(r"(SET |, )target\.", r"\1", query), **options)

    def load_table_from_file(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        if "BIGQUERY_REFUSES" in os.environ:
            raise ServiceUnavailable("as ordered by the test")
        return super().load_table_from_file(*args, **options)


class UncompressedBuffer(BytesIO):
    """In the place of what compresses."""

    def close(self) -> None:
        pass


if __name__ == "__main__":
    time_without_sleep = SimpleNamespace(sleep=lambda _: None, strftime=time.strftime)
    with (
        patch.object(core.bigquery, "Client", Client),
        patch.object(core, "time", time_without_sleep),
        patch.object(batch_job, "Compressor", UncompressedBuffer),
    ):
        TargetBigQuery.cli()
