"""`etl inspect`: what a delivered file is, and what its coordinates truly are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyproj
import shapely
from psycopg import sql
from pyproj.exceptions import CRSError

from etl.datum import DatumError, DatumRegistry
from etl.detection import Detection, References, detect
from etl.readers import LayerInfo, ReadOptions, Source, SourceInfo, open_source
from etl.readers.columns import all_columns, numbers
from etl.readers.model import Bounds, RowProblem
from layers.city import CityProfile

SAMPLE_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class CoordinateFinding:
    """Detection for the geometry (`columns` None) or for one pair of table columns (x, y)."""

    columns: tuple[str, str] | None
    detection: Detection


@dataclass(frozen=True, slots=True)
class LayerInspection:
    """One layer: as declared, as counted over `rows_read` rows, and as detected."""

    layer: LayerInfo
    rows_read: int
    complete: bool
    extent: Bounds | None
    geometry_types: tuple[str, ...]
    findings: tuple[CoordinateFinding, ...]
    problems: tuple[RowProblem, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything `etl inspect` prints."""

    source: SourceInfo
    layers: tuple[LayerInspection, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain record for `--json`."""
        return {
            "file": self.source.path.name,
            "driver": self.source.driver,
            "encoding": {
                "declared": self.source.encoding_declared,
                "detected": self.source.encoding_detected,
            },
            "notes": list(self.source.notes),
            "layers": [_layer_json(layer) for layer in self.layers],
        }


def _layer_json(found: LayerInspection) -> dict[str, Any]:
    layer = found.layer
    return {
        "name": layer.name,
        "geometry_type": layer.geometry_type,
        "geometry_types": list(found.geometry_types),
        "feature_count": layer.feature_count,
        "rows_read": found.rows_read,
        "complete": found.complete,
        "declared_crs": layer.declared_crs,
        "extent": None if found.extent is None else list(found.extent),
        "fields": [{"name": field.name, "type": field.type} for field in layer.fields],
        "problems": [
            {"row": p.row, "column": p.column, "reason": p.reason} for p in found.problems
        ],
        "coordinates": [
            {
                "columns": None if f.columns is None else list(f.columns),
                **f.detection.to_json(),
            }
            for f in found.findings
        ],
    }


def load_reference(
    path: Path, registry: DatumRegistry, coordsys: str = "cgcs2000"
) -> References | None:
    """Trusted linework from a file whose coordsys the caller vouches for."""
    chain = registry.chain(coordsys)
    shapes: list[Any] = []
    for batch in open_source(path).batches():
        shapes += [g for g in batch.geometry if g is not None]

    def turned(xy: Any) -> Any:
        lon, lat, _ = chain.apply(xy[:, 0], xy[:, 1])
        return np.column_stack([lon, lat])

    return References.from_geometries(list(shapely.transform(np.array(shapes, object), turned)))


def reference_layer(connection: psycopg.Connection[Any], name: str) -> References | None:
    """Trusted linework from a loaded layer of the store (EPSG:4490, x = lon, y = lat)."""
    query = sql.SQL("SELECT ST_AsBinary(geom) FROM {} WHERE geom IS NOT NULL")
    rows = connection.execute(query.format(sql.Identifier("layer", name))).fetchall()
    return References.from_geometries(list(shapely.from_wkb([bytes(row[0]) for row in rows])))


def declared_name(crs: str | None, registry: DatumRegistry) -> str | None:
    """A file's declared CRS as a coordsys name; None when it says nothing usable."""
    if crs is None:
        return None
    try:
        return registry.parse(crs).name
    except DatumError:
        pass
    try:
        code = pyproj.CRS.from_user_input(crs).to_epsg(min_confidence=70)
    except CRSError:
        return None
    return None if code is None else registry.parse(f"epsg:{code}").name


def inspect_file(
    path: Path | str,
    profile: CityProfile,
    *,
    registry: DatumRegistry | None = None,
    reference: References | None = None,
    options: ReadOptions | None = None,
) -> Inspection:
    """Inspect all layers (or the one named in `options`) of a file, or of a service by its URL.

    ReadError when it cannot be read.
    """
    steps = registry or DatumRegistry()
    stated = replace(options or ReadOptions(), workbooks={})
    source = open_source(path, stated)
    info = source.info
    names: Sequence[str | None] = [layer.name for layer in info.layers]
    if stated.layer is not None or len(info.layers) == 1:
        names = [stated.layer]
    layers = []
    for name in names:
        chosen = replace(stated, layer=name)
        one = source if name is None else open_source(path, chosen)
        layers.append(_inspect_layer(one, profile, steps, reference))
    return Inspection(info, tuple(layers))


def _inspect_layer(
    source: Source, profile: CityProfile, registry: DatumRegistry, reference: References | None
) -> LayerInspection:
    layer = source.layer
    rows, complete = 0, True
    xy: list[Any] = []
    types: dict[str, None] = {}
    problems: list[RowProblem] = []
    pairs = all_columns([field.name for field in layer.fields]) if layer.extent is None else ()
    tables: dict[int, list[Any]] = {i: [] for i in range(len(pairs))}
    for batch in source.batches():
        if rows >= SAMPLE_ROWS:
            complete = False
            break
        rows += len(batch.rows)
        problems += batch.problems[: max(0, 20 - len(problems))]
        present = batch.geometry[batch.geometry != None]  # noqa: E711
        if len(present):
            types |= dict.fromkeys(str(g.geom_type) for g in present[:: max(1, len(present) // 99)])
            xy.append(shapely.get_coordinates(present))
        for i, pair in enumerate(pairs):
            columns = [batch.attributes.column(name) for name in (pair.x, pair.y)]
            tables[i].append([numbers(c, batch.rows, "")[0] for c in columns])
    points = np.concatenate(xy) if xy else np.empty((0, 2))
    declared = declared_name(layer.declared_crs, registry)
    findings: list[CoordinateFinding] = []

    def judge(xy: Any, titles: tuple[str, str] | None, trusted: References | None) -> None:
        found = detect(
            xy,
            profile=profile,
            registry=registry,
            references=trusted,
            declared=declared,
            field_names=titles,
        )
        findings.append(CoordinateFinding(titles, found))

    if pairs:
        by_pair = {
            pair: (
                np.concatenate([part[0] for part in tables[i]]),
                np.concatenate([part[1] for part in tables[i]]),
            )
            for i, pair in enumerate(pairs)
            if tables[i]
        }
        for pair, both in by_pair.items():
            judge(both, (pair.x, pair.y), _beside(pair, by_pair, reference))
    elif len(points):
        judge(points, None, reference)
    extent = layer.extent
    if len(points) and (extent is None or complete):
        low, high = points.min(axis=0), points.max(axis=0)
        extent = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return LayerInspection(
        layer, rows, complete, extent, tuple(types), tuple(findings), tuple(problems)
    )


def _beside(pair: Any, columns: Mapping[Any, Any], reference: References | None) -> Any:
    """Plane columns are compared with the degree columns of the same rows, where a table has both.

    Nobody vouches for the datum of those degrees, so they only serve where nothing trusted does.
    """
    if reference is not None or np.nanmedian(np.abs(columns[pair][1])) <= 180:
        return reference
    for other, (lon, lat) in columns.items():
        degrees = np.nanmedian(np.abs(lon)) <= 180 and np.nanmedian(np.abs(lat)) <= 90
        if other is not pair and degrees:
            return References.pairs(lon, lat, raw=True)
    return reference
