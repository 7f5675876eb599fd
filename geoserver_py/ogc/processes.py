"""OGC API Processes: descriptions and inputs of the processes, over the service's own functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pygeoapi.process.base import BaseProcessor

from geoserver_py.grid import locate_event
from geoserver_py.grid_inputs import INPUTS, event_request
from geoserver_py.jobs.documents import PROCESS as JOB_PROCESS
from geoserver_py.ogc.context import ProcessContext
from geoserver_py.tables import CSV_TYPE, XLSX_TYPE


def _both(zh: str, en: str) -> dict[str, str]:
    return {"zh": zh, "en": en}


_METADATA: dict[str, Any] = {
    "version": "1.0.0",
    "title": _both("事件定位", "Locate an event"),
    "description": _both(
        "由位置或地址及事项类别，得单元网格、社区、街道、区县、最近部件与责任部门。",
        "From a position or an address and a category: unit grid cell, community, street,"
        " county, nearest component of the class and the responsible department.",
    ),
    "jobControlOptions": ["sync-execute"],
    "keywords": ["unit grid", "city management"],
    "inputs": {
        parameter.name: {
            "title": _both(parameter.description.zh, parameter.description.en),
            "schema": dict(parameter.schema),
            "minOccurs": 0,
            "maxOccurs": 1,
        }
        for parameter in INPUTS
    },
    "outputs": {
        "location": {
            "title": _both("定位结果", "Location"),
            "schema": {"type": "object", "contentMediaType": "application/json"},
        }
    },
    "example": {
        "inputs": {
            "lon": 116.12243233,
            "lat": 24.285977,
            "coordsys": "gcj02",
            "category": "06010",
        }
    },
}


class LocateEvent(BaseProcessor):  # type: ignore[misc]  # pygeoapi is untyped
    """The process ``locate-event``; the same function answers GET /grid/locate."""

    def __init__(self, processor_def: dict[str, Any]) -> None:
        super().__init__(processor_def, _METADATA)
        self.context: ProcessContext = processor_def["context"]

    def execute(self, data: Mapping[str, Any], outputs: Any = None) -> tuple[str, dict[str, Any]]:
        """Locate one event; Problems name the input that is wrong."""
        context = self.context
        request = event_request(data)
        located = context.run(locate_event(context.services, context.principal, request))
        return "application/json", located


_BATCH: dict[str, Any] = {
    "version": "1.0.0",
    "title": _both("批量地址匹配", "Match a table of addresses"),
    "description": _both(
        "CSV 或 Excel 表，逐行匹配地址，结果列附在其后，与 POST /geocode/batch 相同。作为作业在后台"
        "处理，需要密钥；结果只有提交它的密钥能取。",
        "A CSV or Excel table comes back with what was matched in columns behind, the same as"
        " POST /geocode/batch gives. A job in the background; needs a key, which alone gets the"
        " results.",
    ),
    "jobControlOptions": ["async-execute", "dismiss"],
    "outputTransmission": ["reference"],
    "keywords": ["geocoding", "batch"],
    "inputs": {
        "table": {
            "title": _both("表，首行为列名", "The table, its first row the headings"),
            "schema": {
                "oneOf": [
                    {"type": "string", "contentMediaType": CSV_TYPE},
                    {
                        "type": "string",
                        "contentEncoding": "base64",
                        "contentMediaType": XLSX_TYPE,
                    },
                ]
            },
            "minOccurs": 1,
            "maxOccurs": 1,
        },
        "column": {
            "title": _both("地址列，缺省按常用列名", "Column of addresses; by its usual headings"),
            "schema": {"type": "string", "maxLength": 100},
            "minOccurs": 0,
            "maxOccurs": 1,
        },
        "coordsys_out": {
            "title": _both("输出坐标系", "Coordinate system of the answer"),
            "schema": {"type": "string", "maxLength": 60, "default": "cgcs2000"},
            "minOccurs": 0,
            "maxOccurs": 1,
        },
    },
    "outputs": {
        "table": {
            "title": _both("加上结果各列的表", "The table with columns added"),
            "schema": {
                "oneOf": [
                    {"type": "string", "contentMediaType": CSV_TYPE},
                    {
                        "type": "string",
                        "contentEncoding": "base64",
                        "contentMediaType": XLSX_TYPE,
                    },
                ]
            },
        }
    },
    "example": {"inputs": {"table": "id,地址\r\n7,梅江区嘉应中路12号\r\n"}},
}


def with_own_control(document: dict[str, Any]) -> dict[str, Any]:
    """A process, or the list of them, with the control options that are true of each.

    pygeoapi states those of its manager for all.
    """
    if "processes" in document:
        listed = [with_own_control(entry) for entry in document["processes"]]
        return {**document, "processes": listed}
    if document["id"] != JOB_PROCESS:
        return document
    own = {name: _BATCH[name] for name in ("jobControlOptions", "outputTransmission")}
    return {**document, **own}


class GeocodeBatch(BaseProcessor):  # type: ignore[misc]  # pygeoapi is untyped
    """The description of ``geocode-batch``; ``geoserver_py.jobs`` executes it."""

    def __init__(self, processor_def: dict[str, Any]) -> None:
        super().__init__(processor_def, _BATCH)
