"""City management: the unit grid, components along the streets, events in the cells."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from importlib import resources

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geoserver_py.sample_city.core import RIVER_HALF_WIDTH, Core, IntArray, river_line
from geoserver_py.sample_city.plane import BLOCK, CELL, FloatArray, Geometries, points, rings
from geoserver_py.sample_city.streets import PRIMARY, Sections, half_width, street_class
from layers.codes import code_list

UNTIL = datetime(2026, 11, 20, 18, 0, tzinfo=timezone(timedelta(hours=8)))
"""The last moment of the synthetic data, so that two builds agree."""
BEGAN = date(2026, 7, 1)
"""GB/T 47678 took effect: cells and components were numbered anew."""


@dataclass(frozen=True)
class UnitGrid:
    """Cells with their codes; `lookup[block, quarter]` finds one (quarter = 2 * north + east)."""

    frame: pd.DataFrame
    shapes: Geometries
    lookup: IntArray


def _sequence(number: IntArray) -> NDArray[np.str_]:
    """001..999, then A00, A01...: three characters of the standard's digits and capitals."""
    beyond = number - 1000
    return np.array(
        [
            f"{n:03d}" if n < 1000 else f"{chr(65 + b // 100)}{b % 100:02d}"
            for n, b in zip(number, beyond, strict=True)
        ]
    )


