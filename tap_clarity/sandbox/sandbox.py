"""The sandbox as a thing to hold: a world, a clock and a server around them."""

from __future__ import annotations

import threading
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from tap_clarity.sandbox.api import Api
from tap_clarity.sandbox.clock import Clock
from tap_clarity.sandbox.control import CONTROL, Control
from tap_clarity.sandbox.instants import instant, iso
from tap_clarity.sandbox.recent import Recent
from tap_clarity.sandbox.reports import ReportDesk, ReportTerms
from tap_clarity.sandbox.request_log import RequestLog
from tap_clarity.sandbox.server import Server
from tap_clarity.sandbox.world import World, anchor_for

if TYPE_CHECKING:
    from types import TracebackType

    from tap_clarity.sandbox.messages import Request, Response


@dataclass(kw_only=True, eq=False)
class Sandbox:
    """An emulated Clarity on loopback.

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
    token_refusal: int = HTTPStatus.BAD_REQUEST

    clock: Clock = field(init=False)
    world: World = field(init=False)
    requests: RequestLog = field(init=False, default_factory=RequestLog)

    def __post_init__(
        self,
        now: datetime | str | None,
        frozen: bool,
        anchor: datetime | str | None,
    ) -> None:
        start = instant(now or datetime.now(UTC))
        self.clock = Clock(start, frozen=frozen)
        settled = instant(anchor) if anchor else anchor_for(start)
        self.world = World(self.seed, self.datasources, settled, self.org)

    def __enter__(self) -> Self:
        self._server = Server(self.port, self._answer)
        self._reports = ReportDesk(self.world, self._server.url, self._terms())
        recent = Recent(self.world, HTTPStatus(self.token_refusal))
        self._api = Api(self.world, self.clock, self.api_key, recent, self._reports)
        self._control = Control(self.world, self.clock, self.requests)
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

    def _answer(self, request: Request) -> Response:
        if request.path.startswith(CONTROL):
            return self._control.answer(request)
        at = iso(self.clock.millis())
        response = self._api.answer(request)
        self.requests.note(request, response.status, at)
        return response

    def _terms(self) -> ReportTerms:
        return ReportTerms(self.report_seconds, self.url_seconds, self.daily_quota)
