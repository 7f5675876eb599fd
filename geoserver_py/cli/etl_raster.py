"""`geoserver-py etl raster`: imagery and elevation models into the catalogue as COG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from etl.datum import DatumError
from etl.delivery import DeliveryError
from geoserver_py.cli.output import JsonOption, emit, progress, say
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings
from layers.rasters import RasterNameTaken


def raster(
    delivery: Annotated[Path, typer.Argument(help="栅格交付文件 / RASTERS.yaml")],
    as_json: JsonOption = False,
) -> None:
    """发布栅格 / bring imagery and elevation models to CGCS2000 and publish them as COG.

    Exit code 1 when one is refused: then none of the delivery is published.
    """
    from etl.raster import RasterFailed, load_raster_delivery, run_rasters  # GDAL takes 0.3 s

    settings = load_settings()
    try:
        parsed = load_raster_delivery(delivery)
        with progress(quiet=as_json) as shown:
            tasks: dict[str, int] = {}

            def tell(name: str, done: int, total: int) -> None:
                if name not in tasks:
                    tasks[name] = shown.add_task(name, total=total)
                shown.update(tasks[name], completed=done)  # type: ignore[arg-type]

            reports = run_rasters(parsed, settings.dsn(), settings.raster_home, tell=tell)
    except (DeliveryError, RasterFailed, DatumError, RasterNameTaken) as refused:
        raise WorkFailed(str(refused)) from refused
    if as_json:
        emit([report.to_json() for report in reports], as_json=True, line="")
        return
    for report in reports:
        said = report.raster.document
        steps = " → ".join(step["name"] for step in said["steps"]) or "同一坐标系 same CRS"
        say(
            f"{report.raster.name}: EPSG:{said['epsg']} {said['size'][0]} × {said['size'][1]}，"
            f"{said['bytes'] / 1e6:.1f} MB，{steps}，±{said['datum_accuracy_m']:.3g} m，"
            f"/collections/{report.raster.name}"
        )
        for note in said["notes"]:
            say(f"  {note}")
