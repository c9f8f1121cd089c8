"""Requests and answers, free of sockets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.behavior.quirks import Quirk, Quirks
from tap_clarity.sandbox.http.transfer import PROMPT, Delivery

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

JSON_TYPE: Final = "application/json; charset=utf-8"
KEY_HEADER: Final = "x-api-key"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent; header names in lower case, `body` already parsed."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Response:
    """What the sandbox answers; a body in parts is sent in chunks, unless it has a length."""

    status: int
    body: bytes | Iterable[bytes]
    headers: dict[str, str] = field(default_factory=dict)
    delivery: Delivery = PROMPT

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def parts(self) -> Iterable[bytes]:
        return [self.body] if isinstance(self.body, bytes) else self.body

    def whole_body(self) -> bytes:
        return b"".join(self.parts())


class ApiError(Exception):
    """An error that the API answers."""

    def __init__(
        self, status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers

    def response(self, quirks: Quirks = frozenset()) -> Response:
        if Quirk.OTHER_MESSAGES in quirks:
            told: dict[str, Any] = {"Code": self.status.phrase, "Message": str(self)}
            return json_response(told, self.status, self.headers)
        # The one error body that has been seen carries its message as a list.
        return json_response({"message": [str(self)]}, self.status, self.headers)


def bad(message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, message)


def json_response(
    payload: object,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = json.dumps(payload, ensure_ascii=False).encode()
    return Response(status, body, {"Content-Type": JSON_TYPE, **(headers or {})})
