"""Fits from control points: 4 parameters, 7 parameters, local grid; with checks by point."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from pyproj import Transformer

from etl.datum.coordsys import FloatArray, horizontal_crs
from etl.datum.errors import DatumError
from etl.datum.plane_steps import LocalGridStep
from etl.datum.registry import DatumRegistry
from etl.datum.similarity import Similarity, fit_similarity
from etl.datum.steps import Convention, HelmertStep

FitKind = Literal["similarity", "helmert", "local_grid"]
_ARCSEC = np.pi / 180 / 3600
_OUTLIER = 4.0
_FLOOR_M = 0.003


@dataclass(frozen=True)
class ControlPoints:
    """(n,) ids and (n, 2) or (n, 3) source and target: x = lon/east, y = lat/north, height."""

    ids: tuple[str, ...]
    source: FloatArray
    target: FloatArray

    def without(self, index: int) -> ControlPoints:
        """All but one."""
        keep = np.arange(len(self.ids)) != index
        return self.at(keep)

    def at(self, keep: Any) -> ControlPoints:
        """The points where `keep` (n,) is true."""
        ids = tuple(name for name, k in zip(self.ids, keep, strict=True) if k)
        return ControlPoints(ids, self.source[keep], self.target[keep])


@dataclass(frozen=True)
class Fit:
    """Result of a fit: `entry` can be registered; residuals v = computed - known, metres E, N.

    `sigma_m` is the unit-weight sigma (None without redundancy). `left_out_m` (n,): by how much
    the fit of all others misses each point. `outliers`: ids beyond 4 sigma of the others.
    """

    kind: FitKind
    parameters: dict[str, Any]
    points: ControlPoints
    residuals: FloatArray
    unknowns: int
    sigma_m: float | None
    rms_m: float
    max_m: float
    left_out_m: FloatArray | None
    outliers: tuple[str, ...]
    removed: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain record for `--json` and the report."""
        rows = []
        for i, name in enumerate(self.points.ids):
            left = None if self.left_out_m is None else float(self.left_out_m[i])
            v = self.residuals[i]
            rows.append(
                {"id": name, "vE": float(v[0]), "vN": float(v[1]), "v": float(np.hypot(*v)),
                 "x": float(self.points.target[i, 0]), "y": float(self.points.target[i, 1]),
                 "outlier": name in self.outliers}
                | ({} if left is None else {"left_out_m": left})
            )  # fmt: skip
        return {
            "kind": self.kind,
            "parameters": self.parameters,
            "points": len(self.points.ids),
            "sigma_m": self.sigma_m,
            "rms_m": self.rms_m,
            "max_residual_m": self.max_m,
            "outliers": list(self.outliers),
            "removed": list(self.removed),
            "residuals": rows,
        }


Solve = Callable[[ControlPoints], tuple[dict[str, Any], Callable[[ControlPoints], FloatArray]]]
"""From points to parameters and a function giving residuals (n, 2) metres for any points."""


def fit_points(
    points: ControlPoints,
    kind: FitKind,
    *,
    registry: DatumRegistry | None = None,
    source: str = "",
    target: str = "",
    convention: Convention = "coordinate_frame",
    central_meridian: float | None = None,
    plane_height_m: float = 0.0,
    leave_out_outliers: bool = False,
) -> Fit:
    """Fit `kind`; 7-parameter and local grids need `source` and `target` coordsys.

    similarity: both plane. helmert: both EPSG systems (plane ones are unprojected on their own
    datum), heights used where given. local_grid: source metres, target an EPSG system; the
    central meridian is searched unless stated. Raises DatumError with a sentence.
    """
    steps = registry or DatumRegistry()
    if kind == "similarity":
        solve: Solve = _similarity
        unknowns, least, dimension = 4, 2, 2
    elif kind == "helmert":
        solve = _Seven(steps, source, target, convention)
        unknowns, least, dimension = 7, 3, 3
    else:
        solve = _Local(steps, target, central_meridian, plane_height_m)
        unknowns, least, dimension = 4 + (central_meridian is None), 3, 2
    fit = _evaluate(points, kind, solve, unknowns, least, dimension)
    removed: tuple[str, ...] = ()
    while leave_out_outliers and fit.outliers and len(fit.points.ids) > least + 2:
        worst = fit.outliers[0]
        removed += (worst,)
        keep = np.array([name != worst for name in fit.points.ids])
        fit = _evaluate(fit.points.at(keep), kind, solve, unknowns, least, dimension)
    return replace(fit, removed=removed)


