"""Metrics of a child stream: over all parents, as if the stream had none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_sdk import metrics

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context


class TotalCounter(metrics.Counter):
    """Counts over all parents, and reports once."""

    def with_context(self, value: Context | None) -> None:
        pass

    def exit(self) -> None:
        pass

    def report(self) -> None:
        if self.value:
            super().exit()


class SilentTimer(metrics.Timer):
    """Times one parent, and reports nothing."""

    def __exit__(self, *_: object) -> None:
        pass
