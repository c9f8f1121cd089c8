"""Reads the files that the command line names: config, catalog and state."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from singer_sdk.singerlib import Catalog

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

FROM_ENVIRONMENT = "ENV"
MAX_STATE_LENGTH = 1 << 22
"""Characters; the tap's own states have some thousands."""
MAX_DEPTH = 100
"""Levels of nesting; the SDK copies documents recursively."""


def read_config(paths: Iterable[str]) -> dict[str, Any]:
    """Read the config files, the later ones over the earlier.

    Raises:
        click.ClickException: If one cannot be read, or is not a JSON object.
    """
    config: dict[str, Any] = {}
    for path in paths:
        if path != FROM_ENVIRONMENT:
            settings = _open_json(path)
            if not isinstance(settings, dict):
                raise click.ClickException("the config file is not a JSON object: mend it")
            config |= settings
    return config


def read_catalog(file: IO[str]) -> Catalog:
    """Read a catalog.

    Raises:
        click.ClickException: If it is none.
    """
    document = read_json(file, "catalog")
    try:
        catalog = Catalog.from_dict(document)
        is_complete = all(stream.schema.properties for stream in catalog.streams)
    except (AttributeError, KeyError, TypeError, ValueError):
        is_complete = False
    if not is_complete:
        raise click.ClickException("the catalog file is not a Singer catalog: discover it anew")
    return catalog


def read_state(file: IO[str], logger: logging.Logger) -> Any:  # noqa: ANN401
    """Read a state; None if there is more of it than any state holds.

    Raises:
        click.ClickException: If it is not JSON.
    """
    try:
        text = file.read(MAX_STATE_LENGTH + 1)
    except UnicodeDecodeError as error:
        raise click.ClickException("the state file is not JSON: mend it") from error
    if len(text) > MAX_STATE_LENGTH:
        logger.warning("The state is beyond reason, it is too long: starting without one")
        return None
    return read_json(io.StringIO(text), "state")


def read_json(file: IO[str], what: str) -> Any:  # noqa: ANN401
    """Read a file that the command line names.

    Raises:
        click.ClickException: If it is not JSON.
    """
    try:
        # Decimal, so that 7.0 does not pass for an integer.
        document = json.load(file, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"the {what} file is not JSON: mend it") from error
    if _is_too_deep(document):
        raise click.ClickException(f"the {what} file is nested deeper than {MAX_DEPTH} levels")
    return document


def _is_too_deep(document: Any) -> bool:  # noqa: ANN401
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [child for each in level for child in _children(each)]
    return bool(level)


def _children(value: Any) -> Iterable[Any]:  # noqa: ANN401
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _open_json(path: str) -> Any:  # noqa: ANN401
    try:
        with Path(path).open(encoding="utf-8") as file:
            return read_json(file, "config")
    except OSError as error:
        message = f"the config file {path} cannot be read: {error.strerror}"
        raise click.ClickException(message) from error
