"""The command line's manners: an error is one line with its remedy, and the status is not 0."""

from __future__ import annotations

import io
import json
import logging
import signal
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError, MappingError
from singer_sdk.plugin_base import SingerCommand
from singer_sdk.singerlib import Catalog

from tap_clarity.api.errors import ClarityError
from tap_clarity.output.line_writer import Ended, OutputLost, Stopped

if TYPE_CHECKING:
    from collections.abc import Iterable

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""The signals that end a run."""
LONGEST_STATE = 1 << 22
"""Characters; ours have 2,000 beside the token."""
FROM_ENVIRONMENT = "ENV"


class LoudCommand(SingerCommand):
    """A Singer command without tracebacks for what a user can mend."""

    @classmethod
    def of(cls, command: click.Command, logger: logging.Logger) -> LoudCommand:
        """Take over the SDK's command, options and all."""
        return cls(
            name=command.name,
            callback=command.callback,
            params=command.params,
            help=command.help,
            context_settings=command.context_settings,
            logger=logger,
        )

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Run the command and end the process, as click does; a mistake is said in one line."""
        kwargs["standalone_mode"] = False  # click would say more than one line, and some not at all
        try:
            sys.exit(super().main(*args, **kwargs))
        except OutputLost as lost:
            self._refuse(lost)
            raise
        except Ended as ended:
            self.logger.warning("%s", ended)
            raise
        except click.Abort:  # Ctrl-C before the tap has handlers of its own
            self.logger.warning("%s", Stopped(signal.SIGINT))
            sys.exit(128 + signal.SIGINT)
        except click.ClickException as error:
            self._refuse(error.format_message())
        except ConfigValidationError as error:
            self._refuse(*error.errors)
        except MappingError:
            self._refuse("setting stream_maps has an expression that fails: check what it says")
        except ClarityError as error:
            self._refuse(error)
        except OSError as error:
            if error.errno is None:  # not the system's word, but a bug of ours
                raise
            self._refuse(f"{error.filename or 'the system says'}: {error.strerror}")
        finally:
            ignore_signals()
        sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        # Past the SDK's own handling, which says two lines for each error.
        logging.captureWarnings(capture=True)
        return click.Command.invoke(self, ctx)

    def _refuse(self, *mistakes: object) -> None:
        for mistake in mistakes:
            self.logger.error("%s", mistake)


def ignore_signals() -> None:
    """Ignore the signals that the tap handles: the run has ended, and its exit status stands.

    Python runs a handler in the midst of its own shutdown as well, where an exception becomes a
    traceback and changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for signum in SIGNALS:
        if isinstance(getattr(signal.getsignal(signum), "__self__", None), Tap):
            signal.signal(signum, signal.SIG_IGN)


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
        whole = all(stream.schema.properties for stream in catalog.streams)
    except (AttributeError, KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise click.ClickException("the catalog file is not a Singer catalog: discover it anew")
    return catalog


def read_state(file: IO[str], logger: logging.Logger) -> Any:  # noqa: ANN401
    """Read a state; None if there is more of it than any state holds.

    Raises:
        click.ClickException: If it is not JSON.
    """
    try:
        text = file.read(LONGEST_STATE + 1)
    except UnicodeDecodeError as error:
        raise click.ClickException("the state file is not JSON: mend it") from error
    if len(text) > LONGEST_STATE:
        logger.warning("The state is beyond reason, it is too long: starting without one")
        return None
    return read_json(io.StringIO(text), "state")


def read_json(file: IO[str], what: str) -> Any:  # noqa: ANN401
    """Read a file that the command line names.

    Raises:
        click.ClickException: If it is not JSON.
    """
    try:
        return json.load(file, parse_float=Decimal)  # so that 7.0 does not pass for an integer
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"the {what} file is not JSON: mend it") from error


def _open_json(path: str) -> Any:  # noqa: ANN401
    try:
        with Path(path).open(encoding="utf-8") as file:
            return read_json(file, "config")
    except OSError as error:
        message = f"the config file {path} cannot be read: {error.strerror}"
        raise click.ClickException(message) from error
