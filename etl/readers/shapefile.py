"""What GDAL does not say about a Shapefile: its encoding, and whether it is all there."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from etl.readers.encoding import SAMPLE_BYTES, canonical, choose
from etl.readers.model import ReadError


@dataclass(frozen=True, slots=True)
class ShapefileCheck:
    """Result of `check`: encodings, number of records, remarks."""

    encoding: str
    declared: str | None
    detected: str | None
    records: int
    notes: tuple[str, ...]


def _sibling(path: Path, suffix: str) -> Path | None:
    for candidate in (path.with_suffix(suffix), path.with_suffix(suffix.upper())):
        if candidate.is_file():
            return candidate
    return None


def _cell_fits(cell: bytes, encoding: str) -> bool:
    """A dbf cell may end in the middle of a character: ESRI tools cut by bytes."""
    stripped = cell.rstrip(b" \x00")
    for cut in range(4):
        try:
            stripped[: len(stripped) - cut].decode(encoding)
        except UnicodeDecodeError:
            if len(stripped) <= cut or len(stripped) < len(cell):
                return False
            continue
        return True
    return False


def _text_cells(dbf: Path) -> tuple[int, list[bytes]]:
    """Number of records and the non-ASCII text cells (names included) of the first megabytes."""
    data = dbf.read_bytes() if dbf.stat().st_size <= SAMPLE_BYTES else _head(dbf)
    if len(data) < 33:
        raise ReadError(dbf, "属性表不完整。", "the attribute table is cut off in its header.")
    records, header, length = struct.unpack_from("<IHH", data, 4)
    size = dbf.stat().st_size
    if length < 1 or header < 33 or size < header + records * length:
        whole = 0 if length < 1 else max(0, size - header) // length
        raise ReadError(
            dbf,
            f"属性表被截断：应有 {records} 条记录，只有 {whole} 条。",
            f"the attribute table is truncated: {records} records stated, {whole} present.",
        )
    cells: list[bytes] = []
    columns: list[tuple[int, int]] = []
    offset, position = 1, 32
    while position + 32 <= min(header, len(data)) and data[position] != 0x0D:
        name, kind, width = data[position : position + 11], data[position + 11], data[position + 16]
        title = name.split(b"\x00")[0]
        if not title.isascii():
            cells.append(title.ljust(10) if len(title) < 10 else title)
        if kind == ord("C"):
            columns.append((offset, width))
        offset += width
        position += 32
    for start in range(header, min(len(data), header + records * length) - length + 1, length):
        for at, width in columns:
            cell = data[start + at : start + at + width]
            if not cell.isascii():
                cells.append(cell)
    return records, cells


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(SAMPLE_BYTES)


def check(path: Path, stated: str | None) -> ShapefileCheck:
    """Sizes, sidecars and encoding of a Shapefile; ReadError says what is missing or cut off."""
    shx, dbf = _sibling(path, ".shx"), _sibling(path, ".dbf")
    missing = [suffix for suffix, found in ((".shx", shx), (".dbf", dbf)) if found is None]
    if missing or shx is None or dbf is None:
        listed = "、".join(missing)
        raise ReadError(
            path,
            f"缺少同名的 {listed} 文件，请一并交付。",
            f"its {', '.join(missing)} file is missing; deliver all parts together.",
        )
    head = _head(path)[:100]
    if len(head) < 100 or struct.unpack_from(">i", head)[0] != 9994:
        raise ReadError(path, "不是 Shapefile。", "not a Shapefile (no 9994 in its header).")
    stated_size = struct.unpack_from(">i", head, 24)[0] * 2
    if path.stat().st_size < stated_size:
        raise ReadError(
            path,
            f"文件被截断：应有 {stated_size} 字节，只有 {path.stat().st_size} 字节。",
            f"truncated: {stated_size} bytes stated, {path.stat().st_size} present.",
        )
    records, cells = _text_cells(dbf)
    shapes = (shx.stat().st_size - 100) // 8
    if shapes != records:
        raise ReadError(
            path,
            f"图形 {shapes} 个，属性 {records} 条，两者不符。",
            f"{shapes} shapes but {records} attribute records.",
        )
    detected = None
    for name in ("UTF-8", "GB18030"):
        if all(_cell_fits(cell, name) for cell in cells):
            detected = name
            break
    cpg = _sibling(path, ".cpg")
    declared = cpg.read_text("ascii", errors="replace").strip() if cpg is not None else None
    notes: list[str] = []
    if _sibling(path, ".prj") is None:
        notes.append("没有 .prj，坐标系未声明 no .prj: the CRS is not declared")
    valid = stated is not None and all(_cell_fits(c, canonical(stated, path)) for c in cells)
    encoding = choose(path, stated, detected, valid)
    if declared and stated is None and cells and canonical(declared, path) != encoding:
        notes.append(
            f".cpg 写 {declared}，字节是 {encoding}，按字节读"
            f" .cpg says {declared}, the bytes are {encoding}: read by the bytes"
        )
    return ShapefileCheck(encoding, declared, detected if cells else None, records, tuple(notes))