def _evaluate(
    points: ControlPoints, kind: FitKind, solve: Solve, unknowns: int, least: int, dimension: int
) -> Fit:
    n = len(points.ids)
    if n < least or points.source.shape != points.target.shape:
        raise DatumError(
            f"求{kind}至少要 {least} 个同名点，收到 {n} 个；"
            f" a {kind} fit needs at least {least} point pairs, got {n}"
        )
    if not (np.isfinite(points.source).all() and np.isfinite(points.target).all()):
        raise DatumError("控制点坐标含空值；a control point has no finite coordinates")
    parameters, residuals_of = solve(points)
    v = residuals_of(points)
    square = float((v**2).sum())
    freedom = dimension * n - unknowns
    left: FloatArray | None = None
    outliers: list[tuple[float, str]] = []
    if n > least:
        left = np.empty(n)
        for i in range(n):
            rest = points.without(i)
            _, others = solve(rest)
            left[i] = float(np.hypot(*others(points)[i]))
            w = others(rest)
            spare = max(2 * (n - 1) - unknowns, 1)
            spread = max(float(np.sqrt((w**2).sum() / spare)), _FLOOR_M)
            if n >= least + 2 and left[i] > _OUTLIER * spread:
                outliers.append((left[i], points.ids[i]))
    outliers.sort(reverse=True)
    length = np.hypot(v[:, 0], v[:, 1])
    return Fit(
        kind, parameters, points, v, unknowns,
        float(np.sqrt(square / freedom)) if freedom > 0 else None,
        float(np.sqrt(square / n)), float(length.max()), left,
        tuple(name for _, name in outliers),
    )  # fmt: skip


def _similarity(
    points: ControlPoints,
) -> tuple[dict[str, Any], Callable[[ControlPoints], FloatArray]]:
    found = fit_similarity(points.source[:, :2], points.target[:, :2]).similarity

    def residuals(at: ControlPoints) -> FloatArray:
        return np.column_stack(found.forward(at.source[:, 0], at.source[:, 1])) - at.target[:, :2]

    return dict(found.parameters()), residuals


def _degrees(registry: DatumRegistry, system: str, xy: FloatArray) -> tuple[FloatArray, int]:
    """(n, 3) lon, lat, h of points in an EPSG system, on its own datum, and that datum's code."""
    parsed = registry.parse(system)
    if parsed.epsg is None:
        raise DatumError(f"{system} 没有 EPSG 代码；a 7-parameter fit needs EPSG systems")
    geodetic = horizontal_crs(parsed.epsg).geodetic_crs
    base = None if geodetic is None else geodetic.to_2d().to_epsg()
    if base is None:
        raise DatumError(f"{system} 没有大地基准；{system} has no geodetic datum")
    lon, lat, _ = registry.chain(parsed, f"epsg:{base}").apply(xy[:, 0], xy[:, 1])
    height = xy[:, 2] if xy.shape[1] > 2 else np.zeros(len(xy))
    if not np.isfinite(lon).all():
        raise DatumError(f"有点不在 {system} 的范围内；a point is outside {system}")
    return np.column_stack([lon, lat, height]), base


def _cart(epsg: int) -> Transformer:
    ellipsoid = horizontal_crs(epsg).ellipsoid
    if ellipsoid is None:
        raise DatumError(f"EPSG:{epsg} has no ellipsoid")
    return Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad"
        f" +step +proj=cart +a={ellipsoid.semi_major_metre!r} +rf={ellipsoid.inverse_flattening!r}"
    )


