"""Errors that the API answers: status and message, as the quirks write them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tap_clarity.sandbox.behavior.quirks import Quirk, Quirks
from tap_clarity.sandbox.http.http_types import json_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_clarity.sandbox.http.http_types import Response


class ApiError(Exception):
    """An error to answer a request with."""

    def __init__(
        self, status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers

    def response(self, quirks: Quirks = frozenset()) -> Response:
        # The one error body that has been seen carries its message as a list.
        payload: dict[str, Any] = {"message": [str(self)]}
        if Quirk.OTHER_MESSAGES in quirks:
            payload = {"Code": self.status.phrase, "Message": str(self)}
        return json_response(payload, self.status, self.headers)


def bad_request(message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, message)
