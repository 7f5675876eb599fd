"""What a reader gives: a source with its layers, and batches that know their rows in the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

Bounds = tuple[float, float, float, float]


class ReadError(ValueError):
    """A file that cannot be read as what it claims to be; `str(error)` is zh first, en beside."""

    def __init__(self, path: Path, zh: str, en: str) -> None:
        self.path = path
        self.zh = zh
        self.en = en
        super().__init__(f"{path.name}：{zh} {path.name}: {en}")


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a delivery states about a file.

    `x` and `y` name the columns of a table in traditional order: x = longitude or easting,
    y = latitude or northing. `layer` is a layer, sheet, feature type or graph part.
    """

    encoding: str | None = None
    layer: str | None = None
    x: str | None = None
    y: str | None = None
    z: str | None = None
    batch_rows: int = 20_000
    workbooks: dict[Path, Any] | None = field(default=None, compare=False, repr=False)
    """Workbooks by path, kept open for the caller who reads several of their sheets."""


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """A field by its name in the file and its Arrow type; tables keep everything as text."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One layer of a source.

    `extent` is minx, miny, maxx, maxy in the file's own coordinates, x = lon/east first;
    None where only reading all of it would tell. `declared_crs` is what the file says.
    """

    name: str
    geometry_type: str | None
    fields: tuple[FieldInfo, ...]
    declared_crs: str | None
    feature_count: int | None
    extent: Bounds | None


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a row of the file gives no usable geometry or value."""

    row: int
    column: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Positions:
    """Points as coordinate arrays (n,), x = lon/east, y = lat/north, ten times faster than objects.

    NaN in x and y: a row without a position. `z` is NaN where there is no height, None where no
    row has one.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64] | None

    def known(self) -> NDArray[np.bool_]:
        """Mask of the rows that have a position."""
        return np.asarray(np.isfinite(self.x) & np.isfinite(self.y))

    def take(self, keep: NDArray[np.bool_]) -> Positions:
        """The rows of a mask."""
        return Positions(self.x[keep], self.y[keep], None if self.z is None else self.z[keep])

    def shapes(self) -> NDArray[np.object_]:
        """(n,) shapely points, with z where there is one; None without a position."""
        out = np.full(len(self.x), None, dtype=object)
        flat = self.known()
        if self.z is not None:
            solid = flat & np.isfinite(self.z)
            out[solid] = shapely.points(self.x[solid], self.y[solid], self.z[solid])
            flat &= ~solid
        out[flat] = shapely.points(self.x[flat], self.y[flat])
        return out


@dataclass(frozen=True)
class Batch:
    """Some rows of a layer.

    rows: (n,) int64, 1-based as a person counts them in the file: the line of a CSV, the row of
    a sheet, otherwise the ordinal of the feature. geometry: (n,) object array of shapely
    geometries or None, x = lon/east, y = lat/north, in the coordinates of the file.
    shapes: the same, None where `positions` hold the points of a table instead.
    attributes: n rows. problems: rows whose geometry could not be made; they are in the batch
    with None.
    """

    rows: NDArray[np.int64]
    shapes: NDArray[np.object_] | None
    attributes: pa.Table
    problems: tuple[RowProblem, ...] = ()
    positions: Positions | None = None

    @cached_property
    def geometry(self) -> NDArray[np.object_]:
        """The geometries; those of a table's points are made when first asked for."""
        if self.shapes is not None:
            return self.shapes
        if self.positions is not None:
            return self.positions.shapes()
        return np.full(len(self.rows), None, dtype=object)


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known before reading the rows."""

    path: Path
    driver: str
    layers: tuple[LayerInfo, ...]
    encoding_declared: str | None = None
    encoding_detected: str | None = None
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """An opened file; `batches` may be called again and starts from the first row."""

    @property
    def info(self) -> SourceInfo:
        """Driver, layers, encoding."""

    @property
    def layer(self) -> LayerInfo:
        """The layer that `batches` reads; ReadError when several exist and none was named."""

    def batches(self) -> Iterator[Batch]:
        """Stream of batches; ReadError where the file breaks off."""


def choose_layer(info: SourceInfo, wanted: str | None) -> LayerInfo:
    """The wanted layer, or the only one; ReadError lists the names."""
    names = ", ".join(layer.name for layer in info.layers)
    if wanted is None:
        if len(info.layers) == 1:
            return info.layers[0]
        raise ReadError(
            info.path,
            f"文件含 {len(info.layers)} 个图层（{names}），请在交付文件中指明 layer。",
            f"the file has {len(info.layers)} layers ({names}); name one as `layer`.",
        )
    for layer in info.layers:
        if layer.name == wanted:
            return layer
    raise ReadError(
        info.path, f"没有图层 {wanted}；有：{names}。", f"no layer {wanted!r}; it has: {names}."
    )


@dataclass(slots=True)
class RowBuffer:
    """Rows of text collected until a batch is full."""

    names: tuple[str, ...]
    rows: list[int] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    geometry: list[Any] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)

    def take(self) -> Batch:
        """The batch so far; the buffer is empty after it."""
        import pyarrow as pa  # with the first rows: those who only name a file need none of it

        columns = {
            name: pa.array([record.get(name) for record in self.records], pa.string())
            for name in self.names
        }
        shapes = np.empty(len(self.geometry), dtype=object)
        shapes[:] = self.geometry
        table = pa.table(columns) if columns else pa.table({"row": pa.array(self.rows)})
        batch = Batch(np.array(self.rows, dtype=np.int64), shapes, table, tuple(self.problems))
        self.rows, self.records, self.geometry, self.problems = [], [], [], []
        return batch
