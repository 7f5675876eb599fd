"""Lines from a point table: a survey's line sheet names its ends by point number.

CJJ 61-2017 result tables come in pairs: points with coordinates (JSPOINT), and segments from one
point number to another with a depth and an elevation for each end (JSLINE).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from etl.checks import values
from etl.checks.finding import BoolArray
from etl.datum.coordsys import FloatArray
from etl.delivery import FromPoints
from etl.readers import Batch, LayerInfo, ReadError, RowProblem, Source, SourceInfo
from etl.readers.columns import numbers


@dataclass(frozen=True)
class _Points:
    """The point table: numbers as text (n,), coordinates (n, 3), and which numbers are no good."""

    numbers: pa.Array
    xyz: FloatArray
    repeated: BoolArray
    """Rows whose number occurs again at another place."""


@dataclass(frozen=True)
class SegmentSource:
    """A line table whose geometry is joined from a point table; both in the file's coordinates."""

    lines: Source
    points: Source
    join: FromPoints

    @property
    def info(self) -> SourceInfo:
        """The file of the line table."""
        info = self.lines.info
        note = f"{self.layer.name}: 由点表按点号连线 lines joined by point number"
        return replace(info, notes=(*self.points.info.notes, f"{note}: {self.points.layer.name}"))

    @property
    def layer(self) -> LayerInfo:
        """The line table; ReadError when the point table has no positions or no numbers."""
        points = self.points.layer
        titles = [field.name for field in points.fields]
        if points.geometry_type is None or self.join.id not in titles:
            raise ReadError(
                self.points.info.path,
                f"点表 {points.name} 须有坐标列和点号列 {self.join.id}；有：{', '.join(titles)}。",
                f"the point table {points.name!r} needs coordinate columns and the column of "
                f"point numbers {self.join.id!r}; it has: {', '.join(titles)}.",
            )
        return replace(self.lines.layer, geometry_type="LineString")

    @cached_property
    def _points(self) -> _Points:
        ids, parts = [], []
        for batch in self.points.batches():
            ids.append(_texts(batch, self.join.id))
            x, y, z = (get(batch.geometry) for get in (shapely.get_x, shapely.get_y, shapely.get_z))
            parts.append(np.column_stack([x, y, z]))
        if not ids:
            empty = np.zeros(0, dtype=bool)
            return _Points(pa.array([], pa.string()), np.empty((0, 3)), empty)
        names, xyz = pa.concat_arrays(ids), np.concatenate(parts)
        first = pc.index_in(names, names).to_numpy(zero_copy_only=False)
        known = np.isfinite(first)
        there = xyz[np.where(known, first, 0).astype(np.int64)]
        apart = ~np.isclose(there, xyz, rtol=0, atol=1e-9, equal_nan=True).all(axis=1) & known
        return _Points(names, xyz, apart)

    def batches(self) -> Iterator[Batch]:
        """The rows of the line table with a segment each, None and a reason where it has none."""
        for batch in self.lines.batches():
            yield self._joined(batch)

    def _joined(self, batch: Batch) -> Batch:
        size = len(batch.rows)
        ends = np.empty((size, 2, 3))
        good = np.ones(size, dtype=bool)
        problems: list[RowProblem] = []
        for end, (column, height) in enumerate(self.join.ends):
            ends[:, end], found = self._end(batch, column, good)
            problems += found
            if height is not None:
                # a missing height is the business of the layer's own check
                ends[:, end, 2] = numbers(batch.attributes.column(height), batch.rows, height)[0]
        shapes: NDArray[np.object_] = np.full(size, None, dtype=object)
        flat = ~np.isfinite(ends[:, :, 2]).any(axis=1)
        shapes[good & ~flat] = _lines(ends[good & ~flat])
        shapes[good & flat] = _lines(ends[good & flat][:, :, :2])
        return Batch(batch.rows, shapes, batch.attributes, tuple(problems))

    def _end(
        self, batch: Batch, column: str, good: BoolArray
    ) -> tuple[FloatArray, list[RowProblem]]:
        """Coordinates (n, 3) of one end; rows without one leave `good`, each with its reason."""
        points = self._points
        wanted = _texts(batch, column)
        at = pc.index_in(wanted, points.numbers).to_numpy(zero_copy_only=False)
        known = np.isfinite(at) & ~values.nulls(wanted)
        at = np.where(known, at, 0).astype(np.int64)
        if not len(points.xyz):
            known[:] = False
            xyz = np.full((len(wanted), 3), np.nan)
            ambiguous = np.zeros(len(wanted), dtype=bool)
        else:
            xyz = points.xyz[at]
            twice = pc.unique(points.numbers.filter(pa.array(points.repeated)))
            ambiguous = np.asarray(pc.is_in(wanted, twice).to_numpy(zero_copy_only=False)) & known
        placed = np.isfinite(xyz[:, 0]) & np.isfinite(xyz[:, 1])
        sheet, problems = self.points.layer.name, []
        for row in np.flatnonzero(~known | ambiguous | ~placed):
            number = wanted[int(row)].as_py()
            if number is None:
                reason = f"{column} 为空 {column!r} is empty"
            elif not known[row]:
                reason = f"{column} {number} 不在点表 {sheet} 中 no point {number!r} in {sheet!r}"
            elif ambiguous[row]:
                reason = (
                    f"{column} {number} 在点表 {sheet} 中有几个位置 "
                    f"point {number!r} has several positions in {sheet!r}"
                )
            else:
                reason = (
                    f"{column} {number} 在点表 {sheet} 中没有可用的坐标 "
                    f"point {number!r} has no usable coordinates in {sheet!r}"
                )
            problems.append(RowProblem(int(batch.rows[row]), column, reason))
        good &= known & placed & ~ambiguous
        return xyz, problems


def _texts(batch: Batch, column: str) -> pa.Array:
    """A column as trimmed text, null where blank."""
    return values.text(batch.attributes.column(column).combine_chunks())


def _lines(ends: FloatArray) -> NDArray[np.object_]:
    """Segments of (n, 2, 2 or 3) ends."""
    return cast("NDArray[np.object_]", np.asarray(shapely.linestrings(ends), dtype=object))
