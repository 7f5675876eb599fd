"""Registered steps as they are written in a city's configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from etl.datum.coordsys import Coordsys, parse_coordsys
from etl.datum.errors import RegistryError
from etl.datum.plane_steps import AffineStep, LocalGridStep, PolynomialStep
from etl.datum.similarity import Similarity
from etl.datum.steps import Convention, DatumStep, HelmertStep, OperationStep, SimilarityStep

_COMMON = {"kind", "name", "source", "target", "accuracy_m", "authority", "parameters", "area",
           "registered_by"}  # fmt: skip
KINDS = ("similarity", "affine", "polynomial", "local_grid", "helmert", "operation",
         "height_offset")  # fmt: skip
_SEVEN = ("x", "y", "z", "rx", "ry", "rz", "s")


def _system(entry: Mapping[str, Any], key: str, grids: Mapping[str, str]) -> Coordsys:
    if key not in entry:
        raise RegistryError(f"登记的转换缺 {key}；a registered step lacks {key!r}")
    return parse_coordsys(str(entry[key]), grids)


def _code(system: Coordsys, kind: str) -> int:
    if system.epsg is None or system.kind != "geographic":
        raise RegistryError(
            f"{kind} 的两端须是 EPSG 地理坐标系，不能是 {system.name}；"
            f" both ends of a {kind} step must be geographic EPSG systems, not {system.name}"
        )
    return system.epsg


def _convention(parameters: Mapping[str, Any]) -> Convention:
    value = parameters.get("convention")
    if value == "position_vector":
        return "position_vector"
    if value == "coordinate_frame":
        return "coordinate_frame"
    raise RegistryError(
        "七参数必须写明约定 convention：position_vector 或 coordinate_frame（布尔莎软件多为后者）；"
        " a 7-parameter step must state convention: position_vector or coordinate_frame"
    )


def link_from_mapping(entry: Mapping[str, Any], grids: Mapping[str, str]) -> DatumStep:
    """One registered step from its mapping; RegistryError names what is missing.

    Keys: kind (one of KINDS), source, target, accuracy_m (> 0),
    authority (who measured or fitted it), parameters (the numbers), optional name; an operation
    has `parameters: {operation: "EPSG:NNNN"}`.
    """
    kind = str(entry.get("kind", ""))
    label = str(entry.get("name") or f"{entry.get('source')} → {entry.get('target')}")
    for key in ("kind", "accuracy_m", "authority", "parameters"):
        if entry.get(key) in (None, ""):
            raise RegistryError(f"转换 {label} 缺 {key}；the step {label} lacks {key!r}")
    unknown = set(entry) - _COMMON
    if unknown:
        raise RegistryError(f"step {label}: unknown keys {', '.join(sorted(unknown))}")
    accuracy = float(entry["accuracy_m"])
    if not (math.isfinite(accuracy) and accuracy > 0):
        raise RegistryError(f"转换 {label} 的精度须大于 0；accuracy_m of {label} must be above 0")
    source, target = _system(entry, "source", grids), _system(entry, "target", grids)
    parameters: Mapping[str, Any] = entry["parameters"]
    authority = str(entry["authority"])
    if kind == "similarity":
        if source.kind != "plane" or target.kind != "plane":
            raise RegistryError(
                f"四参数只用于平面坐标；a similarity joins plane grids, not {label}"
            )
        similarity = Similarity.from_parameters(parameters)
        ends = (source.name, target.name)
        return SimilarityStep(label, ends[0], ends[1], similarity, accuracy, authority)
    if kind in ("affine", "polynomial"):
        if source.kind != "plane" or target.kind != "plane":
            raise RegistryError(f"{kind} 只用于平面坐标；{kind} joins plane grids, not {label}")
        names = (source.name, target.name)
        made = AffineStep if kind == "affine" else PolynomialStep
        return made.registered(label, names, parameters, accuracy, authority)
    if kind == "local_grid":
        if source.kind != "plane" or source.epsg is not None:
            raise RegistryError(
                f"local_grid 的 source 须是 grids 中登记的地方坐标系，不能是 {source.name}；"
                f" the source of a local_grid is a grid registered under grids, not {source.name}"
            )
        local = (source.name, _code(target, kind))
        return LocalGridStep.registered(label, local, parameters, accuracy, authority)
    if kind == "helmert":
        missing = [key for key in _SEVEN if key not in parameters]
        convention = _convention(parameters)
        if missing:
            raise RegistryError(
                f"七参数缺 {'、'.join(missing)}；{label} lacks {', '.join(missing)}"
            )
        x, y, z, rx, ry, rz, s = (float(parameters[key]) for key in _SEVEN)
        codes = (_code(source, kind), _code(target, kind))
        return HelmertStep(label, *codes, x, y, z, rx, ry, rz, s, convention, accuracy, authority)
    if kind == "operation":
        operation = str(parameters.get("operation", ""))
        if not operation.upper().startswith("EPSG:"):
            raise RegistryError(f"{label}: operation must be an EPSG code such as EPSG:15921")
        codes = (_code(source, kind), _code(target, kind))
        ends = (f"EPSG:{codes[0]}", f"EPSG:{codes[1]}")
        return OperationStep(ends[0], ends[1], operation.upper(), accuracy)
    raise RegistryError(
        f"不认识的转换种类 {kind!r}，可用 {'、'.join(KINDS)}；"
        f" unknown kind {kind!r} of step {label}; known: {', '.join(KINDS)}"
    )
