"""A whole layer as arrays, and what rules find in it; no I/O (see etl.judge for the reading)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from etl.checks.finding import IntArray, Rule, Severity
from etl.datum.coordsys import FloatArray
from etl.places import ShapeArray


@dataclass(frozen=True, slots=True)
class Located:
    """A staged row: where it came from, and its id."""

    file: str
    row: int
    id: str

    def __str__(self) -> str:
        return f"{self.id}（{self.file} 第 {self.row} 行）"


@dataclass(frozen=True, slots=True)
class PlacedFinding:
    """One finding; `at` is None where no row is at fault (a gap), `place` CGCS2000 degrees."""

    rule: str
    severity: Severity
    at: Located | None
    reason: str
    place: shapely.Point | None


class LocatedRows(Sequence[Located]):
    """Rows of a layer, each made when asked for: most are never named."""

    def __init__(self, files: pa.Array, rows: IntArray, ids: pa.Array) -> None:
        self.files, self.rows, self.ids = files, rows, ids

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Located: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Located]: ...
    def __getitem__(self, index: int | slice) -> Located | Sequence[Located]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = int(index)
        return Located(str(self.files[at]), int(self.rows[at]), str(self.ids[at]))


@dataclass(frozen=True)
class Whole:
    """n records of a layer in a fixed order (file, row).

    `columns` are typed; `shapes` (n,) or None; `x`, `y` (n,) a place of each record and `size`
    its length or area (any unit, the same for all): CGCS2000 degrees, read where a rule asks.
    """

    located: LocatedRows
    columns: Mapping[str, pa.Array]
    shapes: ShapeArray | None = None
    x: FloatArray | None = None
    y: FloatArray | None = None
    size: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.located)

    def place(self, row: int) -> shapely.Point | None:
        """Where a record lies."""
        if self.x is not None and self.y is not None:
            return shapely.Point(self.x[row], self.y[row]) if np.isfinite(self.x[row]) else None
        if self.shapes is None or shapely.is_missing(self.shapes[row]):
            return None
        west, south, east, north = shapely.bounds(self.shapes[row])
        return shapely.Point((west + east) / 2, (south + north) / 2)

    def findings(
        self, rule: Rule, rows: Sequence[int] | IntArray, reason: Callable[[int], str]
    ) -> list[PlacedFinding]:
        """A finding for each of `rows`."""
        return [
            PlacedFinding(
                rule.name, rule.severity, self.located[int(row)], reason(int(row)),
                self.place(int(row)),
            )
            for row in rows
        ]  # fmt: skip

    def codes(self, names: Sequence[str]) -> IntArray:
        """(n,) equal numbers where all the named fields are equal (null equals null)."""
        out = np.zeros(len(self), dtype=np.int64)
        for name in names:
            encoded = self.columns[name].dictionary_encode(null_encoding="encode")
            values = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
            _, out = np.unique(out * (len(encoded.dictionary) + 1) + values, return_inverse=True)
        return out


@dataclass(frozen=True)
class Network:
    """Lines between numbered nodes: `start`, `end` (n,) node numbers, -1 where there is none."""

    nodes: pa.Array
    start: IntArray
    end: IntArray

    @classmethod
    def of(cls, start: pa.Array, end: pa.Array) -> Network:
        """From two columns of point numbers."""
        both = pa.concat_arrays([start.cast(pa.string()), end.cast(pa.string())])
        encoded = both.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return cls(encoded.dictionary, codes[: len(start)], codes[len(start) :])

    def degrees(self) -> IntArray:
        """Number of line ends at each node."""
        ends = np.concatenate([self.start, self.end])
        return np.bincount(ends[ends >= 0], minlength=len(self.nodes))

    def find(self, numbers: pa.Array) -> IntArray:
        """(m,) node of each point number, -1 for one that no line names."""
        at = pc.index_in(numbers.cast(pa.string()), self.nodes)
        return np.asarray(at.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


@dataclass(frozen=True)
class LayerCheck:
    """A rule over a whole layer: which fields it reads, which geometry, and its function."""

    run: Callable[[Rule, Whole], list[PlacedFinding]]
    fields: Callable[[Mapping[str, object]], set[str]] = field(default=lambda _p: set())
    shapes: bool = False
    centres: bool = False


def named(parameters: Mapping[str, object], *keys: str, **defaults: str) -> set[str]:
    """Field names that parameters hold under `keys` (a name or a list), and those defaulted."""
    out: set[str] = set()
    for key in keys:
        value = parameters.get(key, ())
        out.update([value] if isinstance(value, str) else _texts(value))
    out.update(str(parameters.get(key, default)) for key, default in defaults.items())
    return out


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, list | tuple):
        yield from (str(item) for item in value)
