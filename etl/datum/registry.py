"""The registry of datum steps of one city, and the chains it builds from them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import yaml
from numpy.typing import ArrayLike

from etl.datum.coordsys import (
    ACCEPTED,
    Coordsys,
    FloatArray,
    datum_key,
    horizontal_crs,
    parse_coordsys,
)
from etl.datum.errors import DatumRefused, RegistryError
from etl.datum.heights import HeightOffset
from etl.datum.links import link_from_mapping
from etl.datum.steps import (
    DatumStep,
    FormulaStep,
    NullStep,
    ProjectionStep,
    single_operation,
    step_json,
)

# Datums that no public operation ties to CGCS2000: only registered city parameters may.
_CLASSICAL = {"Beijing 1954": "北京54", "Xian 1980": "西安80", "New Beijing": "新北京54"}

_MOST_CHAINS = 500
"""Clients may name any of thousands of EPSG codes; a city uses a dozen systems."""

# "family:name" is how a delivery names a registered local or classical grid.
_FAMILIES = {"xian80", "beijing54", "local"}


@dataclass(frozen=True, slots=True)
class DatumChain:
    """The steps from `source` to `target`, in order.

    `accuracy_m` is the plain sum of the steps' stated accuracies: their errors are systematic
    over a city, so a root of squares would understate them. No step means the very same system.
    """

    source: Coordsys
    target: Coordsys
    steps: tuple[DatumStep, ...]

    @property
    def accuracy_m(self) -> float:
        """Stated accuracy of the whole chain against the ground, metres."""
        return float(sum(step.accuracy_m for step in self.steps))

    def apply(
        self, x: ArrayLike, y: ArrayLike, z: ArrayLike | None = None
    ) -> tuple[FloatArray, FloatArray, FloatArray | None]:
        """Arrays (n,) or scalars, x = lon/east, y = lat/north; NaN where a step cannot compute.

        Heights come back unchanged: no public quasi-geoid of China exists, and constants
        contradict each other.
        """
        px, py = np.broadcast_arrays(
            np.atleast_1d(np.asarray(x, dtype=np.float64)),
            np.atleast_1d(np.asarray(y, dtype=np.float64)),
        )
        # Copies: the caller's arrays are never written, and an empty chain returns fresh ones.
        good = np.isfinite(px) & np.isfinite(py)
        px, py = np.where(good, px, np.nan), np.where(good, py, np.nan)
        pz = None if z is None else np.atleast_1d(np.asarray(z, dtype=np.float64))
        for step in self.steps:
            px, py = step.apply(px, py, pz)
        return px, py, pz

    def point(self, x: float, y: float) -> tuple[float, float]:
        """One position; NaN, NaN where a step cannot compute."""
        if not self.steps and math.isfinite(x) and math.isfinite(y):
            return float(x), float(y)
        px, py, _ = self.apply([x], [y])
        return float(px[0]), float(py[0])

    def inverted(self) -> DatumChain:
        """The chain backwards."""
        return DatumChain(
            self.target, self.source, tuple(step.inverted() for step in reversed(self.steps))
        )

    def to_json(self) -> dict[str, Any]:
        """Record for run reports and collection metadata."""
        return {
            "source": self.source.name,
            "target": self.target.name,
            "accuracy_m": self.accuracy_m,
            "steps": [step_json(step) for step in self.steps],
        }


@dataclass(frozen=True, slots=True)
class DatumRegistry:
    """Immutable set of registered steps (`links`) and local grids (name → title) of a city.

    Built in: projections within one datum, CGCS2000 = WGS 84, GCJ-02, BD-09, and EPSG
    operations where exactly one exists. Everything else must be registered.
    """

    links: tuple[DatumStep, ...] = ()
    grids: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    heights: tuple[HeightOffset, ...] = ()
    notes: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    """Area and registrar of a step, by the step's name."""
    _chains: dict[tuple[str, str], DatumChain] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Chains already found: the search takes longer than a request's whole work."""

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any] | None) -> DatumRegistry:
        """From `{grids: {name: title}, links: [{kind, source, target, ...}]}`; RegistryError."""
        if not mapping:
            return cls()
        unknown = set(mapping) - {"grids", "links"}
        if unknown:
            raise RegistryError(
                f"datum 配置只能有 grids 和 links；unknown keys: {', '.join(sorted(unknown))}"
            )
        grids = MappingProxyType({str(k): str(v) for k, v in (mapping.get("grids") or {}).items()})
        entries = mapping.get("links") or ()
        plan = [entry for entry in entries if entry.get("kind") != "height_offset"]
        links = tuple(link_from_mapping(entry, grids) for entry in plan)
        heights = tuple(HeightOffset.from_mapping(e) for e in entries if e not in plan)
        named = [step.name for step in links] + [offset.name for offset in heights]
        ordered = [*plan, *(entry for entry in entries if entry not in plan)]
        notes = {
            name: {key: str(e[key]) for key in ("area", "registered_by") if e.get(key)}
            for name, e in zip(named, ordered, strict=True)
        }
        return cls(links, grids, heights, MappingProxyType(notes))

    def merged(self, other: DatumRegistry) -> DatumRegistry:
        """Both registrations together; the more accurate of two steps wins in a chain."""
        return DatumRegistry(
            (*self.links, *other.links),
            MappingProxyType({**self.grids, **other.grids}),
            (*self.heights, *other.heights),
            MappingProxyType({**self.notes, **other.notes}),
        )

    def height(self, source: str, target: str) -> HeightOffset:
        """The registered offset between two height systems; DatumRefused without one."""
        for offset in self.heights:
            if (offset.source, offset.target) == (source, target):
                return offset
            if (offset.target, offset.source) == (source, target):
                return offset.inverted()
        known = "；".join(f"{h.source} → {h.target}" for h in self.heights) or "无 none"
        raise DatumRefused(
            f"高程系 {source} 到 {target} 没有登记改正数（已登记：{known}）。"
            f" No offset is registered between the height systems {source} and {target}.",
            ("height_offset: offset_m",),
        )

    @classmethod
    def from_yaml(cls, path: Path) -> DatumRegistry:
        """From a YAML file kept outside the code; its top level or its `datum` key."""
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(loaded, Mapping):
            raise RegistryError(f"{path.name} 不是参数表；{path.name} holds no mapping")
        return cls.from_mapping(loaded.get("datum", loaded))

    def parse(self, text: str) -> Coordsys:
        """`parse_coordsys` with this city's grids; DatumRefused for a grid not registered."""
        name = text.strip()
        family = name.partition(":")[0].lower()
        if family in _FAMILIES and ":" in name and name not in self.grids:
            known = ", ".join(self.grids) or "无 none"
            raise DatumRefused(
                f"坐标系 {name} 没有登记：缺到 CGCS2000 平面的四参数 dE、dN、A、B（或 k、theta）"
                f"及其精度和来源；已登记：{known}。 {name} is not registered: dE, dN, A, B (or k,"
                " theta) to a CGCS2000 grid, accuracy_m and authority are missing;"
                f" known: {known}.",
                ("grids entry", "similarity: dE, dN, A, B (or k, theta)"),
            )
        return parse_coordsys(name, self.grids)

    @property
    def accepted(self) -> tuple[str, ...]:
        """Names that may be stated here."""
        return ACCEPTED + tuple(self.grids)

    def chain(self, source: str | Coordsys, target: str | Coordsys = "EPSG:4490") -> DatumChain:
        """Most accurate chain of honest steps; UnknownCoordsys or DatumRefused."""
        start = source if isinstance(source, Coordsys) else self.parse(source)
        end = target if isinstance(target, Coordsys) else self.parse(target)
        ends = (start.name, end.name)
        known = self._chains.get(ends)
        if known is not None:
            return known
        steps = self._search(start, end)
        if steps is None:
            raise self._refusal(start, end)
        if len(self._chains) < _MOST_CHAINS:
            self._chains[ends] = DatumChain(start, end, steps)
        return DatumChain(start, end, steps)

    def _nodes(self, start: Coordsys, end: Coordsys) -> dict[str, Coordsys]:
        named = [start, end, *(self.parse(n) for n in ("cgcs2000", "wgs84", "gcj02", "bd09"))]
        for link in self.links:
            named += [self.parse(link.source), self.parse(link.target)]
        return {system.name: system for system in named}

    def _edge(self, one: Coordsys, two: Coordsys) -> DatumStep | None:
        """The best single step from `one` to `two`, or None."""
        found: list[DatumStep] = []
        for link in self.links:
            ends = (self.parse(link.source).name, self.parse(link.target).name)
            if ends == (one.name, two.name):
                found.append(link)
            elif ends == (two.name, one.name):
                found.append(link.inverted())
        if found:
            return min(found, key=lambda step: step.accuracy_m)
        pair = (one.name, two.name)
        if pair == ("wgs84", "cgcs2000"):
            return NullStep()
        if pair == ("cgcs2000", "wgs84"):
            return NullStep().inverted()
        if pair in {("gcj02", "wgs84"), ("wgs84", "gcj02"), ("bd09", "gcj02"), ("gcj02", "bd09")}:
            codes = {"wgs84": "EPSG:4326"}
            return FormulaStep(codes.get(one.name, one.name), codes.get(two.name, two.name))
        if one.epsg is None or two.epsg is None:
            return None
        if datum_key(one.epsg) == datum_key(two.epsg):
            return ProjectionStep(one.epsg, two.epsg)
        return self._foreign(one, two)

    def _foreign(self, one: Coordsys, two: Coordsys) -> DatumStep | None:
        """An EPSG datum transformation to or from WGS 84, geographic ends only."""
        if one.epsg is None or two.epsg is None or "wgs84" not in (one.name, two.name):
            return None
        keys = {datum_key(one.epsg), datum_key(two.epsg)}
        if "plane" in (one.kind, two.kind) or keys & (_CLASSICAL.keys() | {"China 2000"}):
            return None
        return single_operation(one.epsg, two.epsg)

    def _search(self, start: Coordsys, end: Coordsys) -> tuple[DatumStep, ...] | None:
        """Dijkstra by accuracy, then by number of steps, over the handful of known systems."""
        nodes = self._nodes(start, end)
        for system in (start, end):
            base = _geographic_base(system)
            if base is not None:
                nodes.setdefault(base.name, base)
        queue: list[tuple[float, int, int, str, tuple[DatumStep, ...]]] = [
            (0.0, 0, 0, start.name, ())
        ]
        done: set[str] = set()
        serial = 0
        while queue:
            cost, hops, _, here, path = heapq.heappop(queue)
            if here == end.name:
                return path
            if here in done:
                continue
            done.add(here)
            for name, system in nodes.items():
                if name in done:
                    continue
                step = self._edge(nodes[here], system)
                if step is not None:
                    serial += 1
                    total = cost + step.accuracy_m
                    heapq.heappush(queue, (total, hops + 1, serial, name, (*path, step)))
        return None

    def _refusal(self, start: Coordsys, end: Coordsys) -> DatumRefused:
        """The sentence that says which parameters are missing between two systems."""
        for system in (start, end):
            if system.epsg is None and system.name in self.grids:
                return DatumRefused(
                    f"地方坐标系 {system.name} 未登记转换参数："
                    "缺四参数 dE、dN、A、B 及其精度和来源。"
                    f" Local grid {system.name} has no registered parameters: dE, dN, A, B (or k,"
                    " theta) with accuracy_m and authority are missing.",
                    (f"similarity {system.name} → epsg:NNNN: dE, dN, A, B (or k, theta)",),
                )
            if system.epsg is not None and datum_key(system.epsg) in _CLASSICAL:
                label = _CLASSICAL[datum_key(system.epsg)]
                name = horizontal_crs(system.epsg).name
                missing = (
                    "similarity: dE, dN, A, B (or k, theta)",
                    "helmert: x, y, z, rx, ry, rz, s, convention",
                )
                return DatumRefused(
                    f"{label}（EPSG:{system.epsg}）到 {end.name if system is start else start.name}"
                    " 没有公开的转换，须先登记本市参数：四参数 dE、dN、A、B（平面），或七参数"
                    " x、y、z、rx、ry、rz、s 及其约定 convention，并注明精度和来源。"
                    f" No public transformation exists for {name} (EPSG:{system.epsg}); register"
                    " the city's parameters first: 4 (dE, dN, A, B) or 7 (x, y, z, rx, ry, rz, s"
                    " and convention), with accuracy_m and authority.",
                    missing,
                )
        return DatumRefused(
            f"{start.name} 到 {end.name} 没有唯一可靠的转换，请按 EPSG 代码登记一个操作。"
            f" No single reliable operation leads from {start.name} to {end.name}: register one"
            " by its EPSG code (kind: operation).",
            ("operation: EPSG:NNNN",),
        )


def _geographic_base(system: Coordsys) -> Coordsys | None:
    """The geographic system under an EPSG code, as a stop for datum transformations."""
    if system.epsg is None:
        return None
    geodetic = horizontal_crs(system.epsg).geodetic_crs
    code = None if geodetic is None else geodetic.to_2d().to_epsg()
    return None if code is None else parse_coordsys(f"epsg:{code}")
