"""Rasters beside the layers: their collection documents, and the COG files with byte ranges.

A COG is read by ranges of its file (RFC 9110, section 14), so GDAL, QGIS and the browser open
`/vsicurl/…/rasters/NAME.tif` without a tile server.
"""

from __future__ import annotations

import os
import re
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from geoserver_py.links import link
from geoserver_py.operations import Call, Operation, Parameter
from geoserver_py.problems import Problem
from layers.access import AccessClass
from layers.catalogue import UnknownLayer
from layers.definition import Title
from layers.rasters import PublishedRaster

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
THEME = "影像与高程"
_PLACE = re.compile(r"[0-9]{1,18}")  # int() refuses thousands of digits
_KINDS = {
    "image": Title("影像", "imagery"),
    "elevation": Title("高程模型", "elevation model"),
    "classes": Title("分类栅格", "classes"),
}


def raster_collection(raster: PublishedRaster, root: str) -> dict[str, Any]:
    """A collection document: extent, resolution, bands, datum steps, accuracy, the COG's link.

    `layerDataType` keeps clients of features (GDAL) from asking for items.
    """
    said = raster.document
    own = f"{root}/collections/{raster.name}"
    title = str(raster.title)
    if said["synthetic"]:
        title = f"{title}（模拟数据 synthetic）"
    unit = said["unit"]
    return {
        "id": raster.name,
        "title": title,
        "description": f"{_KINDS[said['kind']]}；{said['resolution'][0]:.6g} {unit} 每像元 a pixel",
        "itemType": "coverage",
        "dataType": "coverage",
        "layerDataType": "Coverage",
        "kind": said["kind"],
        "theme": THEME,
        "bureau": said["bureau"],
        "access": raster.access.value,
        "synthetic": said["synthetic"],
        "extent": {
            "spatial": {
                "bbox": [said["extent"]],
                "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
                "storageCrsBbox": [said["bounds"]],
            }
        },
        "crs": [said["crs"]],
        "storageCrs": said["crs"],
        "resolution": said["resolution"],
        "resolutionUnit": unit,
        "size": said["size"],
        "bands": said["bands"],
        "heights": said["heights"],
        "overviews": said["overviews"],
        "resampling": said["resampling"],
        "positionalAccuracy": {
            "stated_m": said["stated_accuracy_m"],
            "datum_m": said["datum_accuracy_m"],
            "resampling_pixels": said["position_error_pixels"],
            "datumSteps": said["steps"],
        },
        "source": said["source"],
        "notes": said["notes"],
        "bytes": said["bytes"],
        "sha256": said["sha256"],
        "links": [
            link(own, "self", "application/json", f="json"),
            link(own, "alternate", "text/html", f="html"),
            {
                **link(f"{root}/rasters/{raster.name}.tif", "enclosure", COG, f"{title} COG"),
                "length": said["bytes"],
            },
        ],
    }


class _WholeFile(FileResponse):
    """A file whose answer takes no notice of a Range that says nothing (RFC 9110, 14.2)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kept = [pair for pair in scope["headers"] if pair[0] != b"range"]
        await super().__call__({**scope, "headers": kept}, receive, send)


def _usable_range(headers: Headers, size: int) -> bool:
    """Whether the request asks for ranges that can be read; Problem 416 outside the file."""
    text = headers.get("range", "")
    unit, _, parts = text.partition("=")
    if unit.strip().lower() != "bytes":
        return False
    for part in parts.split(","):
        start, dash, end = part.strip().partition("-")
        given = [value for value in (start, end) if value]
        if not dash or not given or not all(_PLACE.fullmatch(value) for value in given):
            return False
        outside = int(start) >= size or (end and int(end) < int(start)) if start else int(end) == 0
        if outside:
            raise Problem(
                416,
                "range-not-satisfiable",
                zh=f"范围 {text[:80]} 不在文件内，文件共 {size} 字节。",
                en=f"(the range lies outside the file of {size} bytes)",
                headers={"Content-Range": f"bytes */{size}"},
            )
    return True


async def _file(call: Call) -> Response:
    name = str(call.arguments["rasterId"])
    raster = call.services.rasters.raster(name.removesuffix(".tif"), call.principal)
    path = call.services.settings.raster_home / raster.file
    try:
        found = os.stat(path)
    except FileNotFoundError as gone:
        # published again a moment ago, or the folder of rasters is not where the settings say
        raise UnknownLayer(name) from gone
    tag = f'"{raster.document["sha256"]}"'
    public = raster.access is AccessClass.PUBLIC
    headers = {
        "ETag": tag,
        "Cache-Control": "public, no-cache" if public else "private, no-cache",
        "Vary": "Authorization, X-API-Key",
    }
    known = call.request.headers.get("if-none-match")
    if known is not None and (
        known.strip() == "*" or tag in (t.strip().removeprefix("W/") for t in known.split(","))
    ):
        return Response(status_code=304, headers=headers)
    ranged = _usable_range(call.request.headers, found.st_size)
    answer = FileResponse if ranged else _WholeFile
    return answer(path, headers=headers, media_type=COG, stat_result=found)


_BINARY = {COG: {"schema": {"type": "string", "format": "binary"}}}
OPERATIONS = (
    Operation(
        method="GET",
        path="/rasters/{rasterId}",
        operation_id="getRaster",
        summary=Title("栅格文件（COG，支持字节范围）", "A raster's COG file, with byte ranges"),
        tag="rasters",
        handler=_file,
        parameters=(
            Parameter(
                "rasterId",
                {"type": "string", "maxLength": 60},
                Title("栅格名.tif", "Name of the raster, with .tif"),
                location="path",
            ),
        ),
        responses={
            200: ("整个文件 The whole file", _BINARY),
            206: ("所要的字节 The bytes asked for", _BINARY),
            304: ("未变 Not modified", {}),
        },
    ),
)
