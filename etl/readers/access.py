"""Access databases (.mdb, .accdb) of pipeline surveys, through Debian's mdbtools.

Tables are layers (JSPOINT, JSLINE, ...), every value is text, coordinates are found by title as in
any table. mdbtools runs in a process of its own: a damaged file can end it, not us.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.readers.columns import CoordinateColumns, points
from etl.readers.model import (
    Batch,
    FieldInfo,
    LayerInfo,
    ReadError,
    ReadOptions,
    RowProblem,
    SourceInfo,
    choose_layer,
)
from etl.readers.table import coordinate_columns, unique_titles

LIST_SECONDS = 20
EXPORT_SECONDS = 600
IDLE_SECONDS = 20
"""A healthy file gives its next rows at once; a damaged one may send mdbtools in circles."""

_SIGNATURES = (b"\x00\x01\x00\x00Standard Jet DB", b"\x00\x01\x00\x00Standard ACE DB")
# Access 97 has a code page (Chinese Windows: 936), later versions are Unicode
_ENVIRONMENT = {"MDB_JET3_CHARSET": "GB18030", "MDBICONV": "UTF-8", "LC_ALL": "C.UTF-8"}
_EXPORT = ("mdb-export", "-b", "strip", "-D", "%Y-%m-%d", "-T", "%Y-%m-%d %H:%M:%S")
_FILLER = "\x1f"


@dataclass(frozen=True, slots=True)
class _Table:
    titles: tuple[str, ...]
    columns: CoordinateColumns | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class AccessSource:
    """A database; its tables are layers, system tables are left out."""

    path: Path
    options: ReadOptions

    def _damaged(self, detail: str) -> ReadError:
        return ReadError(
            self.path,
            "Access 数据库损坏、有密码或版本不支持；请用 Access 打开后 数据库工具 → "
            "压缩和修复数据库，或把各表导出为 Excel（外部数据 → 导出 → Excel）。",
            "the Access database is damaged, has a password or an unknown version; compact and "
            f"repair it in Access, or export its tables to Excel ({detail.strip()[:200]}).",
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the user's tables."""
        try:
            done = subprocess.run(
                ["mdb-tables", "-1", str(self.path)],
                capture_output=True,
                timeout=LIST_SECONDS,
                env=os.environ | _ENVIRONMENT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise self._damaged("mdb-tables hangs") from error
        names = done.stdout.decode("utf-8", errors="replace").splitlines()
        names = [name for name in names if name.strip()]
        if done.returncode != 0 or not names:
            raise self._damaged(done.stderr.decode("utf-8", errors="replace") or "no tables")
        if any(name.upper() == "GDB_SYSTEMCATALOG" for name in names) or {
            "GDB_GEOMCOLUMNS", "GDB_ITEMS"} & {name.upper() for name in names}:  # fmt: skip
            raise ReadError(
                self.path,
                "这是 ArcGIS 个人地理数据库，请在 ArcMap 中右键 → 导出 → 转出至地理数据库，交付文件"
                "地理数据库（.gdb）。",
                "an ArcGIS personal geodatabase; export it to a file geodatabase (.gdb).",
            )
        return tuple(names)

    @contextmanager
    def _rows(self, table: str) -> Iterator[Iterator[list[str]]]:
        """Records of a table, the titles first; ReadError when mdbtools fails or stalls."""
        command = [*_EXPORT, "-0", _FILLER, str(self.path), table]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | _ENVIRONMENT,
        ) as process:
            stalled = threading.Event()
            beat = threading.Event()
            watch = threading.Thread(
                target=_watch, args=(process, beat, stalled), name="mdb-export", daemon=True
            )
            watch.start()
            errors: list[bytes] = []
            drain = threading.Thread(target=_drain, args=(process, errors), daemon=True)
            drain.start()
            assert process.stdout is not None
            text = io.TextIOWrapper(process.stdout, "utf-8", errors="replace", newline="")
            finished = False
            try:
                reader = csv.reader(_beating(text, beat))
                yield reader
                finished = next(reader, None) is None
            except csv.Error as error:
                raise self._damaged(str(error)) from error
            finally:
                if not finished:
                    process.kill()
                process.wait()
                drain.join()
        if stalled.is_set():
            raise self._damaged("mdb-export hangs")
        if finished and process.returncode != 0:
            raise self._damaged(b"".join(errors).decode("utf-8", errors="replace"))

    @cached_property
    def tables(self) -> dict[str, _Table]:
        """Titles and coordinate columns by table."""
        out: dict[str, _Table] = {}
        for name in self.names:
            with self._rows(name) as rows:
                first = next(rows, None)
            if not first:
                continue
            titles = unique_titles(first)
            chosen = self.options.layer == name or len(self.names) == 1
            columns, notes = coordinate_columns(
                self.path, titles, self.options if chosen else ReadOptions()
            )
            out[name] = _Table(titles, columns, notes)
        if not out:
            raise self._damaged("no table has columns")
        return out

    @cached_property
    def info(self) -> SourceInfo:
        """Tables as layers; counts are not known before reading."""
        layers = tuple(
            LayerInfo(
                name,
                "Point" if table.columns else None,
                tuple(FieldInfo(title, "String") for title in table.titles),
                None,
                None,
                None,
            )
            for name, table in self.tables.items()
        )
        notes = tuple(f"{n}: {note}" for n, table in self.tables.items() for note in table.notes)
        return SourceInfo(self.path, "Access", layers, None, None, notes)

    @property
    def layer(self) -> LayerInfo:
        """The named table, or the only one."""
        return choose_layer(self.info, self.options.layer)

    def batches(self) -> Iterator[Batch]:
        """Stream the records; a row number is the ordinal of the record."""
        name = self.layer.name
        table, done = self.tables[name], 0
        with self._rows(name) as rows:
            next(rows, None)
            while chunk := list(itertools.islice(rows, self.options.batch_rows)):
                numbers = np.arange(done + 1, done + 1 + len(chunk), dtype=np.int64)
                done += len(chunk)
                yield _batch(numbers, chunk, table)


