"""Registered plane steps beyond the similarity: affine, polynomial, local independent grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from pyproj import Transformer

from etl.datum.coordsys import FloatArray, horizontal_crs
from etl.datum.errors import RegistryError
from etl.datum.similarity import Similarity

_AFFINE = ("xoff", "yoff", "s11", "s12", "s21", "s22")


def _numbers(parameters: Mapping[str, Any], names: tuple[str, ...], kind: str) -> list[float]:
    missing = [name for name in names if name not in parameters]
    if missing:
        raise RegistryError(
            f"{kind} 缺参数 {'、'.join(missing)}；a {kind} step lacks {', '.join(missing)}"
        )
    values = [float(parameters[name]) for name in names]
    if not np.isfinite(values).all():
        raise RegistryError(f"{kind} 的参数须是有限的数；parameters of {kind} must be finite")
    return values


@dataclass(frozen=True, slots=True)
class AffineStep:
    """Six parameters: x2 = xoff + s11 x + s12 y, y2 = yoff + s21 x + s22 y (PROJ's names)."""

    name: str
    source: str
    target: str
    values: tuple[float, float, float, float, float, float]
    accuracy_m: float
    authority: str
    inverse: bool = False
    kind: str = "affine"

    @classmethod
    def registered(
        cls, label: str, ends: tuple[str, str], parameters: Mapping[str, Any], accuracy: float,
        authority: str,
    ) -> AffineStep:  # fmt: skip
        """From configuration; RegistryError for missing numbers or a singular matrix."""
        v = _numbers(parameters, _AFFINE, "affine")
        if abs(v[2] * v[5] - v[3] * v[4]) < 0.25:
            raise RegistryError(f"{label}: 仿射矩阵退化 the affine matrix is (nearly) singular")
        return cls(label, *ends, (v[0], v[1], v[2], v[3], v[4], v[5]), accuracy, authority)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Numbers of the forward direction, and whether it runs backwards."""
        return {**dict(zip(_AFFINE, self.values, strict=True)), "inverse": self.inverse}

    @property
    def definition(self) -> str:
        """PROJ operation of the forward direction."""
        pairs = zip(_AFFINE, self.values, strict=True)
        return "+proj=affine " + " ".join(f"+{key}={value!r}" for key, value in pairs)

    def apply(
        self, x: FloatArray, y: FloatArray, _z: FloatArray | None, /
    ) -> tuple[FloatArray, FloatArray]:
        """Apply the matrix or its inverse."""
        xoff, yoff, s11, s12, s21, s22 = self.values
        if not self.inverse:
            return xoff + s11 * x + s12 * y, yoff + s21 * x + s22 * y
        det = s11 * s22 - s12 * s21
        u, v = x - xoff, y - yoff
        return (s22 * u - s12 * v) / det, (s11 * v - s21 * u) / det

    def inverted(self) -> AffineStep:
        """The same parameters run backwards."""
        return replace(self, source=self.target, target=self.source, inverse=not self.inverse)


@dataclass(frozen=True, slots=True)
class PolynomialStep:
    """Polynomial of degree 1 to 4 about an origin: x2 = sum e_ij u^i v^j, u = x - x0, v = y - y0.

    Coefficients run with the power of v outer, of u inner, as in PROJ's horner: for degree 2
    1, u, u^2, v, uv, v^2, for both series. Backwards by iteration to 1e-6 m within
    `reach_m` of the origin; farther away it answers NaN both ways: a polynomial runs off
    beyond its control points.
    """

    name: str
    source: str
    target: str
    degree: int
    origin: tuple[float, float]
    e: tuple[float, ...]
    n: tuple[float, ...]
    reach_m: float
    accuracy_m: float
    authority: str
    inverse: bool = False
    kind: str = "polynomial"

    @classmethod
    def registered(
        cls, label: str, ends: tuple[str, str], parameters: Mapping[str, Any], accuracy: float,
        authority: str,
    ) -> PolynomialStep:  # fmt: skip
        """From configuration {degree, x0, y0, e, n, reach_m}; RegistryError names the fault."""
        x0, y0, reach = _numbers(parameters, ("x0", "y0", "reach_m"), "polynomial")
        degree = int(parameters.get("degree", 0))
        count = (degree + 1) * (degree + 2) // 2
        series = []
        for axis in ("e", "n"):
            values = tuple(float(v) for v in parameters.get(axis, ()))
            if not 1 <= degree <= 4 or len(values) != count or not np.isfinite(values).all():
                raise RegistryError(
                    f"{label}: {degree} 次多项式每个方向须有 {count} 个系数（1 至 4 次）；"
                    f" a polynomial of degree 1 to 4 takes {count} finite coefficients each"
                )
            series.append(values)
        return cls(label, *ends, degree, (x0, y0), series[0], series[1], reach, accuracy, authority)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Everything needed to repeat the step."""
        return {
            "degree": self.degree, "x0": self.origin[0], "y0": self.origin[1],
            "e": list(self.e), "n": list(self.n), "reach_m": self.reach_m,
            "inverse": self.inverse,
        }  # fmt: skip

    @property
    def definition(self) -> str:
        """PROJ operation of the forward direction."""
        # horner lists the second series with the roles of u and v exchanged
        at = dict(zip(self._powers(), self.n, strict=True))
        turned = [at[j, i] for i, j in self._powers()]
        east, north = (",".join(repr(v) for v in c) for c in (self.e, turned))
        return (
            f"+proj=horner +deg={self.degree} +range={self.reach_m!r}"
            f" +fwd_origin={self.origin[0]!r},{self.origin[1]!r} +fwd_u={east} +fwd_v={north}"
        )

    def _powers(self) -> list[tuple[int, int]]:
        d = self.degree
        return [(i, j) for j in range(d + 1) for i in range(d + 1 - j)]

    def _forward(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        u, v = x - self.origin[0], y - self.origin[1]
        terms = [u**i * v**j for i, j in self._powers()]
        east = sum((c * t for c, t in zip(self.e, terms, strict=True)), np.zeros_like(u))
        north = sum((c * t for c, t in zip(self.n, terms, strict=True)), np.zeros_like(u))
        far = (np.abs(u) > self.reach_m) | (np.abs(v) > self.reach_m)
        return np.where(far, np.nan, east), np.where(far, np.nan, north)

    def apply(
        self, x: FloatArray, y: FloatArray, _z: FloatArray | None, /
    ) -> tuple[FloatArray, FloatArray]:
        """Evaluate, or solve backwards."""
        if not self.inverse:
            return self._forward(x, y)
        powers = self._powers()
        at = {p: k for k, p in enumerate(powers)}
        slope = np.array([[self.e[at[1, 0]], self.e[at[0, 1]]],
                          [self.n[at[1, 0]], self.n[at[0, 1]]]])  # fmt: skip
        back = np.linalg.inv(slope)
        gx, gy = x - self.e[0], y - self.n[0]
        u = self.origin[0] + back[0, 0] * gx + back[0, 1] * gy
        v = self.origin[1] + back[1, 0] * gx + back[1, 1] * gy
        left = np.full_like(u, np.inf)
        for _ in range(20):
            fx, fy = self._forward(u, v)
            dx, dy = x - fx, y - fy
            u, v = u + back[0, 0] * dx + back[0, 1] * dy, v + back[1, 0] * dx + back[1, 1] * dy
            left = np.hypot(dx, dy)
            if not np.any(left > 1e-7):
                break
        bad = ~(left <= 1e-6)
        return np.where(bad, np.nan, u), np.where(bad, np.nan, v)

    def inverted(self) -> PolynomialStep:
        """The same coefficients solved backwards."""
        return replace(self, source=self.target, target=self.source, inverse=not self.inverse)


@lru_cache(maxsize=64)
def _tmerc(definition: str) -> Transformer:
    return Transformer.from_pipeline(definition)


@dataclass(frozen=True, slots=True)
class LocalGridStep:
    """A local independent grid (地方独立坐标系) from its own definition to geographic degrees.

    Transverse Mercator on the ellipsoid of `target_epsg`: central meridian, false origin in
    metres, and the projection plane's height: the ellipsoid's axis grows by it (投影面高程).
    `similarity` (4 parameters) first moves the delivered numbers onto that projection.
    """

    name: str
    local: str
    target_epsg: int
    central_meridian: float
    false_easting: float
    false_northing: float
    plane_height_m: float
    scale: float
    similarity: Similarity | None
    accuracy_m: float
    authority: str
    inverse: bool = False
    kind: str = "local_grid"

    @classmethod
    def registered(
        cls, label: str, ends: tuple[str, int], parameters: Mapping[str, Any], accuracy: float,
        authority: str,
    ) -> LocalGridStep:  # fmt: skip
        """From configuration; RegistryError names what is missing."""
        names = ("central_meridian", "false_easting", "false_northing", "plane_height_m")
        meridian, east, north, height = _numbers(parameters, names, "local_grid")
        unknown = set(parameters) - {*names, "scale", "similarity"}
        if unknown:
            raise RegistryError(f"{label}: unknown parameters {', '.join(sorted(unknown))}")
        factor = float(parameters.get("scale", 1.0))
        if not (-180 <= meridian <= 180 and -500 <= height <= 9000 and 0.99 < factor < 1.01):
            raise RegistryError(
                f"{label}: 中央子午线、投影面高程或尺度不合理；"
                " central meridian, plane height or scale is out of range"
            )
        four = parameters.get("similarity")
        similarity = None if four is None else Similarity.from_parameters(four)
        return cls(
            label, ends[0], ends[1], meridian, east, north, height, factor, similarity,
            accuracy, authority,
        )  # fmt: skip

    @property
    def source(self) -> str:
        """Coordsys that goes in, in the running direction."""
        return f"EPSG:{self.target_epsg}" if self.inverse else self.local

    @property
    def target(self) -> str:
        """Coordsys that comes out, in the running direction."""
        return self.local if self.inverse else f"EPSG:{self.target_epsg}"

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The definition, and whether it runs backwards."""
        plain: dict[str, Any] = {
            "central_meridian": self.central_meridian,
            "false_easting": self.false_easting,
            "false_northing": self.false_northing,
            "plane_height_m": self.plane_height_m,
            "scale": self.scale,
            "inverse": self.inverse,
        }
        if self.similarity is not None:
            plain["similarity"] = self.similarity.parameters()
        return plain

    @property
    def definition(self) -> str:
        """PROJ pipeline of the forward direction: local metres to degrees."""
        ellipsoid = horizontal_crs(self.target_epsg).ellipsoid
        if ellipsoid is None:
            raise RegistryError(f"EPSG:{self.target_epsg} has no ellipsoid")
        major = ellipsoid.semi_major_metre + self.plane_height_m
        first = ""
        if self.similarity is not None:
            s = self.similarity
            first = (
                f" +step +proj=affine +xoff={s.d_e!r} +yoff={s.d_n!r}"
                f" +s11={s.a!r} +s12={-s.b!r} +s21={s.b!r} +s22={s.a!r}"
            )
        return (
            f"+proj=pipeline{first} +step +inv +proj=tmerc +lat_0=0"
            f" +lon_0={self.central_meridian!r} +k={self.scale!r} +x_0={self.false_easting!r}"
            f" +y_0={self.false_northing!r} +a={major!r} +rf={ellipsoid.inverse_flattening!r}"
            " +step +proj=unitconvert +xy_in=rad +xy_out=deg"
        )

    def apply(
        self, x: FloatArray, y: FloatArray, _z: FloatArray | None, /
    ) -> tuple[FloatArray, FloatArray]:
        """Unproject, or project into the grid."""
        direction = "INVERSE" if self.inverse else "FORWARD"
        out = _tmerc(self.definition).transform(x, y, direction=direction)
        bad = ~(np.isfinite(out[0]) & np.isfinite(out[1]))
        return np.where(bad, np.nan, out[0]), np.where(bad, np.nan, out[1])

    def inverted(self) -> LocalGridStep:
        """The same grid the other way."""
        return replace(self, inverse=not self.inverse)
