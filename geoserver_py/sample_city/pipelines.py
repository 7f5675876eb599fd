"""Underground pipelines of all eight CJJ 61-2017 classes along the main streets.

Depth is to the pipe's top, for drains to its invert, and ground = depth + elevation holds to
the millimetre. Networks hang together by point numbers: pipes of one class that cross share a
point there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import pandas as pd
import shapely
import yaml
from numpy.typing import NDArray

from geoserver_py.sample_city.core import IntArray
from geoserver_py.sample_city.plane import BLOCK, FloatArray, Geometries, bend
from geoserver_py.sample_city.streets import PRIMARY, SECONDARY, Sections, street_class

BoolArray = NDArray[np.bool_]
STEP = 50.0
"""Metres between points: a segment is 0.05 to 75 m long (acceptance rule of CJJ 61 surveys)."""
MOST_SECTIONS = 1600


@dataclass(frozen=True, slots=True)
class Pipe:
    """A sub-class as it is laid here; fields as in pipelines.yaml."""

    sheet: str
    class_word: str
    subclass_word: str
    across: float
    depth: float
    secondary: bool
    laying: str
    pressure: str | None
    owner: str
    sections: list[str]
    materials: list[str]
    appurtenances: list[str]


@cache
def pipes() -> tuple[Pipe, ...]:
    """The kinds of pipe of the sample city, in the order of their sheets."""
    text = (resources.files("geoserver_py.sample_city") / "pipelines.yaml").read_text("utf-8")
    return tuple(Pipe(**entry) for entry in yaml.safe_load(text))


DRAINS = frozenset({"YS", "WS"})


@dataclass(frozen=True)
class Pipelines:
    """Points and segments; `start` and `end` are row numbers of points."""

    points: pd.DataFrame
    east_north: FloatArray
    """(n, 2) EPSG:4548 of the points, millimetres."""
    elevation: FloatArray
    """(n,) elevation of the pipe at each point, metres (1985)."""
    lines: pd.DataFrame
    start: IntArray
    end: IntArray

    def point_shapes(self) -> Geometries:
        """Points with the pipe's elevation as Z."""
        xyz = np.column_stack([self.east_north, self.elevation])
        return np.asarray(shapely.points(xyz))

    def line_shapes(self) -> Geometries:
        """Straight segments with Z between their points."""
        xyz = np.column_stack([self.east_north, self.elevation])
        return np.asarray(shapely.linestrings(np.stack([xyz[self.start], xyz[self.end]], axis=1)))


def ground(u: FloatArray, v: FloatArray) -> FloatArray:
    """Synthetic terrain height on the drawing board, metres."""
    return np.asarray(
        82.0 + 3.0 * np.sin(u / 2300.0) + 2.0 * np.cos(v / 1900.0) + 0.4 * np.sin((u + v) / 310.0)
    )


def lay_pipelines(sections: Sections, seed: int) -> Pipelines:
    """All pipes: nine lines below primary streets, water and sewage below secondary ones."""
    rng = np.random.default_rng([seed, 8])
    parts = [_one(pipe, sections, rng) for pipe in pipes()]
    offset = np.cumsum([0] + [len(part.points) for part in parts[:-1]])
    return Pipelines(
        pd.concat([part.points for part in parts], ignore_index=True),
        np.concatenate([part.east_north for part in parts]),
        np.concatenate([part.elevation for part in parts]),
        pd.concat([part.lines for part in parts], ignore_index=True),
        np.concatenate([part.start + o for part, o in zip(parts, offset, strict=True)]),
        np.concatenate([part.end + o for part, o in zip(parts, offset, strict=True)]),
    )


