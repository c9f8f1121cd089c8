"""The rows that the models have to hold, worked out without SQL."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tap_clarity.instants import format_instant
from tap_clarity.measurements.schema import wide_columns
from tests.transform.town import hour
from tests.warehouses.truth import dictionary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tests.tapping import Key, Record
    from tests.transform.town import Town

Hours = dict[str, list["Hour"]]
HOUR = timedelta(hours=1)
COMMON = (
    *("pm1ConcMass", "pm2_5ConcMass", "pm10ConcMass", "no2Conc", "o3Conc", "atmPressure"),
    *("temperatureAmbient", "temperatureInternal", "relHumidAmbient", "relHumidInternal"),
    *("windSpeed", "windDirection"),
)