class _Seven:
    """Bursa-Wolf by linear least squares about the centroid: T, m, m r are linear."""

    def __init__(
        self, registry: DatumRegistry, source: str, target: str, convention: Convention
    ) -> None:
        if not source or not target:
            raise DatumError(
                "七参数须写明源和目标坐标系 --from、--to；a 7-parameter fit needs both coordsys"
            )
        self.registry, self.source, self.target = registry, source, target
        self.convention: Convention = convention

    def __call__(
        self, points: ControlPoints
    ) -> tuple[dict[str, Any], Callable[[ControlPoints], FloatArray]]:
        one, code = _degrees(self.registry, self.source, points.source)
        two, code2 = _degrees(self.registry, self.target, points.target)
        a = np.column_stack(_cart(code).transform(*one.T))
        b = np.column_stack(_cart(code2).transform(*two.T))
        centre = a.mean(axis=0)
        p, d = a - centre, (b - a)
        n = len(p)
        design = np.zeros((3 * n, 7))
        design[0::3, 0] = design[1::3, 1] = design[2::3, 2] = 1.0
        # unit 1e-6: one ppm, a fifth of an arc-second; columns of like size
        design[0::3, 3], design[1::3, 3], design[2::3, 3] = (p * 1e-6).T
        design[1::3, 4], design[2::3, 4] = -p[:, 2] * 1e-6, p[:, 1] * 1e-6
        design[0::3, 5], design[2::3, 5] = p[:, 2] * 1e-6, -p[:, 0] * 1e-6
        design[0::3, 6], design[1::3, 6] = -p[:, 1] * 1e-6, p[:, 0] * 1e-6
        found, _, rank, _ = np.linalg.lstsq(design, d.reshape(-1), rcond=None)
        if rank < 7:
            raise DatumError(
                "控制点共线或太集中，七参数不可解；the control points lie on a line or in one"
                " spot: seven parameters do not follow from them"
            )
        scale = found[3] * 1e-6
        turn = found[4:] * 1e-6
        shift = found[:3] - scale * centre - np.cross(turn, centre)
        sign = 1.0 if self.convention == "position_vector" else -1.0
        rotation = sign * turn / (1 + scale) / _ARCSEC
        parameters: dict[str, Any] = {
            "x": float(shift[0]), "y": float(shift[1]), "z": float(shift[2]),
            "rx": float(rotation[0]), "ry": float(rotation[1]), "rz": float(rotation[2]),
            "s": float(scale * 1e6), "convention": self.convention,
        }  # fmt: skip

        def residuals(at: ControlPoints) -> FloatArray:
            x = np.column_stack(
                _cart(code).transform(*_degrees(self.registry, self.source, at.source)[0].T)
            )
            known, _ = _degrees(self.registry, self.target, at.target)
            y = np.column_stack(_cart(code2).transform(*known.T))
            made = shift + x + scale * x + np.cross(turn, x)
            return _east_north(made - y, known)

        return parameters, residuals


def _east_north(v: FloatArray, at: FloatArray) -> FloatArray:
    lon, lat = np.radians(at[:, 0]), np.radians(at[:, 1])
    east = -np.sin(lon) * v[:, 0] + np.cos(lon) * v[:, 1]
    north = (
        -np.sin(lat) * np.cos(lon) * v[:, 0] - np.sin(lat) * np.sin(lon) * v[:, 1]
        + np.cos(lat) * v[:, 2]
    )  # fmt: skip
    return np.column_stack([east, north])


