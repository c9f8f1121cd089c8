"""Responses with a fault: replaced, changed, or sent badly."""

from __future__ import annotations

import json
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from tap_clarity.sandbox.api.file_links import access_denied
from tap_clarity.sandbox.api.report_records import NO_URLS
from tap_clarity.sandbox.http.http_types import (
    JSON_TYPE,
    STATUSES_WITHOUT_BODY,
    Response,
    json_response,
)
from tap_clarity.sandbox.http.transfer import Transfer
from tap_clarity.sandbox.testing import corruption
from tap_clarity.sandbox.world.rng import combine

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_clarity.sandbox.testing.faults import Fault

_DRIP_PIECES: Final = 20
_HTML: Final = b"<!DOCTYPE html><html><body><h1>We'll be right back</h1></body></html>"


def replacement_response(fault: Fault) -> Response | None:
    """Return the response of faults that replace that of the API; nothing for other kinds."""
    if fault.kind == "status":
        headers = {"Content-Type": JSON_TYPE, **fault.headers}
        return Response(fault.status, _body(fault.status, fault.body.encode()), headers)
    if fault.kind == "html":
        return Response(HTTPStatus.OK, _HTML, {"Content-Type": "text/html"})
    if fault.kind == "garbage":
        noise = b"".join(combine(fault.seed, number).to_bytes(8, "big") for number in range(64))
        return Response(HTTPStatus.OK, noise, {"Content-Type": JSON_TYPE})
    return access_denied() if fault.kind == "expired-link" else None


def altered_response(fault: Fault, response: Response) -> Response:
    """Return a response of the API with the fault."""
    change = _CHANGES.get(fault.kind)
    if change is not None:
        return change(fault, response) if response.is_success else response
    transfer = _TRANSFERS.get(fault.kind)
    return replace(response, transfer=transfer(fault)) if transfer else response


def _body(status: int, body: bytes) -> bytes:
    return b"" if status in STATUSES_WITHOUT_BODY else body


def _other_status(fault: Fault, response: Response) -> Response:
    if fault.status not in STATUSES_WITHOUT_BODY:
        return replace(response, status=fault.status)
    headers = {k: v for k, v in response.headers.items() if not k.startswith("Content-")}
    return Response(fault.status, b"", headers)


def _partial(fault: Fault, response: Response) -> Response:
    whole = response.whole_body()
    part = corruption.first_lines(whole, fault.at)
    range_headers = {
        "Content-Length": str(len(part)),
        "Content-Range": f"bytes 0-{len(part) - 1}/{len(whole)}",
    }
    return Response(HTTPStatus.PARTIAL_CONTENT, part, {**response.headers, **range_headers})


def _without_urls(fault: Fault, response: Response) -> Response:
    record = json.loads(response.whole_body())
    kept = {name: value for name, value in record.items() if not name.startswith("urls")}
    return json_response({**kept, **NO_URLS[fault.word or "missing"]}, response.status)


_CHANGES: Final[dict[str, Callable[[Fault, Response], Response]]] = {
    "poll-without-urls": _without_urls,
    "other-status": _other_status,
    "partial-content": _partial,
    "blank-file": lambda fault, response: corruption.blank_file(response, fault.word),
    **dict.fromkeys(
        corruption.FILE_CORRUPTIONS,
        lambda fault, response: corruption.corrupt_file(response, fault.kind, fault.at),
    ),
}
_TRANSFERS: Final[dict[str, Callable[[Fault], Transfer]]] = {
    "drop": lambda _: Transfer(no_response=True),
    "cut": lambda fault: Transfer(stop_at=fault.at, ending="reset"),
    "stall": lambda fault: Transfer(wait=fault.seconds),
    "stall-inside": lambda fault: Transfer(pieces=2, pause=fault.seconds, stop_at=fault.at),
    "drip": lambda fault: Transfer(pieces=_DRIP_PIECES, pause=fault.seconds / _DRIP_PIECES),
    "truncate": lambda fault: Transfer(stop_at=fault.at, ending="shortened"),
    "truncate-lying": lambda fault: Transfer(stop_at=fault.at, ending="closed"),
}