def unit_grid(core: Core) -> UnitGrid:
    """Four cells a block, numbered in each village from west to east, row by row from north."""
    quarter = np.tile(np.arange(4), core.size)
    block = np.repeat(np.arange(core.size), 4)
    x = core.column[block] * 2 + quarter % 2
    y = core.row[block] * 2 + quarter // 2
    village = core.village[block]
    order = np.lexsort((x, -y, village))
    block, quarter, x, y, village = (a[order] for a in (block, quarter, x, y, village))
    serial = pd.Series(village).groupby(village).cumcount().to_numpy() + 1
    steps = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    corners = np.stack(
        [np.column_stack([(x + p) * CELL, (y + q) * CELL]) for p, q in steps], axis=1
    )
    shapes = rings(corners)
    codes = core.village_codes()[village]
    names = core.village_names()[village]
    words = np.array(["住宅", "商业办公", "工业", "公园绿地", "滨水绿地", "农村宅基地"])
    primary = (street_class((x + 1) // 2) == PRIMARY) | (street_class((y + 1) // 2) == PRIMARY)
    frame = pd.DataFrame(
        {
            "id": [
                f"{c}{s}" for c, s in zip(codes, _sequence(serial.astype(np.int64)), strict=True)
            ],
            "area_m2": np.round(shapely.area(shapes), 2),
            "initial_date": BEGAN.isoformat(),
            "land_use": words[core.kind[block]],
            "level": np.where(primary, "一级", "二级"),
            "responsible": [f"{n}网格站" for n in names],
            "responsibility_grid": [
                f"{c}Z{s // 24 + 1:02d}" for c, s in zip(codes, serial, strict=True)
            ],
            "village_code": codes,
        }
    )
    lookup = np.empty((core.size, 4), dtype=np.int64)
    lookup[block, quarter] = np.arange(len(frame))
    return UnitGrid(frame, shapes, lookup)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A component class: how many stand along a section, how far from the middle (share)."""

    code: str
    name: str
    old: str
    department: int
    count: int
    chance: float
    across: float


DEPARTMENTS = (
    ("模拟供水公司", "SYNTHETIC000000001"), ("模拟排水管理处", "SYNTHETIC000000002"),
    ("模拟供电局", "SYNTHETIC000000003"), ("模拟通信公司", "SYNTHETIC000000004"),
    ("模拟燃气公司", "SYNTHETIC000000005"), ("模拟路灯管理所", "SYNTHETIC000000006"),
    ("模拟交通运输局", "SYNTHETIC000000007"), ("模拟交警支队", "SYNTHETIC000000008"),
    ("模拟环卫所", "SYNTHETIC000000009"), ("模拟园林绿化所", "SYNTHETIC000000010"),
    ("模拟城管局", "SYNTHETIC000000011"), ("模拟公安局", "SYNTHETIC000000012"),
)  # fmt: skip


@cache
def component_kinds() -> tuple[_Kind, ...]:
    """The classes that stand along the streets, with names and old codes of the code lists."""
    classes = code_list("component_class").entries
    text = (resources.files("geoserver_py.sample_city") / "components.csv").read_text("utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        _Kind(
            row["class"],
            classes[row["class"]].zh,
            classes[row["class"]].extra["class_2013"],
            int(row["department"]),
            int(row["tries"]),
            float(row["chance"]),
            float(row["across"]),
        )
        for row in rows
    )


STATES = ("完好", "破损", "丢失", "废弃", "移除")


def components(
    core: Core, sections: Sections, grid: UnitGrid, seed: int
) -> tuple[pd.DataFrame, Geometries]:
    """Components on both sides of every street, in EPSG:4548 and with their cells."""
    rng = np.random.default_rng([seed, 6])
    kinds = component_kinds()
    counts = np.array([kind.count for kind in kinds])
    kind = np.repeat(np.arange(len(kinds)), counts)
    turn = np.concatenate([np.arange(c) for c in counts])
    total = len(sections.line) * len(kind)
    section = np.repeat(np.arange(len(sections.line)), len(kind))
    kind, turn = np.tile(kind, len(sections.line)), np.tile(turn, len(sections.line))
    chance = np.array([k.chance for k in component_kinds()])
    kept = rng.random(total) < chance[kind]
    section, kind, turn = section[kept], kind[kept], turn[kept]
    n = len(section)
    # Clear of the cells' borders: nothing within 2 m of the middle and the ends of a section.
    even = (turn + 0.5 + rng.uniform(-0.2, 0.2, n)) / counts[kind] * (BLOCK - 60.0) + 30.0
    along = np.where(counts[kind] == 1, rng.uniform(32.0, BLOCK - 32.0, n), even)
    along = np.where(np.abs(along - CELL) < 2.0, CELL + 5.0, along)
    sign = np.where(rng.random(n) < 0.5, 1.0, -1.0)
    across = np.array([k.across for k in component_kinds()])[kind] * half_width(
        sections.line[section]
    )
    across = np.maximum(across + rng.uniform(-0.3, 0.3, n), 0.5)
    axis, line, at = sections.axis[section], sections.line[section], sections.along[section]

    def block_beside(sign: FloatArray) -> IntArray:
        beside = np.where(sign > 0, line, line - 1)
        return core.index(np.where(axis == 0, at, beside), np.where(axis == 0, beside, at))

    block = block_beside(sign)
    sign = np.where(block < 0, -sign, sign)
    block = np.where(block < 0, block_beside(sign), block)
    far = (along > CELL).astype(np.int64)
    beyond = (sign < 0).astype(np.int64)  # south or west of the street: the far half of its block
    quarter = np.where(axis == 0, 2 * beyond + far, 2 * far + beyond)
    cell = grid.lookup[block, quarter]
    u = np.where(axis == 0, at * BLOCK + along, line * BLOCK + sign * across)
    v = np.where(axis == 0, line * BLOCK + sign * across, at * BLOCK + along)
    dry = np.abs(v - river_line(u)) > RIVER_HALF_WIDTH + 6.0
    kind, block, cell, u, v = kind[dry], block[dry], cell[dry], u[dry], v[dry]
    frame = _component_table(core, grid, kind, block, cell, rng)
    return frame, points(u, v)


def _component_table(
    core: Core, grid: UnitGrid, kind: IntArray, block: IntArray, cell: IntArray,
    rng: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    n = len(kind)
    village = core.village[block]
    villages = core.village_codes()[village]
    county = np.array([v.code[:6] for v in core.villages])[village]
    codes = np.array([k.code for k in component_kinds()])[kind]
    prefix = np.char.add(county, codes)
    serial = pd.Series(prefix).groupby(prefix).cumcount().to_numpy() + 1
    department = np.array([k.department for k in component_kinds()])[kind]
    department_names = np.array([name for name, _ in DEPARTMENTS])[department]
    department_codes = np.array([code for _, code in DEPARTMENTS])[department]
    state = rng.choice(5, size=n, p=(0.955, 0.03, 0.005, 0.007, 0.003))
    surveyed = np.datetime64(BEGAN) + rng.integers(0, 120, n).astype("timedelta64[D]")
    changed = surveyed + rng.integers(1, 20, n).astype("timedelta64[D]")
    surveyed_text = np.datetime_as_string(surveyed, unit="D")
    changed_text = np.where(state == 0, "", np.datetime_as_string(changed, unit="D"))
    towns = np.array([v.code[:9] for v in core.villages])
    town_names = np.array([core.towns[code] for code in towns])
    return pd.DataFrame(
        {
            "id": np.char.add(prefix, np.char.zfill(serial.astype(str), 6)),
            "class_code": codes,
            "class_code_2013": np.array([k.old for k in component_kinds()])[kind],
            "name": np.array([k.name for k in component_kinds()])[kind],
            "department_code": department_codes,
            "department": department_names,
            "owner_code": department_codes,
            "owner": department_names,
            "grid_code": grid.frame["id"].to_numpy()[cell],
            "state_word": np.array(STATES)[state],
            "initial_date": surveyed_text,
            "change_date": changed_text,
            "data_source": "实测（模拟）",
            "town_code": towns[village],
            "town": town_names[village],
            "village_code": villages,
            "village": core.village_names()[village],
        }
    )


MATTERS = (
    "06010", "06011", "06012", "06013", "06036", "06042", "07001", "08004", "09001", "09005",
    "09006", "09009", "09010", "06025", "06030",
)  # fmt: skip
EVENT_STATES = ("已上报", "待派遣", "待处置", "处置中", "待核查", "已结案")
SOURCES = ("网格员上报", "12345热线", "微信随手拍", "视频发现", "媒体曝光")
EVENTS_A_BLOCK = 3


def events(
    core: Core, grid: UnitGrid, places: pd.DataFrame, seed: int
) -> tuple[pd.DataFrame, Geometries]:
    """Matters reported over the last half year, in EPSG:4548 and inside their cells."""
    rng = np.random.default_rng([seed, 7])
    n = EVENTS_A_BLOCK * core.size
    block, quarter = rng.integers(0, core.size, n), rng.integers(0, 4, n)
    u = core.column[block] * BLOCK + (quarter % 2) * CELL + rng.uniform(4.0, 96.0, n)
    v = core.row[block] * BLOCK + (quarter // 2) * CELL + rng.uniform(4.0, 96.0, n)
    ago = np.sort(rng.integers(0, 180 * 24 * 60, n))[::-1]
    open_share = np.clip(1.0 - ago / (10 * 24 * 60), 0.0, 0.9)
    state = np.where(rng.random(n) < open_share, rng.integers(0, 5, n), 5)
    until = np.datetime64(UNTIL.astimezone(UTC).replace(tzinfo=None), "m")
    reported = until - ago.astype("timedelta64[m]")
    closed = np.minimum(reported + rng.integers(60, 5 * 24 * 60, n).astype("timedelta64[m]"), until)

    def local(moments: NDArray[np.datetime64]) -> list[str]:
        shifted = moments + np.timedelta64(8, "h")
        return [f"{text}:00+08:00" for text in np.datetime_as_string(shifted, unit="m")]

    matters = code_list("matter_class").entries
    matter = rng.integers(0, len(MATTERS), n)
    department = rng.choice(np.array([8, 8, 10, 10, 6, 7]), n)
    near = places["full_address"].to_numpy()[rng.integers(0, len(places), n)]
    day = [text[:10].replace("-", "") for text in local(reported)]
    county = np.array([v.code[:6] for v in core.villages])[core.village[block]]
    frame = pd.DataFrame(
        {
            "id": [f"{c[2:]}{d}{k:07d}" for c, d, k in zip(county, day, range(n), strict=True)],
            "category_code": np.array(MATTERS)[matter],
            "name": np.array([matters[code].zh for code in MATTERS])[matter],
            "department_code": np.array([code for _, code in DEPARTMENTS])[department],
            "department": np.array([name for name, _ in DEPARTMENTS])[department],
            "place": [f"{text}附近（模拟）" for text in near],
            "grid_code": grid.frame["id"].to_numpy()[grid.lookup[block, quarter]],
            "reported_at": local(reported),
            "closed_at": [t if s == 5 else "" for t, s in zip(local(closed), state, strict=True)],
            "state_word": np.array(EVENT_STATES)[state],
            "source": np.array(SOURCES)[rng.integers(0, len(SOURCES), n)],
        }
    )
    return frame, points(u, v)
