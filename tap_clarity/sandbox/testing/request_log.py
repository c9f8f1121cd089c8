"""The log of all requests to the API, for tests to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from tap_clarity.sandbox.api.file_links import FILES_PATH
from tap_clarity.sandbox.api.routes import KEY_HEADER

if TYPE_CHECKING:
    from tap_clarity.sandbox.http.http_types import Request


class RequestLog(Sequence[dict[str, Any]]):
    """Requests in the order of their responses; the API key is never kept."""

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []

    def add(self, request: Request, *, status: int, at: str, fault: str | None) -> None:
        has_key = KEY_HEADER in request.headers
        self._entries.append(
            {
                "method": request.method,
                "path": request.path,
                "query": dict(request.query),
                "headers": {k: v for k, v in request.headers.items() if k != KEY_HEADER},
                "body": request.body,
                "status": status,
                "at": at,
                "fault": fault,
                "leak": has_key and request.path.startswith(FILES_PATH),
            }
        )

    def clear(self) -> None:
        self._entries.clear()

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return self._entries[index]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(list(self._entries))
