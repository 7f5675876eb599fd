"""Where rejected rows lie, as a picture's geometry: what is far out is an arrow at the edge.

One whole-degree slip must not squeeze a city into a few pixels: the view holds the bulk of the
places, an arrow with a distance stands for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH = 640
_HEIGHTS = (240, 560)
_INSET = 96
_M_PER_DEGREE = 111_320.0
_LEAST_M = 500.0
"""Narrowest view: three points of one street are shown with the street around them."""
_ARROW_CELL = 44
Pixel = tuple[float, float]
Lines = Sequence[NDArray[np.float64]]
"""Polylines (n, 2) of lon, lat in CGCS2000 degrees."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """Places beyond the view: where it is drawn, which way they lie, how many, how far at most."""

    at: Pixel
    towards: Pixel
    """Unit vector in pixels, y down."""
    count: int
    distance_m: float

    @property
    def label(self) -> str:
        """Number and distance."""
        far = self.distance_m
        shown = f"{far / 1000:,.0f} km" if far >= 10_000 else f"{far / 1000:.1f} km"
        return shown if self.count == 1 else f"{self.count} 处 {shown}"

    @property
    def points(self) -> tuple[Pixel, Pixel, Pixel]:
        """The triangle."""
        (x, y), (dx, dy) = self.at, self.towards
        base = (x - 13 * dx, y - 13 * dy)
        return (
            (round(x, 1), round(y, 1)),
            (round(base[0] - 6 * dy, 1), round(base[1] + 6 * dx, 1)),
            (round(base[0] + 6 * dy, 1), round(base[1] - 6 * dx, 1)),
        )


@dataclass(frozen=True, slots=True)
class Inset:
    """The city, small, with the rectangle of the view; x, y, width, height in pixels."""

    city: tuple[float, float, float, float]
    view: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Sketch:
    """A picture north up, lengths true in both directions; all in pixels from the top left."""

    width: int
    height: int
    frame: tuple[float, float, float, float]
    """x, y, width, height of the city's extent."""
    points: tuple[Pixel, ...]
    arrows: tuple[Arrow, ...]
    lines: tuple[tuple[Pixel, ...], ...]
    scale_m: float
    """A round length, drawn `scale_px` long."""
    scale_px: float
    inset: Inset | None

    @property
    def scale_label(self) -> str:
        """The round length as text."""
        return f"{self.scale_m / 1000:g} km" if self.scale_m >= 1000 else f"{self.scale_m:g} m"


def sketch(report: Mapping[str, Any], backdrop: Lines = ()) -> Sketch | None:
    """The picture of a report's places; None where it has no frame or no place."""
    frame, places = report.get("frame"), report.get("places") or []
    if not frame or not places:
        return None
    xy = np.array(places, dtype=np.float64).reshape(-1, 2)
    west, south, east, north = _view(xy, frame)
    shrink = math.cos(math.radians((south + north) / 2))
    scale = WIDTH / (east - west)
    vertical = scale / shrink
    height = round((north - south) * vertical)

    def pixel(lon: float, lat: float) -> Pixel:
        return round((lon - west) * scale, 1), round((north - lat) * vertical, 1)

    inside = (xy[:, 0] >= west) & (xy[:, 0] <= east) & (xy[:, 1] >= south) & (xy[:, 1] <= north)
    left, top = pixel(frame[0], frame[3])
    right, bottom = pixel(frame[2], frame[1])
    metre = scale / (_M_PER_DEGREE * shrink)
    length = _round_length(0.22 * WIDTH / metre)
    zoomed = (east - west) < 0.6 * (frame[2] - frame[0])
    return Sketch(
        width=WIDTH,
        height=height,
        frame=(left, top, round(right - left, 1), round(bottom - top, 1)),
        points=tuple(pixel(float(x), float(y)) for x, y in xy[inside]),
        arrows=tuple(_arrows(((xy[~inside] - (west, north)) * (scale, -vertical)), height, metre)),
        lines=tuple(
            tuple(pixel(float(x), float(y)) for x, y in line)
            for line in backdrop
            if _crosses(line, (west, south, east, north))
        ),
        scale_m=length,
        scale_px=round(length * metre, 1),
        inset=_inset(frame, (west, south, east, north), shrink) if zoomed else None,
    )


