"""The log messages in the source of the tap; `…` stands for variable parts."""

from __future__ import annotations

import ast
import re
from itertools import chain
from typing import TYPE_CHECKING

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

GAP = "…"
LEVELS = {"info", "warning", "error"}
_ELSEWHERE = {"demo", "sandbox"}  # programs of their own
_PLACEHOLDER = re.compile(r"%(?:\.\d)?[sdf]")


def texts() -> set[str]:
    """Give all texts in the tap's source."""
    return {text for node in _nodes() if (text := _text(node)) is not None}


def messages() -> set[str]:
    """Give the first texts of all calls that log, but those that only pass on other texts."""
    received_requests = (node for node in _nodes() if isinstance(node, ast.Call) and _logs(node))
    found = {
        text for call in received_requests for text in map(_text, call.args[:1]) if text is not None
    }
    return {text for text in found if re.search(r"\w", text)}


def quotes(page: str) -> list[str]:
    """Give the lines that a page explains under "What the log says"."""
    text = (ROOT / "docs" / page).read_text("utf-8").partition("## What the log says")[2]
    cells = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    found = [quote for cell in cells for quote in re.findall("`([^`]+)`", cell)]
    return [quote.replace("recent_measurements", GAP) for quote in found]


def pieces(line: str) -> list[str]:
    """Cut a line at its gaps, and where the tap puts lines together."""
    cut = (piece.strip(" ,;:()") for piece in re.split(rf"{GAP}|[,;:] ", line))
    return [piece for piece in cut if piece]


def _nodes() -> Iterator[ast.AST]:
    folder = ROOT / "tap_clarity"
    files = (path for path in folder.rglob("*.py") if not _ELSEWHERE.intersection(path.parts))
    return chain.from_iterable(ast.walk(ast.parse(path.read_text("utf-8"))) for path in files)


def _logs(call: ast.Call) -> bool:
    return (
        isinstance(call.func, ast.Attribute)
        and call.func.attr in LEVELS
        and "logger" in ast.unparse(call.func.value)
    )


def _text(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return _PLACEHOLDER.sub(GAP, text)
        case ast.JoinedStr(values=parts):
            return "".join(
                GAP if isinstance(p, ast.FormattedValue) else _text(p) or "" for p in parts
            )
    return None
