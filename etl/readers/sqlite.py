"""SQLite files (GeoPackage, SpatiaLite) whose tables would be read from other files are refused.

A virtual table is code with arguments kept in the file: SpatiaLite's VirtualText and GDAL's
VirtualOGR read any path of this machine that they name, so only modules of indexes are let by.
"""

from __future__ import annotations

import gzip
import re
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

from etl.readers.model import ReadError

_MAGIC = b"SQLite format 3\x00"
_INDEXES = frozenset(
    (
        *("rtree", "rtree_i32", "geopoly", "fts3", "fts4", "fts5"),
        *("virtualspatialindex", "virtualelementary", "virtualknn", "virtualknn2"),
    )
)
_USING = re.compile(
    r"""\s*CREATE\s+VIRTUAL\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?"""
    r"""(?:"(?:[^"]|"")*"|'(?:[^']|'')*'|`[^`]*`|\[[^\]]*\]|\w+)\s*USING\s+["'`]?(\w+)""",
    re.IGNORECASE,
)


def refuse_foreign_tables(path: Path) -> None:
    """ReadError for a SQLite file with virtual tables other than indexes, or that is damaged.

    Any other file passes. It is asked with its write-ahead log and without, as GDAL may read
    either. Packed ones, and names that mean a member of an archive, are refused: they would be
    opened unseen.
    """
    if ".zip!" in str(path).lower():
        raise ReadError(path, "文件名里不能有 .zip!。", "a name must not contain .zip! .")
    if not path.is_file():
        return
    if path.suffix.lower() == ".gz" and _packed_head(path) == _MAGIC:
        raise ReadError(path, "请解压后交付。", "deliver the SQLite file unpacked.")
    with path.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            return
    for way in ("mode=ro", "immutable=1"):
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{way}", uri=True)) as opened:
                foreign = _foreign_tables(opened)
        # a damaged schema is quoted in SQLite's message, which then need not be UTF-8
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise ReadError(
                path, "SQLite 文件损坏或不能读取。", f"the SQLite file cannot be read ({error})."
            ) from error
        if foreign:
            raise ReadError(
                path,
                f"表 {'、'.join(foreign[:5])} 是虚拟表，数据在别的文件里；请导出为普通表后交付。",
                "virtual tables read from other files; export them as ordinary tables.",
            )


def _packed_head(path: Path) -> bytes:
    try:
        with gzip.open(path) as stream:
            return stream.read(len(_MAGIC))
    except (OSError, EOFError, zlib.error):
        return b""  # no gzip, or damaged: its reader says so


def _foreign_tables(opened: sqlite3.Connection) -> list[str]:
    opened.text_factory = lambda raw: raw.decode("utf-8", "replace")
    virtual = [
        str(name)
        for name, kind in opened.execute("SELECT name, type FROM pragma_table_list")
        if kind == "virtual"
    ]
    return [name for name in virtual if not _is_index(opened, name)]


def _is_index(opened: sqlite3.Connection, table: str) -> bool:
    made = opened.execute("SELECT sql FROM sqlite_master WHERE name = ?", [table]).fetchall()
    modules = [using[1].lower() for (sql,) in made if (using := _USING.match(sql or ""))]
    return len(modules) == len(made) > 0 and _INDEXES.issuperset(modules)