def _view(xy: NDArray[np.float64], frame: Sequence[float]) -> tuple[float, float, float, float]:
    """The bulk of the places in the city with a margin; the whole city where they fill it."""
    west, south, east, north = (float(v) for v in frame)
    near = (xy[:, 0] >= west) & (xy[:, 0] <= east) & (xy[:, 1] >= south) & (xy[:, 1] <= north)
    shrink = math.cos(math.radians((south + north) / 2))
    if near.any():
        low, high = _bulk(xy[near])
        least = np.array([_LEAST_M / (_M_PER_DEGREE * shrink), _LEAST_M / _M_PER_DEGREE])
        middle, half = (low + high) / 2, np.maximum((high - low) * 0.6, least / 2)
        west, south = (float(v) for v in middle - half)
        east, north = (float(v) for v in middle + half)
    margin = 0.02 * (east - west)
    west, east = west - margin, east + margin
    wanted = (north - south) / ((east - west) * shrink) * WIDTH
    height = min(max(wanted, _HEIGHTS[0]), _HEIGHTS[1])
    if wanted > height:  # too tall: widen
        extra = (wanted / height - 1) * (east - west) / 2
        west, east = west - extra, east + extra
    else:
        extra = (height / wanted - 1) * (north - south) / 2
        south, north = south - extra, north + extra
    return west, south, east, north


def _bulk(xy: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of all places but those that lie several spreads off: only a gap makes an outlier."""
    middle = np.median(xy, axis=0)
    spread = np.percentile(np.abs(xy - middle), 75, axis=0) + 1e-4
    kept = xy[(np.abs(xy - middle) <= 6 * spread).all(axis=1)]
    return kept.min(axis=0), kept.max(axis=0)


def _arrows(beyond: NDArray[np.float64], height: int, metre: float) -> Iterable[Arrow]:
    """Arrows for pixels (n, 2) outside the picture, those of one stretch of the edge together."""
    grouped: dict[tuple[int, int], list[tuple[float, Pixel, Pixel]]] = {}
    for x, y in beyond.tolist():
        edge = (min(max(x, 4.0), WIDTH - 4.0), min(max(y, 4.0), height - 4.0))
        away = math.hypot(x - edge[0], y - edge[1])
        towards = ((x - edge[0]) / away, (y - edge[1]) / away) if away else (0.0, -1.0)
        cell = (int(edge[0] // _ARROW_CELL), int(edge[1] // _ARROW_CELL))
        grouped.setdefault(cell, []).append((away, edge, towards))
    for found in grouped.values():
        away, edge, towards = max(found)
        yield Arrow(edge, towards, len(found), away / metre)


def _inset(frame: Sequence[float], view: Sequence[float], shrink: float) -> Inset:
    scale = _INSET / (frame[2] - frame[0])
    height = (frame[3] - frame[1]) * scale / shrink
    at_x, at_y = WIDTH - _INSET - 10, 10

    def x(lon: float) -> float:
        return at_x + (min(max(lon, frame[0]), frame[2]) - frame[0]) * scale

    def y(lat: float) -> float:
        return at_y + (frame[3] - min(max(lat, frame[1]), frame[3])) * scale / shrink

    west, south, east, north = view
    box = (x(west), y(north), max(4.0, x(east) - x(west)), max(4.0, y(south) - y(north)))
    city = (float(at_x), float(at_y), float(_INSET), round(height, 1))
    return Inset(city, (round(box[0], 1), round(box[1], 1), round(box[2], 1), round(box[3], 1)))


def _round_length(metres: float) -> float:
    power = 10.0 ** math.floor(math.log10(metres))
    return next(step * power for step in (5, 2, 1) if step * power <= metres)


def _crosses(line: NDArray[np.float64], view: Sequence[float]) -> bool:
    low, high = line.min(axis=0), line.max(axis=0)
    return bool(
        low[0] <= view[2] and high[0] >= view[0] and low[1] <= view[3] and high[1] >= view[1]
    )
