"""Batches from the records of a JSON service: every value as text, the ordinal as row number."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.readers.model import Batch, RowProblem


def batch_of(
    start: int, shapes: list[Any], records: list[dict[str, Any]], names: list[str]
) -> Batch:
    """Rows `start + 1`...; a shape is a geometry, None, or the text why it could not be read."""
    rows = np.arange(start + 1, start + 1 + len(shapes), dtype=np.int64)
    geometry: NDArray[np.object_] = np.empty(len(shapes), dtype=object)
    geometry[:] = [shape if not isinstance(shape, str) else None for shape in shapes]
    columns = {name: pa.array([_text(r.get(name)) for r in records], pa.string()) for name in names}
    table = pa.table(columns) if columns else pa.table({"row": pa.array(rows)})
    bad = tuple(
        RowProblem(int(row), None, shape)
        for row, shape in zip(rows, shapes, strict=True)
        if isinstance(shape, str)
    )
    return Batch(rows, geometry, table, bad)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