def _batch(numbers: NDArray[np.int64], chunk: list[list[str]], table: _Table) -> Batch:
    width = len(table.titles)
    padded = [(row + [_FILLER] * width)[:width] for row in chunk]
    values = dict(zip(table.titles, zip(*padded, strict=True), strict=True))
    lost = tuple(
        RowProblem(int(numbers[i]), title, _LOST)
        for title, column in values.items()
        for i, value in enumerate(column)
        if "??" in value
    )
    columns = pa.table(
        {title: pa.array(map(_text, column), pa.string()) for title, column in values.items()}
    )
    if table.columns is None:
        return Batch(numbers, np.full(len(numbers), None, dtype=object), columns, lost)
    shapes, problems = points(table.columns, columns, numbers)
    return Batch(numbers, shapes, columns, (*problems, *lost))


_LOST = (
    "“??”处可能是 mdbtools 读不出的罕用字，请把此表导出为 Excel 交付 ?? may stand for a character "
    "outside the basic plane that mdbtools cannot read: deliver this table as Excel"
)
_LONG_DOUBLE = re.compile(r"-?(?=[\d.]{17,18}$)\d+\.\d+", re.ASCII)


def _text(value: str) -> str | None:
    """The value; a double that mdbtools writes with 16 or 17 digits (78.51000000000001) with 15."""
    if value == _FILLER:
        return None
    return format(float(value), ".15g") if _LONG_DOUBLE.fullmatch(value) else value


def _beating(lines: Iterator[str], beat: threading.Event) -> Iterator[str]:
    for line in lines:
        beat.set()
        yield line


def _watch(
    process: subprocess.Popen[bytes], beat: threading.Event, stalled: threading.Event
) -> None:
    """Kill the process when it gives nothing for IDLE_SECONDS, or takes EXPORT_SECONDS in all."""
    for _ in range(EXPORT_SECONDS // IDLE_SECONDS):
        beat.clear()
        try:
            process.wait(IDLE_SECONDS)
            return
        except subprocess.TimeoutExpired:
            if not beat.is_set():
                break
    stalled.set()
    process.kill()


def _drain(process: subprocess.Popen[bytes], into: list[bytes]) -> None:
    assert process.stderr is not None
    into.append(process.stderr.read(100_000))
    while process.stderr.read(100_000):
        pass


def open_access(path: Path, options: ReadOptions) -> AccessSource:
    """Open a database; ReadError when it is none, damaged, or mdbtools is not installed."""
    with path.open("rb") as stream:
        head = stream.read(20)
    if not head.startswith(_SIGNATURES):
        raise ReadError(
            path,
            "不是 Access 数据库。",
            "not an Access database.",
        )
    if shutil.which("mdb-export") is None:
        raise ReadError(
            path,
            "服务器没有安装 mdbtools（apt install mdbtools），不能读 Access；或请把各表导出为 Excel"
            "（外部数据 → 导出 → Excel）。",
            "mdbtools is not installed (apt install mdbtools); or export the tables to Excel "
            "(External Data → Export → Excel).",
        )
    source = AccessSource(path, options)
    _ = source.info
    return source
