"""A source that was read whole: for formats whose parts refer to each other by name or handle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import shapely

from etl.readers.model import (
    Batch,
    FieldInfo,
    LayerInfo,
    ReadOptions,
    RowBuffer,
    RowProblem,
    SourceInfo,
    choose_layer,
)

Geometry = shapely.Geometry


@dataclass(slots=True)
class MemoryLayer:
    """Rows of a layer while a parser fills them; geometry in the coordinates of the file."""

    name: str
    geometry_type: str | None
    names: tuple[str, ...]
    declared_crs: str | None = None
    rows: list[int] = field(default_factory=list)
    records: list[dict[str, str | None]] = field(default_factory=list)
    geometry: list[Geometry | None] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)

    def add(
        self, row: int, record: dict[str, str | None], shape: Geometry | None, reason: str = ""
    ) -> None:
        """Append a row; a `reason` (zh first) makes it a problem without geometry."""
        self.rows.append(row)
        self.records.append(record)
        self.geometry.append(None if reason else shape)
        if reason:
            self.problems.append(RowProblem(row, None, reason))

    def info(self) -> LayerInfo:
        """Counts and extent of what was added."""
        present = [shape for shape in self.geometry if shape is not None]
        extent = None
        if present:
            west, south, east, north = (float(v) for v in shapely.total_bounds(present))
            extent = (west, south, east, north) if west <= east else None
        fields = tuple(FieldInfo(name, "String") for name in self.names)
        return LayerInfo(
            self.name, self.geometry_type, fields, self.declared_crs, len(self.rows), extent
        )


@dataclass(frozen=True)
class MemorySource:
    """Layers in memory behind the seam of all readers; every attribute is text."""

    path: Path
    options: ReadOptions
    driver: str
    layers: tuple[MemoryLayer, ...]
    encoding: str | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def info(self) -> SourceInfo:
        """Driver, layers with counts and extents, encoding, remarks."""
        layers = tuple(layer.info() for layer in self.layers)
        return SourceInfo(self.path, self.driver, layers, None, self.encoding, self.notes)

    @property
    def layer(self) -> LayerInfo:
        """The named layer, or the only one."""
        return choose_layer(self.info, self.options.layer)

    def batches(self) -> Iterator[Batch]:
        """The rows in the order of the file."""
        name = self.layer.name
        chosen = next(layer for layer in self.layers if layer.name == name)
        reasons = {problem.row: problem for problem in chosen.problems}
        size = self.options.batch_rows
        for start in range(0, len(chosen.rows), size):
            part = slice(start, start + size)
            rows = chosen.rows[part]
            buffer = RowBuffer(
                chosen.names,
                rows,
                list(chosen.records[part]),
                list(chosen.geometry[part]),
                [reasons[row] for row in rows if row in reasons],
            )
            yield buffer.take()


def line(points: list[tuple[float, ...]]) -> Geometry | None:
    """LineString of (x, y[, z]) tuples, repeated neighbours left out; None below two points."""
    kept = [p for i, p in enumerate(points) if i == 0 or p != points[i - 1]]
    return shapely.LineString(np.array(kept)) if len(kept) > 1 else None
