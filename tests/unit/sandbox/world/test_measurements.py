"""Calibration statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.constants import SANDBOX_NOW as NOW

if TYPE_CHECKING:
    from tests.support.sandbox_client import (
        Client,
    )


def test_old_measurements_have_another_status(client: Client) -> None:
    expected = client.sandbox.expected.measurements("day", "2023-07-01", "2023-07-03", NOW)
    old = {each.status for each in expected if each.metric.startswith("pm1Conc")}
    assert "calibration-unknown" in old