class _Local:
    """Local grid: transverse Mercator about a central meridian, then a similarity onto it."""

    def __init__(
        self,
        registry: DatumRegistry,
        target: str,
        central_meridian: float | None,
        plane_height_m: float,
    ) -> None:
        if not target:
            raise DatumError("须写明目标坐标系 --to；a local grid fit needs --to")
        self.registry, self.target = registry, target
        self.meridian, self.height = central_meridian, plane_height_m

    def _grid(self, code: int, meridian: float) -> LocalGridStep:
        return LocalGridStep(
            "fit", "local:fit", code, meridian, 500_000.0, 0.0, self.height, 1.0, None, 1.0, "fit"
        )

    def _solve(
        self, points: ControlPoints, known: FloatArray, code: int, meridian: float
    ) -> tuple[float, Similarity]:
        grid = self._grid(code, meridian).inverted()
        x, y = grid.apply(known[:, 0], known[:, 1], None)
        fit = fit_similarity(points.source[:, :2], np.column_stack([x, y]))
        return fit.rms, fit.similarity

    def __call__(
        self, points: ControlPoints
    ) -> tuple[dict[str, Any], Callable[[ControlPoints], FloatArray]]:
        known, code = _degrees(self.registry, self.target, points.target)
        meridian = self.meridian
        if meridian is None:
            meridian = self._search(points, known, code)
        _, similarity = self._solve(points, known, code, meridian)
        grid = replace(self._grid(code, meridian), similarity=similarity)
        parameters: dict[str, Any] = {
            "central_meridian": meridian,
            "false_easting": 500_000.0,
            "false_northing": 0.0,
            "plane_height_m": self.height,
            "similarity": {"dE": similarity.d_e, "dN": similarity.d_n,
                           "A": similarity.a, "B": similarity.b},
        }  # fmt: skip

        def residuals(at: ControlPoints) -> FloatArray:
            want, _ = _degrees(self.registry, self.target, at.target)
            plain = replace(grid, similarity=None).inverted()
            x, y = plain.apply(want[:, 0], want[:, 1], None)
            made = similarity.forward(at.source[:, 0], at.source[:, 1])
            return np.column_stack([made[0] - x, made[1] - y])

        return parameters, residuals

    def _search(self, points: ControlPoints, known: FloatArray, code: int) -> float:
        """Central meridian with the least rms: coarse within 3 degrees, then golden section."""
        if len(points.ids) < 4:
            raise DatumError(
                "不足 4 点求不出中央子午线，请写明 --central-meridian；fewer than 4 points do not"
                " give the central meridian: state it"
            )
        middle = float(known[:, 0].mean())
        trial = middle + np.linspace(-3, 3, 61)
        cost = [self._solve(points, known, code, float(m))[0] for m in trial]
        at = int(np.argmin(cost))
        low, high = float(trial[max(at - 1, 0)]), float(trial[min(at + 1, 60)])
        ratio = (math.sqrt(5) - 1) / 2  # a numpy scalar would print as np.float64(…) for PROJ
        for _ in range(40):
            a, b = high - ratio * (high - low), low + ratio * (high - low)
            if self._solve(points, known, code, a)[0] < self._solve(points, known, code, b)[0]:
                high = b
            else:
                low = a
        return (low + high) / 2


@dataclass(frozen=True)
class ConventionCheck:
    """A registered 7-parameter step against control points, as stated and the other way."""

    name: str
    stated: Convention
    stated_rms_m: float
    other_rms_m: float

    @property
    def wrong(self) -> bool:
        """Whether the points say that the convention was taken for the other."""
        return self.stated_rms_m > 1.0 and self.other_rms_m < 0.2 * self.stated_rms_m

    @property
    def sentence(self) -> str:
        """The verdict for people."""
        if self.wrong:
            return (
                f"{self.name}: 约定写错：按 {self.stated} 控制点相差 {self.stated_rms_m:.2f} m，"
                f"按另一约定 {self.other_rms_m:.3f} m。 The convention is the other one: as stated"
                f" the control points miss by {self.stated_rms_m:.2f} m, the other way by"
                f" {self.other_rms_m:.3f} m."
            )
        return (
            f"{self.name}: 控制点相差 {self.stated_rms_m:.3f} m，"
            f"按另一约定 {self.other_rms_m:.2f} m。"
            f" The control points agree within {self.stated_rms_m:.3f} m as stated."
        )


def check_convention(
    step: HelmertStep, points: ControlPoints, registry: DatumRegistry, source: str, target: str
) -> ConventionCheck:
    """Residuals of the control points under both conventions; DatumError for foreign systems."""
    other: Convention = (
        "coordinate_frame" if step.convention == "position_vector" else "position_vector"
    )
    one, code = _degrees(registry, source, points.source)
    two, code2 = _degrees(registry, target, points.target)
    forward = (code, code2) == (step.source_epsg, step.target_epsg)
    if not forward and (code2, code) != (step.source_epsg, step.target_epsg):
        raise DatumError(f"{step.name} 不连接这两个基准；{step.name} does not join these datums")
    rms = []
    for tried in (replace(step, convention=other), step):
        run = tried if forward else tried.inverted()
        lon, lat = run.apply(one[:, 0], one[:, 1], one[:, 2])
        cart = _cart(code2)
        made = np.column_stack(cart.transform(lon, lat, two[:, 2]))
        v = _east_north(made - np.column_stack(cart.transform(*two.T)), two)
        rms.append(float(np.sqrt((v**2).sum() / len(v))))
    return ConventionCheck(step.name, step.convention, rms[1], rms[0])
