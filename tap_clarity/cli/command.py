"""The Singer command: each error is one line with its remedy, and the exit status is not 0."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import Any

import click
from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError, MappingError
from singer_sdk.plugin_base import SingerCommand

from tap_clarity.api.errors import ClarityError
from tap_clarity.output.line_writer import OutputClosed, RunAborted, Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""The signals that end a run."""


class TapCommand(SingerCommand):
    """A Singer command without tracebacks for what a user can fix."""

    @classmethod
    def of(cls, command: click.Command, logger: logging.Logger) -> TapCommand:
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
        except OutputClosed as closed:
            self._refuse(closed)
            raise
        except RunAborted as aborted:
            self.logger.warning("%s", aborted)
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
