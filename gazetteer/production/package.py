"""A package of standard addresses for a network that is not connected: a zip with a manifest.

Inside are CSV tables in UTF-8 (positions as CGCS2000 degrees, nine decimals) and manifest.json with
the SHA-256 of each. The hashes tell damage on the way, not forgery: who may hand a package over is
the carrier's matter.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pyarrow as pa
import shapely

from gazetteer.production.police import elements
from layers.access import Principal
from layers.definition import LayerDefinition
from layers.staging import copy_into, create_staging, drop_staging
from layers.write import Deletes, WriteResult, write

FORMAT = "geoserver-py address package"
VERSION = 1
ADDRESSES, CODES, NUMBERS, ELEMENTS = "addresses.csv", "codes.csv", "numbers.csv", "elements.csv"
MAX_BYTES = 4 * 1024**3
"""Most that the tables of a package may hold unpacked."""


class PackageError(ValueError):
    """A package that is damaged or none; nothing was changed. The message says what is wrong."""


@dataclass(frozen=True)
class Imported:
    """What an import did: to the layer, and how many codes and serial numbers came new."""

    layer: WriteResult
    codes: int
    numbers: int


def export_package(
    connection: psycopg.Connection[Any],
    definition: LayerDefinition,
    target: Path,
    *,
    city: str,
    names: tuple[str, str],
) -> Mapping[str, Any]:
    """Write the address layer, its codes and its elements to ``target``; returns the manifest.

    ``names`` are those of province and city, for the police elements (GA/T 2000.32).
    """
    fields = definition.field_names
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        revision = connection.execute(
            "SELECT revision FROM catalog.layer WHERE name = %s", [definition.name]
        ).fetchone()
        rows = connection.execute(
            "SELECT id, full_address, county, town, village, village_code, road, number, estate,"
            " building, unit, round(ST_X(geom)::numeric, 9), round(ST_Y(geom)::numeric, 9)"
            " FROM layer.address ORDER BY id"
        ).fetchall()
        codes = connection.execute(
            "SELECT code, style, address, assigned_at, retired_at FROM gazetteer.address_code"
            " ORDER BY code"
        ).fetchall()
        numbers = connection.execute(
            "SELECT scope, name, number FROM gazetteer.code_number ORDER BY scope, number"
        ).fetchall()
    police = [
        (row[0], order, element.code, element.title, element.value)
        for row in rows
        for order, element in enumerate(
            elements(dict(zip(fields, row[1:], strict=False)), *names), 1
        )
    ]
    tables = {
        ADDRESSES: (["id", *fields, "lon", "lat"], rows),
        CODES: (["code", "style", "address", "assigned_at", "retired_at"], codes),
        NUMBERS: (["scope", "name", "number"], numbers),
        ELEMENTS: (["id", "order", "code", "title", "value"], police),
    }
    texts = {name: _csv(header, body) for name, (header, body) in tables.items()}
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "city": city,
        "coordsys": "cgcs2000",
        "layer": definition.name,
        "revision": revision[0] if revision else 0,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {
            name: {
                "sha256": hashlib.sha256(text).hexdigest(),
                "bytes": len(text),
                "rows": len(tables[name][1]),
            }
            for name, text in texts.items()
        },
    }
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(manifest, ensure_ascii=False, indent=1))
        for name, text in texts.items():
            archive.writestr(name, text)
    return manifest


def read_package(source: Path, *, city: str) -> dict[str, list[dict[str, str]]]:
    """The tables of a package by file name, every hash checked.

    Raises PackageError: no zip, no manifest, another format or city, a table that is missing or
    whose hash differs.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            _check_manifest(manifest, city)
            tables = {}
            for name in (ADDRESSES, CODES, NUMBERS):
                stated = manifest["files"][name]
                if archive.getinfo(name).file_size > MAX_BYTES:
                    raise PackageError(f"{name}: 过大 too large")
                text = archive.read(name)
                if hashlib.sha256(text).hexdigest() != stated["sha256"]:
                    raise PackageError(f"{name}: 校验值不符，包已损坏 the hash differs: damaged")
                tables[name] = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, UnicodeDecodeError) as broken:
        raise PackageError(
            f"{source.name}: 不是地址包 not an address package ({broken})"
        ) from broken
    return tables


