"""`Request` and `Response`, independent of sockets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.http.transfer import IMMEDIATE, Transfer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

JSON_TYPE: Final = "application/json; charset=utf-8"
STATUSES_WITHOUT_BODY: Final = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


@dataclass(frozen=True, slots=True)
class Request:
    """A request; header names in lower case, `body` already parsed."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Response:
    """A response; a body in parts is sent in chunks, unless it has a length."""

    status: int
    body: bytes | Iterable[bytes]
    headers: dict[str, str] = field(default_factory=dict)
    transfer: Transfer = IMMEDIATE

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def parts(self) -> Iterable[bytes]:
        return [self.body] if isinstance(self.body, bytes) else self.body

    def whole_body(self) -> bytes:
        return b"".join(self.parts())


def json_response(
    payload: object,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = json.dumps(payload, ensure_ascii=False).encode()
    return Response(status, body, {"Content-Type": JSON_TYPE, **(headers or {})})
