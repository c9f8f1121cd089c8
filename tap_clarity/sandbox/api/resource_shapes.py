"""Resources as the API writes them: field names and wrappers that depend on quirks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_clarity.sandbox.behavior.quirks import Quirk, Quirks

if TYPE_CHECKING:
    Fields = dict[str, Any]


def datasource(fields: Fields, quirks: Quirks) -> Fields:
    if Quirk.SWAPPED_SHAPES in quirks:
        return {**fields, "orgAnnotations": [fields["orgAnnotations"]]}
    return fields


def details(fields: Fields, request: Fields, quirks: Quirks) -> Fields:
    if Quirk.SWAPPED_SHAPES in quirks:
        return {**fields, "openData": [fields["openData"]]}
    return {"request": request, "datasource": fields}


def status_summary(fields: Fields, quirks: Quirks) -> Fields:
    if Quirk.OLD_STATUS_SUMMARY not in quirks:
        return fields
    categories = [_renamed(each, alarmCategory="alarm") for each in fields["summaryPerCategory"]]
    renamed = _renamed(fields, batteryChargePercent="batteryCharge")
    return {**renamed, "summaryPerCategory": categories}


def node_status(fields: Fields, quirks: Quirks) -> Fields:
    if Quirk.OLD_NODE_STATUS not in quirks:
        return fields
    activity = dict(fields["activity"])
    histogram = _renamed(
        activity["receivedHistogram"],
        startOfOldestBucket="startOfOldest",
        endOfMostRecentBucket="endOfMostRecent",
    )
    activity["receivedHistogram"] = histogram
    return {**fields, "activity": _renamed(activity, receivedHistogram="received")}


def _renamed(fields: Fields, **names: str) -> Fields:
    return {names.get(name, name): value for name, value in fields.items()}
