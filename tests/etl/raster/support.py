"""Synthetic rasters whose value at every place is known, and deliveries of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from numpy.typing import NDArray
from rasterio import Affine

from etl.raster import RasterReport, load_raster_delivery, run_rasters
from layers.city import CityProfile, Extent, load_city

Values = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def write(
    path: Path,
    transform: Affine,
    size: tuple[int, int],
    value: Values,
    crs: str | None = None,
    dtype: str = "float32",
    **profile: Any,
) -> NDArray[Any]:
    """A one-band GeoTIFF whose pixels are `value(x, y)` at their centres."""
    width, height = size
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = transform @ (columns, rows)
    values = np.asarray(value(x, y)).astype(dtype)
    tags = profile.pop("tags", {})
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=1, dtype=dtype,
        crs=crs, transform=transform, **profile,
    ) as out:  # fmt: skip
        out.write(values, 1)
        out.update_tags(**tags)
    return values


def publish(
    folder: Path, dsn: str, profile: CityProfile | None = None, **raster: Any
) -> RasterReport:
    """Deliver one raster and return its report."""
    document = {
        "delivery": f"test/{folder.name}",
        "bureau": "自然资源局",
        "city": "meizhou",
        "synthetic": True,
        "rasters": [{"name": "dem", "file": "in.tif", **raster}],
    }
    path = folder / "rasters.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    (report,) = run_rasters(load_raster_delivery(path), dsn, folder / "published", profile)
    return report


def somewhere(west: float, south: float, east: float, north: float) -> CityProfile:
    """The city's profile with another frame, for real tiles of other places."""
    return replace(load_city("meizhou"), extent=Extent(west, south, east, north))
