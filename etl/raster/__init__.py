"""Imagery and elevation models: brought to CGCS2000 as Cloud Optimized GeoTIFF."""

from etl.raster.delivery import RasterDelivery, RasterLoad, load_raster_delivery
from etl.raster.run import RasterReport, run_rasters
from etl.raster.source import RasterFailed

__all__ = [
    "RasterDelivery",
    "RasterFailed",
    "RasterLoad",
    "RasterReport",
    "load_raster_delivery",
    "run_rasters",
]
