"""Readers: one seam for every file a bureau delivers.

`open_source(path, options)` tells what the file is; `.batches()` streams it. Geometry comes in
the file's own coordinates with x = lon/east and y = lat/north, whatever the file's axis order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from etl.readers.citygml import open_citygml
from etl.readers.excel import open_excel
from etl.readers.graphml import open_graphml
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
from etl.readers.ogr import open_ogr
from etl.readers.table import open_table
from etl.readers.workbook import Workbook, open_workbook

__all__ = [
    "Batch",
    "FieldInfo",
    "LayerInfo",
    "ReadError",
    "ReadOptions",
    "RowProblem",
    "Source",
    "SourceInfo",
    "Workbook",
    "open_source",
    "read",
]

_OPENERS: dict[str, Callable[[Path, ReadOptions], Source]] = {
    ".csv": open_table,
    ".txt": open_table,
    ".tsv": open_table,
    ".graphml": open_graphml,
    ".gml": open_citygml,
    ".citygml": open_citygml,
}


_WORKBOOKS = (".xlsx", ".xls")


def open_source(
    path: Path | str,
    options: ReadOptions | None = None,
    *,
    workbooks: dict[Path, Workbook] | None = None,
) -> Source:
    """Open a file by what it is; ReadError (zh first) when it cannot be read.

    `workbooks` keeps opened workbooks by path for the caller who reads several of their sheets.
    """
    where = Path(path)
    if not where.exists():
        raise ReadError(where, "文件不存在。", "the file does not exist.")
    stated = options or ReadOptions()
    if where.suffix.lower() in _WORKBOOKS:
        opened = {} if workbooks is None else workbooks
        if where not in opened:
            opened[where] = open_workbook(where)
        return open_excel(where, stated, opened[where])
    return _OPENERS.get(where.suffix.lower(), open_ogr)(where, stated)


def read(path: Path | str, options: ReadOptions | None = None) -> Iterator[Batch]:
    """Stream the batches of a file's only or named layer."""
    yield from open_source(path, options).batches()
