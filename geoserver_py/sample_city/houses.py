"""Buildings along the streets with house numbers, their addresses, and points of interest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geoserver_py.sample_city.core import HOME, INDUSTRY, OFFICE, RURAL, Core, IntArray, short_name
from geoserver_py.sample_city.plane import BLOCK, FloatArray, Geometries, points, rings
from geoserver_py.sample_city.streets import Sections, half_width
from geoserver_py.sample_city.words import PUBLIC, SHOPS, estate_name

SOUTH, NORTH, WEST, EAST, INSIDE = range(5)


@dataclass(frozen=True)
class Houses:
    """Buildings and their entrances on the drawing board, with the attributes of both."""

    buildings: pd.DataFrame
    shapes: Geometries
    addresses: pd.DataFrame
    entrances: Geometries
    block: IntArray
    """Block number of each building."""


def _slots() -> list[tuple[int, float, float, float, float, bool]]:
    """(side, place along it 0..1, width as share or metres, depth, setback, home?) of lots.

    Counts are even along each side: no lot lies across the middle, where unit cells meet.
    """
    homes = [
        (side, (k + 0.5) / count, 0.72 / count, depth, 3.0, True)
        for sides, count, depth in (((SOUTH, NORTH), 8, 13.0), ((WEST, EAST), 6, 12.0))
        for side in sides
        for k in range(count)
    ]
    homes += [(INSIDE, 0.33, 0.12, 17.0, 0.33, True), (INSIDE, 0.67, 0.12, 17.0, 0.67, True)]
    large = [(side, p, 0.36, 34.0, 8.0, False) for side in (SOUTH, NORTH) for p in (0.25, 0.75)]
    return homes + large


def build_houses(core: Core, sections: Sections, seed: int) -> Houses:
    """Buildings of all blocks, numbered odd on the left and even on the right of their street."""
    rng = np.random.default_rng([seed, 2])
    slots = _slots()
    frame = pd.DataFrame(
        {
            "block": np.repeat(np.arange(core.size), len(slots)),
            "slot": np.tile(np.arange(len(slots)), core.size),
        }
    )
    kind = core.kind[frame["block"].to_numpy()]
    home_slot = np.array([slot[5] for slot in slots])[frame["slot"].to_numpy()]
    small = np.isin(kind, (HOME, RURAL))
    built = np.where(small, home_slot, ~home_slot & np.isin(kind, (OFFICE, INDUSTRY)))
    built &= rng.random(len(frame)) > np.where(kind == RURAL, 0.15, 0.04)
    frame = frame[built].reset_index(drop=True)
    slot = frame["slot"].to_numpy()
    block = frame["block"].to_numpy().astype(np.int64)
    side = np.array([s[0] for s in slots])[slot]
    place = np.array([s[1] for s in slots])[slot]
    share = np.array([s[2] for s in slots])[slot]
    depth = np.array([s[3] for s in slots])[slot] * rng.uniform(0.8, 1.15, len(frame))
    setback = np.array([s[4] for s in slots])[slot]
    column, row = core.column[block], core.row[block]
    left, right = column * BLOCK + half_width(column), (column + 1) * BLOCK - half_width(column + 1)
    low, high = row * BLOCK + half_width(row), (row + 1) * BLOCK - half_width(row + 1)
    u, v, half_u, half_v, door_u, door_v = _place(
        side, place, share, depth, setback, left, right, low, high, rng
    )
    shapes = _shapes(u, v, half_u, half_v, rng, kind[built])
    frame["side"] = side
    axis = np.where(np.isin(side, (WEST, EAST)), 1, 0)
    line = np.choose(side, [row, row + 1, column, column + 1, row])
    along = np.where(axis == 0, column, row)
    street = sections.find(axis, line, along)
    # Seen along the street (east or north), odd numbers stand to the left.
    odd = np.isin(side, (SOUTH, INSIDE, EAST))
    odd = np.where(axis == 1, side == EAST, odd)
    position = np.where(axis == 0, u, v)
    number = _numbers(street, odd, position, side == INSIDE)
    return _describe(core, sections, seed, block, side, street, number, shapes, door_u, door_v)


def _place(
    side: IntArray, place: FloatArray, share: FloatArray, depth: FloatArray, setback: FloatArray,
    left: FloatArray, right: FloatArray, low: FloatArray, high: FloatArray,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """Middle, half sizes and door of each building."""
    gap = 24.0  # the corner lots belong to the south and north sides
    back = setback + rng.uniform(0.0, 3.0, len(side))
    inside = side == INSIDE
    u_row, wide = _half(place, left, right)
    v_column, tall = _half(place, low + gap, high - gap)
    v_inside, _ = _half(setback, low, high)
    width = np.where(np.isin(side, (WEST, EAST)), tall, wide) * share
    width *= rng.uniform(0.85, 1.1, len(side))
    u = np.select(
        [side == WEST, side == EAST], [left + back + depth / 2, right - back - depth / 2], u_row
    )
    v = np.select(
        [side == SOUTH, side == NORTH, inside],
        [low + back + depth / 2, high - back - depth / 2, v_inside],
        v_column,
    )
    flat = np.isin(side, (SOUTH, NORTH, INSIDE))
    half_u = np.where(flat, width, depth) / 2
    half_v = np.where(flat, depth, width) / 2
    door_u = np.select([side == WEST, side == EAST], [u - half_u, u + half_u], u)
    door_v = np.select(
        [side == SOUTH, side == NORTH, inside], [v - half_v, v + half_v, v - half_v], v
    )
    return u, v, half_u, half_v, door_u, door_v


def _half(place: FloatArray, start: FloatArray, end: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Position of `place` (0..1) and twice the length of its half.

    The halves meet in the middle of the block, where unit cells do, however wide the streets.
    """
    middle = np.floor(start / BLOCK) * BLOCK + BLOCK / 2
    first, second = middle - start, end - middle
    near = place < 0.5
    at = np.where(near, start + 2 * place * first, middle + (2 * place - 1) * second)
    return at, 2 * np.where(near, first, second)


