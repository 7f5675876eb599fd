"""OGC API Processes: descriptions and inputs of the processes, over the service's own functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pygeoapi.process.base import BaseProcessor

from geoserver_py.grid import locate_event
from geoserver_py.grid_inputs import INPUTS, event_request
from geoserver_py.ogc.context import ProcessContext


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
