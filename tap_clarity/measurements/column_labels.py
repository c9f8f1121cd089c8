"""Which metric and attribute a column holds: by its canonical name, or by its English label.

Clarity may reword its English labels, and files that people edited have names in another case or
with an underscore. So names are compared by their letters and digits alone.
"""

from __future__ import annotations

import re
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.measurements.dictionary import load_dictionary
from tap_clarity.measurements.model import MAX_WORD_LENGTH, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The longer names first: each is tried as the end of a label.
ATTRIBUTES = {
    "qcassessment": "qc_assessment",
    "qcflags": "qc_flags",
    "status": "status",
    "value": "value",
    "raw": "raw",
    "qc": "qc",
}
"""Fields by the folded names of the attributes; `qc` is another name of `qc_assessment`."""


class MetricColumns(NamedTuple):
    """The positions of a metric's attributes in a row; None for those that are missing."""

    metric: str
    raw: int | None = None
    value: int | None = None
    status: int | None = None
    qc_assessment: int | None = None
    qc_flags: int | None = None


def fold(name: str) -> str:
    """Reduce a name to its ASCII letters and digits, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def canonical_metric(name: str) -> str:
    """Return the canonical name of a known metric, given in any case or as its English label.

    An unknown name is returned as it is.

    Raises:
        UnreadableError: If it exceeds the limit: each record would repeat it.
    """
    if len(name) > MAX_WORD_LENGTH:
        raise UnreadableError(
            f"the name of a metric exceeds the limit of {MAX_WORD_LENGTH} characters"
        )
    return name if name in load_dictionary() else _known_metrics().get(fold(name), name)


def parse_column(name: str) -> tuple[str, str] | None:
    """Return the metric and the field that a column holds; None if it is not a metric's column.

    `<metric>.<attribute>` may name any metric. A name without the dot, such as `<metric>_raw` or
    `<English label> raw`, has to name a known one.
    """
    metric, _, attribute = name.rpartition(".")
    field = ATTRIBUTES.get(fold(attribute))
    if field and metric:
        return canonical_metric(metric), field
    folded = fold(name)
    for ending, field in ATTRIBUTES.items():
        known = _known_metrics().get(folded.removesuffix(ending))
        if known and folded.endswith(ending):
            return known, field
    return None


def group_columns(names: Sequence[str]) -> list[MetricColumns]:
    """Group the columns by metric, in the order in which the metrics first appear.

    Raises:
        UnreadableError: If two columns hold the same attribute of the same metric.
    """
    metrics: dict[str, dict[str, int]] = {}
    for position, name in enumerate(names):
        if column := parse_column(name):
            metric, field = column
            positions = metrics.setdefault(metric, {})
            if field in positions:
                raise UnreadableError(f"the header names a column twice: {name[:100]!r}")
            positions[field] = position
    for positions in metrics.values():
        assessment = positions.pop("qc", None)
        positions.setdefault("qc_assessment", assessment)  # type: ignore[arg-type] # None: missing
    return [MetricColumns(metric, **positions) for metric, positions in metrics.items()]


@cache
def _known_metrics() -> Mapping[str, str]:
    """Map folded canonical names and English labels to canonical names."""
    metrics = load_dictionary().values()
    labels = {fold(each.english_label): each.metric for each in metrics if each.english_label}
    return MappingProxyType(labels | {fold(each.metric): each.metric for each in metrics})
