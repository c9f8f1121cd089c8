"""The `metricSelect` language: terms that add or remove metrics, from left to right."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from tap_clarity.sandbox.world.metrics import all_metrics, default_metric_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_clarity.sandbox.world.metrics import Frequency, Metric

_TOKEN: Final = re.compile(r"[+-]|[^\s+-]+")
_POLLUTANT_MODULES: Final = frozenset({"pm", "no2", "ozone", "blackcarbon"})
_NODE_MODULES: Final = frozenset({"pm", "no2", "internal"})
_MODULE_CATEGORIES: Final = {
    ":pollutant": _POLLUTANT_MODULES,
    ":node2": _NODE_MODULES,
    ":no2": frozenset({"no2"}),
    ":blackcarbon": frozenset({"blackcarbon"}),
    ":internal": frozenset({"internal"}),
}


def select(text: str, frequency: Frequency) -> frozenset[str]:
    """Return the names of the selected metrics; raises ValueError for an unknown category."""
    tokens = _TOKEN.findall(text.lower())
    metrics = all_metrics(frequency)
    starts = {
        "default": default_metric_names(frequency),
        "all": frozenset(metric.name for metric in metrics),
        "none": frozenset[str](),
        "only": frozenset[str](),
    }
    selected = set(starts["default"])
    if tokens and tokens[0] in starts:
        selected = set(starts[tokens.pop(0)])
    adding = True
    for term in tokens:
        if term in {"+", "-"}:
            adding = term != "-"
        elif adding:
            selected |= _matches(term, metrics)
        else:
            selected -= _matches(term, metrics)
    return frozenset(selected)


def _matches(term: str, metrics: Iterable[Metric]) -> set[str]:
    if not term.startswith(":"):
        return {each.name for each in metrics if fnmatchcase(each.name.lower(), term)}
    if term == ":pm25":
        return {each.name for each in metrics if each.quantity.name.startswith("pm2_5")}
    if term not in _MODULE_CATEGORIES:
        message = f"metricSelect: unknown category {term}"
        raise ValueError(message)
    modules = _MODULE_CATEGORIES[term]
    return {each.name for each in metrics if each.quantity.module in modules}
