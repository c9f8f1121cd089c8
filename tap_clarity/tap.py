"""The tap: settings in, streams out."""

from __future__ import annotations

import copy
import os
import signal
import sys
import threading
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar, TypeVar

import click
from singer_sdk import Stream, Tap
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.singerlib.encoding.simple import StateMessage
from singer_sdk.tap_base import CliTestOptionValue

from tap_clarity.cli import validation
from tap_clarity.cli.command import SIGNALS, TapCommand, ignore_signals
from tap_clarity.cli.input_files import (
    FROM_ENVIRONMENT,
    read_catalog,
    read_config,
    read_state,
)
from tap_clarity.cli.plan import RunPlan, format_plan
from tap_clarity.core.clock import Clock, SystemClock
from tap_clarity.output.line_writer import LineWriter, Stopped
from tap_clarity.planning.bookmarks import RecentBookmark, ReportBookmark
from tap_clarity.planning.due import Due
from tap_clarity.settings import SCHEMA, Settings
from tap_clarity.streams.context import RunContext
from tap_clarity.streams.datasources import DatasourceDetails, Datasources, Subscriptions
from tap_clarity.streams.devices import (
    AccessoryModules,
    NodeAlarms,
    Nodes,
    NodeStatuses,
    NodeStatusSummaries,
)
from tap_clarity.streams.metrics import Metrics
from tap_clarity.streams.recent import RecentMeasurements
from tap_clarity.streams.report_sources import REPORT_KINDS
from tap_clarity.streams.reports import ReportStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from singer_sdk.helpers.capabilities import CapabilitiesEnum

    from tap_clarity.streams.base import ClarityStream
    from tap_clarity.streams.measurements import MeasurementStream

S = TypeVar("S", bound=Stream)

STREAMS: tuple[type[ClarityStream], ...] = (
    Datasources,
    DatasourceDetails,
    Subscriptions,
    Nodes,
    NodeStatusSummaries,
    NodeStatuses,
    NodeAlarms,
    AccessoryModules,
    Metrics,
    RecentMeasurements,
)
"""In the order in which they run; after them run the report streams, which wait for Clarity."""

STATE_KEYS = {*RecentBookmark().to_state(), *ReportBookmark().to_state()}
"""What is taken over of a stream's state: others would be written out again and again, and some
trip the SDK if they hold junk."""


