"""The 4-parameter plane similarity (四参数) and its fit from control points.

E2 = dE + A*E1 - B*N1,  N2 = dN + B*E1 + A*N1,  A = k cos(theta), B = k sin(theta).
theta > 0 turns a point from east towards north (counter-clockwise on the map); PROJ's
`+proj=helmert +theta` has the opposite sign. Metres, x = east, y = north.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from etl.datum.coordsys import FloatArray
from etl.datum.errors import DatumError, RegistryError


@dataclass(frozen=True, slots=True)
class Similarity:
    """Parameters of the similarity: dE, dN in metres; A, B without unit."""

    d_e: float
    d_n: float
    a: float
    b: float

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, float]) -> Similarity:
        """From dE, dN and either A, B or k (factor) with theta (arc-seconds); RegistryError."""
        keys = set(parameters)
        if keys == {"dE", "dN", "A", "B"}:
            a, b = float(parameters["A"]), float(parameters["B"])
        elif keys == {"dE", "dN", "k", "theta"}:
            theta = np.radians(float(parameters["theta"]) / 3600.0)
            a = float(parameters["k"]) * float(np.cos(theta))
            b = float(parameters["k"]) * float(np.sin(theta))
        else:
            raise RegistryError(
                "四参数须为 dE、dN、A、B 或 dE、dN、k、theta（角秒）；"
                " a similarity takes exactly dE, dN, A, B or dE, dN, k, theta (arc-seconds),"
                f" got {', '.join(sorted(keys)) or 'nothing'}"
            )
        made = cls(float(parameters["dE"]), float(parameters["dN"]), a, b)
        if not np.all(np.isfinite([made.d_e, made.d_n, a, b])) or made.k < 0.5 or made.k > 2.0:
            raise RegistryError(
                f"四参数的尺度 k={made.k:.6g} 不合理（应接近 1）；"
                f" the similarity's scale k={made.k:.6g} is not near 1 (ppm given as k?)"
            )
        return made

    @property
    def k(self) -> float:
        """Scale factor (1 = unchanged)."""
        return float(np.hypot(self.a, self.b))

    @property
    def theta_arcsec(self) -> float:
        """Rotation in arc-seconds, positive from east towards north."""
        return float(np.degrees(np.arctan2(self.b, self.a)) * 3600.0)

    def parameters(self) -> dict[str, float]:
        """Both spellings, for records."""
        plain = {"dE": self.d_e, "dN": self.d_n, "A": self.a, "B": self.b}
        return plain | {"k": self.k, "theta": self.theta_arcsec}

    def forward(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Source to target, (n,) arrays."""
        return self.d_e + self.a * x - self.b * y, self.d_n + self.b * x + self.a * y

    def inverse(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Target to source, exactly."""
        u, v = x - self.d_e, y - self.d_n
        square = self.a**2 + self.b**2
        return (self.a * u + self.b * v) / square, (self.a * v - self.b * u) / square


@dataclass(frozen=True, slots=True)
class SimilarityFit:
    """Result of `fit_similarity`: v = computed - known, (n, 2) east and north, metres.

    `sigma` = sqrt(sum v^2 / (2n - 4)), None for two points (nothing left to judge by).
    `left_out` (n,): distance by which each point is missed by the fit of all others, None for
    fewer than three points.
    """

    similarity: Similarity
    residuals: FloatArray
    sigma: float | None
    rms: float
    max_residual: float
    left_out: FloatArray | None


def _solve(source: FloatArray, target: FloatArray) -> Similarity:
    """Least squares about the centroids: condition 1e10 with raw eastings, 1e4 centred."""
    centre, centre2 = source.mean(axis=0), target.mean(axis=0)
    p, q = source - centre, target - centre2
    spread = float((p**2).sum())
    if spread < 1e-6:
        raise DatumError(
            "控制点重合，无法求四参数；the control points coincide, no similarity follows from them"
        )
    a = float((p * q).sum()) / spread
    b = float((p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum()) / spread
    d_e = centre2[0] - a * centre[0] + b * centre[1]
    d_n = centre2[1] - b * centre[0] - a * centre[1]
    return Similarity(float(d_e), float(d_n), a, b)


def fit_similarity(source: ArrayLike, target: ArrayLike) -> SimilarityFit:
    """Least-squares similarity from (n, 2) source to (n, 2) target points, columns east, north.

    Raises DatumError for fewer than two points, different counts or coinciding points.
    """
    src = np.asarray(source, dtype=np.float64)
    dst = np.asarray(target, dtype=np.float64)
    if src.ndim != 2 or src.shape != dst.shape or src.shape[1] != 2 or len(src) < 2:
        raise DatumError(
            "求四参数至少要两个同名点，每点东、北坐标各一对；"
            " a fit needs at least two point pairs, each with east and north"
        )
    if not (np.isfinite(src).all() and np.isfinite(dst).all()):
        raise DatumError("控制点坐标含空值；a control point has no finite coordinates")
    found = _solve(src, dst)
    v = np.column_stack(found.forward(src[:, 0], src[:, 1])) - dst
    n = len(src)
    square = float((v**2).sum())
    left_out: FloatArray | None = None
    if n >= 3:
        left_out = np.empty(n)
        for i in range(n):
            others = np.arange(n) != i
            if float(np.ptp(src[others], axis=0).max()) < 1e-3:
                left_out[i] = np.nan
                continue
            rest = _solve(src[others], dst[others])
            x, y = rest.forward(src[i : i + 1, 0], src[i : i + 1, 1])
            left_out[i] = float(np.hypot(x[0] - dst[i, 0], y[0] - dst[i, 1]))
    return SimilarityFit(
        similarity=found,
        residuals=v,
        sigma=float(np.sqrt(square / (2 * n - 4))) if n > 2 else None,
        rms=float(np.sqrt(square / n)),
        max_residual=float(np.hypot(v[:, 0], v[:, 1]).max()),
        left_out=left_out,
    )
