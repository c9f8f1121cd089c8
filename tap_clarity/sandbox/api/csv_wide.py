"""The wide table of csv-wide responses and report files: a line per row, columns per metric."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from tap_clarity.sandbox.api import column_labels
from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import iso
from tap_clarity.sandbox.world.measurements import cells
from tap_clarity.sandbox.world.metrics import names_with_concentrations
from tap_clarity.sandbox.world.row_positions import position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_clarity.sandbox.api.measurement_query import MeasurementQuery
    from tap_clarity.sandbox.world.measurements import Cell
    from tap_clarity.sandbox.world.metrics import Metric
    from tap_clarity.sandbox.world.network import Datasource
    from tap_clarity.sandbox.world.rows import Row

Line = list[object]

TIME_COLUMNS: Final = ("time", "startOfPeriod", "endOfPeriod")
LOCATION_COLUMNS: Final = ("locationLatitude", "locationLongitude")
_FIRST_TIME_COLUMN: Final = 4
_LINES_PER_PART: Final = 200
_PADDED_DECIMALS: Final = 2
_PADDED_LOCATION_DECIMALS: Final = 8


@dataclass(frozen=True)
class Table:
    """The layout of a table; `key` is the first column: the id of the rows."""

    query: MeasurementQuery
    key: str
    columns: list[Metric]

    @classmethod
    def over(cls, query: MeasurementQuery, key: str, datasources: list[Datasource]) -> Self:
        """Lay out all requested columns, whatever the devices measure."""
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
        times = TIME_COLUMNS[1:] if self._has_periods else TIME_COLUMNS[:1]
        return [self.key, "sourceId", "sourceType", "outputFrequency", *times, *LOCATION_COLUMNS]

    def header(self) -> list[str]:
        quirks = self.query.quirks
        style = column_labels.style_of(self.query.label_style, quirks)
        groups = (
            column_labels.cell_label(metric, attribute, style, quirks)
            for metric in self.columns
            for attribute in self.query.attributes()
        )
        return [
            *(column_labels.id_label(each, style, quirks) for each in self.id_columns()),
            *groups,
        ]

    def lines(self, rows: Iterable[Row], as_of: int) -> Iterator[Line]:
        """Generate the lines; a row without any of the columns is skipped."""
        width = len(self.query.attributes())
        needed = names_with_concentrations(self.columns)
        offsets = {metric.name: at * width for at, metric in enumerate(self.columns)}
        for row in rows:
            line: Line = [None] * (len(offsets) * width)
            for cell in cells(row, as_of, needed):
                offset = offsets.get(cell.metric.name)
                if offset is not None:
                    line[offset : offset + width] = self._group(cell)
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
        """Generate CSV, some lines at a time."""
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
        last_time = len(self.id_columns()) - len(LOCATION_COLUMNS)
        for number, line in enumerate(written, start=1):
            for column in range(_FIRST_TIME_COLUMN, last_time):
                line[column] = iso(line[column])  # type: ignore[arg-type] # until here an integer
            write(line)
            if number % _LINES_PER_PART == 0:
                yield _drain(buffer)
        yield _drain(buffer)

    def _with_missing_words(self, lines: Iterable[Line]) -> Iterator[Line]:
        word = self.query.parameters.missing_word
        for line in lines:
            yield [word if cell is None else cell for cell in line]

    def _padded(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Add zeros to all numbers but air-quality indices, which are whole numbers."""
        last = len(self.id_columns())
        first = last - len(LOCATION_COLUMNS)
        pad = [metric.standard is None for metric in self.columns for _ in self.query.attributes()]
        for line in lines:
            location = [f"{each:.{_PADDED_LOCATION_DECIMALS}f}" for each in line[first:last]]
            values = zip(line[last:], pad, strict=True)
            padded = [_with_zeros(value) if wanted else value for value, wanted in values]
            yield [*line[:first], *location, *padded]


def _drain(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def _with_zeros(value: object) -> object:
    """Write at least two decimals and remove none: `13.90`, but `0.9971`."""
    if not isinstance(value, int | float):
        return value
    whole, _, decimals = str(value).partition(".")
    return f"{whole}.{decimals.ljust(_PADDED_DECIMALS, '0')}"
