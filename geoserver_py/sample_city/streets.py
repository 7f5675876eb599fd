"""Streets: every lattice line through the core is one, cut into named pieces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geoserver_py.sample_city.core import Core, IntArray
from geoserver_py.sample_city.layout import Layout
from geoserver_py.sample_city.plane import BLOCK, FloatArray, bent
from geoserver_py.sample_city.words import street_name

PRIMARY, SECONDARY, LOCAL = 0, 1, 2
WIDTHS = np.array([44.0, 28.0, 14.0])
LANES = np.array([6, 4, 2])
ARTERIAL_PIECE, LOCAL_PIECE = 25, 5
"""Blocks after which the name of a street changes: 5 km, 1 km."""


def street_class(line: IntArray) -> IntArray:
    """Class of lattice line `line`: every tenth is primary, every fifth secondary."""
    return np.where(line % 10 == 0, PRIMARY, np.where(line % 5 == 0, SECONDARY, LOCAL))


def half_width(line: IntArray) -> FloatArray:
    """Half the width of the road land of a lattice line, metres."""
    return np.asarray(WIDTHS[street_class(line)] / 2)


def piece(line: IntArray, along: IntArray) -> IntArray:
    """Number of the named piece of `line` that block position `along` belongs to."""
    return np.where(line % 5 == 0, along // ARTERIAL_PIECE, along // LOCAL_PIECE)


@dataclass(frozen=True)
class Sections:
    """Street sections of one block's length: axis 0 runs east along row `line`, 1 north."""

    axis: IntArray
    line: IntArray
    along: IntArray
    street: IntArray
    """Number of the named street."""
    names: NDArray[np.object_]
    """Name of each named street."""

    def ends(self) -> tuple[FloatArray, FloatArray]:
        """(n, 2) start and end of the sections on the drawing board."""
        at, along = self.line * BLOCK, self.along * BLOCK
        start = np.where(self.axis == 0, [along, at], [at, along]).T
        end = np.where(self.axis == 0, [along + BLOCK, at], [at, along + BLOCK]).T
        return start, end

    def find(self, axis: IntArray, line: IntArray, along: IntArray) -> IntArray:
        """Number of the named street of a section; every asked-for section must exist."""
        own = _key(self.axis, self.line, self.along)
        wanted = _key(axis, line, along)
        at = np.searchsorted(own, wanted)
        return np.asarray(self.street[at])


def _key(axis: IntArray, line: IntArray, along: IntArray) -> IntArray:
    return np.asarray((axis * 20_000 + line + 5_000) * 20_000 + along + 5_000)


def lay_streets(core: Core) -> Sections:
    """All sections that border a block of the core, named."""
    zero, one = np.zeros(core.size, np.int64), np.ones(core.size, np.int64)
    axis = np.concatenate([zero, zero, one, one])
    line = np.concatenate([core.row, core.row + 1, core.column, core.column + 1])
    along = np.concatenate([core.column, core.column, core.row, core.row])
    _, first = np.unique(_key(axis, line, along), return_index=True)
    axis, line, along = axis[first], line[first], along[first]
    whole = _key(axis, line, piece(line, along))
    _, begin, street = np.unique(whole, return_index=True, return_inverse=True)
    arterial = line[begin] % 5 == 0
    # Arterials near the centre get the known names first.
    middle = np.abs(line[begin]) + 8 * np.abs(piece(line, along)[begin] + 0.25)
    names = np.empty(len(begin), dtype=object)
    for wanted in (True, False):
        which = np.flatnonzero(arterial == wanted)
        which = which[np.argsort(middle[which], kind="stable")]
        for number, index in enumerate(which):
            names[index] = street_name(number, arterial=wanted)
    return Sections(axis, line, along, street.astype(np.int64), names)


_CLASS_WORDS = np.array(["主干路", "次干路", "支路"])


def roads(
    core: Core, layout: Layout, sections: Sections
) -> tuple[pd.DataFrame, NDArray[np.object_]]:
    """Road features in EPSG:4548: the streets, and highways to the other counties."""
    runs = np.flatnonzero(
        np.concatenate(
            [
                [True],
                (np.diff(sections.street) != 0) | (np.diff(sections.along) != 1),
            ]
        )
    )
    ends = np.append(runs[1:], len(sections.street)) - 1
    lines = []
    for start, end in zip(runs, ends, strict=True):
        along = np.arange(
            sections.along[start] * 4, (sections.along[end] + 1) * 4 + 1, dtype=np.float64
        ) * (BLOCK / 4)
        at = np.full_like(along, sections.line[start] * BLOCK)
        pair = (along, at) if sections.axis[start] == 0 else (at, along)
        lines.append(shapely.linestrings(np.column_stack(pair)))
    classes = street_class(sections.line[runs])
    frame = pd.DataFrame(
        {
            "id": [f"DL{n:06d}" for n in range(1, len(runs) + 1)],
            "name": sections.names[sections.street[runs]],
            "class_word": _CLASS_WORDS[classes],
            "lanes": LANES[classes],
            "width_m": WIDTHS[classes],
            "one_way": False,
        }
    )
    highways, highway_lines = _highways(core, layout)
    return (
        pd.concat([frame, highways], ignore_index=True),
        bent(np.array(lines + highway_lines, dtype=object)),
    )


_HIGHWAYS = {
    "441403": ("S223线", "省道"), "441422": ("G235线", "国道"), "441423": ("G206线", "国道"),
    "441424": ("梅河高速", "高速公路"), "441426": ("G206线", "国道"), "441427": ("G205线", "国道"),
    "441481": ("济广高速", "高速公路"),
}  # fmt: skip


def _highways(core: Core, layout: Layout) -> tuple[pd.DataFrame, list[shapely.Geometry]]:
    """One highway from the core's edge to the middle of each other county."""
    rows, lines = [], []
    for number, (county, (name, word)) in enumerate(_HIGHWAYS.items(), 1):
        rect = layout.counties[county][-1]
        goal = np.array([rect.west + rect.east, rect.south + rect.north]) * BLOCK / 2
        reach = goal / np.hypot(*goal)
        edge = float(np.max(core.column * BLOCK * reach[0] + core.row * BLOCK * reach[1])) + BLOCK
        start = reach * max(edge, BLOCK)
        t = np.linspace(0.0, 1.0, 120)[:, None]
        across = np.array([-reach[1], reach[0]])
        path = start + t * (goal - start) + np.sin(2 * np.pi * t) * 1500.0 * t * across
        lines.append(shapely.linestrings(path))
        fast = word == "高速公路"
        rows.append(
            {
                "id": f"GL{number:06d}",
                "name": name,
                "class_word": word,
                "lanes": 4 if fast else 2,
                "width_m": 24.5 if fast else 12.0,
                "one_way": False,
            }
        )
    return pd.DataFrame(rows), lines
