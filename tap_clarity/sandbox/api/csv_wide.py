"""The wide table of csv-wide answers and of files: one line per row, a group per metric."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from tap_clarity.sandbox.api import column_labels as labels
from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import iso
from tap_clarity.sandbox.world.measurements import cells
from tap_clarity.sandbox.world.metrics import with_concentrations
from tap_clarity.sandbox.world.positions import position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_clarity.sandbox.api.measurement_query import MeasurementQuery
    from tap_clarity.sandbox.world.measurements import Cell, Row
    from tap_clarity.sandbox.world.metrics import Metric
    from tap_clarity.sandbox.world.network import Datasource

Line = list[object]

TIMES: Final = ("time", "startOfPeriod", "endOfPeriod")
PLACES: Final = ("locationLatitude", "locationLongitude")
_FIRST_TIME: Final = 4
_LINES_PER_PART: Final = 200
_PADDED_DECIMALS: Final = 2
_PADDED_PLACES: Final = 8


@dataclass(frozen=True)
class Table:
    """A table's layout; `key` is the first column, and says what the rows are about."""

    query: MeasurementQuery
    key: str
    columns: list[Metric]

    @classmethod
    def over(cls, query: MeasurementQuery, key: str, datasources: list[Datasource]) -> Self:
        """Lay out all columns that were asked for, whatever the devices have."""
        columns = query.columns()
        if Quirk.PADDED_JSON_LONG in query.quirks:
            modules = frozenset[str]().union(*(each.modules for each in datasources))
            columns = [each for each in columns if each.quantity.module in modules]
        return cls(query, key, columns)

    @property
    def _has_periods(self) -> bool:
        quirks = self.query.quirks
        return self.query.frequency != "minute" and Quirk.SWAPPED_COLUMNS not in quirks

    def id_columns(self) -> list[str]:
        times = TIMES[1:] if self._has_periods else TIMES[:1]
        return [self.key, "sourceId", "sourceType", "outputFrequency", *times, *PLACES]

    def header(self) -> list[str]:
        quirks = self.query.quirks
        style = labels.style_of(self.query.label_style, quirks)
        groups = (
            labels.cell_label(metric, attribute, style, quirks)
            for metric in self.columns
            for attribute in self.query.attributes()
        )
        return [*(labels.id_label(each, style, quirks) for each in self.id_columns()), *groups]

    def lines(self, rows: Iterable[Row], as_of: int) -> Iterator[Line]:
        """Fill the table; a row without any of the columns is left out."""
        width = len(self.query.attributes())
        needed = with_concentrations(self.columns)
        places = {metric.name: turn * width for turn, metric in enumerate(self.columns)}
        for row in rows:
            line: Line = [None] * (len(places) * width)
            for cell in cells(row, as_of, needed):
                at = places.get(cell.metric.name)
                if at is not None:
                    line[at : at + width] = self._group(cell)
            if any(line):
                yield [*self._identity(row), *line]

    def _identity(self, row: Row) -> Line:
        datasource, digits = row.datasource, self.query.location_rounding
        return [
            datasource.datasource_id if self.key == "datasourceId" else row.source_id,
            row.source_id,
            datasource.source_type,
            row.frequency,
            *([row.time, row.period_end] if self._has_periods else [row.time]),
            *(round(each, digits) for each in position(row, self.query.quirks)),
        ]

    def _group(self, cell: Cell) -> Line:
        group: Line = []
        if self.query.qc_assessment:
            group.append(cell.assessment)
        if self.query.qc_flags:
            group.append(json.dumps(cell.flags))
        return [*group, cell.raw, cell.status, cell.value]

    def csv_parts(self, lines: Iterable[Line]) -> Iterator[bytes]:
        """Write CSV, some lines at a time."""
        buffer = io.StringIO()
        quirks = self.query.quirks
        write = csv.writer(
            buffer,
            lineterminator="\r\n" if Unknown.CRLF_LINES in quirks else "\n",
            quoting=csv.QUOTE_ALL if Unknown.QUOTED_CELLS in quirks else csv.QUOTE_MINIMAL,
        ).writerow
        write(self.header())
        written = self._padded(lines) if Quirk.PADDED_NUMBERS in quirks else lines
        if Unknown.MISSING_WORDS in quirks:
            written = self._with_missing_words(written)
        last_time = len(self.id_columns()) - len(PLACES)
        for turn, line in enumerate(written, start=1):
            for at in range(_FIRST_TIME, last_time):
                line[at] = iso(line[at])  # type: ignore[arg-type] # an instant until here
            write(line)
            if turn % _LINES_PER_PART == 0:
                yield _drain(buffer)
        yield _drain(buffer)

    def _with_missing_words(self, lines: Iterable[Line]) -> Iterator[Line]:
        word = self.query.parameters.missing_word
        for line in lines:
            yield [word if cell is None else cell for cell in line]

    def _padded(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Add zeros to all but indices, which are whole numbers always."""
        after = len(self.id_columns())
        before = after - len(PLACES)
        pad = [metric.standard is None for metric in self.columns for _ in self.query.attributes()]
        for line in lines:
            places = [f"{place:.{_PADDED_PLACES}f}" for place in line[before:after]]
            values = zip(line[after:], pad, strict=True)
            padded = [_with_zeros(value) if wanted else value for value, wanted in values]
            yield [*line[:before], *places, *padded]


def _drain(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def _with_zeros(value: object) -> object:
    """Write two decimals at least, never taking a digit away: `13.90`, but `0.9971`."""
    if not isinstance(value, int | float):
        return value
    whole, _, decimals = str(value).partition(".")
    return f"{whole}.{decimals.ljust(_PADDED_DECIMALS, '0')}"
