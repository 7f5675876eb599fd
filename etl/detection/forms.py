"""Forms: every way in which a pair of numbers may be a position of the city.

A form is grid + column order + unit + notation + what was taken away. Whether a row fits a form
is a comparison with the form's box (the city's extent in the form's own numbers), so 50 000 rows
against forty forms cost milliseconds; only the few forms that fit are computed by PROJ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from etl.datum import Coordsys, DatumChain, DatumError, DatumRegistry
from etl.datum.coordsys import FloatArray, datum_key, false_easting, horizontal_crs
from etl.datum.steps import ProjectionStep
from etl.detection.features import BoolArray, unpack, unpack_minutes, unpack_whole
from etl.detection.model import Notation
from layers.city import CityProfile, Extent

# Obfuscated and classical positions lie up to 1.3 km beside the truth: so much the box is wider.
_MARGIN_DEG = 0.013
_MARGIN_M = 1500.0
UNITS = {
    "foot": 0.3048,
    "US survey foot": 1200 / 3937,
    "chi": 1 / 3,
    "kilometre": 1000.0,
    "millimetre": 0.001,
    "centimetre": 0.01,
}


@dataclass(frozen=True, slots=True)
class Form:
    """One reading of the numbers; `box` = (x low, y low, x high, y high) after all repairs.

    `prior` in nats: how unusual the form is before any number is looked at.
    """

    coordsys: Coordsys
    chain: DatumChain
    box: tuple[float, float, float, float]
    swapped: bool = False
    notation: Notation = "decimal"
    unit: str = "metre"
    added: tuple[float, float] = (0.0, 0.0)
    prior: float = 0.0

    @property
    def plane(self) -> bool:
        """Whether the form reads metres of a grid."""
        return self.coordsys.kind == "plane"

    def repaired(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """East and north (or lon and lat) in the units of the coordsys."""
        if self.swapped:
            x, y = y, x
        if self.notation == "packed_dms":
            return unpack(x), unpack(y)
        if self.notation == "packed_dddmmss":
            return unpack_whole(x), unpack_whole(y)
        if self.notation == "ddmm.mmmm":
            return unpack_minutes(x), unpack_minutes(y)
        factor = UNITS.get(self.unit, 1.0)
        if factor != 1.0 or self.added != (0.0, 0.0):
            return x * factor + self.added[0], y * factor + self.added[1]
        return x, y

    def inside(self, x: FloatArray, y: FloatArray) -> BoolArray:
        """(n,) rows that the form puts into the city."""
        a, b = self.repaired(x, y)
        west, south, east, north = self.box
        with np.errstate(invalid="ignore"):
            found: BoolArray = (a >= west) & (a <= east) & (b >= south) & (b <= north)
        return found

    def lonlat(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """CGCS2000 degrees under this form."""
        lon, lat, _ = self.chain.apply(*self.repaired(x, y))
        return lon, lat


@lru_cache(maxsize=64)
def central_meridian(epsg: int) -> float | None:
    """Central meridian of a transverse Mercator grid in degrees, None for other grids."""
    operation = horizontal_crs(epsg).coordinate_operation
    if operation is None or "Transverse Mercator" not in operation.method_name:
        return None
    for parameter in operation.params:
        if parameter.name == "Longitude of natural origin":
            return float(parameter.value)
    return None


def zone_of(epsg: int | None) -> int | None:
    """Zone number in front of a grid's eastings, None without one."""
    origin = None if epsg is None else false_easting(epsg)
    return None if origin is None or origin < 1_000_000 else int(origin // 1_000_000)


def box_of(chain: DatumChain, extent: Extent) -> tuple[float, float, float, float] | None:
    """The extent in the numbers of the chain's source, with margin; None outside its domain."""
    side = np.linspace(0, 1, 9)
    lon = np.concatenate([extent.west + (extent.east - extent.west) * side] * 2)
    lon = np.concatenate([lon, np.full(9, extent.west), np.full(9, extent.east)])
    lat = np.concatenate([np.full(9, extent.south), np.full(9, extent.north)])
    lat = np.concatenate([lat, *[extent.south + (extent.north - extent.south) * side] * 2])
    x, y, _ = chain.inverted().apply(lon, lat)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    margin = _MARGIN_M if chain.source.kind == "plane" else _MARGIN_DEG
    return (
        float(x.min() - margin),
        float(y.min() - margin),
        float(x.max() + margin),
        float(y.max() + margin),
    )


def grids(
    profile: CityProfile, registry: DatumRegistry, middle: float, compared: bool
) -> Iterator[str]:
    """Plane grids worth trying: the city's own first, then every zone within reach, then more."""
    grid = profile.plane_grid
    if grid is not None:
        yield grid.crs
        if grid.prefixed_crs:
            yield grid.prefixed_crs
    yield from profile.other_grids
    yield from (name for name in profile.accepted_coordsys if name.lower().startswith("epsg:"))
    yield from registry.grids
    if not 72 <= middle <= 138:
        return
    for meridian in range(75, 136, 3):  # 3-degree zones, CGCS2000, by meridian and by zone number
        if abs(meridian - middle) <= 9:
            yield f"epsg:{4534 + (meridian - 75) // 3}"
            yield f"epsg:{4513 + (meridian - 75) // 3}"
    for meridian in range(75, 136, 6):  # 6-degree zones 13 to 23
        if abs(meridian - middle) <= 9:
            yield f"epsg:{4491 + (meridian - 75) // 6}"
    if not compared:
        return  # a kilometre beside the Gauss-Krueger reading: only a reference tells
    yield "epsg:3857"
    yield f"epsg:{32600 + int((middle + 180) // 6) + 1}"


def _chain(system: Coordsys, registry: DatumRegistry) -> DatumChain:
    """The registry's chain; a CGCS2000 grid needs no search unless a link leads from it."""
    linked = any(system.name in (link.source.lower(), link.target.lower())
                 for link in registry.links)  # fmt: skip
    code = system.epsg
    if code is not None and code != 4490 and not linked and datum_key(code) == "China 2000":
        step = ProjectionStep(code, 4490)
        return DatumChain(system, registry.parse("cgcs2000"), (step,))
    return registry.chain(system)


def natural_forms(
    profile: CityProfile,
    registry: DatumRegistry,
    extent: Extent,
    declared: Coordsys | None,
    *,
    compared: bool = False,
) -> list[Form]:
    """Forms without anything taken away: degrees (decimal, packed) and every grid, both orders."""
    out: list[Form] = []
    middle = (extent.west + extent.east) / 2
    names = ([declared.name] if declared is not None else []) + list(
        grids(profile, registry, middle, compared)
    )
    systems: dict[str, Coordsys] = {}
    for name in ("cgcs2000", *names):
        try:
            system = registry.parse(name)
        except DatumError:
            continue
        if system.kind == "plane" or system.name == "cgcs2000":
            systems.setdefault(system.name, system)
    seen: list[tuple[float, ...]] = []
    own = {n.lower() for n in (*names[:3], *profile.other_grids, *registry.grids)}
    for system in systems.values():
        try:
            chain = _chain(system, registry)
        except DatumError:
            continue  # no registered parameters: nothing to compare with
        box = box_of(chain, extent)
        # 6-degree CM 117 and 3-degree CM 117 are the same metres: the first name stands for both
        if box is None or any(np.allclose(box, other, atol=0.01) for other in seen):
            continue
        seen.append(box)
        rare = 0.0 if system.name in own or system.kind == "geographic" else -1.0
        if system.epsg == 3857 or (system.epsg or 0) // 100 in (326, 327):
            rare = -6.0
        unit = "metre" if system.kind == "plane" else "degree"
        form = Form(system, chain, box, unit=unit, prior=rare)
        out += [form, replace(form, swapped=True, prior=rare - 1.5)]
        if system.kind == "geographic":
            packed = replace(form, notation="packed_dms", prior=-3.0)
            out += [packed, replace(packed, swapped=True, prior=-4.5)]
    return out


def unusual_forms(natural: list[Form], x: FloatArray, y: FloatArray) -> list[Form]:
    """Forms tried only where no natural one fits: other units, packed whole numbers, large numbers.

    Offsets are the multiples of 100 km that bring the median into the city; those that complete
    the digits (2 600 000 for 87 537, six digits taken away) come first.
    """
    out: list[Form] = []
    degrees = [f for f in natural if not f.plane and f.notation == "decimal"]
    for form in degrees:
        out.append(replace(form, notation="packed_dddmmss", prior=form.prior - 4))
        out.append(replace(form, notation="ddmm.mmmm", prior=form.prior - 5))
    if np.median(np.abs(x)) <= 180 and np.median(np.abs(y)) <= 180:
        return out  # degrees of another place, not metres of this one
    plane = [f for f in natural if f.plane]
    for form in plane:
        for rank, unit in enumerate(UNITS):
            prior = form.prior - (5.0, 6.5, 7.0, 6.0, 6.0, 6.5)[rank]
            out.append(replace(form, unit=unit, prior=prior))
    for form in plane:
        if form.coordsys.epsg is None or zone_of(form.coordsys.epsg) is not None:
            continue
        if form.prior < -2.0:
            continue
        a, b = (y, x) if form.swapped else (x, y)
        for east, worse_e in _offsets(a, form.box[0], form.box[2]):
            for north, worse_n in _offsets(b, form.box[1], form.box[3]):
                if (east, north) != (0.0, 0.0):
                    prior = form.prior - 6.0 - worse_e - worse_n
                    out.append(replace(form, added=(east, north), prior=prior))
    return out


def _offsets(values: FloatArray, low: float, high: float) -> list[tuple[float, float]]:
    """(offset, penalty) of one axis: multiples of 100 km, and 0 when nothing is missing."""
    median = float(np.nanmedian(values))
    if low <= median <= high:
        return [(0.0, 0.0)]
    if abs(median) >= 1e6:
        return []
    top = float(np.nanmax(np.abs(values)))
    whole = 10.0 ** max(5, int(np.ceil(np.log10(max(top, 1.0)))))
    first = int(np.ceil((low - median) / 1e5))
    last = int(np.floor((high - median) / 1e5))
    out = []
    for k in range(first, last + 1):
        offset = k * 1e5
        spread = np.nanmin(values) + offset >= low and np.nanmax(values) + offset <= high
        penalty = (0.0 if offset % whole == 0 else 1.0) + (0.0 if spread else 2.0)
        out.append((offset, penalty))
    return out
