"""One raster through the chain into a Cloud Optimized GeoTIFF, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.windows import Window
from rio_cogeo.cogeo import cog_validate

from etl.datum import DatumChain
from etl.raster.grid import Grid, Positions, positions
from etl.raster.resample import MARGIN, Method, resample
from etl.raster.source import RasterFailed, RasterSource

BLOCK = 512
"""Pixels of a side of the COG's tiles."""
WINDOW = 1024
COARSEST = 2.0
"""How many source pixels a target pixel may span: beyond, overviews serve, not the raster."""
_MAX_SOURCE_PIXELS = 100_000_000

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Warped:
    """What was written: type, nodata, (minimum, maximum) of each band over its valid pixels."""

    dtype: str
    nodata: float | None
    ranges: tuple[tuple[float, float] | None, ...]
    valid_share: float
    error_pixels: float
    overviews: tuple[int, ...]


def write_cog(
    source: RasterSource,
    target: Grid,
    chain: DatumChain,
    epsg: int,
    method: Method,
    path: Path,
    *,
    offset_m: float = 0.0,
    tell: Callable[[int, int], None] | None = None,
) -> Warped:
    """Write `source` on the `target` grid as a COG at `path`; RasterFailed when it is not valid.

    Where the file has a nodata value it is kept; where it has an alpha band that is kept too;
    where it has neither, an internal mask says what lies outside. `offset_m` is added to values.
    """
    dtype = source.dataset.dtypes[0]
    if offset_m != 0.0 and np.dtype(dtype).kind != "f":
        dtype = "float32"
    flat = path.with_suffix(".flat.tif")
    try:
        seen = _write_flat(source, target, chain, epsg, method, flat, dtype, offset_m, tell)
        _to_cog(flat, path, method)
    finally:
        flat.unlink(missing_ok=True)
    valid, errors, _ = cog_validate(str(path), quiet=True)
    if not valid:
        raise RasterFailed(f"写出的文件不是有效的 COG (not a valid COG): {'; '.join(errors)}")
    with rasterio.open(path) as written:
        overviews = tuple(written.overviews(1))
    return Warped(
        dtype, source.nodata, seen.ranges, seen.valid / max(seen.pixels, 1), seen.error, overviews
    )


