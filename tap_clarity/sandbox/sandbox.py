"""`Sandbox`: an emulator to start and stop, with its world, clock, faults and request log."""

from __future__ import annotations

import threading
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from tap_clarity.sandbox.api.recent import RecentMeasurements
from tap_clarity.sandbox.api.reports import Reports, ReportSettings
from tap_clarity.sandbox.api.routes import Api
from tap_clarity.sandbox.behavior.quirks import Switches
from tap_clarity.sandbox.core.clock import Clock
from tap_clarity.sandbox.core.timestamps import SECOND, to_millis
from tap_clarity.sandbox.http.server import Server
from tap_clarity.sandbox.testing.admin_api import AdminApi
from tap_clarity.sandbox.testing.expected_data import ExpectedData
from tap_clarity.sandbox.testing.faults import Faults
from tap_clarity.sandbox.testing.middleware import Middleware
from tap_clarity.sandbox.testing.request_log import RequestLog
from tap_clarity.sandbox.world.world import World, anchor_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from tap_clarity.sandbox.api.recent import Format
    from tap_clarity.sandbox.api.report_files import Gzip


@dataclass(kw_only=True, eq=False)
class Sandbox:
    """An emulator of the Clarity API on loopback.

    >>> with Sandbox(now="2026-03-01T00:00:00Z", frozen=True) as sandbox:
    ...     sandbox.url.startswith("http://127.0.0.1:")
    True
    """

    seed: int = 1
    datasources: int = 12
    now: InitVar[datetime | str | None] = None
    frozen: InitVar[bool] = False
    anchor: InitVar[datetime | str | None] = None
    api_key: str = "sandbox-key"
    org: str = "saltbayQX7"
    port: int = 0
    report_seconds: float = 20
    url_seconds: float = 900
    daily_quota: int = 30
    files_per_report: int = 1
    gzip: Gzip = "declared"
    token_refusal: int = HTTPStatus.BAD_REQUEST
    recent_format: Format | None = None
    quirks: InitVar[Iterable[str]] = ()
    parameters: InitVar[Mapping[str, Any] | None] = None

    clock: Clock = field(init=False)
    world: World = field(init=False)
    expected: ExpectedData = field(init=False)
    requests: RequestLog = field(init=False, default_factory=RequestLog)
    faults: Faults = field(init=False, default_factory=Faults)

    def __post_init__(
        self,
        now: datetime | str | None,
        frozen: bool,
        anchor: datetime | str | None,
        quirks: Iterable[str],
        parameters: Mapping[str, Any] | None,
    ) -> None:
        start = to_millis(now or datetime.now(UTC))
        self.clock = Clock(start, frozen=frozen)
        anchored_at = to_millis(anchor) if anchor else anchor_for(start)
        switches = Switches(quirks, parameters)
        self.world = World(self.seed, self.datasources, anchored_at, self.org, switches)
        self.expected = ExpectedData(self.world)

    def __enter__(self) -> Self:
        self._server = Server(self.port)
        self._reports = Reports(self.world, self._server.url, self._report_settings())
        token_refusal = HTTPStatus(self.token_refusal)
        recent = RecentMeasurements(self.world, token_refusal, self.recent_format)
        api = Api(self.world, self.clock, self.api_key, recent, self._reports)
        admin_api = AdminApi(self.expected, self.clock, self.requests, self.faults)
        self._server.handle = Middleware(api, admin_api).handle
        self._server.current_time = lambda: self.clock.millis() / SECOND
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="clarity-sandbox", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._reports.close()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def switches(self) -> Switches:
        """The quirks: `turn_on("all")`, `turn_off("odd-node-ids")`, `set(retention_days=30)`."""
        return self.world.switches

    def _report_settings(self) -> ReportSettings:
        return ReportSettings(
            seconds=self.report_seconds,
            url_seconds=self.url_seconds,
            daily_quota=self.daily_quota,
            files=self.files_per_report,
            gzip=self.gzip,
        )
