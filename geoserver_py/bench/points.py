"""Synthetic points for the ETL's figures at scale: a table of city components in GCJ-02.

Written once a size into the benchmark's folder, as UTF-8 CSV that `ogr2ogr` reads too, with the
columns of the sample city's components. Points stand at least 5 m apart, so that no check finds
fault; ids and names are made up and say so.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import yaml

from etl.datum.obfuscation import wgs84_to_gcj02
from geoserver_py.bench.plan import SEED

X, Y = "经度", "纬度"
_CORNER = (115.90, 24.10)
"""South-west corner in CGCS2000 degrees; the points go north and east from it, inside Meizhou."""
_STEP = 2.5e-4
_CLASSES = (("01037", "路灯"), ("01001", "上水井盖"), ("04002", "行道树"), ("01006", "雨水箅子"))
_PART = 250_000


def write_points(path: Path, rows: int, *, shuffled: bool = False) -> Path:
    """Write `rows` points unless the file is there; `shuffled` ones are the same in any order."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    order = np.arange(rows)
    if shuffled:
        np.random.default_rng(SEED).shuffle(order)
    options = pyarrow.csv.WriteOptions(quoting_style="none")
    with pyarrow.csv.CSVWriter(part, _table(order[:1], rows).schema, write_options=options) as out:
        for start in range(0, rows, _PART):
            out.write_table(_table(order[start : start + _PART], rows))
    part.rename(path)
    return path


def write_delivery(table: Path, name: str) -> Path:
    """Write the delivery file of such a table beside it."""
    document = {
        "delivery": f"bench/{name}",
        "bureau": "城市管理和综合执法局",
        "city": "meizhou",
        "synthetic": True,
        "loads": [
            {
                "layer": "component",
                "files": [{"path": table.name, "encoding": "UTF-8"}],
                "coordsys": "gcj02",
                "columns": {"lon": X, "lat": Y},
                "mode": "full",
                "id": {"column": "GLBJBSM"},
                "fields": {"class_code": "类别"},
                "accept_accuracy": {"metres": 5, "reason": "模拟数据 synthetic"},
            }
        ],
    }
    path = table.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")
    return path


def _table(numbers: np.ndarray, rows: int) -> pa.Table:
    """The records of these numbers; a record depends on nothing but its number."""
    side = int(np.ceil(np.sqrt(rows)))
    jitter = np.random.default_rng(SEED + 1).uniform(-0.4, 0.4, (2, rows))[:, numbers]
    lon = _CORNER[0] + (numbers % side + jitter[0]) * _STEP * min(1.0, 2_000 / side)
    lat = _CORNER[1] + (numbers // side + jitter[1]) * _STEP * min(1.0, 2_000 / side)
    x, y = wgs84_to_gcj02(lon, lat)
    kind = numbers % len(_CLASSES)
    village = numbers * 97 // rows
    codes = np.array([code for code, _ in _CLASSES])[kind]
    titles = np.array([title for _, title in _CLASSES])[kind]
    offices = np.array([f"模拟养护所{k}" for k in range(len(_CLASSES))])[kind]
    office_codes = np.array([f"SYNTHETIC{k:09d}" for k in range(len(_CLASSES))])[kind]
    villages = np.array([f"441403106{k:03d}" for k in range(97)])[village]
    days = np.datetime64("2026-01-01") + (numbers % 300).astype("timedelta64[D]")
    serial = np.char.zfill((numbers // len(_CLASSES)).astype(str), 7)
    return pa.table(
        {
            "GLBJBSM": np.char.add(np.char.add("44140", codes), serial),
            "类别": codes,
            "GLBJMC": titles,
            "ZGBMDM": office_codes,
            "ZGBMMC": offices,
            "QSDWDM": office_codes,
            "QSDWMC": offices,
            "SZDYWGBSM": np.char.add(villages, np.char.zfill((numbers % 1_000).astype(str), 3)),
            "GLBJZT": np.full(len(numbers), "完好"),
            "CSRQ": days.astype(str),
            "SJLY": np.full(len(numbers), "实测（模拟）"),
            "SZJDDM": np.full(len(numbers), "441403106"),
            "SZJDMC": np.full(len(numbers), "南口镇"),
            "SZSQDM": villages,
            "SZSQMC": np.char.add("模拟村", (village + 1).astype(str)),
            X: np.char.mod("%.10f", x),
            Y: np.char.mod("%.10f", y),
        }
    )
