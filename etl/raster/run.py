"""Run a delivery of rasters: warp each, prove it, then publish all of them, or none."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from etl.datum import Coordsys, DatumChain, DatumRegistry
from etl.datum.coordsys import datum_key
from etl.datum.heights import HeightOffset
from etl.datum.steps import step_json
from etl.datum.store import load_registry
from etl.inspect import declared_name
from etl.raster.delivery import RasterDelivery, RasterKind, RasterLoad
from etl.raster.grid import Grid, target_grid
from etl.raster.source import RasterFailed, RasterSource, open_raster
from etl.raster.warp import COARSEST, Warped, write_cog
from etl.setting import city_of, parameters_of
from layers.city import CityProfile
from layers.rasters import PublishedRaster, publish_rasters

Tell = Callable[[str, int, int], None]
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class RasterReport:
    """What became of one raster."""

    raster: PublishedRaster
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain record for `--json`."""
        return {
            "name": self.raster.name,
            "file": self.raster.file,
            "access": self.raster.access.value,
            "seconds": round(self.seconds, 3),
            **self.raster.document,
        }


def run_rasters(
    delivery: RasterDelivery,
    dsn: str,
    folder: Path,
    profile: CityProfile | None = None,
    *,
    tell: Tell | None = None,
) -> tuple[RasterReport, ...]:
    """Publish the rasters of a delivery into `folder` and the catalogue; all or none.

    RasterFailed, DatumError or DeliveryError with a sentence; nothing is published then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frame = profile or city_of(delivery.path, delivery.city)
    made: list[Path] = []
    reports: list[RasterReport] = []
    with psycopg.connect(dsn) as connection:
        registry = load_registry(connection).merged(
            parameters_of(delivery.path, delivery.datum_parameters)
        )
        try:
            for load in delivery.rasters:
                began = time.perf_counter()
                part = folder / f".{load.name}.part.tif"
                made.append(part)
                raster = _one(delivery, load, registry, frame, part, tell)
                final = folder / raster.file
                part.replace(final)
                made.append(final)
                reports.append(RasterReport(raster, time.perf_counter() - began))
            gone = publish_rasters(connection, [report.raster for report in reports])
            connection.commit()
        except BaseException:
            known = {row[0] for row in _files(connection)}
            for path in made:
                if path.name not in known:
                    path.unlink(missing_ok=True)
            raise
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    return tuple(reports)


def _files(connection: psycopg.Connection[Any]) -> list[tuple[str]]:
    connection.rollback()
    return connection.execute("SELECT file FROM catalog.raster").fetchall()


def _one(
    delivery: RasterDelivery,
    load: RasterLoad,
    registry: DatumRegistry,
    frame: CityProfile,
    path: Path,
    tell: Tell | None,
) -> PublishedRaster:
    target = _target(load, registry)
    offset = _heights(load, registry)
    with open_raster(load.path, load.nodata) as source:
        chain = registry.chain(_stated(load, source, registry, frame), target)
        grid = _grid(load, source, chain, frame, registry)

        def step(done: int, total: int) -> None:
            if tell is not None:
                tell(load.name, done, total)

        if target.epsg is None:
            raise RasterFailed(f"{load.name}: target 须有 EPSG 代码 (must have an EPSG code)")
        written = write_cog(
            source, grid, chain, target.epsg, load.method, path,
            offset_m=0.0 if offset is None else offset.offset_m, tell=step,
        )  # fmt: skip
        document = _document(delivery, load, source, chain, grid, target, offset, written, registry)
    digest = _sha256(path)
    document |= {"sha256": digest, "bytes": path.stat().st_size}
    return PublishedRaster(
        name=load.name,
        access=load.access,
        file=f"{load.name}-{digest[:12]}.tif",
        document=document,
    )


def _target(load: RasterLoad, registry: DatumRegistry) -> Coordsys:
    """CGCS2000 or one of its plane grids: nothing else is stored."""
    target = registry.parse(load.target)
    if target.epsg is None or datum_key(target.epsg) != datum_key(4490):
        raise RasterFailed(
            f"{load.name}: target 须为 cgcs2000 或 CGCS2000 的平面坐标系，如 epsg:4548，收到 "
            f"{load.target} (must be cgcs2000 or one of its plane grids)"
        )
    return target


def _heights(load: RasterLoad, registry: DatumRegistry) -> HeightOffset | None:
    """The registered offset to the wanted height system; None where heights stay as they are."""
    if load.target_heights is None or load.target_heights == load.heights:
        return None
    if load.kind is not RasterKind.ELEVATION or load.heights is None:
        raise RasterFailed(
            f"{load.name}: target_heights 只用于高程模型 (for elevation models only)"
        )
    return registry.height(load.heights, load.target_heights)


def _stated(
    load: RasterLoad, source: RasterSource, registry: DatumRegistry, frame: CityProfile
) -> str:
    stated = load.coordsys or declared_name(source.declared_crs, registry)
    if stated is None:
        accepted = ", ".join(dict.fromkeys((*frame.accepted_coordsys, *registry.grids)))
        raise RasterFailed(
            f"{load.path.name}: 没有声明坐标系，请写明 coordsys，可用 (neither the file nor the "
            f"delivery states a coordsys; one of): {accepted}"
        )
    return stated


def _grid(
    load: RasterLoad,
    source: RasterSource,
    chain: DatumChain,
    frame: CityProfile,
    registry: DatumRegistry,
) -> Grid:
    grid = target_grid(source.grid, chain, load.resolution)
    coordsys = chain.source.name
    if grid is None:
        raise RasterFailed(
            f"{load.path.name}: 范围不能由 {coordsys} 换算到 {chain.target.name}，坐标系可能写错 "
            f"(the extent is outside what {coordsys} can hold)"
        )
    west, south, east, north = extent_of(grid, chain.target, registry)
    area = frame.extent
    if east < area.west or west > area.east or north < area.south or south > area.north:
        raise RasterFailed(
            f"{load.path.name}: 按 {coordsys} 落在 {west:.4f}, {south:.4f} 到 {east:.4f}, "
            f"{north:.4f}，不在 {frame.title.zh} 范围内，坐标系可能写错 (not in the city's frame: "
            f"the coordsys may be wrong)"
        )
    spans = source.grid.width * source.grid.height / max(grid.width * grid.height, 1)
    if load.resolution is not None and spans > COARSEST**2:
        raise RasterFailed(
            f"{load.name}: resolution 粗于原分辨率 {COARSEST:g} 倍以上会漏掉像元，缩小的图由概览层"
            f"提供 (coarser than {COARSEST:g} source pixels: overviews serve smaller scales)"
        )
    return grid


def extent_of(
    grid: Grid, coordsys: Coordsys, registry: DatumRegistry
) -> tuple[float, float, float, float]:
    """West, south, east, north in EPSG:4490 of a grid's outline."""
    whole = target_grid(grid, registry.chain(coordsys, "cgcs2000"))
    if whole is None:
        raise RasterFailed("范围不能换算到经纬度 (the extent has no longitude and latitude)")
    west, south, east, north = whole.bounds
    return west, south, east, north


