"""Datum steps: each a frozen, named, invertible mapping with its accuracy and its source.

Arrays are (n,) float64, x = lon or east, y = lat or north; heights pass through unchanged.
A point that a step cannot compute becomes NaN in both coordinates, never inf and never the
input. PROJ's "ballpark" operations return the input unmoved between datums (up to 117 m wrong
in Guangdong), so every PROJ transformer here is built with allow_ballpark=False or from an
explicit pipeline.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, Protocol

import numpy as np
from pyproj import Transformer
from pyproj.exceptions import ProjError
from pyproj.transformer import TransformerGroup

from etl.datum import obfuscation
from etl.datum.coordsys import FloatArray, datum_key, false_easting, horizontal_crs
from etl.datum.errors import DatumRefused, RegistryError
from etl.datum.similarity import Similarity

Convention = Literal["position_vector", "coordinate_frame"]

# A projection is exact mathematics; PROJ's transverse Mercator holds 1 mm within its zones.
PROJECTION_ACCURACY_M = 0.001
NULL_ACCURACY_M = 1.0
# The formula inverts exactly, but official encoders add noise and services round to 6 decimals.
OBFUSCATION_ACCURACY_M = 2.0


class DatumStep(Protocol):
    """One step of a chain."""

    @property
    def name(self) -> str:
        """Short name, for reports."""

    @property
    def kind(self) -> str:
        """projection, operation, null, formula, similarity or helmert."""

    @property
    def source(self) -> str:
        """Coordsys that goes in."""

    @property
    def target(self) -> str:
        """Coordsys that comes out."""

    @property
    def accuracy_m(self) -> float:
        """Stated accuracy in metres against the ground."""

    @property
    def authority(self) -> str:
        """Who says so: EPSG, a standard, a fit of control points."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Everything needed to repeat the step."""

    def apply(
        self, x: FloatArray, y: FloatArray, z: FloatArray | None, /
    ) -> tuple[FloatArray, FloatArray]:
        """Plan coordinates after the step; `z` may inform it but is not changed."""

    def inverted(self) -> DatumStep:
        """The step in the other direction, equally accurate."""


def step_json(step: DatumStep) -> dict[str, Any]:
    """The step as a record for reports and layer metadata."""
    return {
        "name": step.name,
        "kind": step.kind,
        "source": step.source,
        "target": step.target,
        "accuracy_m": step.accuracy_m,
        "authority": step.authority,
        "parameters": dict(step.parameters),
    }


@lru_cache(maxsize=256)
def _projection(source: int, target: int) -> Transformer:
    return Transformer.from_crs(
        horizontal_crs(source), horizontal_crs(target), always_xy=True, allow_ballpark=False
    )


@lru_cache(maxsize=64)
def _operation(code: str) -> Transformer:
    return Transformer.from_pipeline(f"urn:ogc:def:coordinateOperation:{code.replace(':', '::')}")


@lru_cache(maxsize=64)
def _pipeline(definition: str) -> Transformer:
    return Transformer.from_pipeline(definition)


