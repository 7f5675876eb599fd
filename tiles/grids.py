"""Tile grids: WebMercatorQuad of the OGC, and CGCS2000Quad, the ``c`` grid of 天地图.

Both are quadtrees over a square, so one SQL shape serves both: ``ST_TileEnvelope`` takes the
square of level zero as ``bounds``. For CGCS2000Quad that square is 360 degrees wide with the world
in its upper half; level 1 is then 2 x 1 tiles of 0.703125 degrees a pixel, as in 天地图's WMTS.
A matrix of the same number has the same resolution at the equator in both grids, so the zoom
ranges of a layer hold for both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import morecantile

from layers.definition import Title

Box = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax in the grid's own units, x = east or longitude."""

TILE_PIXELS = 256
"""Width and height of a tile in the pixels that a tile matrix set is defined by."""

PIXEL_METRES = 0.00028
"""Standardised rendering pixel of OGC 17-083r4 clause 6.1.1 (天地图's own 96 dpi is not it)."""

EARTH_RADIUS_M = 6378137.0
"""Semi-major axis of WGS 84, CGCS2000 and the sphere of Web Mercator alike, in metres."""

MERCATOR_LIMIT_DEG = 85.0511287798066
"""Latitude at which the square of WebMercatorQuad ends, in degrees."""


class TileOutOfRangeError(ValueError):
    """A tile address outside the grid: ``parameter`` is z, row or col; ``accepted`` what exists."""

    def __init__(self, parameter: str, accepted: str, zh: str, en: str) -> None:
        super().__init__(f"{zh} {en}")
        self.parameter = parameter
        self.accepted = accepted
        self.zh = zh
        self.en = en


@dataclass(frozen=True)
class MatrixLimits:
    """Rows and columns of one matrix that can hold data, both ends included."""

    matrix: int
    min_row: int
    max_row: int
    min_col: int
    max_col: int

    @property
    def count(self) -> int:
        """Number of tiles within the limits."""
        return (self.max_row - self.min_row + 1) * (self.max_col - self.min_col + 1)

    def document(self) -> dict[str, Any]:
        """The TileMatrixLimits object of OGC 17-083r4, 7.1."""
        return {
            "tileMatrix": str(self.matrix),
            "minTileRow": self.min_row,
            "maxTileRow": self.max_row,
            "minTileCol": self.min_col,
            "maxTileCol": self.max_col,
        }