class TapClarity(Tap):
    """Air-quality measurements and metadata of an organisation at Clarity (clarity.io)."""

    name = "tap-clarity"
    # A copy, because the SDK adds its own settings in place.
    config_jsonschema: ClassVar[dict[str, Any]] = copy.deepcopy(SCHEMA)
    capabilities: ClassVar[Sequence[CapabilitiesEnum]] = [  # type: ignore[assignment]
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.BATCH,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]
    message_writer_class = LineWriter
    message_writer: LineWriter
    clock: ClassVar[Clock] = SystemClock()

    def __init__(self, *, parse_env_config: bool = False, **kwargs: Any) -> None:  # noqa: ANN401
        if parse_env_config:
            self.append_builtin_config(self.config_jsonschema)
            parse_environment_config({}, "")  # only reads a .env file, as the SDK will
            properties = self.config_jsonschema["properties"]
            self._refuse(*validation.misread_variables(os.environ, properties))
        super().__init__(parse_env_config=parse_env_config, **kwargs)

    @cached_property
    def run(self) -> RunContext:
        """What the streams share."""
        return RunContext(
            settings=Settings.from_config(self.config),
            clock=self.clock,
            user_agent=f"{self.name}/{self.plugin_version}",
            emit_state=lambda: self.state_writer.write_state(self.state),
            measurement_streams=self._measurement_streams,
            report_streams=self._selected_reports,
        )

    @property
    def streams(self) -> dict[str, Stream]:
        """The streams in the order in which they run; the SDK would sort them by name."""
        return {stream.name: stream for stream in sorted(super().streams.values(), key=_position)}

    def discover_streams(self) -> Sequence[Stream]:
        return [
            *(stream(self, self.run) for stream in STREAMS),
            *(ReportStream(self, self.run, kind) for kind in REPORT_KINDS),
        ]

    def load_state(self, state: Any) -> None:  # noqa: ANN401
        """Take over what has the form of a Singer state, and say what has not."""
        if isinstance(state, dict):
            state = state.get("singer_state", state)  # as `meltano state get` prints it
        if state in ({}, None):
            return
        bookmarks = state.get("bookmarks") if isinstance(state, dict) else None
        if not isinstance(bookmarks, dict):
            self.logger.warning("The state is not a Singer state: starting without one")
            return
        known = [stream for stream in self.streams if stream in bookmarks]
        if bookmarks and not known:
            self.logger.warning("The state is another tap's: starting without one")
        for stream in known:
            bookmark = bookmarks[stream]
            if isinstance(bookmark, dict):
                own = {key: value for key, value in bookmark.items() if key in STATE_KEYS}
                super().load_state({"bookmarks": {stream: own}})
            elif bookmark is not None:
                self.logger.warning("The state of %s is unusable: starting afresh", stream)

    @classmethod
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        command.params.append(
            click.Option(
                ["--plan"],
                is_flag=True,
                help="Print what the next run would do. Takes --config, --state and --catalog; "
                "asks Clarity for nothing.",
            )
        )
        return TapCommand.of(command, cls.logger)

    @classmethod
    def invoke(  # type: ignore[override]  # noqa: PLR0913 - one for each option
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
        plan: bool = False,
    ) -> None:
        """Run the tap; unlike the SDK's own, end with status 1 if a stream has failed."""
        if about:
            super().invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        tap = cls(
            config=config.config,
            catalog=None if catalog is None else read_catalog(catalog),
            parse_env_config=config.parse_env,
        )
        if state is not None:
            tap.load_state(read_state(state, cls.logger))
        if plan:
            click.echo("\n".join(tap.plan()))
            return
        sys.exit(tap.sync_streams())

    def plan(self) -> Iterator[str]:
        """Write down what the next run would do."""
        now = self.clock.now()
        reports = {stream.name: stream for stream in self._selected_reports()}
        recent = self._selected_recent()
        ledgers = {name: stream.journal.bookmark.ledger for name, stream in reports.items()}
        return format_plan(
            RunPlan(
                now=now,
                recent=recent.next_step(now) if recent else None,
                gaps=recent.due_gaps(now) if recent else Due(),
                streams={name: stream.plan(now) for name, stream in reports.items()},
                ledgers=({recent.name: recent.journal.bookmark.ledger} if recent else {}) | ledgers,
                restarted=[name for name, stream in reports.items() if stream.is_restarted],
                left=self.run.quota.left,
                daily_limit=self.run.settings.report_daily_limit,
            )
        )

    def _selected_recent(self) -> RecentMeasurements | None:
        streams = self._streams_of(RecentMeasurements)
        return next((stream for stream in streams if stream.selected), None)

    def _selected_reports(self) -> list[ReportStream]:
        return [stream for stream in self._streams_of(ReportStream) if stream.selected]

    def _measurement_streams(self) -> list[MeasurementStream]:
        return [*self._streams_of(RecentMeasurements), *self._streams_of(ReportStream)]

    def _streams_of(self, kind: type[S]) -> list[S]:
        return [stream for stream in self.streams.values() if isinstance(stream, kind)]

    @classmethod
    def cb_config(
        cls,
        ctx: click.Context,  # noqa: ARG003
        param: click.Option,  # noqa: ARG003
        value: tuple[str, ...],
    ) -> _ConfigInput:
        """Read the config files; the SDK's own way takes some lists for objects."""
        return _ConfigInput(read_config(value), FROM_ENVIRONMENT in value)

    @classmethod
    def cb_test(
        cls,
        ctx: click.Context,
        param: click.Option,
        value: str,
    ) -> None:
        """Check key and organisation with one request; the SDK's own test would spend a report."""
        if value not in {each.value for each in CliTestOptionValue}:
            raise click.BadParameter("write --test or --test=schema")
        if value != CliTestOptionValue.All.value:
            super().cb_test(ctx, param, value)
            return
        config: _ConfigInput = ctx.params.get("config", _ConfigInput())
        tap = cls(config=config.config, parse_env_config=config.parse_env)
        found = tap.run.datasources().complete()
        tap.logger.info("Clarity answers; the organisation may read %d datasources", len(found))
        ctx.exit()

    def sync_streams(self) -> int:
        """Run all selected streams and give the exit status."""
        try:
            self.sync_all()
            self.message_writer.flush()
            ignore_signals()
        except Stopped:
            # Even if it is the same as the last one: the loader stores the records before it.
            self.message_writer.end(StateMessage(value=self.state))
            raise
        finally:
            self.message_writer.flush()
        return 1 if self.run.failed else 0

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Refuse a wrong configuration in sentences of our own: the SDK's repeat the values."""
        self.append_builtin_config(self.config_jsonschema)
        self._config = {name: value for name, value in self._config.items() if value is not None}
        # Discovery does not validate, so that it works without a config; but a setting that is
        # given must be right even there.
        problems = validation.validate_config(
            self._config, self.config_jsonschema, complete=raise_errors
        )
        self._refuse(*problems)
        return problems

    @classmethod
    def _refuse(cls, *problems: str) -> None:
        if problems:
            message = "; ".join(problems)
            raise ConfigValidationError(
                message, errors=list(problems), schema=cls.config_jsonschema
            )

    def setup_mapper(self) -> None:
        try:
            super().setup_mapper()
        except ConfigValidationError:
            raise
        except Exception:  # whatever an expression of the user's raises
            given = [name for name in self.config if name.startswith(("stream_maps", "flattening"))]
            if not given:
                raise
            self._refuse(
                f"setting {', '.join(given)}: an expression, a key or a length does not fit the "
                "streams: mend it"
            )

    def _setup_signal_handlers(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                signal.signal(signum, self._handle_termination)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.message_writer.stop(signum)


def _position(stream: Stream) -> int:
    if isinstance(stream, ReportStream):
        return len(STREAMS) + REPORT_KINDS.index(stream.kind)
    return [type_ is type(stream) for type_ in STREAMS].index(True)