def _shapes(
    u: FloatArray, v: FloatArray, a: FloatArray, b: FloatArray,
    rng: np.random.Generator, kind: IntArray,
) -> Geometries:  # fmt: skip
    """Rectangles, L-shapes, and round-house-like yards, in EPSG:4548."""
    shapes = np.empty(len(u), dtype=object)
    luck = rng.random(len(u))
    bay = (luck < 0.25) & (kind != RURAL)
    yard = (kind == RURAL) & (luck < 0.12)
    plain = ~(bay | yard)

    def corners(which: NDArray[np.bool_], steps: list[tuple[float, float]]) -> FloatArray:
        return np.stack(
            [np.column_stack([u[which] + p * a[which], v[which] + q * b[which]]) for p, q in steps],
            axis=1,
        )

    box = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]
    shapes[plain] = rings(corners(plain, box))
    shapes[bay] = rings(
        corners(bay, [(-1, -1), (1, -1), (1, 0.2), (0.25, 0.2), (0.25, 1), (-1, 1)])
    )
    if yard.any():
        outer = rings(corners(yard, box))
        inner = rings(corners(yard, [(p * 0.4, q * 0.4) for p, q in box]))
        shapes[yard] = shapely.polygons(
            shapely.get_exterior_ring(outer), shapely.get_exterior_ring(inner)[:, None]
        )
    return shapes


def _numbers(
    street: IntArray, odd: NDArray[np.bool_], position: FloatArray, inside: NDArray[np.bool_]
) -> IntArray:
    """House numbers in order of position along each side of a street; 0 inside the blocks."""
    order = np.lexsort((position, odd, street))
    outer = order[~inside[order]]
    group = street[outer] * 2 + odd[outer]
    first = np.concatenate([[True], np.diff(group) != 0]) if len(outer) else np.array([], bool)
    starts = np.flatnonzero(first)
    count = np.arange(len(outer)) - np.repeat(starts, np.diff(np.append(starts, len(outer))))
    number = np.zeros(len(street), dtype=np.int64)
    number[outer] = 2 * count + np.where(odd[outer], 1, 2)
    return number


_USES = {HOME: "住宅", OFFICE: "商业办公", INDUSTRY: "工业", RURAL: "农村住宅"}


