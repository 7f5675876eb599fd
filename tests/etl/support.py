"""Deliveries for tests: a layer that is applied, files beside a delivery file, and a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import yaml

from etl.report import LoadReport
from etl.run import run_delivery
from layers.definition import LayerDefinition, load_definitions
from layers.schema import apply

CENTRE = (116.1176, 24.2886)
"""Centre of Meizhou, CGCS2000 lon, lat."""
CENTRE_4548 = (410413.240, 2687537.854)
"""The same in EPSG:4548: east, north."""
CENTRE_GCJ02 = (116.12243233, 24.285977)
WAIVER = {"metres": 3, "reason": "手机采集，米级即可"}


def apply_layers(dsn: str, *names: str) -> dict[str, LayerDefinition]:
    """Create the tables of the named layers (definitions of the package)."""
    known = load_definitions()
    with psycopg.connect(dsn) as connection:
        apply(connection, [known[name] for name in names])
    return known


def deliver(
    folder: Path, dsn: str, loads: list[dict[str, Any]], **overrides: Any
) -> tuple[LoadReport, ...]:
    """Write delivery.yaml into `folder` and run it."""
    document = {
        "delivery": f"test/{folder.name}",
        "bureau": "城市管理和综合执法局",
        "city": "meizhou",
        "synthetic": True,
        "loads": loads,
        **overrides,
    }
    path = folder / "delivery.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    return run_delivery(path, dsn)


def component(number: int, **values: Any) -> dict[str, Any]:
    """A valid component record in the standard's field names, at the centre of Meizhou."""
    return {
        "GLBJBSM": f"44140200101{number:06d}",
        "class_code": "01001",
        "GLBJMC": "上水井盖",
        "ZGBMDM": "11441400MB2C12345X",
        "ZGBMMC": "城市管理和综合执法局",
        "SZDYWGBSM": "441402001001001",
        "GLBJZT": "完好",
        "CSRQ": "2026-11-22",
        "lon": f"{CENTRE[0] + number * 1e-5:.8f}",
        "lat": f"{CENTRE[1]:.8f}",
        **values,
    }


def write_csv(path: Path, records: list[Mapping[str, Any]], encoding: str = "utf-8") -> Path:
    """A CSV of records that share their keys."""
    lines = [",".join(records[0])]
    lines += [",".join("" if v is None else str(v) for v in r.values()) for r in records]
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def component_load(name: str = "components.csv", **more: Any) -> dict[str, Any]:
    """A load of a component table in CGCS2000 degrees."""
    return {
        "layer": "component",
        "files": [{"path": name}],
        "coordsys": "cgcs2000",
        "columns": {"lon": "lon", "lat": "lat"},
        "mode": "full",
        **more,
    }


def rows(dsn: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Result of a query."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(statement, values).fetchall()  # type: ignore[arg-type]
