"""Pages of features in each format: what is read, and what stands around and between pages."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import orjson

from geoserver_py.features.parameters import Asked
from geoserver_py.pools import Pools, ReadPool
from layers.query import FeatureQuery, compile_page, compile_rows, planned_once, scan_of

PAGE_SIZE = 1000
"""Features a statement: longer answers are streamed in pages of this many."""

_RECORD_SEPARATOR = b"\x1e"
_BOM = "\ufeff"
"""Excel on a Chinese Windows takes a CSV file without it for GBK; GDAL and pandas skip it."""


@dataclass(frozen=True)
class Page:
    """Features of one page, encoded; whether more follow; the key to go on after (None: empty)."""

    content: bytes | memoryview
    returned: int
    more: bool
    last_fid: int | None


@dataclass(frozen=True)
class Frame:
    """What a format puts before the first feature and between pages; features excluded."""

    head: bytes
    joint: bytes
    end: bytes


def pool_of(pools: Pools, query: FeatureQuery, scan: int | None) -> ReadPool:
    """Return the pool for one page of a query, by how its statement is best planned."""
    if query.by_key:
        return pools.lookups
    return pools.areas if planned_once(query, scan) else pools.reads


async def read_page(pools: Pools, asked: Asked, name: str, *, streamed: bool = False) -> Page:
    """Read the page that the query states, in the format `name` (a key of FORMATS).

    `streamed` for a page of a longer answer.
    """

    def pool(scan: int | None) -> ReadPool:
        return pools.streams if streamed else pool_of(pools, asked.query, scan)

    scan = scan_of(asked.query, asked.density)
    if name == "csv":
        return await _read_csv(pool, asked, scan)
    separator = b"\n\x1e" if name == "jsonl" else b",\n"
    limit = asked.query.limit
    features, found, last = await _found(pool(scan), asked, separator.decode(), scan)
    if scan is not None and int(found or 0) <= limit:  # not spread as evenly as it seemed
        features, found, last = await _found(pool(None), asked, separator.decode(), None)
    content = features or b""
    more = int(found or 0) > limit
    return Page(
        content=memoryview(content)[: content.rindex(separator)] if more else content,
        returned=min(int(found or 0), limit),
        more=more,
        # any key from the last returned on and before the one cut off continues after this page
        last_fid=None if last is None else int(last) - more,
    )


async def _found(
    pool: ReadPool, asked: Asked, separator: str, scan: int | None
) -> list[bytes | None]:
    statement = compile_page(asked.query, asked.principal, separator=separator, scan=scan)
    return await pool.fetch_raw(statement.sql, statement.params)


def following(query: FeatureQuery, page: Page, limit: int) -> FeatureQuery:
    """Return the query of the page after `page`."""
    return replace(query, after_fid=page.last_fid, offset=0, limit=limit)


def frame_of(name: str, asked: Asked) -> Frame:
    """Return what surrounds the features in a format; GeoJSON's end is `collection_end`."""
    if name == "jsonl":
        return Frame(_RECORD_SEPARATOR, b"\n" + _RECORD_SEPARATOR, b"\n")
    if name == "csv":
        fields = asked.query.properties
        names = asked.layer.definition.field_names if fields is None else fields
        header = ["id", *names, *(["WKT"] if _has_geometry(asked.query) else [])]
        return Frame((_BOM + _csv_text([header])).encode(), b"", b"")
    return Frame(b'{"type":"FeatureCollection","features":[', b",", b"")


def collection_end(returned: int, matched: int | None, links: Sequence[dict[str, str]]) -> bytes:
    """Return the end of a GeoJSON FeatureCollection: counts, time and links."""
    members: dict[str, Any] = {"numberReturned": returned}
    if matched is not None:
        members["numberMatched"] = matched
    # isoformat is fifteen times faster than strftime
    members["timeStamp"] = datetime.now(UTC).replace(tzinfo=None).isoformat("T", "seconds") + "Z"
    members["links"] = links
    return b"]," + orjson.dumps(members)[1:]


def _has_geometry(query: FeatureQuery) -> bool:
    return query.layer.geometry is not None and not query.skip_geometry


async def _read_csv(pool: Callable[[int | None], ReadPool], asked: Asked, scan: int | None) -> Page:
    query = asked.query
    rows = await _rows(pool(scan), asked, scan)
    if scan is not None and len(rows) <= query.limit:
        rows = await _rows(pool(None), asked, None)
    shown = rows[: query.limit]
    last = None if _has_geometry(query) else -1
    return Page(
        content=_csv_text([[_csv_value(v) for v in row[1:last]] for row in shown]).encode(),
        returned=len(shown),
        more=len(rows) > len(shown),
        last_fid=shown[-1][0] if shown else None,
    )


async def _rows(pool: ReadPool, asked: Asked, scan: int | None) -> list[tuple[Any, ...]]:
    statement = compile_rows(asked.query, asked.principal, scan=scan)
    async with pool() as connection, connection.cursor(binary=True) as cursor:
        # not prepared: a kept plan fails once `layers apply` has changed the type of a column
        plain = await cursor.execute(statement.sql, statement.params, prepare=False)
        return await plain.fetchall()


def _csv_text(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _csv_value(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date | datetime) else value
