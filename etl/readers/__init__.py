"""Readers: one seam for every file a bureau delivers.

`open_source(path, options)` tells what the file is; `.batches()` streams it. Geometry comes in
the file's own coordinates with x = lon/east and y = lat/north, whatever the file's axis order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from etl.readers.model import (
    Batch,
    FieldInfo,
    LayerInfo,
    ReadError,
    ReadOptions,
    RowProblem,
    Source,
    SourceInfo,
)

__all__ = [
    "Batch",
    "FieldInfo",
    "LayerInfo",
    "ReadError",
    "ReadOptions",
    "RowProblem",
    "Source",
    "SourceInfo",
    "open_source",
    "read",
]


def open_source(path: Path | str, options: ReadOptions | None = None) -> Source:
    """Open a file by what it is, or the service that a text names; ReadError (zh first).

    The readers come with the first file: they take 1.8 s and 130 MB, which a process that only
    reads delivery files (every worker of the service) should not pay.
    """
    from etl.readers.formats import open_any

    return open_any(path, options)


def read(path: Path | str, options: ReadOptions | None = None) -> Iterator[Batch]:
    """Stream the batches of a file's only or named layer."""
    yield from open_source(path, options).batches()
