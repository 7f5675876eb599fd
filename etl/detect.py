"""What coordinates truly are: which datum, which grid, which column is which.

Coordinates alone tell degrees from metres, the zone or central meridian (by the city's extent)
and exchanged columns. They cannot tell CGCS2000 from GCJ-02 or BD-09 (0.5 to 1.2 km apart, all
inside the city): that needs trusted linework to compare with. Where neither decides, the answer
is "cannot tell". WGS 84 and CGCS2000 are never told apart: they agree within a metre.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.datum import Coordsys, DatumError, DatumRegistry
from etl.datum.coordsys import FloatArray
from etl.datum.obfuscation import inside_box
from etl.datum.position import zone_code
from layers.city import CityProfile

Agreement = Literal["confirms", "objects", "cannot tell"]

SAMPLE = 4000
# A reading fits the reference when its vertices lie this near to it and all others lie far.
_NEAR_M = 30.0
_CLEARLY = 3.0
_MARGIN_M = 20.0
_EXPLICIT = re.compile(r"东|北|经|纬|east|north|lon|lng|lat", re.I)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One possible truth.

    `swapped`: the column taken as x (lon/east) holds y (lat/north). `inside` is the share of the
    sample inside the city's extent, `offset_m` the median distance of the vertices from the
    reference linework under this reading (None without reference).
    """

    coordsys: str
    swapped: bool
    inside: float
    offset_m: float | None
    evidence: str

    def to_json(self) -> dict[str, Any]:
        """Plain record."""
        return {
            "coordsys": self.coordsys,
            "swapped": self.swapped,
            "inside": round(self.inside, 4),
            "offset_m": None if self.offset_m is None else round(self.offset_m, 3),
            "evidence": self.evidence,
        }


@dataclass(frozen=True, slots=True)
class Detection:
    """Ranked verdicts, the decided one (None: cannot tell), and what that means for the claim.

    `agreement` "objects" blocks a load until the delivery file answers `objection`.
    """

    verdicts: tuple[Verdict, ...]
    decided: Verdict | None
    confidence: Literal["certain", "likely", "none"]
    summary: str
    declared: str | None
    agreement: Agreement
    objection: str | None

    def to_json(self) -> dict[str, Any]:
        """Plain record for reports and `--json`."""
        return {
            "decided": None if self.decided is None else self.decided.to_json(),
            "confidence": self.confidence,
            "summary": self.summary,
            "declared": self.declared,
            "agreement": self.agreement,
            "objection": self.objection,
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
        }


