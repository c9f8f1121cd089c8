"""Searches output, logs and files of the tap for secrets: API key, tokens, signatures of links."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tap_clarity.api.response_body import open_decompressed
from tap_clarity.sandbox import Sandbox
from tests.support.documented import api_faults
from tests.support.documented.api_faults import CONTINUATION, FILE
from tests.support.limited_runner import run_limited

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.documented.api_faults import Fault, RequestKind
    from tests.support.tap_process import Json, TapRun

KEY = "k-cAnArY-88127731"
FIRST, NOW = "2026-03-10T09:20:00Z", "2026-03-10T11:20:00Z"
SHORT = 8
"""Characters up to which a value in a link's query is no secret: a time, or a number."""
SETTINGS: dict[str, Any] = {
    "start_date": "2026-03-08T00:00:00Z",
    "end_date": "2026-03-09T00:00:00Z",
    "metric_select": "only pm2_5ConcMass1HourMean",
    "request_timeout": 1,
}
STALL = 1.2


@dataclass(frozen=True)
class FaultCase:
    """A fault on a kind of call, once or for ever."""

    fault: Fault
    call: RequestKind
    times: int | None


@dataclass
class SearchResult:
    """What was searched and what was found, as plain values.

    Attributes:
        runs: How many runs of the tap.
        faults: How many kinds of faults on how many kinds of calls.
        letters: How many characters were searched.
        secrets: Which secrets were looked for.
        hits: Where some were found.
    """

    runs: int = 0
    faults: set[tuple[str, str]] = field(default_factory=set)
    characters: int = 0
    secrets: set[str] = field(default_factory=set)
    hits: list[str] = field(default_factory=list)

    def search_run(self, name: str, run: TapRun, secrets: Secrets, files: str = "") -> None:
        """Look at all that a run has left, in its temporary files, too."""
        states, others = split_state_lines(run.output.decode())
        places = {
            "log": run.errors,
            "output": "\n".join(others),
            "files": files,
            "STATE": "\n".join(states),
        }
        self.runs += 1
        self.characters += sum(map(len, places.values()))
        self.secrets |= {*secrets.everywhere, *secrets.except_in_state}
        for place, text in places.items():
            searched_secrets = secrets.everywhere | (
                set() if place == "STATE" else secrets.except_in_state
            )
            self.hits += [f"{name}: {place}" for secret in searched_secrets if secret in text]


@dataclass(frozen=True)
class Secrets:
    """What must be found nowhere, and what only a STATE may tell."""

    everywhere: set[str]
    except_in_state: set[str]


def create_sandbox() -> Sandbox:
    return Sandbox(
        seed=1,
        datasources=2,
        now=FIRST,
        frozen=True,
        report_seconds=0,
        daily_quota=1000,
        api_key=KEY,
    )


def fault_cases(*kinds: RequestKind, thorough: bool = False) -> Iterator[FaultCase]:
    """Give each fault on some kinds of calls: once or for ever in turn, or both.

    Stalls take their time: there is one of each kind, or one on each kind of call.
    """
    for number, (fault, call) in enumerate(api_faults.cases()):
        if call not in kinds:
            continue
        if "seconds" in fault.order:
            if thorough or call is FILE:
                yield FaultCase(fault, call, 1)
            continue
        for times in (1, None) if thorough else (1 if number % 2 else None,):
            yield FaultCase(fault, call, times)


def search(cases: Iterable[FaultCase], mutation: str = "") -> SearchResult:
    """Run the tap through faults at log level DEBUG, and search what it leaves.

    Args:
        cases: Which faults, on which requests.
        mutation: Path of a function that makes the tap leak a secret.
    """
    found = SearchResult()
    with create_sandbox() as sandbox, TemporaryDirectory() as folder:
        state = run_limited(sandbox, streams=CONTINUATION.streams, **SETTINGS).check().state
        for case in cases:
            found.faults.add((case.fault.name, case.call.name))
            run = run_with_fault(
                sandbox, case, state, {"TMPDIR": folder, "TEST_MUTATION": mutation}
            )
            remaining_files = "".join(map(_text_of, Path(folder).iterdir()))
            name = f"{case.fault.name} on {case.call.name}"
            found.search_run(name, run, secrets_of(sandbox, run, state), remaining_files)
    return found


def secrets_of(sandbox: Sandbox, run: TapRun, state: Json) -> Secrets:
    """Tell what was secret in a run: it is known from what the sandbox was asked."""
    signatures = {
        value
        for request in sandbox.requests
        if request["path"].startswith("/files/")
        for value in request["query"].values()
        if len(value) > SHORT
    }
    states = [json.loads(line)["value"] for line in split_state_lines(run.output.decode())[0]]
    tokens = {
        bookmark["continuation_token"]
        for each in (state, *states)
        for bookmark in each.get("bookmarks", {}).values()
        if bookmark.get("continuation_token")
    }
    return Secrets({sandbox.api_key, *signatures}, tokens)


def run_with_fault(sandbox: Sandbox, case: FaultCase, state: Json, env: dict[str, str]) -> TapRun:
    fault, call = case.fault, case.call
    sandbox.clock.set(NOW)
    sandbox.requests.clear()
    order = fault.order | ({"seconds": STALL} if "seconds" in fault.order else {})
    sandbox.faults.inject(**order, path=call.path, method=call.method, times=case.times)
    run = run_limited(
        sandbox,
        streams=call.streams,
        state=json.dumps(state if call is CONTINUATION else {}),
        limits={"tap_clarity.api.response_body.MAX_IN_MEMORY": 1},
        env={"TAP_CLARITY_LOGLEVEL": "DEBUG", **env},
        **SETTINGS,
    )
    sandbox.faults.clear()
    return run


def _text_of(file: Path) -> str:
    with file.open("rb") as body, open_decompressed(body) as content:
        return content.read().decode("latin-1")


def split_state_lines(output: str) -> tuple[list[str], list[str]]:
    """Part the STATE lines from the others."""
    states: list[str] = []
    others: list[str] = []
    for line in output.splitlines():
        (states if line.startswith('{"type":"STATE"') else others).append(line)
    return states, others
