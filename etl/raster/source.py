"""A delivered raster: what it declares, and the sentences for what cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window

from etl.raster.grid import Grid


class RasterFailed(ValueError):  # noqa: N818 - it names an outcome
    """A raster that cannot be published as delivered; what was published stays."""


@dataclass(frozen=True)
class RasterSource:
    """An open raster; `nodata` is the delivery's, else the file's, None for neither."""

    dataset: Any
    grid: Grid
    nodata: float | None
    declared_crs: str | None
    alpha: int | None
    """The band (1-based) that says where there is data, None without."""
    notes: tuple[str, ...]

    @property
    def masked(self) -> bool:
        """Whether the file says by a mask of its own, not by a value, where there is data."""
        flags = self.dataset.mask_flag_enums[0]
        return self.nodata is None and MaskFlags.per_dataset in flags

    def read(self, band: int, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Values and validity of a window that lies within the raster."""
        values = self.dataset.read(band, window=window)
        valid = np.ones(values.shape, dtype=bool)
        if self.nodata is not None:
            valid &= ~np.isnan(values) if np.isnan(self.nodata) else values != self.nodata
        if values.dtype.kind == "f":
            valid &= np.isfinite(values)
        if self.alpha is not None and band != self.alpha:
            valid &= self.dataset.read(self.alpha, window=window) > 0
        elif self.alpha is None and self.masked:
            valid &= self.dataset.dataset_mask(window=window) > 0
        return values, valid


@contextmanager
def open_raster(path: Path, nodata: float | None) -> Iterator[RasterSource]:
    """Open a raster; RasterFailed for what has no place, no pixels, or cannot be read."""
    if not path.exists():
        raise RasterFailed(f"{path.name}: 文件不存在 (the file does not exist)")
    try:
        with rasterio.open(_target(path)) as dataset:
            yield _described(dataset, path.name, nodata)
    except RasterioError as error:
        said = " ".join(str(error).split())[:200].replace(str(path), path.name)
        raise RasterFailed(f"{path.name}: 不能读取 (cannot be read): {said}") from error


def _target(path: Path) -> str:
    """A zip is read in place (SRTM tiles come as N24E116.hgt.zip)."""
    if path.suffix.lower() == ".zip":
        inner = path.name[: -len(".zip")]
        return f"zip://{path}!/{inner}" if "." in inner else f"zip://{path}"
    return str(path)


def _described(dataset: Any, name: str, stated: float | None) -> RasterSource:
    if dataset.transform.is_identity:
        why = "只有控制点 (it has ground control points only)" if dataset.gcps[0] else ""
        raise RasterFailed(
            f"{name}: 没有地理定位，请导出带坐标的 GeoTIFF 或附 .tfw {why}"
            f"(no georeferencing: export a GeoTIFF with coordinates, or add its world file)"
        )
    kinds = {np.dtype(kind) for kind in dataset.dtypes}
    if len(kinds) > 1 or any(kind.kind not in "uif" for kind in kinds):
        raise RasterFailed(
            f"{name}: 各波段类型须相同且为实数，有 (bands must share one real type; it has): "
            f"{', '.join(dataset.dtypes)}"
        )
    notes: list[str] = []
    own = dataset.nodatavals
    if stated is None and len(set(map(str, own))) > 1:
        raise RasterFailed(
            f"{name}: 各波段 nodata 不同，请在交付写明 nodata (bands differ in nodata: state it)"
        )
    nodata = stated if stated is not None else own[0]
    dtype = np.dtype(dataset.dtypes[0])
    if nodata is not None and not _holds(dtype, nodata):
        raise RasterFailed(
            f"{name}: nodata {nodata:g} 不在 {dtype} 的范围内 (nodata outside the type's range)"
        )
    if stated is not None and own[0] is not None and str(float(own[0])) != str(stated):
        notes.append(
            f"nodata 按交付的 {stated:g}，不按文件的 {own[0]:g} nodata as delivered, not as in file"
        )
    if dataset.tags().get("AREA_OR_POINT") == "Point":
        notes.append(
            "文件以像元中心定位（PixelIsPoint），已按中心读取 pixel-is-point, read by pixel centres"
        )
    alpha = next(
        (n for n, kind in enumerate(dataset.colorinterp, 1) if kind is ColorInterp.alpha), None
    )
    crs = dataset.crs
    return RasterSource(
        dataset=dataset,
        grid=Grid(dataset.transform, dataset.width, dataset.height),
        nodata=None if nodata is None else float(nodata),
        declared_crs=None if crs is None else crs.to_string(),
        alpha=alpha,
        notes=tuple(notes),
    )


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    if dtype.kind == "f":
        return True
    limits = np.iinfo(dtype)
    return bool(np.isfinite(value) and limits.min <= value <= limits.max and value == int(value))
