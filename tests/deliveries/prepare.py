"""Files that no reader opens, written as the tables a bureau would export: nothing is left out."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

PLT_TITLE_LINES = 6
"""A Geolife .plt begins with so many lines before its rows, none of which names a column."""


def prepare(data: Path, out: Path) -> None:
    """Write the tables that the deliveries name as `${OUT}/...`, each beside its delivery."""
    _geolife(sorted((data / "gps-geolife").glob("*/Trajectory/*.plt")), out / "geolife")
    _requests(data / "service-requests" / "bub_service_requests.json", out / "chicago")
    _cases(data / "address-cases" / "cases.json", out / "address-cases")
    (packed,) = (data / "air-quality").glob("*.csv.gz")
    with gzip.open(packed) as source, (_folder(out / "air-quality") / "hours.csv").open("wb") as to:
        shutil.copyfileobj(source, to)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)


def _geolife(tracks: Iterable[Path], out: Path) -> None:
    """lat, lon, 0, altitude in feet, days since 1899, date, time (UTC)."""
    rows: list[tuple[Any, ...]] = []
    for track in tracks:
        name = f"{track.parent.parent.name}-{track.stem}"
        for number, line in enumerate(track.read_text("ascii").splitlines()[PLT_TITLE_LINES:], 1):
            lat, lon, _, feet, _, day, hour = line.split(",")
            rows.append((name, number, lon, lat, feet, f"{day}T{hour}Z"))
    header = ("track", "number", "lon", "lat", "altitude_ft", "at")
    _write(_folder(out) / "fixes.csv", header, rows)


def _requests(path: Path, out: Path) -> None:
    header = (
        "service_request_id", "service_name", "status", "requested_datetime", "updated_datetime",
        "address", "lat", "long", "notes",
    )  # fmt: skip
    records = json.loads(path.read_text("utf-8"))
    rows = [[*(r.get(key) for key in header[:-1]), len(r.get("notes", []))] for r in records]
    _write(_folder(out) / "requests.csv", header, rows)


def _cases(path: Path, out: Path) -> None:
    cases = json.loads(path.read_text("utf-8"))
    rows = [(n, case["text"], case["expect"].get("code")) for n, case in enumerate(cases, 1)]
    _write(_folder(out) / "cases.csv", ("number", "text", "code"), rows)