def import_package(
    connection: psycopg.Connection[Any],
    definition: LayerDefinition,
    source: Path,
    *,
    city: str,
    principal: Principal,
    full: bool,
) -> Imported:
    """Bring a package into this store; the caller commits. The same package twice changes nothing.

    With ``full`` addresses that the package lacks are deleted (their history stays). Raises
    PackageError, also for a code that stands for another address here.
    """
    tables = read_package(source, city=city)
    unknown = set(tables[ADDRESSES][0] if tables[ADDRESSES] else ()) - {
        "id", "lon", "lat", *definition.field_names
    }  # fmt: skip
    if unknown:
        raise PackageError(f"没有这些列 no such columns: {sorted(unknown)}")
    staging = create_staging(connection, definition, temporary=True)
    if tables[ADDRESSES]:
        copy_into(connection, staging, _batch(definition, tables[ADDRESSES]))
    deletes = Deletes.ABSENT if full else Deletes.NONE
    result = write(connection, definition, staging, run=None, principal=principal, deletes=deletes)
    drop_staging(connection, staging)
    numbers = _insert_numbers(connection, tables[NUMBERS])
    codes = _insert_codes(connection, tables[CODES])
    return Imported(result, codes, numbers)


def _check_manifest(manifest: Any, city: str) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise PackageError("manifest.json: 不是地址包 not an address package")
    if manifest.get("version") != VERSION:
        raise PackageError(f"包版本 package version {manifest.get('version')}，只认 only {VERSION}")
    if manifest.get("city") != city or manifest.get("coordsys") != "cgcs2000":
        raise PackageError(
            f"包属 the package is of {manifest.get('city')} in {manifest.get('coordsys')}; "
            f"本库 this store: {city}, cgcs2000"
        )


def _batch(definition: LayerDefinition, rows: Sequence[Mapping[str, str]]) -> pa.Table:
    columns = {
        name: pa.array([row.get(name) or None for row in rows], pa.string())
        for name in ("id", *definition.field_names)
    }
    try:
        points = shapely.points([(float(row["lon"]), float(row["lat"])) for row in rows])
    except (KeyError, ValueError) as wrong:
        raise PackageError(f"{ADDRESSES}: 坐标不可读 a position is not readable") from wrong
    columns["geom"] = pa.array([bytes(wkb) for wkb in shapely.to_wkb(points)], pa.binary())
    return pa.table(columns)


def _insert_numbers(connection: psycopg.Connection[Any], rows: Sequence[Mapping[str, str]]) -> int:
    """Serial numbers that are new; one that names something else here is refused."""
    connection.execute("LOCK TABLE gazetteer.code_number IN EXCLUSIVE MODE")
    before = _count(connection, "SELECT count(*) FROM gazetteer.code_number")
    try:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO gazetteer.code_number (scope, name, number) VALUES (%s, %s, %s)"
                " ON CONFLICT (scope, name) DO NOTHING",
                [(row["scope"], row["name"], int(row["number"])) for row in rows],
            )
    except psycopg.errors.UniqueViolation as clash:
        raise PackageError(
            f"编号冲突：两边各自编过号 both stores gave one number: {clash.diag.message_detail}"
        ) from clash
    return _count(connection, "SELECT count(*) FROM gazetteer.code_number") - before


def _insert_codes(connection: psycopg.Connection[Any], rows: Sequence[Mapping[str, str]]) -> int:
    known = dict(
        connection.execute(
            "SELECT code, address FROM gazetteer.address_code WHERE code = ANY (%s)",
            [[row["code"] for row in rows]],
        ).fetchall()
    )
    for row in rows:
        if known.get(row["code"], row["address"]) != row["address"]:
            raise PackageError(
                f"代码 {row['code']} 在本库属于 {known[row['code']]}，包中属于 {row['address']} "
                "(the code stands for another address here)"
            )
    new = [row for row in rows if row["code"] not in known]
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE gazetteer.address_code SET retired_at = %s"
            " WHERE code = %s AND retired_at IS NULL",
            [(r["retired_at"], r["code"]) for r in rows if r["retired_at"] and r["code"] in known],
        )
        cursor.executemany(
            "INSERT INTO gazetteer.address_code (code, style, address, assigned_at, retired_at)"
            " VALUES (%s, %s, %s, %s, %s)",
            [
                (r["code"], r["style"], r["address"], r["assigned_at"], r["retired_at"] or None)
                for r in new
            ],
        )
    return len(new)


def _count(connection: psycopg.Connection[Any], query: LiteralString) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """A table as CSV with a byte order mark, without which Excel takes it for GBK."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(["" if value is None else value for value in row])
    return buffer.getvalue().encode("utf-8-sig")