def _finite(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    bad = ~(np.isfinite(x) & np.isfinite(y))
    return np.where(bad, np.nan, x), np.where(bad, np.nan, y)


def _within(x: FloatArray, epsg: int) -> FloatArray:
    """Eastings that a transverse Mercator grid can mean, NaN for others.

    PROJ computes numbers for the far side of the earth too; its series holds its accuracy to
    3 900 km from the central meridian (Karney 2011).
    """
    origin = false_easting(epsg)
    return x if origin is None else np.where(np.abs(x - origin) <= 3_900_000.0, x, np.nan)


@dataclass(frozen=True, slots=True)
class ProjectionStep:
    """Conversion between EPSG systems on one datum (geographic, Gauss-Kruger, UTM...)."""

    source_epsg: int
    target_epsg: int
    kind: str = "projection"
    accuracy_m: float = PROJECTION_ACCURACY_M
    authority: str = "EPSG, PROJ"

    def __post_init__(self) -> None:
        if datum_key(self.source_epsg) != datum_key(self.target_epsg):
            raise DatumRefused(
                f"EPSG:{self.source_epsg} 与 EPSG:{self.target_epsg} 基准不同，不是投影换算；"
                f" EPSG:{self.source_epsg} and EPSG:{self.target_epsg} are on different datums"
            )

    @property
    def name(self) -> str:
        """Both systems by name."""
        source, target = horizontal_crs(self.source_epsg), horizontal_crs(self.target_epsg)
        return f"{source.name} → {target.name}"

    @property
    def source(self) -> str:
        """Source EPSG code."""
        return f"EPSG:{self.source_epsg}"

    @property
    def target(self) -> str:
        """Target EPSG code."""
        return f"EPSG:{self.target_epsg}"

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The PROJ pipeline that runs."""
        return {"proj": _projection(self.source_epsg, self.target_epsg).definition}

    def apply(
        self, x: FloatArray, y: FloatArray, _z: FloatArray | None, /
    ) -> tuple[FloatArray, FloatArray]:
        """Project; NaN outside the projection's domain."""
        x = _within(x, self.source_epsg)
        out = _projection(self.source_epsg, self.target_epsg).transform(x, y)
        return _finite(_within(out[0], self.target_epsg), out[1])

    def inverted(self) -> ProjectionStep:
        """The opposite conversion."""
        return replace(self, source_epsg=self.target_epsg, target_epsg=self.source_epsg)


@dataclass(frozen=True, slots=True)
class OperationStep:
    """A datum transformation of the EPSG data set, pinned by its code."""

    source: str
    target: str
    operation: str
    accuracy_m: float
    inverse: bool = False
    kind: str = "operation"

    @property
    def name(self) -> str:
        """EPSG name of the operation."""
        return _operation(self.operation).description + (" (inverse)" if self.inverse else "")

    @property
    def authority(self) -> str:
        """The code."""
        return self.operation

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Code, direction and PROJ definition."""
        definition = _operation(self.operation).definition
        return {"operation": self.operation, "inverse": self.inverse, "proj": definition}

    def apply(
        self, x: FloatArray, y: FloatArray, _z: FloatArray | None, /
    ) -> tuple[FloatArray, FloatArray]:
        """Transform geographic coordinates; EPSG operations take lat, lon, so the order turns."""
        direction = "INVERSE" if self.inverse else "FORWARD"
        out = _operation(self.operation).transform(y, x, direction=direction)
        return _finite(out[1], out[0])

    def inverted(self) -> OperationStep:
        """The operation run the other way."""
        return replace(self, source=self.target, target=self.source, inverse=not self.inverse)


@lru_cache(maxsize=128)
def single_operation(source: int, target: int) -> OperationStep | None:
    """The EPSG operation between two geographic systems when exactly one exists, else None.

    Several candidates are a choice that depends on the place (PROJ picks Tarim for Beijing 1954
    when not told), so they must be registered by code.
    """
    try:
        with warnings.catch_warnings():
            # An operation whose grid is not installed shows in unavailable_operations below.
            warnings.filterwarnings("ignore", "Best transformation is not available", UserWarning)
            group = TransformerGroup(
                horizontal_crs(source), horizontal_crs(target), allow_ballpark=False
            )
    except ProjError:
        return None
    if len(group.transformers) != 1 or group.unavailable_operations:
        return None
    found = group.transformers[0]
    named = [
        (operation, operation.to_json_dict().get("id"))
        for operation in (found.operations or (found,))
        if operation.accuracy > 0
    ]
    if len(named) != 1:
        return None
    operation, ident = named[0]
    if ident is None:
        return None
    # PROJ names an operation met backwards INVERSE(EPSG); the probe below finds the direction.
    authority = str(ident["authority"]).removeprefix("INVERSE(").removesuffix(")")
    label = f"{authority}:{ident['code']}"
    step = OperationStep(f"EPSG:{source}", f"EPSG:{target}", label, float(operation.accuracy))
    probe = np.array([found.area_of_use.west if found.area_of_use else 0.0]) + 1.0
    lat = np.array([found.area_of_use.south if found.area_of_use else 0.0]) + 1.0
    want = found.transform(lat, probe)
    for candidate in (step, replace(step, inverse=True)):
        x, y = candidate.apply(probe, lat, None)
        if np.allclose(x, want[1], atol=1e-11) and np.allclose(y, want[0], atol=1e-11):
            return candidate
    return None


@dataclass(frozen=True, slots=True)
class NullStep:
    """CGCS2000 = WGS 84, stated: frames a few cm apart, plate motion 0.6-0.8 m since 2000.0."""

    source: str = "EPSG:4326"
    target: str = "EPSG:4490"
    accuracy_m: float = NULL_ACCURACY_M
    kind: str = "null"
    name: str = "CGCS2000 = WGS 84 (null step)"
    authority: str = "ITRF97 epoch 2000.0 against the WGS 84 ensemble; EPSG holds no operation"

    @property
    def parameters(self) -> Mapping[str, Any]:
        """None: the coordinates stay."""
        return {}

    def apply(
        self, x: FloatArray, y: FloatArray, _z: FloatArray | None, /
    ) -> tuple[FloatArray, FloatArray]:
        """The same coordinates."""
        return x, y

    def inverted(self) -> NullStep:
        """The same with the names exchanged."""
        return replace(self, source=self.target, target=self.source)


_FORMULAS = {
    ("gcj02", "EPSG:4326"): obfuscation.gcj02_to_wgs84,
    ("EPSG:4326", "gcj02"): obfuscation.wgs84_to_gcj02,
    ("bd09", "gcj02"): obfuscation.bd09_to_gcj02,
    ("gcj02", "bd09"): obfuscation.gcj02_to_bd09,
}


@dataclass(frozen=True, slots=True)
class FormulaStep:
    """GCJ-02 or BD-09 by the published formula, inverted exactly."""

    source: str
    target: str
    accuracy_m: float = OBFUSCATION_ACCURACY_M
    kind: str = "formula"
    authority: str = "published formula; metre level against ground truth, not more"

    def __post_init__(self) -> None:
        if (self.source, self.target) not in _FORMULAS:
            raise RegistryError(f"no published formula from {self.source} to {self.target}")

    @property
    def name(self) -> str:
        """Source and target."""
        labels = {"gcj02": "GCJ-02", "bd09": "BD-09", "EPSG:4326": "WGS 84"}
        return f"{labels[self.source]} → {labels[self.target]}"

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Tolerance of the inversion."""
        return {"tolerance_deg": obfuscation.TOLERANCE_DEG}

    def apply(
        self, x: FloatArray, y: FloatArray, _z: FloatArray | None, /
    ) -> tuple[FloatArray, FloatArray]:
        """See `etl.datum.obfuscation`."""
        return _finite(*_FORMULAS[(self.source, self.target)](x, y))

    def inverted(self) -> FormulaStep:
        """The formula of the other direction."""
        return replace(self, source=self.target, target=self.source)


@dataclass(frozen=True, slots=True)
class SimilarityStep:
    """A registered 4-parameter step between two plane grids."""

    name: str
    source: str
    target: str
    similarity: Similarity
    accuracy_m: float
    authority: str
    inverse: bool = False
    kind: str = "similarity"

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Parameters of the forward direction, and whether it runs backwards."""
        return {**self.similarity.parameters(), "inverse": self.inverse}

    def apply(
        self, x: FloatArray, y: FloatArray, _z: FloatArray | None, /
    ) -> tuple[FloatArray, FloatArray]:
        """Apply the similarity."""
        run = self.similarity.inverse if self.inverse else self.similarity.forward
        return _finite(*run(x, y))

    def inverted(self) -> SimilarityStep:
        """The same parameters run backwards."""
        return replace(self, source=self.target, target=self.source, inverse=not self.inverse)


@dataclass(frozen=True, slots=True)
class HelmertStep:
    """A registered 7-parameter Bursa-Wolf step between two geographic systems.

    x, y, z in metres, rx, ry, rz in arc-seconds, s in ppm. `convention` has no default: taking
    one for the other moves a point by a hundred metres at rotations of 1-2 arc-seconds. The
    height fed in is `z` (0 without one): 100 m of it change the plan by millimetres.
    """

    name: str
    source_epsg: int
    target_epsg: int
    x: float
    y: float
    z: float
    rx: float
    ry: float
    rz: float
    s: float
    convention: Convention
    accuracy_m: float
    authority: str
    inverse: bool = False
    kind: str = "helmert"

    @property
    def source(self) -> str:
        """Source EPSG code in the running direction."""
        return f"EPSG:{self.target_epsg if self.inverse else self.source_epsg}"

    @property
    def target(self) -> str:
        """Target EPSG code in the running direction."""
        return f"EPSG:{self.source_epsg if self.inverse else self.target_epsg}"

    @property
    def definition(self) -> str:
        """The PROJ pipeline of the forward direction, degrees in and out."""
        ends = []
        for code in (self.source_epsg, self.target_epsg):
            ellipsoid = horizontal_crs(code).ellipsoid
            if ellipsoid is None:
                raise RegistryError(f"EPSG:{code} has no ellipsoid")
            major, flattening = ellipsoid.semi_major_metre, ellipsoid.inverse_flattening
            ends.append(f"+a={major!r} +rf={flattening!r}")
        shift = f"+x={self.x!r} +y={self.y!r} +z={self.z!r}"
        turn = f"+rx={self.rx!r} +ry={self.ry!r} +rz={self.rz!r} +s={self.s!r}"
        return (
            "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad"
            f" +step +proj=cart {ends[0]}"
            f" +step +proj=helmert {shift} {turn} +convention={self.convention}"
            f" +step +inv +proj=cart {ends[1]}"
            " +step +proj=unitconvert +xy_in=rad +xy_out=deg"
        )

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The seven numbers, their convention, and the direction."""
        names = ("x", "y", "z", "rx", "ry", "rz", "s", "convention", "inverse")
        return {key: getattr(self, key) for key in names}

    def apply(
        self, x: FloatArray, y: FloatArray, z: FloatArray | None, /
    ) -> tuple[FloatArray, FloatArray]:
        """Shift in geocentric space."""
        height = np.zeros_like(x) if z is None else np.where(np.isfinite(z), z, 0.0)
        run = _pipeline(self.definition)
        if not self.inverse:
            out = run.transform(x, y, height)
            return _finite(out[0], out[1])
        # The height of the other end is not kept, which costs 1-2 mm in plan: correct for it.
        back = run.transform(x, y, height, direction="INVERSE")
        bx, by = back[0], back[1]
        for _ in range(3):
            again = run.transform(bx, by, height)
            bx, by = bx + (x - again[0]), by + (y - again[1])
        return _finite(bx, by)

    def inverted(self) -> HelmertStep:
        """The same parameters run backwards."""
        return replace(self, inverse=not self.inverse)
