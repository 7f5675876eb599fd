"""Shapefiles whose attribute table was cut in the middle of a character.

A dBASE field name has ten bytes and a cell its width; ESRI tools cut Chinese text at the byte, so
the last character may be half there, and two names may become one. The half character is dropped
(that is certain), names that then agree are numbered, and all of it is reported. The repair works
on a copy of the .dbf in a temporary folder that lives as long as the source.
"""

from __future__ import annotations

import contextlib
import shutil
import struct
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from etl.readers.model import Batch, LayerInfo, ReadError, ReadOptions, SourceInfo
from etl.readers.ogr import OgrSource, open_ogr
from etl.readers.shapefile import check

_NAME_BYTES = 10
_LIST_ROWS = 5


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a dBASE table: where its descriptor and its cells are."""

    descriptor: int
    name: bytes
    kind: int
    offset: int
    width: int


@dataclass(frozen=True, slots=True)
class Repair:
    """Bytes to write over a copy of the table (position -> bytes), and what that means."""

    patches: dict[int, bytes]
    notes: tuple[str, ...]


def whole(text: bytes, encoding: str) -> bytes | None:
    """`text` without the half character at its end; None where it is wrong elsewhere too."""
    for cut in range(4):
        kept = text[: len(text) - cut]
        with contextlib.suppress(UnicodeDecodeError):
            kept.decode(encoding)
            return kept
    return None


def columns(header: bytes) -> tuple[Column, ...]:
    """Column descriptors of a dBASE header."""
    out: list[Column] = []
    offset, position = 1, 32
    while position + 32 <= len(header) and header[position] != 0x0D:
        part = header[position : position + 32]
        out.append(Column(position, part[:11].split(b"\x00")[0], part[11], offset, part[16]))
        offset += part[16]
        position += 32
    return tuple(out)


def _renamed(found: tuple[Column, ...], encoding: str, repair: Repair) -> tuple[str, ...]:
    """Patch names that are cut or repeated; the notes about them."""
    notes: list[str] = []
    taken: set[bytes] = set()
    for column in found:
        name = whole(column.name, encoding)
        if name is None:
            shown = column.name.hex(" ")
            notes.append(
                f"字段名 {shown}（字节）不是 {encoding} 文字 the field name {shown} (bytes) is no"
                f" {encoding} text"
            )
            name = f"field_{column.descriptor // 32}".encode()
        elif name != column.name:
            text = name.decode(encoding)
            notes.append(
                f"字段名“{text}…”在字中间被截断，去掉半个字"
                f" the field name {text!r}… was cut inside a character: the half is dropped"
            )
        number = 1
        unique = name
        while unique.lower() in taken:
            number += 1
            tail = f"_{number}".encode()
            unique = (whole(name[: _NAME_BYTES - len(tail)], encoding) or b"field") + tail
        if number > 1:
            notes.append(
                f"字段名“{name.decode(encoding)}”重复，第 {number} 个读作"
                f"“{unique.decode(encoding)}” repeated field name: number {number} is read as"
                f" {unique.decode(encoding)!r}"
            )
        taken.add(unique.lower())
        if unique != column.name:
            repair.patches[column.descriptor] = unique.ljust(11, b"\x00")
    return tuple(notes)


def inspect(dbf: Path, encoding: str) -> Repair:
    """What to repair in a table; nothing for a healthy one. Cells count in UTF-8 only.

    GDAL drops a half character of GB18030 by itself; half a character of UTF-8 stops it.
    """
    with dbf.open("rb") as stream:
        prolog = stream.read(32)
        records, header_size, length = struct.unpack_from("<IHH", prolog, 4)
        header = prolog + stream.read(max(0, header_size - 32))
    found = columns(header)
    repair = Repair({}, ())
    notes = _renamed(found, encoding, repair)
    cells: list[tuple[int, str]] = []
    if encoding == "UTF-8" and records:
        table = np.memmap(dbf, np.uint8, "r", header_size, (records, length))
        for column in found:
            if column.kind != ord("C") or not 0 < column.width <= length - column.offset:
                continue
            last = table[:, column.offset + column.width - 1]
            for row in np.flatnonzero(last >= 0x80):
                raw = table[row, column.offset : column.offset + column.width].tobytes()
                kept = whole(raw, encoding)
                if kept is not None and kept != raw:
                    at = header_size + int(row) * length + column.offset
                    repair.patches[at] = kept.ljust(column.width, b" ")
                    cells.append((int(row) + 1, column.name.decode(encoding, "ignore")))
    if cells:
        listed = "、".join(f"{row} {name}" for row, name in cells[:_LIST_ROWS])
        more = "…" if len(cells) > _LIST_ROWS else ""
        notes += (
            f"{len(cells)} 个值在字中间被截断，去掉半个字 values cut inside a character, the half "
            f"dropped (行 row): {listed}{more}",
        )
    return replace(repair, notes=notes)


@dataclass(frozen=True, eq=False)
class RepairedSource:
    """A Shapefile read through a repaired copy of its attribute table."""

    path: Path
    source: OgrSource
    notes: tuple[str, ...]
    folder: Path

    @cached_property
    def info(self) -> SourceInfo:
        """As GDAL tells it, with what was repaired."""
        info = self.source.info
        return replace(info, path=self.path, notes=(*info.notes, *self.notes))

    @property
    def layer(self) -> LayerInfo:
        """The only layer."""
        return self.source.layer

    def batches(self) -> Iterator[Batch]:
        """The batches of the copy."""
        return self.source.batches()


def _sibling(path: Path, suffix: str) -> Path | None:
    return next(
        (p for p in (path.with_suffix(suffix), path.with_suffix(suffix.upper())) if p.is_file()),
        None,
    )


def open_shapefile(path: Path, options: ReadOptions) -> OgrSource | RepairedSource:
    """Open a Shapefile, through a repaired copy where names or cells were cut."""
    encoding = check(path, options.encoding).encoding
    dbf = _sibling(path, ".dbf")
    repair = inspect(dbf, encoding) if dbf is not None else Repair({}, ())
    if dbf is None or not repair.patches:
        return open_ogr(path, options)
    folder = Path(tempfile.mkdtemp(prefix="shapefile-"))
    try:
        for suffix in (".shp", ".shx", ".prj", ".cpg"):
            part = path if suffix == ".shp" else _sibling(path, suffix)
            if part is not None:
                (folder / f"{path.stem}{suffix}").symlink_to(part.resolve())
        copy = folder / f"{path.stem}.dbf"
        shutil.copyfile(dbf, copy)
        with copy.open("r+b") as stream:
            for position, patch in repair.patches.items():
                stream.seek(position)
                stream.write(patch)
        source = open_ogr(folder / f"{path.stem}.shp", replace(options, encoding=encoding))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ReadError(
            path, "无法建立修复副本。", f"no room for a repaired copy of its table ({error})."
        ) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    opened = RepairedSource(path, source, repair.notes, folder)
    weakref.finalize(opened, shutil.rmtree, folder, ignore_errors=True)
    return opened
