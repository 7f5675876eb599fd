"""The generator: every kind of error that bureaus make, drawn from a seed and written as files.

Each case depends on the seed, its kind and its number in the kind alone, so that a subset is
the same files as in the full set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely

from geoserver_py.sample_city.plane import Geometries
from tests.detection import material, slips, writing
from tests.detection.shifts import FloatArray, OldNetwork, in_frame, is_degrees
from tests.detection.truth import (
    KINDS,
    NEED_REFERENCE,
    Case,
    Kind,
    Truth,
    Undetermined,
    undetermined,
)

SEED = 20261122
COUNTS: dict[Kind, int] = {
    "clean": 110, "swapped": 36, "prefix_missing": 24, "prefix_unexpected": 24,
    "wrong_meridian": 28, "zone_width": 24, "beijing54": 36, "xian80": 36, "gcj02": 36,
    "bd09": 30, "not_obfuscated": 24, "dms_text": 20, "dms_packed": 30,
    "large_numbers_removed": 24, "several_zones": 24, "feet": 20, "outliers": 36,
    "mixed_datums": 36,
}  # fmt: skip
SIZES = (3, 10, 25, 60, 150, 400, 1_000, 3_000, 10_000, 50_000)
LIMITS = {"xlsx": 3_000, "dxf": 10_000}

DEGREE_TITLES = (
    ("经度", "纬度"), ("lon", "lat"), ("longitude", "latitude"), ("LNG", "LAT"), ("东经", "北纬"),
    ("经度(°)", "纬度(°)"), ("JD", "WD"), ("POINT_X", "POINT_Y"), ("经度坐标", "纬度坐标"),
)  # fmt: skip
EXPLICIT_DEGREES = DEGREE_TITLES[:6]
PLANE_TITLES = (
    ("Y", "X"), ("东坐标", "北坐标"), ("E", "N"), ("Easting", "Northing"), ("Y坐标", "X坐标"),
    ("Y(东)", "X(北)"), ("横坐标", "纵坐标"), ("Y坐标(m)", "X坐标(m)"), ("CO_Y", "CO_X"),
    ("X", "Y"), ("东坐标Y", "北坐标X"),
)  # fmt: skip
EXPLICIT_PLANE = (PLANE_TITLES[1], PLANE_TITLES[3], ("东坐标(m)", "北坐标(m)"), ("EAST", "NORTH"))

# (system of the numbers, what is declared)
PAIRS: dict[str, tuple[tuple[str, str | None], ...]] = {
    "clean": (
        ("cgcs2000", "cgcs2000"), ("epsg:4548", "epsg:4548"), ("wgs84", "wgs84"),
        ("epsg:4527", "epsg:4527"), ("gcj02", "gcj02"), ("epsg:4547", "epsg:4547"),
        ("bd09", "bd09"), ("epsg:4526", "epsg:4526"), ("epsg:4548", "epsg:4509"),
        ("epsg:4498", "epsg:4498"), ("cgcs2000", "wgs84"), ("epsg:4509", "epsg:4548"),
    ),
    "swapped": (
        ("cgcs2000", "cgcs2000"), ("epsg:4548", "epsg:4548"), ("wgs84", "wgs84"),
        ("epsg:4527", "epsg:4527"), ("gcj02", "gcj02"), ("epsg:4547", "epsg:4547"),
    ),
    "prefix_missing": (
        ("epsg:4548", "epsg:4527"), ("epsg:4547", "epsg:4526"), ("epsg:4509", "epsg:4498"),
    ),
    "prefix_unexpected": (
        ("epsg:4527", "epsg:4548"), ("epsg:4526", "epsg:4547"), ("epsg:4498", "epsg:4509"),
    ),
    "wrong_meridian": (
        ("epsg:4547", "epsg:4548"), ("epsg:4548", "epsg:4547"), ("epsg:4549", "epsg:4548"),
        ("epsg:4527", "epsg:4526"), ("epsg:4526", "epsg:4527"), ("epsg:4548", "epsg:4549"),
    ),
    "zone_width": (
        ("epsg:4498", "epsg:4527"), ("epsg:4527", "epsg:4498"), ("epsg:4547", "epsg:4509"),
        ("epsg:4526", "epsg:4498"),
    ),
    "beijing54": (
        ("epsg:2436", "epsg:4548"), ("epsg:2415", "epsg:4527"), ("epsg:4214", "cgcs2000"),
    ),
    "xian80": (
        ("epsg:2384", "epsg:4548"), ("epsg:2363", "epsg:4527"), ("epsg:4610", "cgcs2000"),
    ),
    "gcj02": (("gcj02", "cgcs2000"), ("gcj02", "wgs84"), ("gcj02", None), ("gcj02", "bd09")),
    "bd09": (("bd09", "cgcs2000"), ("bd09", "wgs84"), ("bd09", None), ("bd09", "gcj02")),
    "not_obfuscated": (("cgcs2000", "gcj02"), ("cgcs2000", "bd09")),
    "dms_text": (("cgcs2000", "cgcs2000"), ("cgcs2000", "wgs84")),
    "dms_packed": (("cgcs2000", "cgcs2000"), ("cgcs2000", "wgs84")),
    "large_numbers_removed": (("epsg:4548", "epsg:4548"), ("epsg:4548", "epsg:4527")),
    "several_zones": (("epsg:4548", "epsg:4548"), ("epsg:4527", "epsg:4527")),
    "feet": (("epsg:4548", "epsg:4548"),),
    "outliers": (
        ("cgcs2000", "cgcs2000"), ("epsg:4548", "epsg:4548"), ("epsg:4527", "epsg:4527"),
    ),
    "mixed_datums": (
        ("cgcs2000", "cgcs2000"), ("gcj02", "gcj02"), ("epsg:4548", "epsg:4548"),
        ("cgcs2000", "wgs84"),
    ),
}  # fmt: skip
PARTNERS = {
    "cgcs2000": ("gcj02", "bd09", "epsg:4548"),
    "gcj02": ("bd09", "cgcs2000"),
    "epsg:4548": ("epsg:2384", "epsg:2436", "cgcs2000"),
}
"""What else is in a table that mixes datums, by the system of its first group."""


@dataclass
class Draft:
    """A case while it is drawn: the label so far, shapes of the truth, and numbers to write."""

    rng: np.random.Generator
    kind: Kind
    number: int
    system: str
    declared: str | None
    content: str
    format: str
    points: int
    referenced: bool
    shapes: Geometries
    network: OldNetwork
    truth: Truth
    titles: tuple[str, str] | None = None
    texts: tuple[list[str], list[str]] | None = None

    def framed(self, system: str) -> Geometries:
        """All shapes in the numbers of a system."""
        return np.asarray(
            shapely.transform(self.shapes, lambda xy: in_frame(xy, system, self.network))
        )


def cases(
    folder: Path, *, seed: int = SEED, counts: dict[Kind, int] | None = None
) -> Iterator[Case]:
    """Write the files of all kinds below `folder`, one case at a time."""
    for kind in KINDS:
        for number in range((counts or COUNTS).get(kind, 0)):
            yield write_case(folder, kind, number, seed)


def write_case(folder: Path, kind: Kind, number: int, seed: int = SEED) -> Case:
    """Draw and write one case; the same arguments give the same file and label."""
    draft = _draft(kind, number, seed)
    shapes = DISTORTIONS.get(kind, _as_it_is)(draft)
    return _written(folder, draft, shapes)


def planned_points(kind: Kind, number: int) -> int:
    """Vertices that a case is to have, before the limits of its format."""
    # Sizes shift against the pairs, so that every pair comes in small and large.
    points = SIZES[(number + number // 10 + 3 * (number % len(PAIRS[kind]))) % len(SIZES)]
    if kind in {"mixed_datums", "several_zones", "outliers"}:
        points = max(points, 25 if number % 9 else 12)
    return points


def _draft(kind: Kind, number: int, seed: int) -> Draft:
    rng = np.random.default_rng([seed, KINDS.index(kind), number])
    pairs = PAIRS[kind]
    system, declared = pairs[number % len(pairs)]
    points = planned_points(kind, number)
    referenced = rng.random() < (0.88 if kind in NEED_REFERENCE | {"mixed_datums"} else 0.5)
    content = _content(kind, points, rng)
    fmt = _format(kind, content, points, system, rng)
    if not writing.epsg_of(declared or "cgcs2000") and fmt == "gpkg":
        fmt = "shp"  # a GeoPackage cannot stay silent on its CRS
    points = min(points, LIMITS.get(fmt, points))
    shapes = material.draw(content, points, rng)
    if fmt == "dxf":
        # A drawing has an entity a ring: without holes, ordinals of records are those of entities.
        shapes = np.array([_outline(g) for g in shapes], dtype=object)
    if not material.FITTING[content]:
        referenced = False
    truth = Truth(kind, system)
    if kind == "zone_width" and (system, declared) == ("epsg:4547", "epsg:4509"):
        truth = replace(truth, also=("wrong_meridian",))
    network = OldNetwork.drawn(rng)
    return Draft(
        rng, kind, number, system, declared, content, fmt, points, referenced, shapes, network,
        truth,
    )  # fmt: skip


def _outline(shape: shapely.Geometry) -> shapely.Geometry:
    return shapely.Polygon(shape.exterior) if isinstance(shape, shapely.Polygon) else shape


def _content(kind: Kind, points: int, rng: np.random.Generator) -> str:
    if kind == "dms_text":
        choices = ["component", "address", "corner"]
    elif kind == "several_zones":
        choices = ["village_point", "village"] if points >= 400 else ["component", "village_point"]
    elif kind in {"clean", "swapped", "wrong_meridian", "prefix_missing", "feet", "outliers"}:
        choices = ["component", "address", "road", "building", "village", "village_point"]
    else:
        choices = ["component", "address", "road", "building", "road", "village"]
    if kind in {"outliers", "mixed_datums", "several_zones"}:
        # Rows are told apart: there must be some.
        fewest = {"road": 400, "building": 150, "village": 3_000}
        choices = [c for c in choices if points >= fewest.get(c, 0)]
    # An outline of a village has a hundred vertices; few things exist 50 000 times.
    if points < 60:
        choices = [c for c in choices if c != "village"]
    limits = {"village_point": 2_000, "address": 20_000, "component": 34_000}
    choices = [c for c in choices if points <= limits.get(c, points)] or ["corner"]
    return str(rng.choice(choices))


def _format(kind: Kind, content: str, points: int, system: str, rng: np.random.Generator) -> str:
    if kind == "dms_text":
        return "csv" if points > 1000 or rng.random() < 0.6 else "xlsx"
    if content in material.POINTS:
        choices = ["csv", "csv", "csv", "xlsx", "shp", "geojson"]
    else:
        choices = ["shp", "shp", "geojson", "gpkg"]
    if not is_degrees(system) and kind != "mixed_datums":
        choices.append("dxf")
    choices = [c for c in choices if points <= LIMITS.get(c, points)]
    return str(rng.choice(choices))


def _as_it_is(draft: Draft) -> Geometries:
    return draft.framed(draft.system)


def _swapped(draft: Draft) -> Geometries:
    return np.asarray(shapely.transform(draft.framed(draft.system), lambda xy: xy[:, ::-1]))


def _dms_text(draft: Draft) -> Geometries:
    shapes = draft.framed("cgcs2000")
    style = writing.STYLES[draft.number % len(writing.STYLES)]
    xy = shapely.get_coordinates(shapes)
    draft.texts = (
        [writing.sexagesimal(value, style, "E") for value in xy[:, 0]],
        [writing.sexagesimal(value, style, "N") for value in xy[:, 1]],
    )
    return shapes


def _dms_packed(draft: Draft) -> Geometries:
    decimals = 7 if draft.number % 2 else 8
    pack = np.vectorize(lambda value: float(writing.packed(value, decimals)))
    return np.asarray(shapely.transform(draft.framed("cgcs2000"), pack))


def _large_numbers(draft: Draft) -> Geometries:
    shapes = draft.framed("epsg:4548")
    low = shapely.get_coordinates(shapes).min(axis=0)
    style = draft.number % 6
    if style == 5 and draft.referenced:
        offsets = np.floor(low / 1e4) * 1e4
    elif style in (2, 4):
        offsets = np.array([0.0, 2e6])
    else:
        offsets = np.floor(low / 1e5) * 1e5
    east, north = map(float, offsets)
    draft.truth = replace(draft.truth, offsets=(east, north))
    return np.asarray(shapely.transform(shapes, lambda xy: xy - offsets))


def _feet(draft: Draft) -> Geometries:
    return np.asarray(shapely.transform(draft.framed("epsg:4548"), lambda xy: xy / 0.3048))


def _several_zones(draft: Draft) -> Geometries:
    """The west of the city in zone 38, the rest in 39; in a small area: two survey teams."""
    pair = ("epsg:4547", "epsg:4548") if draft.number % 2 == 0 else ("epsg:4526", "epsg:4527")
    east = shapely.get_coordinates(shapely.centroid(draft.shapes))[:, 0]
    if np.ptp(east) > 20_000:
        in_west = east < np.quantile(east, draft.rng.uniform(0.15, 0.5))
    else:
        in_west = np.arange(len(east)) < len(east) * draft.rng.uniform(0.25, 0.75)
    return _grouped(draft, np.where(in_west, 0, 1), pair)


def _mixed(draft: Draft) -> Geometries:
    """Two or three contiguous groups of rows, each in a system of its own."""
    partners = PARTNERS[draft.system]
    systems = (draft.system, partners[(draft.number // 4) % len(partners)])
    count = len(draft.shapes)
    cut = draft.rng.uniform(0.3, 0.7)
    member = (np.arange(count) >= cut * count).astype(int)
    if draft.number % 5 == 0:
        member = np.where(np.arange(count) >= (cut + (1 - cut) / 2) * count, 0, member)
    return _grouped(draft, member, systems)


def _grouped(draft: Draft, member: np.ndarray, systems: tuple[str, ...]) -> Geometries:
    framed = [draft.framed(system) for system in systems]
    mixed = np.array([framed[which][at] for at, which in enumerate(member)], dtype=object)
    ends = [*np.flatnonzero(np.diff(member)) + 1, len(member)]
    starts = [0, *ends[:-1]]
    groups = tuple((int(a), int(b), systems[member[a]]) for a, b in zip(starts, ends, strict=True))
    draft.truth = replace(draft.truth, groups=groups)
    return mixed


def _outliers(draft: Draft) -> Geometries:
    shapes = draft.framed(draft.system).copy()
    wanted = min(1 + draft.number % 3, max(1, len(shapes) // 12))
    rows = np.sort(draft.rng.choice(len(shapes), size=wanted, replace=False))
    bounds = shapely.total_bounds(shapes)
    for row in rows:
        xy = shapely.get_coordinates(shapes[row])
        # The first vertex of a ring is also its last: spoil one in between.
        at = 0 if len(xy) == 1 else int(draft.rng.integers(1, max(2, len(xy) - 1)))
        xy[at] = slips.slip(xy[at], bounds, is_degrees(draft.system), draft.rng)
        shapes[row] = shapely.set_coordinates(shapes[row], xy)
    draft.truth = replace(draft.truth, rows=tuple(int(row) for row in rows))
    return shapes


DISTORTIONS: dict[Kind, Callable[[Draft], Geometries]] = {
    "swapped": _swapped,
    "dms_text": _dms_text,
    "dms_packed": _dms_packed,
    "large_numbers_removed": _large_numbers,
    "several_zones": _several_zones,
    "feet": _feet,
    "outliers": _outliers,
    "mixed_datums": _mixed,
}


def _written(folder: Path, draft: Draft, shapes: Geometries) -> Case:
    path = folder / f"{draft.kind}-{draft.number:03d}.{draft.format}"
    declared = draft.declared
    embedded = False
    if draft.format in writing.TABLES:
        _table(path, draft, shapes)
    else:
        # A missing .prj or crs member: then the delivery alone says what it is.
        silent = draft.format == "dxf" or (draft.format != "gpkg" and draft.rng.random() < 0.25)
        embedded = declared is not None and not silent and writing.epsg_of(declared) is not None
        writing.write_shapes(path, shapes, declared if embedded else None)
    points = int(shapely.get_num_coordinates(shapes).sum())
    references = material.FITTING[draft.content] if draft.referenced else ()
    return Case(
        number=draft.number,
        truth=draft.truth,
        path=path,
        declared=declared,
        embedded=embedded,
        content=draft.content,
        format=draft.format,
        points=points,
        records=len(shapes),
        titles=draft.titles,
        references=references,
        undetermined=_label(draft, shapes, points, bool(references)),
        first_row=2 if draft.format in writing.TABLES else 1,
    )


def _label(draft: Draft, shapes: Geometries, points: int, referenced: bool) -> Undetermined:
    thinnest = points
    if draft.truth.groups:
        sizes: dict[str, int] = {}
        counts = shapely.get_num_coordinates(shapes)
        for first, end, system in draft.truth.groups:
            sizes[system] = sizes.get(system, 0) + int(counts[first:end].sum())
        thinnest = min(sizes.values())
        if draft.kind == "mixed_datums" and not referenced:
            kinds = {is_degrees(system) for system in sizes}
            return "required" if len(kinds) == 1 else "allowed"
    if draft.kind == "dms_packed" and not referenced and _within_a_minute(shapes):
        return "allowed"
    return undetermined(draft.kind, thinnest, referenced)


def _within_a_minute(shapes: Geometries) -> bool:
    """Whether no packed number crosses to another minute, where alone its digits leave a gap."""
    minutes = np.floor(shapely.get_coordinates(shapes) * 100.0 + 1e-9)
    return bool((np.ptp(minutes, axis=0) == 0).all())


def _table(path: Path, draft: Draft, shapes: Geometries) -> None:
    xy: FloatArray = shapely.get_coordinates(shapes)
    degrees = bool(np.abs(xy).max() < 400)
    pool: tuple[tuple[str, str], ...]
    if draft.kind == "swapped":
        pool = EXPLICIT_DEGREES if degrees else EXPLICIT_PLANE
    else:
        pool = DEGREE_TITLES if degrees else PLANE_TITLES
    draft.titles = pool[draft.number % len(pool)]
    places = 8 if degrees else 3
    texts = draft.texts or tuple([f"{v:.{places}f}" for v in xy[:, axis]] for axis in (0, 1))
    encoding = ("utf-8-sig", "gb18030", "utf-8")[draft.number % 3]
    writing.write_table(path, draft.titles, texts, encoding)  # type: ignore[arg-type]