def _one(pipe: Pipe, sections: Sections, rng: np.random.Generator) -> Pipelines:
    classes = street_class(sections.line)
    wanted = np.flatnonzero((classes == PRIMARY) | (pipe.secondary & (classes == SECONDARY)))
    nearest = np.abs(sections.line[wanted]) + np.abs(sections.along[wanted])
    wanted = np.sort(wanted[np.argsort(nearest, kind="stable")][:MOST_SECTIONS])
    start, _ = sections.ends()
    per = int(BLOCK / STEP)
    axis = np.repeat(sections.axis[wanted], per)
    base = np.repeat(start[wanted], per, axis=0)
    along = np.tile(np.arange(per) * STEP, len(wanted)) + pipe.across

    def place(distance: FloatArray) -> FloatArray:
        u = np.where(axis == 0, base[:, 0] + distance, base[:, 0] + pipe.across)
        v = np.where(axis == 0, base[:, 1] + pipe.across, base[:, 1] + distance)
        return np.column_stack([u, v])

    ends = np.concatenate([place(along), place(along + STEP)])
    nodes, where = np.unique(np.round(ends * 10).astype(np.int64), axis=0, return_inverse=True)
    where = where.ravel()
    n, m = len(nodes), len(axis)
    first, second = where[:m], where[m:]
    degree = np.bincount(where, minlength=n)
    u, v = nodes[:, 0] / 10.0, nodes[:, 1] / 10.0
    surface = np.round(ground(u, v) + rng.normal(0.0, 0.05, n), 3)
    depth = np.round(pipe.depth + rng.uniform(-0.15, 0.25, n), 2)
    elevation = np.round(surface - depth, 3)
    street = sections.names[np.repeat(sections.street[wanted], per)]
    road = np.empty(n, dtype=object)
    road[second], road[first] = street, street
    numbers = _point_numbers(n)
    appurtenance = rng.random(n) < 0.35
    nothing = np.full(n, None, dtype=object)
    feature = np.select(
        [degree == 1, degree == 3, degree == 4], ["预留口", "三通", "四通"], "直线点"
    )
    covers = np.array(pipe.appurtenances)[rng.integers(0, len(pipe.appurtenances), n)]
    days = np.datetime64("2026-03-01") + rng.integers(0, 200, n).astype("timedelta64[D]")
    well = appurtenance & np.char.endswith(covers, "井")
    point_frame = pd.DataFrame(
        {
            "id": [f"{pipe.sheet}-{number}" for number in numbers],
            "sheet": pipe.sheet,
            "number": numbers,
            "class_word": pipe.class_word,
            "subclass_word": pipe.subclass_word,
            "feature": np.where(appurtenance, nothing, feature),
            "appurtenance": np.where(appurtenance, covers, nothing),
            "ground_elevation_m": surface,
            "depth_m": depth,
            "well_depth_m": np.where(well, np.round(depth + 0.3, 2), np.nan),
            "cover": np.where(well, np.full(n, "Φ700", dtype=object), nothing),
            "road": road,
            "surveyed_on": np.datetime_as_string(days, unit="D"),
        }
    )
    run = _runs(first, second, degree, appurtenance)
    size = np.array(pipe.sections)[rng.integers(0, len(pipe.sections), m)[run]]
    downhill = elevation[first] >= elevation[second]
    line_frame = pd.DataFrame(
        {
            "id": [
                f"{pipe.sheet}-{numbers[a]}-{numbers[b]}"
                for a, b in zip(first, second, strict=True)
            ],
            "sheet": pipe.sheet,
            "class_word": pipe.class_word,
            "subclass_word": pipe.subclass_word,
            "start_number": numbers[first],
            "end_number": numbers[second],
            "start_depth_m": depth[first],
            "end_depth_m": depth[second],
            "start_elevation_m": elevation[first],
            "end_elevation_m": elevation[second],
            "section_mm": size,
            "material": np.array(pipe.materials)[rng.integers(0, len(pipe.materials), m)[run]],
            "laying_word": pipe.laying,
            "pressure": pipe.pressure,
            "flow_direction": np.where(downhill, 0, 1) if pipe.sheet in DRAINS else 2,
            "owner": pipe.owner,
            "built_year": rng.integers(1995, 2026, m),
            "state_word": rng.choice(np.array(["在用", "废弃"]), m, p=(0.96, 0.04)),
            "road": street,
        }
    )
    east, north = bend(u, v)
    return Pipelines(
        point_frame, np.column_stack([east, north]), elevation, line_frame, first, second
    )


def _runs(first: IntArray, second: IntArray, degree: IntArray, fitted: BoolArray) -> IntArray:
    """(m,) the first segment of each segment's run: a size changes at branches and wells only."""
    joint: dict[int, int] = {}
    run = np.arange(len(first))

    def root(at: int) -> int:
        while run[at] != at:
            at = int(run[at])
        return at

    for at, ends in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        for node in ends:
            if degree[node] == 2 and not fitted[node]:
                one, two = sorted((root(at), root(joint.setdefault(node, at))))
                run[two] = one
    return np.array([root(at) for at in range(len(run))], dtype=np.int64)


def _point_numbers(count: int) -> NDArray[np.object_]:
    """001, 002... and, as field books have them, some like 12E3 that are no numbers."""
    return np.array(
        [f"{n // 10}E{n % 10}" if n % 47 == 29 else f"{n:03d}" for n in range(1, count + 1)],
        dtype=object,
    )
