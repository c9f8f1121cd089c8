"""The command line's manners: an error is one line with its remedy, and the status is not 0."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import click
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.plugin_base import SingerCommand

from tap_clarity.api.errors import ClarityError


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
        try:
            return super().main(*args, **kwargs)
        except ConfigValidationError as error:
            for sentence in error.errors:
                self.logger.error("%s", sentence)  # noqa: TRY400
        except ClarityError as error:
            self.logger.error("%s", error)  # noqa: TRY400
        except json.JSONDecodeError as error:
            self.logger.error(  # noqa: TRY400
                "the config, state or catalog is not JSON (line %d): mend the file", error.lineno
            )
        except OSError as error:
            if error.errno is None:  # not the system's word, but a bug of ours
                raise
            self.logger.error("%s: %s", error.filename or "output", error.strerror)  # noqa: TRY400
        sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        # Past the SDK's own handling, which says two lines for each error.
        logging.captureWarnings(capture=True)
        return click.Command.invoke(self, ctx)
