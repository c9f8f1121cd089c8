"""Reads a report by the PyPI package `clarityio`, in its own environment.

    python peer.py URL START END read|lines

`read` is all that the package does: it requests, polls, downloads, and returns one pandas table,
neither verified nor reshaped. `lines` then does what its users do to get the tap's records: one row
per metric (melt), without the empty ones, as lines of JSON.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

ID_COLUMNS = 8


def main() -> None:
    """Say how many rows were read, or lines written, on standard error."""
    url, start, end, task = sys.argv[1:]
    client = import_module("clarityio").ClarityAPIConnection("key", "exampleAB12")
    client.base_url = f"{url}/v2/"
    table = client.get_historical_measurements(
        start, end, all_datasources=True, poll_interval=0.001
    )
    count = len(table) if task == "read" else _write(table)
    sys.stderr.write(f"{count}\n")


def _write(table: Any) -> int:  # noqa: ANN401 - pandas is not in the tap's environment
    ids = list(table.columns[:ID_COLUMNS])
    metrics = [name.removesuffix(".raw") for name in table.columns if name.endswith(".raw")]
    long = _melted(table, ids, metrics, "raw")
    for attribute in ("value", "status", "qcAssessment"):
        long[attribute] = _melted(table, ids, metrics, attribute)[attribute]
    kept = long.dropna(subset=["raw", "value", "status"], how="all")
    kept.to_json(os.devnull, orient="records", lines=True)
    return len(kept)


def _melted(table: Any, ids: list[str], metrics: list[str], attribute: str) -> Any:  # noqa: ANN401
    """Give a row per metric, with one of its attributes."""
    names = {f"{metric}.{attribute}": metric for metric in metrics}
    part = table[[*ids, *names]].rename(columns=names)
    return part.melt(id_vars=ids, var_name="metric", value_name=attribute)


if __name__ == "__main__":
    main()