@dataclass(frozen=True)
class Reference:
    """Trusted linework in CGCS2000 (x = lon, y = lat), searchable in local metres."""

    lon0: float
    lat0: float
    tree: shapely.STRtree

    @classmethod
    def from_geometries(cls, geometries: Sequence[Any]) -> Reference | None:
        """From lines or polygon boundaries; None when they hold no line at all."""
        lines = [
            shapely.boundary(g) if shapely.get_dimensions(g) == 2 else g
            for g in geometries
            if g is not None and not shapely.is_empty(g) and shapely.get_dimensions(g) >= 1
        ]
        if not lines:
            return None
        west, south, east, north = shapely.total_bounds(np.array(lines, dtype=object))
        lon0, lat0 = (west + east) / 2, (south + north) / 2
        pieces = []
        for line in shapely.get_parts(lines):
            xy = shapely.get_coordinates(line)
            plain = np.column_stack(_local(xy[:, 0], xy[:, 1], lon0, lat0))
            if len(plain) > 1:
                pieces.append(np.stack([plain[:-1], plain[1:]], axis=1))
        segments = np.asarray(shapely.linestrings(np.concatenate(pieces)), dtype=object)
        return cls(float(lon0), float(lat0), shapely.STRtree(segments.tolist()))

    def distances(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        """(n,) metres to the nearest reference line."""
        where = shapely.points(*_local(lon, lat, self.lon0, self.lat0))
        found, distance = self.tree.query_nearest(where, return_distance=True, all_matches=False)
        out: FloatArray = np.full(len(lon), np.nan)
        out[found[0]] = distance
        return out


def _local(
    lon: FloatArray, lat: FloatArray, lon0: float, lat0: float
) -> tuple[FloatArray, FloatArray]:
    """Metres about a centre: good to 1 % over a prefecture, enough to tell 20 m from 500."""
    phi = np.radians(lat0)
    per_lat = 111_132.95 - 559.85 * np.cos(2 * phi) + 1.17 * np.cos(4 * phi)
    per_lon = 111_412.88 * np.cos(phi) - 93.5 * np.cos(3 * phi)
    return (lon - lon0) * per_lon, (lat - lat0) * per_lat


def plane_axes(x: FloatArray, y: FloatArray) -> Literal["normal", "swapped"] | None:
    """Whether x is the easting of Chinese Gauss-Krueger metres, told by size alone.

    Northings of China are 1.9 to 6.0 million; eastings 0.1 to 0.9 million, or that behind a
    zone number (13-23, 25-45).
    """

    def east(value: float) -> bool:
        zone, rest = divmod(value, 1e6)
        return 1e5 <= rest < 9e5 and (zone == 0 or zone_code(int(zone)) is not None)

    mx, my = float(np.median(x)), float(np.median(y))
    if east(mx) and 1.5e6 <= my <= 6.2e6:
        return "normal"
    if east(my) and 1.5e6 <= mx <= 6.2e6:
        return "swapped"
    return None


def _sample(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    good = np.isfinite(x) & np.isfinite(y)
    x, y = x[good], y[good]
    if len(x) > SAMPLE:
        pick = np.linspace(0, len(x) - 1, SAMPLE).astype(int)
        x, y = x[pick], y[pick]
    return x, y


def _systems(
    profile: CityProfile, registry: DatumRegistry, declared: str | None, plane: bool
) -> list[Coordsys]:
    names = [declared] if declared else []
    if plane:
        grid = profile.plane_grid
        if grid is not None:
            names += [grid.crs, *([grid.prefixed_crs] if grid.prefixed_crs else [])]
        names += [*profile.other_grids, *registry.grids, "epsg:3857"]
    else:
        # Obfuscated coordinates exist where the formula's box reaches, or where the city says so.
        shifted = bool(inside_box(*np.array(profile.center).reshape(2, 1))[0])
        accepted = {name.lower() for name in profile.accepted_coordsys}
        names += ["cgcs2000", *(n for n in ("gcj02", "bd09") if shifted or n in accepted)]
    systems: dict[str, Coordsys] = {}
    for name in names:
        system = registry.parse(name)
        # WGS 84 cannot be told from CGCS2000: one reading stands for both.
        system = registry.parse("cgcs2000") if system.name == "wgs84" else system
        if (system.kind == "plane") == plane:
            systems.setdefault(system.name, system)
    return list(systems.values())


def _verdicts(
    x: FloatArray,
    y: FloatArray,
    systems: list[Coordsys],
    profile: CityProfile,
    registry: DatumRegistry,
    reference: Reference | None,
) -> list[Verdict]:
    """Readings that put at least half of the sample into the city."""
    out: list[Verdict] = []
    seen: list[tuple[bool, FloatArray, FloatArray]] = []
    extent = profile.extent
    for system in systems:
        try:
            chain = registry.chain(system)
        except DatumError:
            continue  # no registered parameters: nothing to compare with
        for swapped in (False, True):
            lon, lat, _ = chain.apply(*((y, x) if swapped else (x, y)))
            within = ((lon >= extent.west) & (lon <= extent.east) & (lat >= extent.south)) & (
                lat <= extent.north
            )
            share = float(np.mean(within))
            if share < 0.5 or any(
                s == swapped and np.nanmax(np.hypot(lon - a, lat - b)) < 1e-8 for s, a, b in seen
            ):
                continue
            seen.append((swapped, lon, lat))
            offset, evidence = None, f"{share:.0%} 在市域内 inside the city"
            if reference is not None:
                offset = float(np.nanmedian(reference.distances(lon[within], lat[within])))
                evidence += f"；与参照线相距中位数 median distance to the reference {offset:.2f} m"
            out.append(Verdict(system.name, swapped, share, offset, evidence))
    if reference is not None:
        out.sort(key=lambda v: np.inf if v.offset_m is None else v.offset_m)
    return out


def _decide(verdicts: list[Verdict]) -> tuple[Verdict | None, Literal["certain", "likely", "none"]]:
    """The one verdict that stands out, if any."""
    if not verdicts:
        return None, "none"
    best = verdicts[0]
    others = [v.offset_m for v in verdicts[1:] if v.offset_m is not None]
    if best.offset_m is not None and best.offset_m <= _NEAR_M:
        clear = all(o >= _CLEARLY * best.offset_m + _MARGIN_M for o in others)
        if clear:
            return best, "certain"
    if len(verdicts) == 1:
        return best, "likely"
    return None, "none"


def detect(
    x: NDArray[Any],
    y: NDArray[Any],
    profile: CityProfile,
    *,
    registry: DatumRegistry | None = None,
    reference: Reference | None = None,
    declared: str | None = None,
    titles: tuple[str, str] | None = None,
) -> Detection:
    """Judge (n,) coordinates taken as x = lon/east, y = lat/north.

    `declared`: coordsys the delivery or file claims. `titles`: titles of the columns x and y
    came from; a title that says east but holds northings is an objection, a bare X or Y is not
    (Chinese surveys write X = north). Raises DatumError for an unknown declared coordsys.
    """
    steps = registry or DatumRegistry()
    px, py = _sample(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
    claimed = None if declared is None else steps.parse(declared)
    if len(px) == 0:
        return _answer([], None, "none", claimed, None, "没有坐标 no coordinates to judge")
    degrees = bool(np.median(np.abs(px)) <= 180 and np.median(np.abs(py)) <= 180)
    systems = _systems(profile, steps, declared, plane=not degrees)
    found = _verdicts(px, py, systems, profile, steps, reference)
    decided, confidence = _decide(found)
    refused = _refusal(steps, claimed)
    if refused is not None:
        return _answer(found, None, "none", None, refused, _kind(px, py, degrees))
    swapped = bool(found) and all(v.swapped for v in found)
    if not found and not degrees:
        swapped = plane_axes(px, py) == "swapped"
    swap_sentence = _swap(titles, claimed) if swapped else None
    return _answer(found, decided, confidence, claimed, swap_sentence, _kind(px, py, degrees))


def _refusal(registry: DatumRegistry, claimed: Coordsys | None) -> str | None:
    """Why the claimed coordsys leads nowhere (no registered parameters), or None."""
    if claimed is None:
        return None
    try:
        registry.chain(claimed)
    except DatumError as error:
        return str(error)
    return None


def _swap(titles: tuple[str, str] | None, claimed: Coordsys | None) -> str | None:
    """Sentence of an objection against exchanged columns, None where it is only a custom."""
    if titles is None:
        return "x 与 y 写反了。 x and y are exchanged."
    if not _EXPLICIT.search(titles[0]) and claimed is None:
        return None
    return (
        f"列 {titles[0]} 应为东坐标（经度），实际是北坐标（纬度），与 {titles[1]} 写反。"
        f" The column {titles[0]!r} should hold eastings (longitudes) but holds northings"
        f" (latitudes): exchanged with {titles[1]!r}."
    )


def _kind(x: FloatArray, y: FloatArray, degrees: bool) -> str:
    unit = "度 degrees" if degrees else "米 metres"
    return f"{unit}, x {x.min():.3f}..{x.max():.3f}, y {y.min():.3f}..{y.max():.3f}"


def _answer(
    found: list[Verdict],
    decided: Verdict | None,
    confidence: Literal["certain", "likely", "none"],
    claimed: Coordsys | None,
    swap: str | None,
    kind: str,
) -> Detection:
    same = {"wgs84": "cgcs2000"}
    name = None if claimed is None else same.get(claimed.name, claimed.name)
    objections = [] if swap is None else [swap]
    if decided is not None and name is not None and decided.coordsys != name:
        objections.append(
            f"声明为 {name}，数据显示是 {decided.coordsys}（{decided.evidence}）。"
            f" Declared {name}, the data say {decided.coordsys} ({decided.evidence})."
        )
    elif name is not None and all(v.coordsys != name for v in found):
        likely = ", ".join(dict.fromkeys(v.coordsys for v in found)) or "无 none"
        objections.append(
            f"按声明的 {name} 读，坐标不在市域内；可能是：{likely}。"
            f" Read as the declared {name} the coordinates are outside the city;"
            f" possible: {likely}."
        )
    if decided is not None:
        summary = f"{decided.coordsys}：{decided.evidence}"
        rest = [v for v in found if v is not decided and v.offset_m is not None]
        if rest:
            others = ", ".join(f"{v.coordsys} {v.offset_m:.0f} m" for v in rest)
            summary += f"；其他读法 other readings: {others}"
    elif found:
        names = " / ".join(dict.fromkeys(v.coordsys for v in found))
        summary = f"无法判定，可能 cannot tell, possible: {names}"
    else:
        summary = f"没有一种读法落在市域内 no reading falls into the city ({kind})"
    agreement: Agreement = "cannot tell"
    if objections:
        agreement = "objects"
    elif name is not None and decided is not None:
        agreement = "confirms"
    return Detection(
        verdicts=tuple(found),
        decided=decided,
        confidence=confidence,
        summary=summary,
        declared=None if claimed is None else claimed.name,
        agreement=agreement,
        objection=" ".join(objections) or None,
    )