@dataclass(frozen=True)
class Grid:
    """A tile matrix set whose matrices are the levels ``first`` to ``last`` of a quadtree.

    ``square`` is the extent of level zero, ``world`` the part of it that exists (both x, y order);
    ``column`` is the geometry column that is already in the grid's CRS.
    """

    id: str
    title: Title
    srid: int
    crs: str
    uri: str
    column: str
    square: Box
    world: Box
    first: int
    last: int
    geographic: bool

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """The TileMatrixSet object (OGC 17-083r4 JSON encoding)."""
        if self.id == "WebMercatorQuad":
            registered = morecantile.tms.get(self.id)
            body = registered.model_dump(mode="json", exclude_none=True, by_alias=True)
            body["tileMatrices"] = [
                m for m in body["tileMatrices"] if self.first <= int(m["id"]) <= self.last
            ]
            return MappingProxyType({**body, "title": str(self.title)})
        return MappingProxyType(
            {
                "id": self.id,
                "title": str(self.title),
                "uri": self.uri,
                "crs": self.crs,
                "orderedAxes": ["Lat", "Lon"],
                "boundingBox": {
                    "lowerLeft": [self.world[1], self.world[0]],
                    "upperRight": [self.world[3], self.world[2]],
                    "crs": self.crs,
                    "orderedAxes": ["Lat", "Lon"],
                },
                "tileMatrices": [self._matrix(level) for level in range(self.first, self.last + 1)],
            }
        )

    def _matrix(self, level: int) -> dict[str, Any]:
        cell = (self.square[2] - self.square[0]) / 2**level / TILE_PIXELS
        return {
            "id": str(level),
            "scaleDenominator": cell * math.radians(1) * EARTH_RADIUS_M / PIXEL_METRES,
            "cellSize": cell,
            "cornerOfOrigin": "topLeft",
            "pointOfOrigin": [self.square[3], self.square[0]],  # axis order of the CRS: lat, lon
            "tileWidth": TILE_PIXELS,
            "tileHeight": TILE_PIXELS,
            "matrixWidth": self.width(level),
            "matrixHeight": self.height(level),
        }

    def width(self, level: int) -> int:
        """Number of columns of a matrix."""
        return int(2**level)

    def height(self, level: int) -> int:
        """Number of rows of a matrix; half the columns where the world is half the square."""
        share = (self.world[3] - self.world[1]) / (self.square[3] - self.square[1])
        return math.ceil(self.width(level) * share)

    def check(self, level: int, row: int, col: int) -> None:
        """Raise TileOutOfRangeError unless the grid has this tile."""
        if not self.first <= level <= self.last:
            raise TileOutOfRangeError(
                "z",
                f"{self.first}-{self.last}",
                f"{self.id} 没有第 {level} 级，只有 {self.first} 至 {self.last} 级。",
                f"({self.id} has matrices {self.first} to {self.last})",
            )
        for name, value, count in (
            ("row", row, self.height(level)),
            ("col", col, self.width(level)),
        ):
            if not 0 <= value < count:
                raise TileOutOfRangeError(
                    name,
                    f"0-{count - 1}",
                    f"{self.id} 第 {level} 级的 {name} 须在 0 与 {count - 1} 之间，收到 {value}。",
                    f"({name} must lie between 0 and {count - 1} at level {level})",
                )

    def envelope(self, level: int, row: int, col: int) -> Box:
        """Extent of a tile in the grid's units, x first; row 0 is the northernmost."""
        size = (self.square[2] - self.square[0]) / 2**level
        west, north = self.square[0] + col * size, self.square[3] - row * size
        return (west, north - size, west + size, north)

    def project(self, lon: float, lat: float) -> tuple[float, float]:
        """Position of CGCS2000 degrees in the grid's units (null step to WGS 84, as PROJ does)."""
        if self.geographic:
            return lon, lat
        lat = max(-MERCATOR_LIMIT_DEG, min(MERCATOR_LIMIT_DEG, lat))
        return (
            EARTH_RADIUS_M * math.radians(lon),
            EARTH_RADIUS_M * math.log(math.tan(math.pi / 4 + math.radians(lat) / 2)),
        )

    def degrees(self, level: int, row: int, col: int, margin: float = 0.0) -> Box:
        """Extent of a tile in CGCS2000 degrees (west, south, east, north).

        ``margin`` is a share of the tile's width added on every side.
        """
        west, south, east, north = self.envelope(level, row, col)
        extra = margin * (east - west)
        box = (west - extra, south - extra, east + extra, north + extra)
        if self.geographic:
            return box
        lon, lat = _inverse_mercator(box[0], box[1])
        return (lon, lat, *_inverse_mercator(box[2], box[3]))

    def tile_at(self, lon: float, lat: float, level: int) -> tuple[int, int]:
        """Row and column of the tile that holds a position in CGCS2000 degrees."""
        x, y = self.project(lon, lat)
        size = (self.square[2] - self.square[0]) / 2**level
        col = math.floor((x - self.square[0]) / size)
        row = math.floor((self.square[3] - y) / size)
        return (
            max(0, min(self.height(level) - 1, row)),
            max(0, min(self.width(level) - 1, col)),
        )

    def limits(self, extent: Box, level: int) -> MatrixLimits:
        """Tiles of a matrix that an extent (west, south, east, north; degrees) touches."""
        top, left = self.tile_at(extent[0], extent[3], level)
        bottom, right = self.tile_at(extent[2], extent[1], level)
        return MatrixLimits(level, top, bottom, left, right)


def _inverse_mercator(x: float, y: float) -> tuple[float, float]:
    return (
        math.degrees(x / EARTH_RADIUS_M),
        math.degrees(2 * math.atan(math.exp(y / EARTH_RADIUS_M)) - math.pi / 2),
    )


_MERCATOR = math.pi * EARTH_RADIUS_M

WEB_MERCATOR_QUAD = Grid(
    id="WebMercatorQuad",
    title=Title("球面墨卡托（天地图 w）", "Web Mercator quad tree (Tianditu w)"),
    srid=3857,
    crs="http://www.opengis.net/def/crs/EPSG/0/3857",
    uri="http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad",
    column="tile_geom",
    square=(-_MERCATOR, -_MERCATOR, _MERCATOR, _MERCATOR),
    world=(-_MERCATOR, -_MERCATOR, _MERCATOR, _MERCATOR),
    first=0,
    last=22,
    geographic=False,
)

CGCS2000_QUAD = Grid(
    id="CGCS2000Quad",
    title=Title("国家 2000 经纬度（天地图 c）", "CGCS2000 geographic quad tree (Tianditu c)"),
    srid=4490,
    crs="http://www.opengis.net/def/crs/EPSG/0/4490",
    uri="urn:geoserver-py:tilematrixset:CGCS2000Quad",
    column="geom",
    square=(-180.0, -270.0, 180.0, 90.0),
    world=(-180.0, -90.0, 180.0, 90.0),
    first=1,
    last=20,
    geographic=True,
)

GRIDS: Mapping[str, Grid] = MappingProxyType(
    {grid.id: grid for grid in (WEB_MERCATOR_QUAD, CGCS2000_QUAD)}
)
"""The grids that every layer is served in, by identifier."""
