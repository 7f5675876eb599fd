"""Some records of a Shapefile, byte for byte, with the marks as three more columns.

Copied as bytes, neither a coordinate nor a half-broken cell changes on the way: what the bureau
gets back is what it sent.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from etl.rejects.model import MARKS, Mark, Marks, RejectsError

_WIDTHS = (10, 120, 254)
_HEADER = 100
_DBASE = b"\x03"


def sibling(path: Path, suffix: str) -> Path | None:
    """The part of a data set with this suffix, in either case."""
    return next(
        (p for p in (path.with_suffix(suffix), path.with_suffix(suffix.upper())) if p.is_file()),
        None,
    )


@dataclass(frozen=True, slots=True)
class _Column:
    descriptor: bytes
    """32 bytes of the header."""
    offset: int
    width: int


def write_shapefile(source: Path, target: Path, marks: Marks, encoding: str) -> None:
    """Write the marked records of `source` (.shp) to `target` with .shx, .dbf, .prj and .cpg.

    `encoding` is that of the table; RejectsError when a part is missing.
    """
    dbf, shx = sibling(source, ".dbf"), sibling(source, ".shx")
    if dbf is None or shx is None:
        raise RejectsError(f"{source.name}: 缺少 .dbf 或 .shx (its .dbf or .shx is missing)")
    rows = list(marks)
    _write_shapes(source, shx, target, rows)
    _write_table(dbf, target.with_suffix(".dbf"), [marks[row] for row in rows], encoding)
    projection = sibling(source, ".prj")
    if projection is not None:
        shutil.copyfile(projection, target.with_suffix(".prj"))
    target.with_suffix(".cpg").write_text(encoding, "ascii")


def _write_shapes(source: Path, shx: Path, target: Path, rows: Sequence[int]) -> None:
    index = shx.read_bytes()
    shapes, offsets, bounds = bytearray(), bytearray(), []
    with source.open("rb") as stream:
        header = bytearray(stream.read(_HEADER))
        for number, row in enumerate(rows, start=1):
            entry = index[_HEADER + 8 * (row - 1) : _HEADER + 8 * row]
            if len(entry) < 8:
                raise RejectsError(f"{source.name}: 没有第 {row} 个图形 (no shape {row})")
            offset, length = struct.unpack(">ii", entry)
            stream.seek(offset * 2 + 8)
            content = stream.read(length * 2)
            offsets += struct.pack(">ii", (_HEADER + len(shapes)) // 2, length)
            shapes += struct.pack(">ii", number, length) + content
            bounds += _bounds(content)
    if bounds:
        xs, ys = [x for x, _ in bounds], [y for _, y in bounds]
        struct.pack_into("<4d", header, 36, min(xs), min(ys), max(xs), max(ys))
    for path, body in ((target, shapes), (target.with_suffix(".shx"), offsets)):
        struct.pack_into(">i", header, 24, (_HEADER + len(body)) // 2)
        path.write_bytes(bytes(header) + bytes(body))


def _bounds(content: bytes) -> list[tuple[float, float]]:
    """Corners of a shape record; none of a null shape."""
    kind = struct.unpack_from("<i", content)[0]
    if kind == 0:
        return []
    if kind in (1, 11, 21):  # Point, PointZ, PointM hold the position itself
        return [struct.unpack_from("<2d", content, 4)]
    west, south, east, north = struct.unpack_from("<4d", content, 4)
    return [(west, south), (east, north)]


def _write_table(source: Path, target: Path, marks: Sequence[Mark], encoding: str) -> None:
    with source.open("rb") as stream:
        prolog = stream.read(32)
        _, header_size, length = struct.unpack_from("<IHH", prolog, 4)
        kept = _delivered(stream.read(header_size - 32), encoding)
        added = b"".join(
            struct.pack("<11sc4xBB14x", name.encode(encoding), b"N" if i == 0 else b"C", width, 0)
            for i, (name, width) in enumerate(zip(MARKS, _WIDTHS, strict=True))
        )
        descriptors = b"".join(column.descriptor for column in kept) + added + b"\r"
        size = 1 + sum(column.width for column in kept) + sum(_WIDTHS)
        head = bytearray(_DBASE + prolog[1:])
        struct.pack_into("<IHH", head, 4, len(marks), 32 + len(descriptors), size)
        with target.open("wb") as sink:
            sink.write(bytes(head) + descriptors)
            for mark in marks:
                stream.seek(header_size + (mark.row - 1) * length)
                record = stream.read(length)
                if len(record) < length:
                    raise RejectsError(f"{source.name}: 没有第 {mark.row} 行 (no row {mark.row})")
                cells = [record[c.offset : c.offset + c.width] for c in kept]
                sink.write(b" " + b"".join(cells) + _mark_cells(mark, encoding))
            sink.write(b"\x1a")


def _delivered(header: bytes, encoding: str) -> list[_Column]:
    """Columns without the marks of an earlier round."""
    marks = {name.encode(encoding) for name in MARKS}
    columns, offset = [], 1
    for start in range(0, len(header) - 31, 32):
        descriptor = header[start : start + 32]
        if descriptor[0] == 0x0D:
            break
        width = descriptor[16]
        if descriptor[:11].split(b"\x00")[0] not in marks:
            columns.append(_Column(descriptor, offset, width))
        offset += width
    return columns


def _mark_cells(mark: Mark, encoding: str) -> bytes:
    number, *texts = mark.cells
    out = number.rjust(_WIDTHS[0]).encode("ascii")
    for text, width in zip(texts, _WIDTHS[1:], strict=True):
        raw = text.encode(encoding, "replace")[:width]
        # a dbf cell is cut by bytes: never in the middle of a character
        whole = raw.decode(encoding, "ignore").encode(encoding)
        out += whole.ljust(width)
    return out
