"""The page itself: everything that was found out, put into one HTML file."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tap_clarity.page import charts
from tap_clarity.page import formatting as words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tap_clarity.page.view import Section

# What ends a script, or begins another, does not stand in one.
_HARMLESS: Final = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def page(sections: Sequence[Section], source: str, now: datetime) -> str:
    """Write the page; it needs nothing but itself, and its policy lets it ask for nothing."""
    parts = resources.files("tap_clarity.page")
    texts = {name: (parts / name).read_text(encoding="utf-8") for name in ("page.js", "page.css")}
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        name: getattr(words, name)
        for name in ("day", "figure", "minute", "moment", "plain", "unit")
    }
    template = environment.from_string((parts / "page.html").read_text(encoding="utf-8"))
    scripts = [get_plotlyjs(), texts["page.js"]]
    return template.render(
        sections=sections,
        title=_title(sections),
        source=source,
        now=now,
        levels=charts.LEVELS,
        policy=_policy(scripts),
        scripts=[Markup(each) for each in scripts],  # noqa: S704 - our own, and plotly's
        style=Markup(texts["page.css"]),  # noqa: S704 - our own
        data=_embedded([each.charts() for each in sections]),
    )


def _title(sections: Sequence[Section]) -> str:
    names = list(dict.fromkeys(each.name for each in sections))
    whose = names[0] if len(names) == 1 else words.counted(len(names), "organisation")
    first, end = min(s.first for s in sections), max(s.newest for s in sections)
    return f"Air quality of {whose}, {words.day(first)} to {words.day(end)}"


def _policy(scripts: Sequence[str]) -> str:
    """Only these scripts run, and nothing is fetched from anywhere."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'"
        for each in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:;"
        " base-uri 'none'; form-action 'none'"
    )


def _embedded(data: Sequence[Mapping[str, Any]]) -> Markup:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_HARMLESS))  # noqa: S704 - the line above saw to it
