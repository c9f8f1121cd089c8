"""Parameters of quirks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_clarity.sandbox.behavior.parameters import Parameters
from tap_clarity.sandbox.cli import main
from tap_clarity.sandbox.testing.faults import make_fault

if TYPE_CHECKING:
    from tests.support.sandbox_client import Client


def test_defaults_are_valid() -> None:
    assert Parameters().with_values({}) == Parameters()


def test_parameters_over_http_and_on_the_command_line(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    client.post("/_sandbox/quirks", {"on": ["no-echo"], "parameters": {"page_size": "7"}})
    assert client.get("/_sandbox/parameters").json["page_size"] == 7
    assert [each["name"] for each in client.get("/_sandbox/quirks").json if each["on"]] == [
        "no-echo"
    ]
    wrong: list[dict[str, object]] = [
        {"colour": "red"},
        {"page_size": "many"},
        {"poll_refusal": 500},
        {"data_from": "then"},
    ]
    for each in wrong:
        assert client.post("/_sandbox/quirks", {"parameters": each}).status == 400
        ((name, value),) = each.items()
        with pytest.raises(SystemExit):
            main(["--parameter", f"{name}={value}"])
    assert "no such parameter: colour" in capsys.readouterr().err
    with pytest.raises(ValueError, match="missing, list, null, text"):
        make_fault("report-without-urls", word="nothing")
