"""Deliveries of rasters: `rasters:` in a delivery file of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from etl.delivery import DeliveryError
from etl.raster.resample import METHODS, Method
from layers.access import AccessClass
from layers.definition import Title


class RasterKind(StrEnum):
    """What the pixels are: it decides how values between pixels are made."""

    IMAGE = "image"
    ELEVATION = "elevation"
    CLASSES = "classes"

    @property
    def method(self) -> Method:
        """Classes are never mixed; heights are not overshot; pictures stay sharp."""
        methods: dict[str, Method] = {
            "image": "cubic", "elevation": "bilinear", "classes": "nearest",
        }  # fmt: skip
        return methods[self.value]


@dataclass(frozen=True, slots=True)
class RasterLoad:
    """One file that becomes the raster `name`; `target` is cgcs2000 or a CGCS2000 plane grid."""

    name: str
    title: Title
    path: Path
    kind: RasterKind
    access: AccessClass
    coordsys: str | None
    target: str
    method: Method
    resolution: float | None
    nodata: float | None
    heights: str | None
    """Height system of an elevation model as delivered."""
    target_heights: str | None
    accuracy_m: float | None
    """Accuracy of the raster itself, as its maker states it, metres."""


@dataclass(frozen=True, slots=True)
class RasterDelivery:
    """A delivery of rasters."""

    name: str
    bureau: str
    city: str
    synthetic: bool
    datum_parameters: Path | None
    rasters: tuple[RasterLoad, ...]
    path: Path


_KEYS = ("delivery", "bureau", "city", "synthetic", "datum_parameters", "rasters")
_RASTER_KEYS = (
    "name", "title", "file", "kind", "access", "coordsys", "target", "resampling", "resolution",
    "nodata", "heights", "target_heights", "accuracy_m",
)  # fmt: skip


def load_raster_delivery(path: Path) -> RasterDelivery:
    """Read a delivery of rasters; DeliveryError names the key at fault and what it should hold."""
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as missing:
        raise DeliveryError(f"{path}: 没有这个交付文件 (no such delivery file)") from missing
    except (yaml.YAMLError, UnicodeDecodeError) as bad:
        sentence = " ".join(str(bad).split())
        raise DeliveryError(f"{path}: 不是 UTF-8 的 YAML (not YAML in UTF-8): {sentence}") from bad
    at = path.name
    top = _mapping(document, _KEYS, ("delivery", "bureau", "city", "rasters"), at)
    if not isinstance(top.get("synthetic"), bool):
        raise DeliveryError(f"{at}: synthetic: 须写明 true 或 false (state true or false)")
    if not isinstance(top["rasters"], list):
        raise DeliveryError(f"{at}: rasters: 须为列表 (must be a list)")
    rasters = tuple(
        _raster(entry, path, f"{at}: rasters[{n}]") for n, entry in enumerate(top["rasters"])
    )
    names = [raster.name for raster in rasters]
    if len(set(names)) < len(names):
        raise DeliveryError(f"{at}: rasters: name 重复 (a name occurs twice)")
    parameters = top.get("datum_parameters")
    return RasterDelivery(
        name=str(top["delivery"]),
        bureau=str(top["bureau"]),
        city=str(top["city"]),
        synthetic=top["synthetic"],
        datum_parameters=None if parameters is None else path.parent / str(parameters),
        rasters=rasters,
        path=path,
    )


def _raster(entry: Any, path: Path, at: str) -> RasterLoad:
    raster = _mapping(entry, _RASTER_KEYS, ("name", "file", "kind"), at)
    name = str(raster["name"])
    if re.fullmatch(r"[a-z][a-z0-9_]{0,47}", name) is None:
        raise DeliveryError(f"{at}: name: 须为小写字母、数字、下划线 (a-z, 0-9, _): {name!r}")
    kind = RasterKind(_one_of(raster["kind"], tuple(RasterKind), f"{at}: kind"))
    access = AccessClass(
        _one_of(raster.get("access", "restricted"), tuple(AccessClass), f"{at}: access")
    )
    method = _one_of(raster.get("resampling", kind.method), METHODS, f"{at}: resampling")
    if kind is RasterKind.CLASSES and method != "nearest":
        raise DeliveryError(
            f"{at}: resampling: 分类值不能内插，须为 nearest (classes are never mixed: nearest)"
        )
    if kind is RasterKind.ELEVATION and not raster.get("heights"):
        raise DeliveryError(
            f"{at}: heights: 须写明高程系，如 1985国家高程基准、EGM96 (an elevation model states "
            f"its height system)"
        )
    title = raster.get("title", name)
    both = title if isinstance(title, Mapping) else {"zh": title}
    return RasterLoad(
        name=name,
        title=Title(str(both.get("zh", name)), str(both.get("en", ""))),
        path=path.parent / str(raster["file"]),
        kind=kind,
        access=access,
        coordsys=_text(raster, "coordsys"),
        target=_text(raster, "target") or "cgcs2000",
        method=next(known for known in METHODS if known == method),
        resolution=_number(raster, "resolution", at, positive=True),
        nodata=_number(raster, "nodata", at),
        heights=_text(raster, "heights"),
        target_heights=_text(raster, "target_heights"),
        accuracy_m=_number(raster, "accuracy_m", at, positive=True),
    )


def _mapping(
    value: Any, known: tuple[str, ...], required: tuple[str, ...], at: str
) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DeliveryError(f"{at}: 须为键值表 (must be a mapping with {', '.join(known)})")
    unknown = [str(key) for key in value if key not in known]
    if unknown:
        raise DeliveryError(
            f"{at}: {unknown[0]}: 未知的键，可用 (unknown key; known: {', '.join(known)})"
        )
    for key in required:
        if value.get(key) in (None, ""):
            raise DeliveryError(f"{at}: {key}: 缺少 (this key is required)")
    return value


def _one_of(value: Any, known: tuple[str, ...], at: str) -> str:
    if str(value) not in known:
        raise DeliveryError(f"{at}: 须为其一 (must be one of): {', '.join(known)}")
    return str(value)


def _text(raster: Mapping[str, Any], key: str) -> str | None:
    value = raster.get(key)
    return None if value is None else str(value).strip()


def _number(raster: Mapping[str, Any], key: str, at: str, positive: bool = False) -> float | None:
    value = raster.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or (positive and value <= 0):
        raise DeliveryError(f"{at}: {key}: 须为数字 (must be a number, got {value!r})")
    return float(value)
