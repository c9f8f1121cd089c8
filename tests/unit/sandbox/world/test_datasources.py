"""Details of datasources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.constants import SANDBOX_NOW as NOW

if TYPE_CHECKING:
    from tests.support.sandbox_client import Client


def test_details_that_show_other_organizations(client: Client) -> None:
    plain = list(client.sandbox.expected.records("datasource_details", NOW))
    client.sandbox.switches.turn_on("partner-histories")
    expected = list(client.sandbox.expected.records("datasource_details", NOW))
    for before, after in zip(plain, expected, strict=True):
        path = f"/v2/datasources/{after['datasource_id']}"
        details = client.get(path).json["datasource"]
        if after["source_type"] == "REFERENCE_SITE":
            assert before == after
            continue
        assert len(details["accessToMeasurements"]) == len(before["access_to_measurements"]) + 3
        own, *others = sorted({each["org"] for each in details["subscriptionAttachmentHistory"]})
        assert [own, *others] == ["harbourKQ2", "quayTZ9", client.sandbox.org, "uplandRB5"]
        starts = [each["accessStart"] for each in details["accessToMeasurements"]]
        assert min(starts) < "2023-06-05" <= starts[0]
        assert len(after["access_to_measurements"]) == len(starts)
