"""Signed links to report files, and the error responses of the file host."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from tap_clarity.sandbox.api import tokens
from tap_clarity.sandbox.http.http_types import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES_PATH: Final = "/files/historical/"


@dataclass(frozen=True, slots=True)
class FileLinks:
    """Signs links of the form `<report id>/<file name>`, and verifies them."""

    base_url: str
    signing_key: bytes

    def url(self, report_id: str, file_name: str, expires: int) -> str:
        name = f"{report_id}/{file_name}"
        signature = self._signature(name, str(expires))
        query = f"X-Amz-Expires={expires}&X-Amz-Signature={signature}"
        return f"{self.base_url}{FILES_PATH}{name}?{query}"

    def verify(self, path: str, query: Mapping[str, str], now: int) -> tuple[str, str] | None:
        """Return the report id and file name of a link, or nothing if it is wrong or expired."""
        name, expires = path.removeprefix(FILES_PATH), query.get("X-Amz-Expires", "")
        if query.get("X-Amz-Signature") != self._signature(name, expires) or now >= int(expires):
            return None
        file = PurePosixPath(name)
        return file.parent.name, file.name

    def _signature(self, name: str, expires: str) -> str:
        return tokens.sign(self.signing_key, f"{name} {expires}".encode())


def access_denied() -> Response:
    """Return what S3 answers for an expired link."""
    return _error(HTTPStatus.FORBIDDEN, "AccessDenied", "Request has expired")


def no_such_key() -> Response:
    """Return what S3 answers for a deleted file."""
    return _error(HTTPStatus.NOT_FOUND, "NoSuchKey", "The specified key does not exist.")


def _error(status: HTTPStatus, name: str, message: str) -> Response:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{name}</Code><Message>{message}</Message></Error>"
    )
    return Response(status, text.encode(), {"Content-Type": "application/xml"})