def _document(
    delivery: RasterDelivery,
    load: RasterLoad,
    source: RasterSource,
    chain: DatumChain,
    grid: Grid,
    target: Coordsys,
    offset: HeightOffset | None,
    written: Warped,
    registry: DatumRegistry,
) -> dict[str, Any]:
    """What the catalogue says of the raster."""
    dataset, heights = source.dataset, load.target_heights or load.heights
    unit = "°" if target.kind == "geographic" else "m"
    bands = [
        {
            "dtype": written.dtype,
            "nodata": _json_number(written.nodata),
            "color": dataset.colorinterp[n].name,
            "description": dataset.descriptions[n],
            "minimum": None if found is None else found[0],
            "maximum": None if found is None else found[1],
        }
        for n, found in enumerate(written.ranges)
    ]
    steps: list[Mapping[str, Any]] = [step_json(step) for step in chain.steps]
    if offset is not None:
        steps.append(
            {
                "name": offset.name, "kind": offset.kind, "source": offset.source,
                "target": offset.target, "accuracy_m": offset.accuracy_m,
                "authority": offset.authority, "parameters": dict(offset.parameters),
            }
        )  # fmt: skip
    notes = list(source.notes)
    declared = declared_name(source.declared_crs, registry)
    if declared is not None and declared != chain.source.name:
        notes.append(
            f"文件声明 {declared}，按交付所写的 {chain.source.name} 处理 the file declares "
            f"{declared}, the delivery states {chain.source.name}"
        )
    return {
        "title": {"zh": load.title.zh, "en": load.title.en},
        "kind": load.kind.value,
        "bureau": delivery.bureau,
        "delivery": delivery.name,
        "city": delivery.city,
        "synthetic": delivery.synthetic,
        "epsg": target.epsg,
        "crs": target.uri,
        "bounds": list(grid.bounds),
        "extent": list(extent_of(grid, target, registry)),
        "size": [grid.width, grid.height],
        "resolution": [grid.transform.a, -grid.transform.e],
        "unit": unit,
        "bands": bands,
        "mask": "alpha" if source.alpha else "nodata" if written.nodata is not None else "mask",
        "valid_share": round(written.valid_share, 6),
        "overviews": list(written.overviews),
        "resampling": load.method,
        "position_error_pixels": round(written.error_pixels, 6),
        "heights": heights,
        "source": {
            "file": load.path.name,
            "driver": dataset.driver,
            "coordsys": chain.source.name,
            "declared_crs": source.declared_crs,
            "size": [source.grid.width, source.grid.height],
            "heights": load.heights,
        },
        "steps": steps,
        "datum_accuracy_m": chain.accuracy_m,
        "stated_accuracy_m": load.accuracy_m,
        "notes": notes,
    }


def _json_number(value: float | None) -> float | str | None:
    return "nan" if value is not None and value != value else value


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