@dataclass
class _Seen:
    """What the pass over the blocks found out."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    valid: int = 0
    pixels: int = 0
    error: float = 0.0

    @property
    def ranges(self) -> tuple[tuple[float, float] | None, ...]:
        return tuple(
            (float(low), float(high)) if low <= high else None
            for low, high in zip(self.low, self.high, strict=True)
        )


def _write_flat(
    source: RasterSource,
    target: Grid,
    chain: DatumChain,
    epsg: int,
    method: Method,
    path: Path,
    dtype: str,
    offset_m: float,
    tell: Callable[[int, int], None] | None,
) -> _Seen:
    bands = source.dataset.count
    back = chain.inverted()
    profile: dict[str, Any] = {
        "driver": "GTiff", "width": target.width, "height": target.height, "count": bands,
        "dtype": dtype, "crs": CRS.from_epsg(epsg), "transform": target.transform,
        "nodata": source.nodata, "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK,
        "BIGTIFF": "IF_SAFER", "SPARSE_OK": "TRUE",
    }  # fmt: skip
    masked = source.nodata is None and source.alpha is None
    seen = _Seen(np.full(bands, np.inf), np.full(bands, -np.inf))
    windows = list(_windows(target))
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **profile) as out,
    ):
        _describe(source.dataset, out)
        for done, window in enumerate(windows):
            place = positions(target, source.grid, back, window)
            seen.error = max(seen.error, place.error)
            cut = Window(*window)
            inside = np.zeros((window[3], window[2]), dtype=bool)
            for band in range(1, bands + 1):
                values, valid = _block(source, band, place, method)
                values, valid = _finished(source, band, values, valid, dtype, offset_m)
                out.write(values, band, window=cut)
                inside |= valid
                if valid.any():
                    seen.low[band - 1] = min(seen.low[band - 1], values[valid].min())
                    seen.high[band - 1] = max(seen.high[band - 1], values[valid].max())
            if masked:
                out.write_mask(inside, window=cut)
            seen.valid += int(inside.sum())
            seen.pixels += inside.size
            if tell is not None:
                tell(done + 1, len(windows))
    return seen


def _windows(grid: Grid) -> Iterator[tuple[int, int, int, int]]:
    for row in range(0, grid.height, WINDOW):
        for column in range(0, grid.width, WINDOW):
            yield (
                column, row, min(WINDOW, grid.width - column), min(WINDOW, grid.height - row),
            )  # fmt: skip


def _block(
    source: RasterSource, band: int, place: Positions, method: Method
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """One band of a target window, from the part of the source that it needs."""
    known = np.isfinite(place.columns) & np.isfinite(place.rows)
    nothing = np.zeros(place.columns.shape), np.zeros(place.columns.shape, dtype=bool)
    if not known.any():
        return nothing
    left = max(int(np.floor(place.columns[known].min())) - MARGIN, 0)
    top = max(int(np.floor(place.rows[known].min())) - MARGIN, 0)
    right = min(int(np.ceil(place.columns[known].max())) + MARGIN, source.grid.width)
    low = min(int(np.ceil(place.rows[known].max())) + MARGIN, source.grid.height)
    if right <= left or low <= top:
        return nothing
    if (right - left) * (low - top) > _MAX_SOURCE_PIXELS:
        raise RasterFailed(
            "一块目标像元跨越太多源像元 (a block of the target spans too many source pixels)"
        )
    values, valid = source.read(band, Window(left, top, right - left, low - top))
    return resample(
        values,
        valid,
        np.where(known, place.columns - left, np.nan),
        np.where(known, place.rows - top, np.nan),
        method,
    )


def _finished(
    source: RasterSource,
    band: int,
    values: NDArray[Any],
    valid: NDArray[np.bool_],
    dtype: str,
    offset_m: float,
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values in the output's type; what is not valid holds nodata, or 0 beside a mask."""
    kind = np.dtype(dtype)
    fill = 0.0 if source.nodata is None or band == source.alpha else source.nodata
    numbers = values + offset_m if offset_m else values
    if kind.kind in "ui":
        limits = np.iinfo(kind)
        if numbers.dtype.kind == "f":
            numbers = np.clip(np.rint(numbers), limits.min, limits.max)
        if source.nodata is not None and band != source.alpha:
            # a value between two others must not become the very number that means "none"
            clash = valid & (numbers == source.nodata)
            nudge = -1 if source.nodata == limits.max else 1
            numbers = np.where(clash, numbers + nudge, numbers)
    return np.where(valid, numbers, fill).astype(kind), valid


def _describe(source: Any, out: Any) -> None:
    """Bands keep their names, units, scale, colours."""
    out.colorinterp = source.colorinterp
    out.descriptions = source.descriptions
    out.units = [unit or "" for unit in source.units]
    out.scales, out.offsets = source.scales, source.offsets
    out.update_tags(AREA_OR_POINT="Area")
    for band in range(1, source.count + 1):
        if source.colorinterp[band - 1].name == "palette":
            out.write_colormap(band, source.colormap(band))


def _to_cog(flat: Path, path: Path, method: Method) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        rasterio.shutil.copy(
            str(flat),
            str(path),
            driver="COG",
            COMPRESS="DEFLATE",
            PREDICTOR="YES",
            BLOCKSIZE=BLOCK,
            OVERVIEWS="IGNORE_EXISTING",
            OVERVIEW_RESAMPLING="NEAREST" if method == "nearest" else "AVERAGE",
            BIGTIFF="IF_SAFER",
        )