def _describe(
    core: Core, sections: Sections, seed: int, block: IntArray, side: IntArray, street: IntArray,
    number: IntArray, shapes: Geometries, door_u: FloatArray, door_v: FloatArray,
) -> Houses:  # fmt: skip
    rng = np.random.default_rng([seed, 3])
    n = len(block)
    village = core.village[block]
    codes, names = core.village_codes()[village], core.village_names()[village]
    towns = np.array([core.towns[v.code[:9]] for v in core.villages])[village]
    counties = np.array([core.counties[v.code[:6]] for v in core.villages])[village]
    kind = core.kind[block]
    inside = side == INSIDE
    serial = pd.Series(village).groupby(village).cumcount().to_numpy() + 1
    floors = np.select(
        [kind == RURAL, kind == INDUSTRY, inside, kind == OFFICE],
        [
            rng.integers(1, 5, n),
            rng.integers(1, 4, n),
            rng.integers(16, 34, n),
            rng.integers(4, 22, n),
        ],
        rng.integers(3, 9, n),
    )
    estates = np.array([estate_name(int(b)) for b in range(core.size)], dtype=object)
    nothing = np.full(n, None, dtype=object)
    estate = np.where(inside, estates[block], nothing)
    tower = np.zeros(n, np.int64)
    tower[inside] = pd.Series(block[inside]).groupby(block[inside]).cumcount().to_numpy() + 1
    building_no = np.array([f"{t}栋" if t else None for t in tower], dtype=object)
    extra = rng.random(n)
    numbers = np.array(
        [
            None if k == 0 else f"{k}号" + ("之一" if e < 0.02 else "")
            for k, e in zip(number, extra, strict=True)
        ],
        dtype=object,
    )
    road = sections.names[street]
    full = [
        f"广东省梅州市{c}{t}{r}{m}" if m else f"广东省梅州市{c}{t}{v}{e}{b}"
        for c, t, v, r, m, e, b in zip(
            counties, towns, names, road, numbers, estate, building_no, strict=True
        )
    ]
    house_ids = [f"JZ{c}{s:05d}" for c, s in zip(codes, serial, strict=True)]
    title = [
        None if b is None else str(e) + str(b) for e, b in zip(estate, building_no, strict=True)
    ]
    buildings = pd.DataFrame(
        {
            "id": house_ids,
            "name": title,
            "use_word": [_USES[int(k)] for k in kind],
            "floors": floors,
            "height_m": np.round(floors * 3.0 + rng.uniform(0.3, 1.5, n), 1),
            "built_year": rng.integers(1962, 2026, n),
            "address": full,
        }
    )
    addresses = pd.DataFrame(
        {
            "id": [f"DZ{c}{s:05d}" for c, s in zip(codes, serial, strict=True)],
            "full_address": full,
            "county": counties,
            "town": towns,
            "village": names,
            "village_code": codes,
            "road": np.where(inside, nothing, road),
            "number": numbers,
            "estate": estate,
            "building": building_no,
        }
    )
    return Houses(buildings, shapes, addresses, points(door_u, door_v), block)


def points_of_interest(core: Core, houses: Houses, seed: int) -> tuple[pd.DataFrame, Geometries]:
    """Shops at doors, public places, estates and committees; (frame, points in EPSG:4548)."""
    rng = np.random.default_rng([seed, 4])
    n = len(houses.block)
    chosen = np.flatnonzero((rng.random(n) < 0.13) & houses.addresses["number"].notna().to_numpy())
    which = rng.integers(0, len(SHOPS), len(chosen))
    public = rng.random(len(chosen)) < 0.12
    which_public = rng.integers(0, len(PUBLIC), len(chosen))
    rows = []
    addresses = houses.addresses.iloc[chosen]
    for serial, (address, shop, is_public, place) in enumerate(
        zip(addresses.itertuples(index=False), which, public, which_public, strict=True), 1
    ):
        word, category = PUBLIC[place] if is_public else SHOPS[shop]
        stem = address.village if is_public else str(address.road) + str(address.number)
        rows.append(
            (
                f"POI{serial:06d}",
                str(stem) + word,
                category,
                address.full_address,
                address.village_code,
            )
        )
    frame = pd.DataFrame(rows, columns=["id", "name", "category_word", "address", "village_code"])
    committee_points = _committees(core)
    committees = pd.DataFrame(
        {
            "id": [f"POIC{n:05d}" for n in range(1, len(core.villages) + 1)],
            "name": [v.name if v.name.endswith("会") else f"{v.name}办公点" for v in core.villages],
            "category_word": "government",
            "address": [
                f"广东省梅州市{core.counties[v.code[:6]]}{core.towns[v.code[:9]]}{short_name(v.name)}"
                for v in core.villages
            ],
            "village_code": [v.code for v in core.villages],
        }
    )
    geometry = np.concatenate([houses.entrances[chosen], committee_points])
    return pd.concat([frame, committees], ignore_index=True), geometry


def _committees(core: Core) -> Geometries:
    """A place in the first block of each village, off the cells' borders."""
    first = np.unique(core.village, return_index=True)[1]
    u, v = core.column[first] + 0.4, core.row[first] + 0.4
    return points((u * BLOCK).astype(np.float64), (v * BLOCK).astype(np.float64))
