"""Renders the page: one HTML file with its scripts, styles and data."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tap_clarity.page import charts, formatting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tap_clarity.page.view import Section

# Characters that could end a script, or begin another one.
_SCRIPT_ESCAPES: Final = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
_FILTERS: Final = ("day", "decimal", "minute", "period_start", "quantity", "unit")


def render_page(sections: Sequence[Section], source: str, now: datetime) -> str:
    """Render the page; it is self-contained, and its policy blocks all requests."""
    files = resources.files("tap_clarity.page")
    html, script, style = (
        (files / f"page.{extension}").read_text(encoding="utf-8")
        for extension in ("html", "js", "css")
    )
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {name: getattr(formatting, name) for name in _FILTERS}
    scripts = [get_plotlyjs(), script]
    return environment.from_string(html).render(
        sections=sections,
        title=_title(sections),
        source=source,
        now=now,
        levels=charts.LEVELS,
        policy=_content_security_policy(scripts),
        scripts=[Markup(each) for each in scripts],  # noqa: S704 - our own, and plotly's
        style=Markup(style),  # noqa: S704 - our own
        data=_json_for_script([each.charts() for each in sections]),
    )


def _title(sections: Sequence[Section]) -> str:
    names = list(dict.fromkeys(section.name for section in sections))
    owner = names[0] if len(names) == 1 else formatting.count(len(names), "organisation")
    first, newest = min(s.first for s in sections), max(s.newest for s in sections)
    return f"Air quality of {owner}, {formatting.day(first)} to {formatting.day(newest)}"


def _content_security_policy(scripts: Sequence[str]) -> str:
    """Allow these scripts only, and no request to any host."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'"
        for each in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:;"
        " base-uri 'none'; form-action 'none'"
    )


def _json_for_script(data: Sequence[Mapping[str, Any]]) -> Markup:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_SCRIPT_ESCAPES))  # noqa: S704 - escaped for a script
